"""Pooling for each class against plain loops."""

import math

import pytest
import torch

from colabel.models import ClassAttentionPooling, EncoderPooling, Features

BATCH, CHANNELS, CLASSES, ROWS, COLUMNS = 3, 5, 4, 2, 3


def map_of(dtype=torch.float64, *, grad=False):
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, CHANNELS, ROWS, COLUMNS)
    values = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(dtype).requires_grad_(grad)


def pooling_of(*, random=True):
    pooling = ClassAttentionPooling(CHANNELS, CLASSES).double()
    if random:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            pooling.queries.normal_(generator=generator)
    return pooling


def by_loops(queries, values):
    """The weighted average of the positions of one image for each class."""
    positions = [
        [values[d, row, column].item() for d in range(CHANNELS)]
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    pooled = []
    for query in queries.tolist():
        scores = [
            sum(q * x for q, x in zip(query, position, strict=True)) / math.sqrt(CHANNELS)
            for position in positions
        ]
        total = sum(math.exp(score) for score in scores)
        pooled.append(
            [
                sum(
                    math.exp(score) / total * position[d]
                    for score, position in zip(scores, positions, strict=True)
                )
                for d in range(CHANNELS)
            ]
        )
    return pooled


def test_a_class_has_the_average_that_its_query_weighs():
    pooling, values = pooling_of(), map_of()
    pooled = pooling(Features(None, values))
    assert pooled.shape == (BATCH, CLASSES, CHANNELS)
    for image in range(BATCH):
        expected = by_loops(pooling.queries, values[image])
        torch.testing.assert_close(
            pooled[image], torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12
        )


def test_every_class_begins_with_the_plain_average():
    pooling, values = pooling_of(random=False), map_of()
    pooled = pooling(Features(None, values))
    for label in range(CLASSES):
        torch.testing.assert_close(pooled[:, label], values.mean(dim=(2, 3)))


@pytest.mark.parametrize("random", [True, False])
def test_the_gradient_reaches_queries_and_map(random):
    """From the start at zero too, and by finite differences."""
    pooling, values = pooling_of(random=random), map_of(grad=True)

    def loss(queries, given):
        replaced = torch.func.functional_call(
            pooling, {"queries": queries}, (Features(None, given),)
        )
        return replaced.square()

    assert torch.autograd.gradcheck(loss, (pooling.queries, values))
    pooling(Features(None, values)).square().sum().backward()
    assert pooling.queries.grad.abs().min() > 0
    assert values.grad.abs().min() > 0


def test_the_class_of_another_query_is_not_touched():
    pooling, values = pooling_of(), map_of()
    before = pooling(Features(None, values))
    with torch.no_grad():
        pooling.queries[2] += 1
    changed = (pooling(Features(None, values)) != before).any(dim=2)
    assert changed.any(dim=0).tolist() == [False, False, True, False]


def test_it_computes_in_float32_under_autocast():
    pooling = pooling_of().float()
    values = map_of(torch.float32)
    expected = pooling(Features(None, values))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pooling(Features(None, values)), expected)
        half = pooling(Features(None, values.bfloat16()))
    assert half.dtype == torch.float32
    assert torch.equal(half, pooling(Features(None, values.bfloat16().float())))


def test_what_was_not_kept_cannot_be_pooled():
    with pytest.raises(ValueError, match="there is no feature map"):
        pooling_of()(Features(torch.zeros(2, CHANNELS)))
    with pytest.raises(ValueError, match="no pooled features: only the feature map was kept"):
        EncoderPooling()(Features(None, map_of()))
    vector = torch.zeros(2, CHANNELS)
    assert EncoderPooling()(Features(vector)) is vector
