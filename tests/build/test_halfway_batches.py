"""What frozen first stages give of an image is computed once, where that is all that is needed."""

import pytest
import timm
import torch
from pictures import some_records

from colabel.build.batches import Batches
from colabel.build.shared import Shared
from colabel.build.stages import build_model, build_stages
from colabel.config import check_config
from colabel.data.loader import set_epoch
from colabel.training import make_accelerator

SIZE, CLASSES, TRAIN, VALIDATION, BATCH = 64, 3, 11, 5, 4
IDLE = {"operations": 0, "cutout": 0, "horizontal_flip": False}
MIRROR = IDLE | {"horizontal_flip": True}
ENCODER = {"name": "test_efficientnet", "freeze_stages": 3}


@pytest.fixture(autouse=True, scope="module")
def weights(tmp_path_factory):
    """Those of an encoder that nothing was learned with: frozen stages must have some."""
    torch.manual_seed(1)
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(timm.create_model("test_efficientnet", num_classes=0).state_dict(), file)
    ENCODER["weights"] = str(file)


class World:
    """Batches of a few pictures, the stages that use them, and what passes the first layer."""

    def __init__(
        self,
        augmentation=IDLE,
        *,
        method="bce",
        cache_mb=50,
        encoder=None,
        shared=None,
        **training,
    ):
        self.config = check_config(
            {
                "method": method,
                "encoder": ENCODER | (encoder or {}),
                "data": {"image_size": SIZE, "cache_mb": cache_mb},
                "augmentation": augmentation,
                "training": {"epochs": 2, "batch_size": BATCH, "workers": 0} | training,
                "evaluation": {"batch_size": 2},
            }
        )
        torch.manual_seed(0)
        self.model = build_model(self.config, CLASSES)
        self.stages = build_stages(self.model, self.config)
        self.train, self.validation = (
            some_records(n, width=70, height=66) for n in (TRAIN, VALIDATION)
        )
        self.notes = []
        self.batches = Batches(
            self.config, make_accelerator(cpu=True), self.train, self.validation, self,
            encoded=(shared or Shared()).encoded,
        )  # fmt: skip
        self.passed = 0
        self.model.encoder.backbone.conv_stem.register_forward_hook(self._count)

    def _count(self, _, given, __):
        if given[0].shape[-1] == SIZE:
            self.passed += len(given[0])

    def note(self, text):
        self.notes.append(text)

    def begin(self, number=0):
        """What a stage sees: kind of its training batches, kind of its validation batches."""
        stage = self.stages[number]
        self.loader = self.batches.training(stage)
        set_epoch(self.loader, 0)
        batches = (next(iter(self.loader)), next(iter(self.batches.validation(stage))))
        return tuple(kind(given) for given, _, _ in batches)


def kind(given):
    if isinstance(given, torch.Tensor):
        return "pixels"
    return "halfway" if given.halfway is not None else "vector"


def test_images_that_are_not_augmented_pass_the_frozen_stages_once():
    world = World()
    assert world.begin() == ("halfway", "halfway")
    assert world.notes == [
        f"{split}: encoding {count} images through the frozen stages once"
        for split, count in (("train", TRAIN), ("val", VALIDATION))
    ]
    tried = world.passed - TRAIN - VALIDATION
    for epoch in range(3):
        set_epoch(world.loader, epoch)
        for images, _, _ in world.loader:
            world.model(images).logits.sum().backward()
        for images, _, _ in world.batches.validation(world.stages[0]):
            world.model(images)
    # from then on a single image of that side stands in for a batch
    assert world.passed - TRAIN - VALIDATION - tried == 3 * (TRAIN // BATCH + 3)
    assert sorted(world.train.images.opened) == list(range(TRAIN))


@pytest.mark.parametrize("augmentation", [IDLE, MIRROR])
def test_the_batches_are_those_of_the_images(augmentation):
    world = World(augmentation, epochs=3, seed=5)
    assert world.begin() == ("halfway", "halfway")
    plain = World(augmentation, epochs=3, seed=5, cache_mb=0)
    assert plain.begin() == ("pixels", "pixels")
    plain.model.load_state_dict(world.model.state_dict())
    for each in (world, plain):
        each.model.eval()
    for epoch in range(2):
        for each in (world, plain):
            set_epoch(each.loader, epoch)
        for first, second in zip(world.loader, plain.loader, strict=True):
            assert torch.equal(first[2], second[2])
            assert torch.equal(first[1], second[1])
            assert torch.equal(world.model(first[0]).logits, plain.model(second[0]).logits)
    validations = [list(each.batches.validation(each.stages[0])) for each in (world, plain)]
    for first, second in zip(*validations, strict=True):
        assert torch.equal(world.model(first[0]).logits, plain.model(second[0]).logits)


def test_augmented_images_pass_anew_and_those_of_validation_once():
    assert World(MIRROR | {"operations": 1}).begin() == ("pixels", "halfway")
    assert World(MIRROR | {"cutout": 0.5}, epochs=9).begin() == ("pixels", "halfway")


def test_mirror_images_pass_once_where_there_are_more_epochs_than_that():
    assert World(MIRROR, epochs=2).begin() == ("pixels", "halfway")
    world = World(MIRROR, epochs=3)
    assert world.begin() == ("halfway", "halfway")
    assert world.notes == [
        f"train: encoding {TRAIN} images through the frozen stages once",
        f"train: encoding {TRAIN} mirror images through the frozen stages once",
        f"val: encoding {VALIDATION} images through the frozen stages once",
    ]
    world = World(MIRROR, epochs=3)
    world.batches._left = (2 * TRAIN * 24 - 1) * 2**10
    assert world.begin() == ("pixels", "halfway")


def test_a_single_pass_keeps_nothing():
    assert World(epochs=1).begin() == ("pixels", "pixels")
    assert World(MIRROR, epochs=1).begin() == ("pixels", "pixels")


def test_what_sees_less_than_an_epoch_keeps_nothing():
    world = World()
    parts = (world.config, make_accelerator(cpu=True), world.train, world.validation, world)
    world.batches = Batches(*parts, keep=False)
    assert world.begin() == ("pixels", "pixels")
    assert world.notes == []


def test_nothing_frozen_keeps_nothing():
    assert World(encoder={"freeze_stages": 0}).begin() == ("pixels", "pixels")


def test_an_encoder_that_stays_is_encoded_to_its_end():
    world = World(freeze_encoder=True)
    assert world.begin() == ("vector", "vector")
    assert not any("frozen stages" in note for note in world.notes)


def test_a_warm_start_goes_on_from_there():
    world = World(warm_start={"epochs": 3})
    assert world.begin(0) == ("vector", "vector")
    passed = world.passed
    assert world.begin(1) == ("halfway", "halfway")
    assert world.passed == passed
    assert sorted(world.train.images.opened) == list(range(TRAIN))


def test_a_warm_start_before_augmented_images_uses_the_validation_alone():
    changed = MIRROR | {"operations": 1}
    world = World(changed, warm_start={"epochs": 3})
    assert world.begin(0) == ("vector", "vector")
    assert world.begin(1) == ("pixels", "halfway")
    assert World(changed, warm_start={"epochs": 3}, epochs=1).begin(0) == ("vector", "vector")


def test_a_warm_start_sees_no_mirror_image():
    world = World(MIRROR, warm_start={"epochs": 3})
    assert world.begin(0) == ("vector", "vector")
    plain = World(IDLE, warm_start={"epochs": 3})
    plain.begin(0)
    plain.model.load_state_dict(world.model.state_dict())
    for epoch in range(2):
        for each in (world, plain):
            set_epoch(each.loader, epoch)
        for first, second in zip(world.loader, plain.loader, strict=True):
            assert torch.equal(first[0].vector, second[0].vector)
    assert world.begin(1) == ("halfway", "halfway")


def test_two_views_are_two_images():
    world = World(method="probmcl")
    assert world.begin(0)[0] == "pixels"
    assert world.begin(1) == ("vector", "vector")
    assert not any("frozen stages" in note for note in world.notes)


@pytest.mark.parametrize(
    ("kilobytes", "kinds"),
    [
        (384, ("halfway", "halfway")),
        (383, ("halfway", "pixels")),
        (263, ("pixels", "halfway")),
        (119, ("pixels", "pixels")),
    ],
)
def test_the_memory_is_limited_and_training_comes_first(kilobytes, kinds):
    """6144 numbers of four bytes are 24 KiB: the pictures take 264 and 120 KiB."""
    world = World()
    assert world.batches._left == 50 * 2**20
    world.batches._left = kilobytes * 2**10
    assert world.begin() == kinds


def test_images_pass_in_batches_of_the_size_of_a_step():
    """Some layers round otherwise in others; the last batch is filled with the first images."""
    world, sizes = World(), []
    world.model.encoder.backbone.conv_stem.register_forward_hook(
        lambda _, given, __: sizes.append(len(given[0])) if given[0].shape[-1] == SIZE else None
    )
    world.begin()
    tried, validation = [2, 2, 1], [2, 2, 1]  # these in batches of evaluation
    assert sizes == [*tried, BATCH, BATCH, BATCH, *validation]


def test_runs_of_the_same_frozen_stages_share_what_they_give():
    shared = Shared()
    first, second = World(shared=shared), World(shared=shared, seed=3)
    first.begin()
    with torch.no_grad():  # what was trained meanwhile is no part of it
        for parameter in first.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    second.model.load_state_dict(first.model.state_dict())
    second.begin()
    assert len(first.notes) == 2
    assert second.notes == []
    third = World(shared=shared)
    with torch.no_grad():
        third.model.encoder.backbone.conv_stem.weight.mul_(1.5)
    third.begin()
    assert len(third.notes) == 2
