"""Whether there are images enough for labels and batches, and what their number changes."""

from __future__ import annotations

from collections.abc import Iterator

from accelerate import Accelerator
from torch.nn.modules.batchnorm import _BatchNorm

from colabel.config import Config
from colabel.data import Records
from colabel.errors import ConfigError, DataError, listed
from colabel.models import Classifier

_NAMED = 5
"""Labels that a sentence names."""


def told_of_epochs(config: Config, planned: Config, images: int) -> Iterator[str]:
    """Yield what the number of training images changes in the epochs."""
    left = images % config.training.batch_size
    if left:
        yield (
            f"train: batches of {config.training.batch_size} leave out {left} of {images} images "
            "in each epoch, others each time"
        )
    epochs, given = (each.training.warm_start.epochs for each in (planned, config))
    if epochs != given:
        yield (
            f"warm start: {epochs} epochs in place of {given}, since there are {images} training "
            "images (training.warm_start.images); --set training.warm_start.epochs=N keeps N"
        )


def told_of_labels(train: Records) -> Iterator[str]:
    """Yield which labels the training images cannot teach."""
    present, absent = ((train.targets == value).any(axis=0) for value in (1, 0))
    for chosen, what in (
        (~present, "present in no training image, so not learned"),
        (present & ~absent, "absent in no training image, so answered with yes for every image"),
    ):
        names = [name for name, is_so in zip(train.classes, chosen, strict=True) if is_so]
        if names:
            yield f"train: {what}: {listed(names, _NAMED)}"


def check_labels(train_records: Records, validation: Records) -> None:
    """Refuse data from which nothing can be learned or chosen."""
    for split, records in (("train", train_records), ("val", validation)):
        if not len(records):
            raise DataError(f"the split {split} holds no image.")
        if not (records.targets == 1).any():
            raise DataError(f"no image of the split {split} has any label; check the columns.")


def check_batch(config: Config, accelerator: Accelerator, model: Classifier, images: int) -> None:
    """Refuse a batch that cannot be made, before any image is decoded."""
    batch, parts = config.training.batch_size, config.training.accumulation
    processes = accelerator.num_processes
    if batch > images:
        raise ConfigError(
            f"a batch of {batch} cannot be filled from {images} training images; set "
            f"training.batch_size to {images} or less."
        )
    for what, size in (("training", batch), ("evaluation", config.evaluation.batch_size)):
        if size % processes:
            raise ConfigError(
                f"{what}.batch_size {size} cannot be shared evenly by {processes} processes; "
                f"choose a multiple of {processes}."
            )
    rows = batch // processes
    piece = -(-rows // parts)
    if config.training.synchronise_batch_norm and processes > 1:
        return  # a part of one image has the others' statistics
    of_encoder, of_head = (
        any(isinstance(module, _BatchNorm) and module.training for module in part.modules())
        for part in (model.encoder, model.head)
    )
    if (of_encoder or of_head) and (rows % piece or piece) < 2:  # the last is what others leave
        freeze = "" if of_head else "or set encoder.freeze_batch_norm: true, "
        raise ConfigError(
            f"a batch of {batch} on {processes} processes in {parts} parts leaves a part of one "
            "image, which batch normalisation cannot use; take a larger batch or fewer parts, "
            f"{freeze}or, with several processes, training.synchronise_batch_norm: true."
        )
