"""Training what follows the frozen stages of a small encoder, on what those gave once.

What the frozen stages make of every image and of its mirror image (or of two augmented versions)
is computed once; what follows is trained with the package's own heads, terms, schedule and
average. A training takes a minute on one core, so that hundreds are possible on a laptop.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from colabel.build.division import open_training_data
from colabel.build.model import add_embeddings, build_head
from colabel.build.objective import build_objective
from colabel.build.source import open_source
from colabel.config import Config, load_config
from colabel.data import Records
from colabel.data.dataset import EvaluationImages, TrainingImages
from colabel.data.transforms import Augment
from colabel.errors import NonFiniteLossError
from colabel.methods import StagePlan
from colabel.models import Classifier, Encoder, Features, build_encoder
from colabel.models.part import Part
from colabel.training import Stage, make_accelerator
from colabel.training.distributed import prepare_model
from colabel.training.ema import build_average
from colabel.training.optimiser import build_optimiser, build_schedule, parameter_groups
from colabel.training.step import compute_gradients

METHODS = ("bce", "asl", "kmcl", "probmcl")
FROZEN_BLOCKS = 4
"""Of MobileNetV2: with the stem these are the five stages that the laptop recipes freeze."""
FROZEN_LAYERS = 7
"""Of SqueezeNet: what works on maps of a quarter of the image's side."""
ENCODERS = ("mobilenetv2_100", "squeezenet1_0")
AUGMENTATIONS = {
    "mirror": None,
    "recipe": Augment(operations=1, cutout=0, horizontal_flip=True),
    "paper": Augment(operations=2, cutout=0.5, horizontal_flip=True),
}
"""The image and its mirror image; the laptop recipes; the papers, with mirroring."""


class Tail(nn.Module):
    """The stages of a MobileNetV2 that are trained: what the frozen ones gave to features."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        net = encoder.backbone
        self.blocks = nn.Sequential(*list(net.blocks)[FROZEN_BLOCKS:])
        self.conv_head, self.bn2, self.pool = net.conv_head, net.bn2, net.global_pool
        self.width = encoder.width
        self.map_channels = encoder.map_channels
        self.gives_previous_stage = False

    def give_previous_stage(self) -> int:
        """Give the map before the last halving from now on, and return its channels."""
        self.gives_previous_stage = True
        return int(self.blocks[0][-1].bn3.num_features)

    def train(self, mode: bool = True) -> Tail:
        """Leave the batch norms as they came."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, maps: Tensor) -> Features:
        """Return the pooled features, their map, and the map before it where it was asked for."""
        previous = self.blocks[0](maps)
        unpooled = self.bn2(self.conv_head(self.blocks[1:](previous)))
        kept = previous if self.gives_previous_stage else None
        return Features(self.pool(unpooled), unpooled, previous=kept)


class SqueezeNetTail(nn.Module):
    """The layers of torchvision's SqueezeNet that are trained; it has no batch norm."""

    width = map_channels = 512

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.layers: nn.Sequential = net.features[FROZEN_LAYERS:]

    def forward(self, maps: Tensor) -> Features:
        """Return the features of the last map, averaged, and that map."""
        unpooled = self.layers(maps)
        return Features(unpooled.mean(dim=(2, 3)), unpooled)


def new_tail(encoder: str, weights: str) -> nn.Module:
    """Return what is trained of an encoder, as its ImageNet weights left it."""
    if encoder == "squeezenet1_0":
        return SqueezeNetTail(new_squeezenet(weights))
    return Tail(new_encoder(weights))


def frozen_maps(
    records: Any, weights: str, encoder: str, size: int, augment: Augment | None
) -> Tensor:
    """Return what the frozen stages make of each image, in half precision.

    Of the image as it is, and of its mirror image or two augmented versions of it.
    """
    known = new_encoder("" if encoder == "squeezenet1_0" else weights)  # for ImageNet's colours
    if encoder == "squeezenet1_0":
        front = new_squeezenet(weights).features[:FROZEN_LAYERS].eval()
    else:
        net = known.backbone
        front = nn.Sequential(net.conv_stem, net.bn1, *list(net.blocks)[:FROZEN_BLOCKS]).eval()
    plain = EvaluationImages(records, size=size)
    changed = TrainingImages(records, size=size, augment=augment, seed=0, views=2)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(records), 32):
            chosen = range(first, min(first + 32, len(records)))
            images = torch.stack([plain[index][0] for index in chosen])
            others = (
                [images.flip(-1)]
                if augment is None
                else torch.stack([changed[index, 0][0] for index in chosen]).unbind(dim=1)
            )
            versions = [
                front(
                    ((pixels.float() / 255 - known.pixel_mean) / known.pixel_std).contiguous(
                        memory_format=torch.channels_last
                    )
                )
                for pixels in (images, *others)
            ]
            parts.append(torch.stack(versions, dim=1).half())
    return torch.cat(parts)


def new_encoder(weights: str) -> Encoder:
    return build_encoder(
        "mobilenetv2_100",
        weights=Path(weights) if weights else None,
        options={"pad_type": "same"},
        freeze_batch_norm=True,
    )


def new_squeezenet(weights: str) -> nn.Module:
    net: nn.Module = torchvision.models.squeezenet1_0()
    net.load_state_dict(torch.load(weights, weights_only=True))
    return net


def batches(
    inputs: Tensor, targets: Tensor, size: int, views: int, generator: torch.Generator
) -> Iterator[tuple[Any, Tensor]]:
    """Yield shuffled batches, one of the last two versions of each image; both as two views."""
    order = torch.randperm(len(inputs), generator=generator)
    for first in range(0, len(order) - size + 1, size):
        rows = order[first : first + size]
        if inputs.ndim == 2:  # features of a frozen encoder
            yield Features(inputs[rows]), targets[rows]
        elif inputs.ndim == 4:  # their maps
            yield Features(None, inputs[rows]), targets[rows]
        elif views == 2:
            yield (
                inputs[rows, -2:].flatten(0, 1).float(),
                targets[rows].repeat_interleave(2, dim=0),
            )
        else:
            side = torch.randint(0, 2, (size,), generator=generator)
            yield inputs[rows, side - 2].float(), targets[rows]


def train_stage(
    plan: StagePlan, model: Classifier, inputs: Tensor, targets: Tensor, config: Config, seed: int
) -> None:
    """Train one stage; the model ends with the averaged weights."""
    encoder = model.encoder
    for parameter in encoder.parameters():
        parameter.requires_grad_(not plan.frozen)
    stage = Stage(
        plan.name,
        model,
        build_objective(plan.terms, plan.head),
        plan.epochs,
        plan.learning_rate,
        plan.head_learning_rate,
        views=plan.views,
    )
    training = config.training
    accelerator = make_accelerator(mixed_precision=training.precision, cpu=True)
    optimiser = build_optimiser(parameter_groups(stage), weight_decay=training.weight_decay)
    prepared = accelerator.prepare_optimizer(optimiser)
    steps = plan.epochs * (len(inputs) // training.batch_size)
    schedule = build_schedule(optimiser, steps=steps, warm_up=training.warm_up)
    average = build_average(model, training.ema_decay, frozen=stage.frozen)
    trained = prepare_model(model, accelerator)  # whose forward pass has the precision
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(plan.epochs):
        for some, labels in batches(inputs, targets, training.batch_size, plan.views, generator):
            losses = compute_gradients(
                trained, stage.objective, some, labels, accelerator=accelerator, optimiser=prepared
            )
            if not losses.finite(scaled=False):
                raise NonFiniteLossError(f"{plan.name}: the loss is not finite")
            prepared.step()
            prepared.zero_grad()
            schedule.step()
            if average is not None:
                average.update(model)
    if average is not None:
        model.load_state_dict(average.module.state_dict())


def encode(encoder: nn.Module, maps: Tensor, part: Part = "vector") -> Tensor:
    """Return the features of the images as they are, not mirrored or changed, or their maps."""
    encoder.eval()
    with torch.no_grad():
        given = (encoder(rows[:, 0].float()) for rows in maps.split(128))
        return torch.cat([each.vector if part == "vector" else each.map for each in given])


def train(
    config: Config,
    maps: Tensor,
    targets: Tensor,
    *,
    new_tail: Callable[[], nn.Module],
    seed: int,
    encoder: nn.Module | None = None,
    records: Records | None = None,
) -> Classifier:
    """Train all stages of a recipe and return the model of the last; an encoder is trained on.

    A head that makes a graph of the labels takes it from the records.
    """
    torch.manual_seed(seed)
    encoder = encoder or new_tail()
    model, last = None, None
    for plan in config.stages():
        if model is None or plan.head != last:  # stages with the same head train the same one
            head = build_head(plan.head, encoder, targets.shape[1], train=records)
            model = Classifier(encoder, add_embeddings(head, plan.embeddings))
        last = plan.head
        inputs = encode(encoder, maps, model.head.reads) if plan.frozen else maps
        train_stage(plan, model, inputs, targets, config, seed)
    assert model is not None
    return model.eval()


def study_options(description: str, *, seeds: int) -> argparse.ArgumentParser:
    """Return the options that studies of many trainings share.

    Each encoder, size and augmentation has a FILE of its own.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data")
    parser.add_argument("--weights", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--table", action="store_true", help="print what was measured so far")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0])
    parser.add_argument("--size", type=int, default=128, help="side of the images, in pixels")
    parser.add_argument("--augmentation", choices=AUGMENTATIONS, default="mirror")
    return parser


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return what was measured so far, a training each."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_line(path: Path, line: dict[str, Any]) -> None:
    """Note a training that has ended."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Return maps and targets of every split, computed at the first start, records, new tails."""
    config = load_config("laptop-bce", [f"data.source={options.data}"])
    records = dict(open_training_data(config.data, seed=0).records)
    if "test" not in records:
        records |= open_source(config.data, ("test",))
    tail = partial(new_tail, options.encoder, options.weights)
    data: dict[str, Any] = {"records": records, "train": records["train"], "new_tail": tail}
    for split in ("train", "val", "test"):
        augmentation = options.augmentation if split == "train" else "mirror"
        data[f"{split}_maps"] = kept_maps(options, records, split, augmentation)
        data[f"{split}_targets"] = torch.from_numpy(np.asarray(records[split].targets)).long()
    return data


def kept_maps(
    options: argparse.Namespace, records: Mapping[str, Records], split: str, augmentation: str
) -> Tensor:
    """Return the maps of a split from their file, which is made where there is none."""
    about = f"{options.encoder}-{options.size}-{augmentation}-{split}"
    file = options.out.with_suffix(f".{about}.pt")
    if not file.exists():
        print(f"{split}: computing the frozen stages of {len(records[split])} images")
        maps = frozen_maps(
            records[split],
            options.weights,
            options.encoder,
            options.size,
            AUGMENTATIONS[augmentation],
        )
        torch.save(maps, file)
    stored: Tensor = torch.load(file, weights_only=True)
    return stored
