"""Predictions in another order of images and classes, brought into that of the first."""

import numpy as np
import pytest

from colabel.errors import DataError
from colabel.runs.predictions import Predictions
from colabel.workflows.comparison.aligned import align, group_numbers

IDS, CLASSES = ("a", "b", "c"), ("cat", "dog")
TARGETS = np.array([[1, 0], [-1, 1], [0, 0]], dtype=np.int8)
LOGITS = np.arange(6, dtype=np.float32).reshape(3, 2)


def make(rows=(0, 1, 2), columns=(0, 1), *, targets=TARGETS, groups=()):
    return Predictions(
        tuple(IDS[row] for row in rows),
        tuple(CLASSES[column] for column in columns),
        LOGITS[list(rows)][:, list(columns)],
        targets[list(rows)][:, list(columns)],
        "test",
        groups=tuple(groups[row] for row in rows) if groups else groups,
    )


@pytest.mark.parametrize("columns", [(0, 1), (1, 0)])
@pytest.mark.parametrize("rows", [(0, 1, 2), (2, 0, 1)])
def test_values_targets_and_groups_follow_their_names(rows, columns):
    first, other = align(
        {"one": make(groups=("p", "q", "p")), "two": make(rows, columns, groups=("p", "q", "p"))}
    )
    assert np.array_equal(other.place(other.predictions.logits), LOGITS)
    assert np.array_equal(other.targets, TARGETS)
    assert other.groups == first.groups == ("p", "q", "p")


def test_the_first_label_that_differs_is_named():
    changed = TARGETS.copy()
    changed[1, 0] = 0
    with pytest.raises(DataError, match="the image 'b' has the label 'cat' as -1 in one and 0 in"):
        align({"one": make(), "two": make((2, 1, 0), (1, 0), targets=changed)})


def test_images_and_classes_of_one_run_alone_are_named():
    with pytest.raises(DataError, match="one has predictions for the image 'b' and two has none"):
        align({"one": make(), "two": make((0, 2))})
    with pytest.raises(DataError, match="two has predictions for the image 'b' and one has none"):
        align({"one": make((0, 2)), "two": make()})
    with pytest.raises(DataError, match="the class 'dog' and two has none"):
        align({"one": make(), "two": make(columns=(0,))})


def test_no_groups_are_none():
    assert group_numbers(()) is None
    assert group_numbers(None) is None
    assert group_numbers(("x", "y", "x")).tolist() == [0, 1, 0]
