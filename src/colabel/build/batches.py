"""The batches of a training run: pixels, or what an encoder, or its first stages, make of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate

from colabel.build.encoded_once import EncodedOnce
from colabel.config import Config
from colabel.data import Records
from colabel.data.cache import PixelCache
from colabel.data.dataset import EvaluationImages, Sample, TrainingImages
from colabel.data.encoded import EncodedImages
from colabel.data.loader import evaluation_loader, training_loader
from colabel.data.transforms import Augment
from colabel.models import Classifier, Encoder, Features
from colabel.models.halfway import BYTES
from colabel.models.part import Kept, Part
from colabel.training import Display, Stage, collect_features, prepare_evaluation


@dataclass(frozen=True)
class _Encoded:
    """What was computed once of the images of a split.

    Args:
        images: to train on.
        loader: of them in their order.
    """

    images: EncodedImages
    loader: DataLoader[Any]


class Batches:
    """Loaders of the training and the validation images of every stage.

    Args:
        config: sizes, augmentation, seed and processes.
        accelerator: from :func:`colabel.training.make_accelerator`.
        train: images to learn from.
        validation: images to choose by.
        display: shows a note before a pass over all images; ``None`` shows nothing.
        caches: of :func:`build_caches`; ``None`` makes them.
        encoded: features that runs of the same frozen encoder share; ``None`` for none.
        keep: compute what frozen first stages give once; not worth it for less than an epoch.

    What the frozen first stages of an encoder give is computed once of images that are not
    augmented, so of those of the validation split in any case, and of images and their mirror
    images where nothing else is drawn, if it fits into as much memory as the decoded images may
    take.
    """

    def __init__(
        self,
        config: Config,
        accelerator: Accelerator,
        train: Records,
        validation: Records,
        display: Display | None,
        caches: Mapping[str, PixelCache | None] | None = None,
        encoded: EncodedOnce | None = None,
        keep: bool = True,
    ) -> None:
        self._config = config
        self._accelerator = accelerator
        self._records = {"train": train, "val": validation}
        self._display = display
        self._augment = Augment(**config.augmentation.model_dump())
        if caches is None or not _fit(caches, self._records):  # images may have been left out
            caches = build_caches(config, self._records)
        self._caches = caches
        self._pixels = self._prepare("val")
        self._shared = encoded or EncodedOnce()
        self._encoded: _Encoded | None = None
        self._plans = config.stages()
        self._halfway: dict[str, _Encoded | None] = {}
        self._left = config.data.cache_mb * 2**20 if keep else 0

    def training(self, stage: Stage) -> DataLoader[Any]:
        """Return the shuffled batches of a stage; call it when the stage's model is ready to use.

        Where the stage has a frozen encoder and nothing is augmented, every image is encoded here,
        once, and the batches hold features.
        """
        config = self._config
        size, seed = config.training.batch_size, config.training.seed
        self._encoded = None
        self._compute_halfway(stage)
        if self._encodes_once(stage):
            part: Kept = "map" if _part_read(stage) == "map" else "vector"
            train = self._encode(stage.encoder, "train", part).images
            self._encoded = self._encode(stage.encoder, "val", part)
            return training_loader(train, batch_size=size, seed=seed, collate=_COLLATE[part])
        halfway = self._halfway["train"]
        as_drawn = stage.augmented or self._augment.idle
        if halfway is not None and stage.encoder is None and stage.views == 1 and as_drawn:
            collate = _COLLATE["halfway"]
            return training_loader(halfway.images, batch_size=size, seed=seed, collate=collate)
        if stage.encoder is not None:
            why = (
                "the maps of two stages are not kept"
                if _part_read(stage) == "maps"
                else "without augmentation they would be encoded once"
            )
            self._note(
                f"{stage.name}: {'augmented ' if stage.augmented else ''}images are encoded anew "
                f"in each of the {stage.epochs} epochs; {why}"
            )
        images = TrainingImages(
            self._records["train"],
            size=config.data.image_size,
            augment=self._augment if stage.augmented else None,
            seed=seed,
            views=stage.views,
            cache=self._caches["train"],
        )
        return training_loader(
            images,
            batch_size=size,
            seed=seed,
            workers=reading_processes(config, self._accelerator),
            pin_memory=self._accelerator.device.type == "cuda",
        )

    def validation(self, stage: Stage | None = None) -> DataLoader[Any]:
        """Return the validation images, as pixels or, within a stage, as what is known of them."""
        known = None
        if stage is not None:
            known = self._encoded if self._encodes_once(stage) else self._halfway.get("val")
        return self._pixels if known is None else known.loader

    def _encodes_once(self, stage: Stage) -> bool:
        augmented = stage.augmented and not self._augment.idle
        return stage.encoder is not None and not augmented and _part_read(stage) != "maps"

    def _compute_halfway(self, stage: Stage) -> None:
        """Pass the images through the frozen first stages, once in a run, where that pays."""
        if self._halfway:
            return
        self._halfway = {"train": None, "val": None}
        encoder = stage.model.encoder if isinstance(stage.model, Classifier) else None
        numbers: float | None = None
        for split in self._halfway:
            kinds: tuple[Kept, ...] = ("halfway",)
            if split == "train" and self._augment.only_mirrors:
                kinds = ("halfway", "halfway mirrored")
            if not isinstance(encoder, Encoder) or self._passes(split) <= len(kinds):
                continue
            if numbers is None:
                numbers = encoder.find_halfway(self._config.data.image_size) or math.inf
            needed = BYTES * numbers * len(kinds) * len(self._records[split])
            if needed <= self._left:
                self._left -= int(needed)
                self._halfway[split] = self._encode(encoder, split, *kinds)

    def _passes(self, split: str) -> int:
        """Return how often images pass the frozen stages of an encoder that is trained on them."""
        if split == "train" and not (self._augment.idle or self._augment.only_mirrors):
            return 0
        plans = [
            plan
            for plan in self._plans
            if ("logits" in plan.head.gives if split == "val" else plan.views == 1)
        ]
        trained = sum(plan.epochs for plan in plans if not plan.frozen)
        return trained + sum(plan.frozen for plan in plans) if trained and self._left else 0

    def _encode(self, encoder: nn.Module | None, split: str, *parts: Kept) -> _Encoded:
        """Encode the images of a split, and their mirror images if those are asked for, too."""
        records, config = self._records[split], self._config
        assert encoder is not None
        features = [self._features(encoder, split, part) for part in parts]
        images = EncodedImages(features[0], records)
        loader = evaluation_loader(
            images, batch_size=config.evaluation.batch_size, collate=_COLLATE[parts[0]]
        )
        if len(features) > 1:
            seed = config.training.seed
            images = EncodedImages(features[0], records, mirrored=features[1], seed=seed)
        return _Encoded(images, prepare_evaluation(loader, self._accelerator))

    def _features(self, encoder: nn.Module, split: str, part: Kept) -> Tensor:
        records, mirrored = self._records[split], part == "halfway mirrored"

        def encode() -> Tensor:
            halfway = self._halfway.get(split)
            what = "mirror images" if mirrored else "images"
            how = "once"
            if part.startswith("halfway"):
                how = "through the frozen stages once"
            elif halfway is not None:
                how = "through the rest of the encoder once, for the classifier"
            self._note(f"{split}: encoding {len(records)} {what} {how}")
            if halfway is not None:
                loader = halfway.loader
            elif split == "val":
                loader = self._pixels
            else:
                like_steps = part.startswith("halfway")
                loader = self._prepare(split, mirrored=mirrored, like_steps=like_steps)
            return collect_features(encoder, loader, self._accelerator, part)

        known = encoder
        if part.startswith("halfway"):
            assert isinstance(encoder, Encoder)
            known = nn.ModuleList(encoder.frozen)
        return self._shared.features(known, self._config, records, part, encode)

    def _note(self, text: str) -> None:
        if self._display is not None and self._accelerator.is_main_process:
            self._display.note(text)

    def _prepare(
        self, split: str, *, mirrored: bool = False, like_steps: bool = False
    ) -> DataLoader[Any]:
        """Return the pixels of a split in order, perhaps in batches of the size of a step's.

        Some layers round otherwise in batches of another size.
        """
        config = self._config
        size = config.evaluation.batch_size
        if like_steps:
            size = min(config.training.batch_size, len(self._records[split]))
        return prepare_evaluation(
            evaluation_loader(
                EvaluationImages(
                    self._records[split],
                    size=config.data.image_size,
                    cache=self._caches[split],
                    mirrored=mirrored,
                ),
                batch_size=size,
                workers=reading_processes(config, self._accelerator),
                pin_memory=self._accelerator.device.type == "cuda",
                fill=like_steps,
            ),
            self._accelerator,
        )


def _part_read(stage: Stage) -> Part:
    """Return the part of the features that the head of a stage's model needs."""
    model = stage.model
    return model.head.reads if isinstance(model, Classifier) else "vector"


def _collate_vectors(samples: list[Sample]) -> tuple[Features, Tensor, Tensor]:
    values, targets, indices = default_collate(samples)
    return Features(values), targets, indices


def _collate_maps(samples: list[Sample]) -> tuple[Features, Tensor, Tensor]:
    values, targets, indices = default_collate(samples)
    return Features(None, values), targets, indices


def _collate_halfway(samples: list[Sample]) -> tuple[Features, Tensor, Tensor]:
    values, targets, indices = default_collate(samples)
    return Features(None, halfway=values), targets, indices


_COLLATE: Mapping[Kept, Callable[[list[Sample]], tuple[Features, Tensor, Tensor]]] = {
    "vector": _collate_vectors,
    "map": _collate_maps,
    "halfway": _collate_halfway,
    "halfway mirrored": _collate_halfway,
}
"""What makes a batch of features, which a model does not take for pixels."""


def _fit(caches: Mapping[str, PixelCache | None], parts: Mapping[str, Records]) -> bool:
    """Tell whether caches were built for as many images as there are."""
    return all(
        cache is None or cache.images == len(parts[split]) for split, cache in caches.items()
    )


def build_caches(config: Config, parts: Mapping[str, Records]) -> Mapping[str, PixelCache | None]:
    """Share the memory out: training images first."""
    left = config.data.cache_mb * 2**20
    size = config.data.image_size
    caches: dict[str, PixelCache | None] = {}
    for split, records in parts.items():
        cache = PixelCache(images=len(records), size=size, limit=left)
        left -= cache.capacity * size * size * 3
        caches[split] = cache if cache.capacity else None
    return caches


def reading_processes(config: Config, accelerator: Accelerator) -> int:
    """Return the processes that read images for this process."""
    if config.training.workers is not None:
        return config.training.workers
    cores: int | None = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    processes: int = accelerator.num_processes
    return max(0, min(8, (cores or 1) // processes - 1))
