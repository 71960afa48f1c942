"""A fraction of the training images: nested, spread over the labels, the same every time."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.data.fraction import nested_part
from colabel.errors import DataError

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)


def sparse(images, classes, *, seed=0, frequency=0.04, unknown=0.3):
    """Labels of which few are present and many unknown; the last class has one positive image."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((images, classes)) < frequency).astype(np.int8)
    targets[:, -1] = 0
    targets[generator.random(targets.shape) < unknown] = -1
    targets[generator.integers(images), -1] = 1
    return targets


@pytest.mark.parametrize("classes", [1, 2, 80, 600])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_smaller_part_lies_in_a_larger_one_and_has_the_size_asked_for(classes, seed):
    targets = sparse(1203, classes, seed=seed)
    parts = [nested_part(targets, share, seed=seed) for share in SHARES]
    for share, part in zip(SHARES, parts, strict=True):
        assert len(part) == math.ceil(round(share * 1203, 6))
        assert (np.diff(part) > 0).all()
    for smaller, larger in itertools.pairwise(parts):
        assert set(smaller.tolist()) < set(larger.tolist())


@pytest.mark.parametrize("classes", [1, 2, 80])
def test_every_class_that_has_positives_keeps_one(classes):
    targets = sparse(2000, classes)
    occurring = (targets == 1).any(axis=0)
    for share in (0.02, 0.05, 0.1, 0.5):
        kept = (targets[nested_part(targets, share)] == 1).any(axis=0)
        assert (kept == occurring).all(), share


def test_every_label_is_spread_as_asked_and_far_better_than_by_chance():
    targets = sparse(4000, 20, frequency=0.1)
    counts = (targets == 1).sum(axis=0)
    generator = np.random.default_rng(0)
    for share in (0.1, 0.25, 0.3, 0.5, 0.75):
        part = nested_part(targets, share)
        error = np.abs((targets[part] == 1).sum(axis=0) - share * counts).mean()
        drawn = generator.permutation(4000)[: len(part)]
        by_chance = np.abs((targets[drawn] == 1).sum(axis=0) - share * counts).mean()
        assert error < 3
        assert error < by_chance / 2


def test_the_images_of_a_part_have_as_many_labels_as_all_do():
    targets = sparse(4000, 20, frequency=0.1)
    labels = (targets == 1).sum(axis=1)
    for share in (0.05, 0.1, 0.5):
        assert labels[nested_part(targets, share)].mean() == pytest.approx(labels.mean(), rel=0.06)


def test_it_depends_on_the_seed_alone_and_unknown_labels_count_as_absent():
    targets = sparse(500, 10)
    part = nested_part(targets, 0.2, seed=3)
    assert part.tolist() == nested_part(targets.copy(), 0.2, seed=3).tolist()
    assert part.tolist() == nested_part(np.maximum(targets, 0), 0.2, seed=3).tolist()
    assert part.tolist() != nested_part(targets, 0.2, seed=4).tolist()


@given(
    data=st.data(),
    images=st.integers(1, 60),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_groups_are_taken_whole_with_less_than_one_group_too_many(data, images, share, seed):
    names = data.draw(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=images,
                               max_size=images))  # fmt: skip
    targets = sparse(images, 3, seed=seed)
    part = set(nested_part(targets, share, groups=names, seed=seed).tolist())
    taken = {names[position] for position in part}
    assert part == {position for position, name in enumerate(names) if name in taken}
    least = math.ceil(round(share * images, 6))
    assert least <= len(part) < least + max(names.count(name) for name in taken)
    larger = nested_part(targets, min(1.0, share * 1.5), groups=names, seed=seed)
    assert part <= set(larger.tolist())


def test_the_smallest_part_is_one_image():
    assert len(nested_part(np.ones((2, 2), np.int8), 1e-12)) == 1


@pytest.mark.parametrize("share", [0, -0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(DataError, match="above 0 and at most 1"):
        nested_part(sparse(10, 2), share)


def test_images_without_any_label_are_spread_too():
    targets = np.zeros((100, 3), dtype=np.int8)
    assert len(nested_part(targets, 0.1)) == 10
    targets[:50, 0] = 1
    assert (targets[nested_part(targets, 0.2)] == 1).sum() == pytest.approx(10, abs=1)
