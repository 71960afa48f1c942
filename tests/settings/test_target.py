"""What thresholds may be for, as it is written."""

import pytest

from colabel.settings.target import parse_target


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("f1", "f1"),
        ("none", "none"),
        (" recall=0.950 ", "recall=0.95"),
        ("precision=.9", "precision=0.9"),
        ("missed=1e-1", "missed=0.1"),
        ("cost=5:1", "cost=5:1"),
        ("cost=5:2", "cost=2.5:1"),
        ("cost=1:3", f"cost={1 / 3!r}:1"),
        ("recall=0.9999999999", "recall=0.9999999999"),
    ],
)
def test_targets_are_read_and_written_alike(text, canonical):
    target = parse_target(text)
    assert str(target) == canonical
    assert parse_target(canonical) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one of none, f1, recall"),
        ("F1", "expected one of"),
        ("f1=0.5", "expected one of"),
        ("none=1", "expected one of"),
        ("recall", "expected one of"),
        ("recall=", "share between 0 and 1 is expected, as in recall=0.95"),
        ("recall=95%", "as in recall=0.95"),
        ("precision=1", "as in precision=0.95"),
        ("missed=0", "as in missed=0.1"),
        ("recall=nan", "share between"),
        ("cost=5", "two positive numbers are expected"),
        ("cost=0:1", "two positive numbers"),
        ("cost=inf:1", "two positive numbers"),
        ("cost=a:b", "as in cost=5:1"),
        ("cost=1e300:1e-300", "more than 1e.09 times the other"),
        ("cost=1e-300:1e300", "more than 1e.09 times the other"),
    ],
)
def test_others_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_target(text)
