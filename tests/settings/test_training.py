"""The learning rate of the head: a number, or a multiple of the encoder's."""

import pytest
from pydantic import ValidationError

from colabel.settings import Training


@pytest.mark.parametrize(
    ("given", "kept", "rate"),
    [
        ("x1", "x1", 2e-4),
        ("x10", "x10", 2e-3),
        ("x0.5", "x0.5", 1e-4),
        (0.01, 0.01, 0.01),
        (3, 3.0, 3.0),
        ("0.01", 0.01, 0.01),
        ("1e-3", 1e-3, 1e-3),
    ],
)
def test_the_heads_learning_rate_is_a_number_or_a_multiple(given, kept, rate):
    training = Training(head_learning_rate=given)
    assert training.head_learning_rate == kept
    assert type(training.head_learning_rate) is type(kept)
    assert training.rate_of_head(2e-4) == pytest.approx(rate)


@pytest.mark.parametrize(
    "given",
    ["fast", "x", "x0", "x-1", "10x", "xx2", "xnan", "xinf", 0, -1, True, None, float("nan")],
)
def test_other_rates_of_the_head_are_refused(given):
    expected = (
        f"expected a positive number, or a multiple of learning_rate such as x10, got {given!r}"
    )
    with pytest.raises(ValidationError) as caught:
        Training(head_learning_rate=given)
    assert expected in str(caught.value)
