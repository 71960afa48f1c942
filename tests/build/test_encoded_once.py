"""Features of a frozen encoder that several runs share."""

import pytest
import torch
from pictures import some_records
from torch import nn

from colabel.build.encoded_once import EncodedOnce
from colabel.config import change_config, check_config

CONFIG = check_config({"data": {"image_size": 16}})


class World:
    """An encoder, images and a count of what was encoded."""

    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.records = some_records(4)
        self.shared = EncodedOnce()
        self.encoded = 0

    def ask(self, *, encoder=None, config=CONFIG, records=None, part="vector"):
        def encode():
            self.encoded += 1
            return torch.full((4, 3), float(self.encoded))

        features = self.shared.features(
            encoder or self.encoder, config, records or self.records, part, encode
        )
        return int(features[0, 0])


def test_the_same_images_are_encoded_once():
    world = World()
    assert [world.ask(), world.ask()] == [1, 1]
    again = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    again.load_state_dict(world.encoder.state_dict())
    head = change_config(CONFIG, ["training.learning_rate=0.5", "training.seed=3"])
    assert world.ask(encoder=again, config=head) == 1


def test_splits_and_parts_stand_side_by_side():
    world = World()
    other = some_records(5)
    assert [world.ask(), world.ask(part="map"), world.ask(records=other)] == [1, 2, 3]
    assert [world.ask(), world.ask(part="map"), world.ask(records=other)] == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        "data.image_size=24",
        "data.source=other.csv",
        "data.max_pixels=1000",
        "encoder.options={pad_type: same}",
        "evaluation.batch_size=3",
        "training.precision=bf16",
    ],
)
def test_what_changes_a_pixel_or_a_rounding_is_encoded_anew(change):
    world = World()
    world.ask()
    other = change_config(CONFIG, [change])
    assert world.ask(config=other) == 2
    assert world.ask() == 3  # only one encoder's features are kept


@pytest.mark.parametrize("name", ["0.weight", "1.running_mean"])
def test_another_weight_or_statistic_is_another_encoder(name):
    world = World()
    world.ask()
    last = world.encoder.state_dict()[name].view(-1)[-1:]
    last.copy_(torch.nextafter(last, torch.tensor([9.0])))
    assert world.ask() == 2
    assert len(world.shared._kept) == 1
