import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.data.images import FileImages
from colabel.data.records import Records
from colabel.data.split import (
    divide,
    hold_out,
    read_split_table,
    stratified_split,
    write_split_table,
)
from colabel.errors import DataError, RunError

FRACTIONS = {"train": 0.7, "val": 0.15, "test": 0.15}


def make_targets(images, frequencies, seed=0):
    generator = np.random.default_rng(seed)
    return (generator.random((images, len(frequencies))) < np.array(frequencies)).astype(np.int8)


def make_records(targets, groups=None):
    ids = tuple(f"{number}.jpg" for number in range(len(targets)))
    classes = tuple(f"class {number}" for number in range(targets.shape[1]))
    return Records(ids, FileImages(ids), targets, classes, groups)


def test_every_label_is_spread_as_asked():
    targets = make_targets(3000, [0.5, 0.2, 0.05, 0.01, 0.004])
    names = stratified_split(targets, fractions=FRACTIONS)
    for name, share in FRACTIONS.items():
        chosen = targets[names == name]
        assert abs(len(chosen) - share * len(targets)) <= 2
        assert (np.abs(chosen.sum(axis=0) - share * targets.sum(axis=0)) <= 2).all()


def test_it_is_much_closer_than_chance():
    targets = make_targets(1000, [0.02] * 10)

    def error(names):
        counts = targets[names == "test"].sum(axis=0)
        return np.abs(counts - 0.15 * targets.sum(axis=0)).max()

    shares = list(FRACTIONS.values())
    drawn = [np.random.default_rng(s).choice(list(FRACTIONS), 1000, p=shares) for s in range(20)]
    assert error(stratified_split(targets, fractions=FRACTIONS)) <= 1
    assert min(error(names) for names in drawn) > 1.5


def test_groups_stay_together_and_labels_are_spread():
    generator = np.random.default_rng(0)
    groups = [f"patient {number}" for number in generator.integers(0, 600, 3000)]
    targets = make_targets(3000, [0.3, 0.1, 0.03])
    names = stratified_split(targets, fractions=FRACTIONS, groups=groups)
    splits_of = {}
    for group, name in zip(groups, names, strict=True):
        splits_of.setdefault(group, set()).add(name)
    assert all(len(found) == 1 for found in splits_of.values())
    for name, share in FRACTIONS.items():
        chosen = targets[names == name]
        assert abs(len(chosen) / len(targets) - share) < 0.02
        assert np.allclose(chosen.sum(axis=0) / targets.sum(axis=0), share, atol=0.03)


def test_one_group_larger_than_a_split():
    groups = ["large"] * 80 + [f"small {number}" for number in range(20)]
    names = stratified_split(make_targets(100, [0.5]), fractions=FRACTIONS, groups=groups)
    assert set(names[:80]) == {"train"}
    assert set(names) == set(FRACTIONS)


def test_large_groups_come_first_so_that_small_ones_even_out():
    groups = ["large"] * 8 + [f"small {number}" for number in range(12)]
    names = stratified_split(
        np.ones((20, 1), dtype=np.int8), fractions={"train": 0.6, "test": 0.4}, groups=groups
    )
    assert (names == "train").sum() == 12


def test_the_seed_decides():
    targets = make_targets(500, [0.3, 0.1])
    first = stratified_split(targets, seed=1)
    assert (first == stratified_split(targets, seed=1)).all()
    assert (first != stratified_split(targets, seed=2)).any()


def test_unknown_labels_do_not_count_as_present():
    targets = make_targets(400, [0.2, 0.1])
    unknown = np.where(targets == 0, -1, targets).astype(np.int8)
    assert (stratified_split(targets) == stratified_split(unknown)).all()


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(3, 60),
    classes=st.integers(0, 5),
    density=st.floats(0, 1),
    grouped=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_image_gets_a_split_and_no_split_is_empty(images, classes, density, grouped, seed):
    targets = make_targets(images, [density] * classes, seed)
    groups = None
    if grouped:
        numbers = np.random.default_rng(seed).integers(0, images, images)
        numbers[:3] = [0, 1, 2]
        groups = [str(number) for number in numbers]
    names = stratified_split(targets, groups=groups, seed=seed)
    assert len(names) == images
    assert set(names) == {"train", "val", "test"}
    if groups is not None:
        assert len(set(zip(groups, names, strict=True))) == len(set(groups))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"train": 0.5, "test": 0.6}, "add up to 1"),
        ({"train": 1.5, "test": -0.5}, "must be positive"),
        ({"train": float("nan"), "test": 0.5}, "must be positive"),
        ({}, "must be positive"),
    ],
)
def test_fractions_that_make_no_sense(fractions, message):
    with pytest.raises(DataError, match=message):
        stratified_split(make_targets(10, [0.5]), fractions=fractions)


def test_too_few_images_or_groups():
    with pytest.raises(DataError, match="2 images or groups cannot fill 3 splits"):
        stratified_split(make_targets(2, [0.5]))
    with pytest.raises(DataError, match="1 images or groups"):
        stratified_split(make_targets(9, [0.5]), groups=["a"] * 9)
    with pytest.raises(DataError, match="0 images or groups"):
        stratified_split(make_targets(0, [0.5]))
    with pytest.raises(DataError, match="2 groups for 9 images"):
        stratified_split(make_targets(9, [0.5]), groups=["a", "b"])


def test_hold_out_keeps_order_and_groups():
    groups = tuple(f"p{number // 3}" for number in range(300))
    records = make_records(make_targets(300, [0.4, 0.1]), groups)
    rest, held_out = hold_out(records, 0.2)
    assert len(rest) + len(held_out) == 300
    assert abs(len(held_out) - 60) <= 3
    assert not set(rest.groups) & set(held_out.groups)
    for part in (rest, held_out):
        numbers = [int(name.removesuffix(".jpg")) for name in part.ids]
        assert numbers == sorted(numbers)
        assert (part.targets == records.targets[numbers]).all()
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(DataError, match="between 0 and 1"):
            hold_out(records, fraction)


def test_divide():
    records = make_records(make_targets(4, [0.5]))
    parts = divide(records, ["test", "extra", "train", "test"])
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("2.jpg",),
        "test": ("0.jpg", "3.jpg"),
        "extra": ("1.jpg",),
    }
    assert list(parts) == ["train", "test", "extra"]
    with pytest.raises(DataError, match="1 split names for 4 images"):
        divide(records, ["test"])


def test_a_saved_split_comes_back(tmp_path):
    ids = ["a,b.jpg", 'quote".jpg', "ü.jpg"]
    path = tmp_path / "splits.csv"
    write_split_table(path, ids, ["train", "val", "test"])
    assert read_split_table(path) == dict(zip(ids, ("train", "val", "test"), strict=True))
    assert [entry.name for entry in tmp_path.iterdir()] == ["splits.csv"]
    with pytest.raises(DataError, match="1 ids for 2 split names"):
        write_split_table(path, ["a"], ["train", "val"])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "splits.csv"
    write_split_table(path, ["a"], ["train"])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"No space.*before is intact"):
        write_split_table(path, ["a"], ["test"])
    assert read_split_table(path) == {"a": "train"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["splits.csv"]


def test_an_id_in_two_splits(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("id,split\na,train\na,test\n")
    with pytest.raises(DataError, match="'a' is in train and in test"):
        read_split_table(path)
    (tmp_path / "lists").mkdir()
    with pytest.raises(DataError, match=r"expected train\.txt"):
        read_split_table(tmp_path / "lists")
