"""Jaccard and cosine overlap of label vectors."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import generator, sparse_targets
from reference import kmcl

from colabel.mixtures import cosine, jaccard

OVERLAPS = [jaccard, cosine]


def loop_cosine(first, second):
    dot = square_first = square_second = 0
    for a, b in zip(first, second, strict=True):
        if a == -1 or b == -1:
            continue
        dot += a * b
        square_first += a * a
        square_second += b * b
    if not square_first or not square_second:
        return 0.0
    return dot / math.sqrt(square_first * square_second)


LOOPS = [(jaccard, kmcl.jaccard_index), (cosine, loop_cosine)]

label_rows = st.integers(1, 6).flatmap(
    lambda classes: st.lists(
        st.lists(st.sampled_from([-1, 0, 1]), min_size=classes, max_size=classes),
        min_size=1,
        max_size=5,
    )
)


@pytest.mark.parametrize(("overlap", "loop"), LOOPS)
@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.float64])
@pytest.mark.parametrize("unknown", [0.0, 0.4])
def test_equals_the_loops(overlap, loop, dtype, unknown):
    targets = sparse_targets(12, 20, density=0.15, unknown=unknown, seed=3)
    got = overlap(targets.to(dtype))
    rows = targets.tolist()
    assert got.shape == (12, 12)
    assert got.is_floating_point()
    for n in range(12):
        for m in range(12):
            assert got[n, m].item() == pytest.approx(loop(rows[n], rows[m]), abs=1e-6)


@pytest.mark.parametrize(("overlap", "loop"), LOOPS)
def test_two_batches_give_a_rectangle(overlap, loop):
    first = sparse_targets(3, 8, density=0.4, unknown=0.2, seed=5)
    second = sparse_targets(5, 8, density=0.4, unknown=0.2, seed=7)
    got = overlap(first, second)
    assert got.shape == (3, 5)
    for n in range(3):
        for m in range(5):
            expected = loop(first[n].tolist(), second[m].tolist())
            assert got[n, m].item() == pytest.approx(expected, abs=1e-6)


@given(label_rows)
def test_any_labels_agree_with_the_loops(rows):
    targets = torch.tensor(rows, dtype=torch.int8)
    for overlap, loop in LOOPS:
        got = overlap(targets)
        for n, first in enumerate(rows):
            for m, second in enumerate(rows):
                assert got[n, m].item() == pytest.approx(loop(first, second), abs=1e-6)


@given(label_rows)
def test_symmetric_and_between_nought_and_one(rows):
    for overlap in OVERLAPS:
        got = overlap(torch.tensor(rows, dtype=torch.int8))
        assert torch.equal(got, got.T)
        assert got.min() >= 0
        assert got.max() <= 1 + 1e-6


@given(label_rows)
def test_an_image_agrees_fully_with_itself_unless_it_has_no_label(rows):
    for overlap in OVERLAPS:
        diagonal = overlap(torch.tensor(rows, dtype=torch.int8)).diagonal()
        for value, row in zip(diagonal.tolist(), rows, strict=True):
            assert value == pytest.approx(1.0 if 1 in row else 0.0, abs=1e-6)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_the_order_of_classes_does_not_matter(overlap):
    targets = sparse_targets(6, 9, density=0.4, unknown=0.2, seed=11)
    order = torch.randperm(9, generator=generator(1))
    torch.testing.assert_close(overlap(targets[:, order]), overlap(targets))


def test_by_hand():
    rows = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, -1]])
    third, two_thirds = 1 / 3, 2 / 3
    expected = [[1, third, 0, two_thirds], [third, 1, 0, two_thirds], [0, 0, 0, 0]]
    assert jaccard(rows)[:3].tolist() == [pytest.approx(row) for row in expected]
    half, root = 1 / 2, 2 / math.sqrt(6)
    expected = [[1, half, 0, root], [half, 1, 0, root], [0, 0, 0, 0]]
    assert cosine(rows)[:3].tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_nothing_known_in_common_gives_nought(overlap):
    targets = torch.tensor([[1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, -1, -1]], dtype=torch.int8)
    got = overlap(targets)
    assert got[0, 1] == 0
    assert torch.equal(got[2], torch.zeros(3, dtype=got.dtype))


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_class_unknown_in_one_image_counts_in_neither(overlap):
    known = torch.tensor([[1, 0], [1, 1]], dtype=torch.int8)
    with_unknown = torch.tensor([[1, 0, -1], [1, 1, 1]], dtype=torch.int8)
    torch.testing.assert_close(overlap(with_unknown)[0], overlap(known)[0])


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_other_number_of_classes_is_named(overlap, unchecked_shapes):
    with pytest.raises(ValueError, match=r"targets|classes") as raised:
        overlap(torch.zeros(2, 3), torch.zeros(5, 4))
    message = str(raised.value)
    assert "3" in message
    assert "4" in message


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_the_targets_are_left_as_they_were(overlap):
    targets = sparse_targets(4, 5, unknown=0.3).double()
    before = targets.clone()
    overlap(targets)
    assert torch.equal(targets, before)
