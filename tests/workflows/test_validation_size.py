"""When a validation split is called too small."""

import numpy as np
import pytest

from colabel.workflows.validation_size import told_uncertainty, too_small_to_choose_by


@pytest.mark.parametrize(
    ("positives", "told"), [(20, True), (80, True), (90, False), (200, False)]
)
def test_an_error_that_would_be_told_as_the_tolerable_one_is_not_told(positives, told):
    said = too_small_to_choose_by(np.ones((positives, 1), dtype=np.int8))
    assert bool(said) == told
    assert "about 5 points" not in "".join(said)


def test_without_positives_nothing_is_said():
    assert too_small_to_choose_by(np.zeros((5, 2), dtype=np.int8)) == ()


@pytest.mark.parametrize(("positives", "told"), [(20, 0.5 / 20**0.5), (90, 0.0)])
def test_the_uncertainty_is_the_one_that_is_told(positives, told):
    assert told_uncertainty(np.ones((positives, 1), dtype=np.int8)) == pytest.approx(told)
    assert told_uncertainty(np.zeros((5, 2), dtype=np.int8)) == 0
