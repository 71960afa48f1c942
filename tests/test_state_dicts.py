"""What differs between the tensors that are there and those that are expected."""

from colabel.state_dicts import differences

EXPECTED = {"a": ((2, 3), "F32"), "b": ((2,), "F32"), "b.count": ((), "I64")}


def test_nothing_differs_where_all_fits():
    assert differences(dict(EXPECTED), EXPECTED) == []
    assert differences({name: (list(shape), kind) for name, (shape, kind) in EXPECTED.items()},
                       EXPECTED) == []  # fmt: skip


def test_each_kind_of_difference_is_counted_and_named():
    found = {"a": ((3, 2), "F16"), "c": ((1,), "F32"), "b.count": ((), "I64")}
    assert differences(found, EXPECTED) == [
        "1 missing: b",
        "1 left over: c",
        "1 of another shape: a (expected (2, 3), got (3, 2))",
        "1 of another type: a (expected F32, got F16)",
    ]


def test_what_is_optional_may_be_missing_and_must_fit_where_it_is():
    found = {name: EXPECTED[name] for name in ("a", "b")}
    assert differences(found, EXPECTED, optional=".count") == []
    found["b.count"] = ((1,), "I64")
    assert differences(found, EXPECTED, optional=".count") == [
        "1 of another shape: b.count (expected (), got (1,))"
    ]


def test_many_names_are_cut():
    (clause,) = differences({}, {f"{number:02}": ((1,), "F32") for number in range(13)})
    assert clause.startswith("13 missing: 00, 01")
    assert clause.endswith("09 and 3 more")
