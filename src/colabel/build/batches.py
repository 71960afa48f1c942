"""The batches of a training run: pixels, or what a frozen encoder makes of them once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from colabel.build.encoded_once import EncodedOnce
from colabel.config import Config
from colabel.data import Records
from colabel.data.cache import PixelCache
from colabel.data.dataset import EvaluationImages, Sample, TrainingImages
from colabel.data.encoded import EncodedImages
from colabel.data.loader import evaluation_loader, training_loader
from colabel.data.transforms import Augment
from colabel.models import Classifier, Features
from colabel.models.part import Part
from colabel.training import Display, Stage, collect_features, prepare_evaluation


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
        self._encoded: DataLoader[Any] | None = None

    def training(self, stage: Stage) -> DataLoader[Any]:
        """Return the shuffled batches of a stage; call it when the stage's model is ready to use.

        Where the stage has a frozen encoder and nothing is augmented, every image is encoded here,
        once, and the batches hold features.
        """
        config = self._config
        size, seed = config.training.batch_size, config.training.seed
        self._encoded = None
        if self._encodes_once(stage):
            part: Literal["vector", "map"] = "map" if _part_read(stage) == "map" else "vector"
            collate = _COLLATE[part]
            train, validation = (
                EncodedImages(self._encode(stage, split, part), self._records[split])
                for split in ("train", "val")
            )
            self._encoded = prepare_evaluation(
                evaluation_loader(
                    validation, batch_size=config.evaluation.batch_size, collate=collate
                ),
                self._accelerator,
            )
            return training_loader(train, batch_size=size, seed=seed, collate=collate)
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
        """Return the validation images, as pixels or, within such a stage, as features."""
        if stage is not None and self._encodes_once(stage) and self._encoded is not None:
            return self._encoded
        return self._pixels

    def _encodes_once(self, stage: Stage) -> bool:
        augmented = stage.augmented and not self._augment.idle
        return stage.encoder is not None and not augmented and _part_read(stage) != "maps"

    def _encode(self, stage: Stage, split: str, part: Literal["vector", "map"]) -> Tensor:
        encoder, records = stage.encoder, self._records[split]
        assert encoder is not None

        def encode() -> Tensor:
            self._note(f"{split}: encoding {len(records)} images once")
            loader = self._pixels if split == "val" else self._prepare(split)
            return collect_features(encoder, loader, self._accelerator, part)

        return self._shared.features(encoder, self._config, records, part, encode)

    def _note(self, text: str) -> None:
        if self._display is not None and self._accelerator.is_main_process:
            self._display.note(text)

    def _prepare(self, split: str) -> DataLoader[Any]:
        config = self._config
        return prepare_evaluation(
            evaluation_loader(
                EvaluationImages(
                    self._records[split], size=config.data.image_size, cache=self._caches[split]
                ),
                batch_size=config.evaluation.batch_size,
                workers=reading_processes(config, self._accelerator),
                pin_memory=self._accelerator.device.type == "cuda",
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


_COLLATE: Mapping[Part, Callable[[list[Sample]], tuple[Features, Tensor, Tensor]]] = {
    "vector": _collate_vectors,
    "map": _collate_maps,
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
