"""What a model costs, of a run or of a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from colabel import runs
from colabel.build.model import build_described
from colabel.errors import ConfigError
from colabel.models import Cost, cost_of_model, list_encoders
from colabel.models import cost as cost_of_encoder
from colabel.models.heads import Covariance


def cost(
    model: str,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    covariance: Covariance | Literal["linear"] | None = None,
) -> Cost:
    """Count parameters and multiply-accumulates of a run's model, or of one with an encoder.

    Args:
        model: folder of a run, or the name of a backbone in timm.
        classes: number of labels; needed with a backbone, known of a run.
        image_size: side of the square images, in pixels; default: the run's, 224 with a backbone.
        covariance: form of the kernels' covariance, ``"isotropic"`` by default, or ``"linear"``
            for a plain classifier; known of a run.

    Returns:
        Plain numbers, also as the papers count. A run costs what is left of it at inference.

    Raises:
        ConfigError: if something is missing, or given although the run says it.
        RunError: if the folder holds no usable model.
    """
    if not _is_run(model):
        if classes is None:
            raise ConfigError(
                f"{model}: how many labels? Add --classes N, or give the folder of a run, which "
                "knows its own."
            )
        return cost_of_encoder(
            model,
            image_size=224 if image_size is None else image_size,
            classes=classes,
            covariance=covariance or "isotropic",
        )
    given = [
        f"--{name} {value}"
        for name, value in (("classes", classes), ("covariance", covariance))
        if value is not None
    ]
    if given:
        raise ConfigError(
            f"{model} is the folder of a run, which says itself what its model is; leave out "
            f"{' and '.join(given)}."
        )
    description = runs.load_description(Path(model))
    with torch.random.fork_rng(devices=[]):  # counting must not shift a caller's random numbers
        classifier = build_described(description)
    return cost_of_model(
        classifier, image_size=description.image_size if image_size is None else image_size
    )


def _is_run(model: str) -> bool:
    """Tell a run's folder from the name of a backbone, which may be that of a folder too."""
    folder = Path(model)
    return (
        len(folder.parts) > 1
        or (folder / runs.DESCRIPTION).is_file()
        or (folder.is_dir() and not list_encoders(model))
    )
