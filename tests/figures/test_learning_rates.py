"""The picture of a range test says what is trained, and draws no minimum that was not seen."""

import numpy as np
import pytest
from drawn_figures import assert_picture, texts

from colabel.figures.learning_rates import learning_rate_chart
from colabel.training import RangeTest

RATES = tuple(np.geomspace(1e-7, 1, 101).tolist())
FALLING = tuple(np.linspace(1, 0, 101).tolist())
TURNING = tuple(abs(value - 0.25) for value in FALLING)


@pytest.fixture
def words(drawn, tmp_path):
    def draw(losses, multiple, **facts):
        png = tmp_path / "rates.png"
        learning_rate_chart(RangeTest("fit", RATES, losses, losses, multiple, **facts), png)
        assert_picture(png)
        return "\n".join(texts(drawn[-1]))

    return draw


@pytest.mark.parametrize(
    ("trained", "multiple", "name"),
    [
        (("encoder", "head"), 30.0, "learning rate of the encoder"),
        (("encoder", "head"), 1.0, "learning rate of the encoder and the head"),
        (("head",), 1.0, "learning rate of the head"),
        (("head",), 30.0, "training.learning_rate; the encoder is frozen, the head alone learns"),
        (("model",), 1.0, "learning rate of the model"),
    ],
)
def test_the_axis_names_what_is_trained(words, trained, multiple, name):
    said = words(TURNING, multiple, trained=trained).split("\n")
    assert name in said
    assert any("the head learns at 30 times the rate" in line for line in said) == (multiple == 30)


def test_the_suggestion_is_drawn_for_the_head_too_where_its_rate_is_a_number(words):
    said = words(TURNING, 15.0, head_rate_is_number=True)
    assert "falls fastest: " in said
    assert "lowest: 0.018" in said
    assert ", head 0." in said
    assert ", head " not in words(TURNING, 15.0)


def test_what_was_not_seen_is_not_drawn(words):
    said = words(FALLING, 1.0)
    assert "the loss was still falling at the end" in said
    assert "suggested: " in said
    assert "\nlowest: " not in said
    said = words(FALLING[::-1], 1.0)
    assert "the loss did not fall" in said
    assert "suggested: " not in said
    assert "falls fastest: " not in said
