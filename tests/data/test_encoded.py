import pytest
import torch
from pictures import some_records

from colabel.data.encoded import EncodedImages
from colabel.data.loader import evaluation_loader, set_epoch, training_loader
from colabel.errors import DataError

COUNT, WIDTH = 11, 4


def encoded(count=COUNT):
    """Features whose first entry is the number of the image."""
    features = torch.arange(count, dtype=torch.float32)[:, None] + torch.zeros(WIDTH)
    return EncodedImages(features, some_records(count))


def test_an_image_is_its_features_its_targets_and_its_index():
    records = some_records(COUNT)
    features = torch.randn(COUNT, WIDTH, generator=torch.Generator().manual_seed(0))
    images = EncodedImages(features, records)
    assert len(images) == COUNT
    for key in (7, (7, 0), (7, 3)):  # as evaluation asks, and training in two epochs
        row, targets, index = images[key]
        assert torch.equal(row, features[7])
        assert targets.dtype is torch.int8
        assert targets.tolist() == records.targets[7].tolist()
        assert index == 7
    assert images.cache is None


def test_nothing_is_decoded():
    records = some_records(COUNT)
    images = EncodedImages(torch.zeros(COUNT, WIDTH), records)
    for index in range(COUNT):
        images[index]
    assert records.images.opened == []


@pytest.mark.parametrize(
    "shape", [(COUNT - 1, WIDTH), (COUNT,), (COUNT - 1, WIDTH, 1), (0, WIDTH)]
)
def test_features_of_other_images_are_refused(shape):
    with pytest.raises(DataError, match=f"expected features of {COUNT} images") as raised:
        EncodedImages(torch.zeros(shape), some_records(COUNT))
    assert str(shape) in str(raised.value)


def test_training_batches_are_shuffled_by_epoch_and_hold_what_belongs_together():
    records, images = some_records(COUNT), encoded()
    loader = training_loader(images, batch_size=4, seed=3)
    orders = []
    for epoch in (0, 1):
        set_epoch(loader, epoch)
        batches = list(loader)
        assert [features.shape for features, _, _ in batches] == [(4, WIDTH)] * 2
        order = torch.cat([indices for _, _, indices in batches])
        assert torch.equal(
            torch.cat([features for features, _, _ in batches])[:, 0], order.float()
        )
        targets = torch.cat([targets for _, targets, _ in batches])
        assert targets.tolist() == records.targets[order].tolist()
        orders.append(order.tolist())
    assert orders[0] != orders[1]


def test_evaluation_batches_are_in_order():
    batches = list(evaluation_loader(encoded(), batch_size=4))
    assert [len(features) for features, _, _ in batches] == [4, 4, 3]
    assert torch.cat([indices for _, _, indices in batches]).tolist() == list(range(COUNT))
    assert torch.cat([features for features, _, _ in batches])[:, 1].tolist() == list(range(COUNT))
