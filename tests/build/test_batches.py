"""What a stage sees of the images: pixels, or features that are computed once."""

import numpy as np
import pytest
import torch
from pictures import some_records
from torch import nn

from colabel.build.batches import Batches, build_caches
from colabel.build.stages import build_model, build_stages
from colabel.config import check_config
from colabel.data.dataset import EvaluationImages, TrainingImages
from colabel.data.loader import set_epoch
from colabel.data.transforms import Augment
from colabel.models import Classifier, Features, Head, LinearHead
from colabel.settings import Training
from colabel.training import Objective, Stage, Term, collect_logits, fit, make_accelerator

SIZE, CLASSES, TRAIN, VALIDATION, BATCH, SEED = 16, 3, 11, 5, 4, 7
AUGMENTATION = {"operations": 2, "cutout": 0.5, "horizontal_flip": True}
IDLE = {"operations": 0, "cutout": 0, "horizontal_flip": False}


class Colours(nn.Module):
    """The mean of each channel, which batch statistics and dropout would change in training."""

    width = 3

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.normalisation = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)
        self.seen = []

    def forward(self, images):
        self.seen.append((len(images), self.training, torch.is_grad_enabled()))
        means = images.float().mean(dim=(2, 3)) / 255
        return self.dropout(self.normalisation(means)) * self.scale

    def of(self, records):
        """What it says of every image as it is."""
        images = EvaluationImages(records, size=SIZE)
        pixels = torch.stack([images[index][0] for index in range(len(records))])
        means = pixels.float().mean(dim=(2, 3)) / 255
        return means / (1 + self.normalisation.eps) ** 0.5 * self.scale.detach()


class Notes:
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


class World:
    """Batches of a few pictures, and stages that use them."""

    def __init__(self, augmentation=AUGMENTATION, *, size=SIZE, cache_mb=0, seed=SEED):
        self.train = some_records(TRAIN, width=20, height=18)
        self.validation = some_records(VALIDATION, width=20, height=18)
        self.display = Notes()
        self.encoder = Colours()
        self.model = Classifier(self.encoder, Head(LinearHead(3, CLASSES)))
        self.config = config = check_config(
            {
                "data": {"image_size": size, "cache_mb": cache_mb},
                "augmentation": augmentation,
                "training": {"batch_size": BATCH, "seed": seed, "workers": 0},
                "evaluation": {"batch_size": 2},
            }
        )
        self.batches = Batches(
            config, make_accelerator(cpu=True), self.train, self.validation, self.display
        )

    def stage(self, *, encoder=True, **options):
        objective = Objective((Term("size", lambda logits, _: logits.sum()),))
        own = {"frozen": (self.encoder,), "encoder": self.encoder} if encoder else {}
        return Stage("fit", self.model, objective, 2, 0.1, **own, **options)


def epoch_of(loader, epoch=0):
    set_epoch(loader, epoch)
    return list(loader)


def expected_pixels(world, index, epoch, *, augment, seed=SEED, views=1):
    images = TrainingImages(world.train, size=SIZE, augment=augment, seed=seed, views=views)
    return images[index, epoch][0]


# --- features


@pytest.mark.parametrize(("augmentation", "augmented"), [(AUGMENTATION, False), (IDLE, True)])
def test_what_is_not_augmented_is_encoded_once(augmentation, augmented):
    """Neither more epochs nor validation encode an image again, or read it."""
    world = World(augmentation)
    stage = world.stage(augmented=augmented)
    loader = world.batches.training(stage)
    assert sum(count for count, _, _ in world.encoder.seen) == TRAIN + VALIDATION
    assert sorted(world.train.images.opened) == list(range(TRAIN))
    assert sorted(world.validation.images.opened) == list(range(VALIDATION))
    for epoch in range(3):
        for features, targets, indices in epoch_of(loader, epoch):
            assert features.vector.shape == (BATCH, 3)
            torch.testing.assert_close(features.vector, world.encoder.of(world.train)[indices])
            assert targets.tolist() == world.train.targets[indices].tolist()
        rows = list(world.batches.validation(stage))
        torch.testing.assert_close(
            torch.cat([features.vector for features, _, _ in rows]),
            world.encoder.of(world.validation),
        )
        targets = torch.cat([targets for _, targets, _ in rows])
        assert targets.tolist() == world.validation.targets.tolist()
        assert torch.cat([indices for _, _, indices in rows]).tolist() == list(range(VALIDATION))
    assert sum(count for count, _, _ in world.encoder.seen) == TRAIN + VALIDATION
    # in evaluation mode and without gradient, and the encoder is left as it was
    assert {(training, grad) for _, training, grad in world.encoder.seen} == {(False, False)}
    assert world.encoder.training
    assert world.encoder.normalisation.num_batches_tracked == 0


def test_the_user_hears_what_is_encoded():
    world = World()
    world.batches.training(world.stage(augmented=False))
    assert world.display.notes == [
        f"train: encoding {TRAIN} images once",
        f"val: encoding {VALIDATION} images once",
    ]
    world = World()
    world.batches.training(world.stage())
    assert world.display.notes == [
        "fit: augmented images are encoded anew in each of the 2 epochs; without augmentation "
        "they would be encoded once"
    ]
    world = World()
    world.batches.training(world.stage(encoder=False))
    world.batches.validation()
    assert world.display.notes == []


def test_features_come_in_the_order_that_pixels_would_have():
    world = World()
    features = world.batches.training(world.stage(augmented=False))
    pixels = world.batches.training(world.stage(encoder=False))
    for epoch in (0, 1):
        orders = [
            [indices.tolist() for _, _, indices in epoch_of(loader, epoch)]
            for loader in (features, pixels)
        ]
        assert orders[0] == orders[1]


def test_a_stage_that_begins_later_sees_the_encoder_as_it_is_then():
    world = World()
    stage = world.stage(augmented=False)
    world.batches.training(stage)
    with torch.no_grad():
        world.encoder.scale.mul_(3)
    for features, _, indices in epoch_of(world.batches.training(stage)):
        torch.testing.assert_close(features.vector, world.encoder.of(world.train)[indices])
    (first, *_) = world.batches.validation(stage)
    torch.testing.assert_close(first[0].vector, world.encoder.of(world.validation)[:2])


# --- feature maps


def attending(pooling, **encoder):
    """The only stage of a recipe that trains a head on a frozen encoder, and its batches."""
    config = check_config(
        {
            "method": "kmcl",
            "head": {"pooling": {"name": pooling}},
            "encoder": {"name": "test_resnet"} | encoder,
            "data": {"image_size": 64, "cache_mb": 0},
            "augmentation": IDLE,
            "training": {
                "epochs": 2,
                "batch_size": BATCH,
                "freeze_encoder": True,
                "workers": 0,
                "learning_rate": 0.1,
            },
            "evaluation": {"batch_size": 2},
        }
    )
    torch.manual_seed(0)
    model = build_model(config, CLASSES)
    (stage,) = build_stages(model, config)
    records = [some_records(count, width=70, height=66) for count in (TRAIN, VALIDATION)]
    return config, stage, records


@pytest.mark.parametrize("pooling", ["class_attention", "encoder"])
@pytest.mark.parametrize("name", ["test_resnet", "test_mambaout"])
def test_a_head_that_pools_the_map_learns_from_maps_that_are_encoded_once(tmp_path, name, pooling):
    config, stage, records = attending(pooling, name=name)
    model, encoded = stage.model, []
    model.encoder.register_forward_hook(lambda _, inputs, __: encoded.append(len(inputs[0])))
    accelerator = make_accelerator(cpu=True)
    batches = Batches(config, accelerator, *records, None)

    def validate(stage, model):
        collect_logits(model, batches.validation(stage), accelerator)
        return {"mAP": 0.5}

    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert fit(
        (stage,),
        loaders=batches.training,
        validate=validate,
        on_best=lambda *_: None,
        folder=tmp_path,
        accelerator=accelerator,
        settings=Training(ema_decay=0),
    ).finished
    assert sum(encoded) == TRAIN + VALIDATION
    changed = {
        key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])
    }
    assert changed == {key for key in before if key.startswith("head.")}
    model.eval()
    images = EvaluationImages(records[1], size=64)
    pixels = torch.stack([images[index][0] for index in range(VALIDATION)])
    with torch.no_grad():
        expected = model(pixels)
        found = [model(features) for features, _, _ in batches.validation(stage)]
    assert sum(encoded) == TRAIN + 2 * VALIDATION  # the pixels of this test
    logits = torch.cat([output.logits for output in found])
    torch.testing.assert_close(logits, expected.logits, rtol=1e-4, atol=1e-4)
    read = torch.cat([output.features for output in found])
    assert read.ndim == (3 if pooling == "class_attention" else 2)
    torch.testing.assert_close(read, expected.features, rtol=1e-4, atol=1e-4)
    if pooling == "class_attention":
        assert not torch.allclose(read[:, 0], read[:, 1])


def test_a_batch_holds_the_part_that_the_head_reads():
    for pooling, part, other in (
        ("class_attention", "unpooled", "vector"),
        ("encoder", "vector", "unpooled"),
    ):
        config, stage, records = attending(pooling)
        batches = Batches(config, make_accelerator(cpu=True), *records, None)
        (features, _, _), *_ = epoch_of(batches.training(stage))
        assert len(getattr(features, part)) == BATCH
        assert getattr(features, other) is None


# --- pixels


def test_what_is_augmented_is_pixels_and_so_is_its_validation():
    world = World()
    stage = world.stage()
    loader = world.batches.training(stage)
    augment = Augment(**AUGMENTATION)
    for epoch in (0, 1):
        for pixels, _, indices in epoch_of(loader, epoch):
            for image, index in zip(pixels, indices.tolist(), strict=True):
                expected = expected_pixels(world, index, epoch, augment=augment)
                assert torch.equal(image, expected)
    images = EvaluationImages(world.validation, size=SIZE)
    rows = torch.cat([pixels for pixels, _, _ in world.batches.validation(stage)])
    assert torch.equal(rows, torch.stack([images[index][0] for index in range(VALIDATION)]))
    assert world.encoder.seen == []


@pytest.mark.parametrize(
    "augmentation",
    [
        {"operations": 1, "cutout": 0, "horizontal_flip": False},
        {"operations": 0, "cutout": 0.5, "horizontal_flip": False},
        {"operations": 0, "cutout": 0, "horizontal_flip": True},
    ],
)
def test_any_part_of_the_augmentation_keeps_the_pixels(augmentation):
    world = World(augmentation)
    (batch, *_) = epoch_of(world.batches.training(world.stage()))
    assert batch[0].shape == (BATCH, 3, SIZE, SIZE)
    assert world.encoder.seen == []


def test_without_augmentation_and_without_encoder_pixels_come_as_they_are():
    world = World()
    loader = world.batches.training(world.stage(encoder=False, augmented=False))
    for pixels, _, indices in epoch_of(loader, 1):
        for image, index in zip(pixels, indices.tolist(), strict=True):
            assert torch.equal(image, expected_pixels(world, index, 1, augment=None))
    assert world.encoder.seen == []


def test_every_view_is_augmented_on_its_own():
    world = World(seed=SEED + 1)
    loader = world.batches.training(world.stage(encoder=False, views=2))
    augment = Augment(**AUGMENTATION)
    for pixels, _, indices in epoch_of(loader):
        assert pixels.shape == (BATCH, 2, 3, SIZE, SIZE)
        for image, index in zip(pixels, indices.tolist(), strict=True):
            expected = expected_pixels(world, index, 0, augment=augment, seed=SEED + 1, views=2)
            assert torch.equal(image, expected)
            assert not torch.equal(image[0], image[1])


def test_validation_outside_of_such_a_stage_sees_pixels():
    world = World()
    plain, frozen = world.stage(encoder=False), world.stage(augmented=False)

    def kind(stage=None):
        (first, *_) = world.batches.validation(stage)
        return type(first[0])

    pixels = torch.Tensor
    assert [kind(), kind(plain), kind(frozen)] == [pixels] * 3  # nothing is encoded yet
    world.batches.training(frozen)
    assert [kind(), kind(plain), kind(frozen)] == [pixels, pixels, Features]
    world.batches.training(plain)  # the features of the stage before are forgotten
    assert [kind(), kind(plain), kind(frozen)] == [pixels] * 3


def test_cached_pixels_are_read_once():
    world = World(cache_mb=1)
    stage = world.stage(encoder=False)
    loader = world.batches.training(stage)
    for epoch in (0, 1, 2):
        epoch_of(loader, epoch)
        list(world.batches.validation())
    assert len(world.train.images.opened) == len(set(world.train.images.opened))
    assert world.validation.images.opened == list(range(VALIDATION))


def test_caches_that_are_filled_already_are_used_where_they_fit():
    world = World(cache_mb=1)
    parts = {"train": world.train, "val": world.validation}
    caches = build_caches(world.config, parts)
    for index in range(VALIDATION):
        caches["val"].put(index, np.full((SIZE, SIZE, 3), index, dtype=np.uint8))
    arguments = (world.config, make_accelerator(cpu=True), world.train, world.validation, None)
    batches = Batches(*arguments, caches)
    seen = torch.cat([pixels for pixels, _, _ in batches.validation()])
    assert seen[:, 0, 0, 0].tolist() == list(range(VALIDATION))
    assert world.validation.images.opened == []
    fewer = world.validation.subset(range(VALIDATION - 1))  # some were left out meanwhile
    list(Batches(*arguments[:3], fewer, None, caches).validation())
    assert sorted(fewer.images.opened) == list(range(VALIDATION - 1))


def test_the_memory_of_the_cache_is_shared_out_to_training_first():
    """One megabyte holds one picture of 512 pixels, so nothing is left for validation."""
    world = World(size=512, cache_mb=1)
    loader = world.batches.training(world.stage(encoder=False, augmented=False))
    seen = []
    for epoch in range(4):  # an epoch leaves a few images out
        seen += [n for _, _, indices in epoch_of(loader, epoch) for n in indices.tolist()]
    for _ in range(2):
        list(world.batches.validation())
    assert seen.count(0) > 1
    assert world.train.images.opened.count(0) == 1
    assert world.train.images.opened.count(1) == seen.count(1) > 1
    assert world.validation.images.opened.count(0) == 2
