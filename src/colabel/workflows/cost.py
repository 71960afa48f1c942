"""What a model costs, of a run or of a backbone with a head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError

from colabel.build.model import build_classifier
from colabel.choices import Covariance
from colabel.errors import ConfigError, nearest
from colabel.methods import METHODS
from colabel.models import Cost, cost_of_model, list_encoders
from colabel.runs.description import is_surely_run, load_description
from colabel.settings import (
    EncoderSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
)
from colabel.workflows.predict import build_described

_READOUTS: Mapping[str, HeadSettings] = {
    "linear": LinearSettings(),
    "kernel_mixture": KernelMixtureSettings(),
    "mixture_density": MixtureDensitySettings(),
}
_POOLINGS: Mapping[str, HeadSettings] = {
    name: LinearSettings.model_validate({"pooling": {"name": name}})
    for name in ("average", "max", "generalised_mean", "class_attention")
}
"""A linear classifier on what is pooled; the other poolings are called like methods."""
COVARIANCES = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")


def cost(
    model: str,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    head: str | None = None,
    covariance: Covariance | Literal["linear"] | None = None,
) -> Cost:
    """Count parameters and multiply-accumulates of a run's model, or of one with an encoder.

    Args:
        model: folder of a run, or the name of a backbone in timm.
        classes: number of labels; needed with a backbone, known of a run.
        image_size: side of the square images, in pixels; default: the run's, 224 with a backbone.
        head: name of a readout, of a pooling, or of the method whose head it is
            (``"ml_decoder"``); ``"kernel_mixture"`` by default; known of a run.
        covariance: form of a kernel mixture's covariance, ``"isotropic"`` by default;
            ``"linear"`` means the head of this name; known of a run.

    Returns:
        Plain numbers, also as the papers count. A run costs what is left of it at inference.

    Raises:
        ConfigError: if something is missing or unknown, or given although the run says it.
        RunError: if the folder holds no usable model.
    """
    given = {"classes": classes, "head": head, "covariance": covariance}
    with torch.random.fork_rng(devices=[]):  # counting must not shift a caller's random numbers
        if _is_run(model):
            said = [f"--{name} {value}" for name, value in given.items() if value is not None]
            if said:
                raise ConfigError(
                    f"{model} is the folder of a run, which says itself what its model is; leave "
                    f"out {' and '.join(said)}."
                )
            description = load_description(Path(model))
            classifier = build_described(Path(model), description)
            size = description.image_size if image_size is None else image_size
        else:
            if classes is None:
                raise ConfigError(
                    f"{model}: how many labels? Add --classes N, or give the folder of a run, "
                    "which knows its own."
                )
            size = 224 if image_size is None else image_size
            settings = _head_settings(head, covariance)
            classifier = build_classifier(
                EncoderSettings(name=model), settings, classes, image_size=size
            )
    return cost_of_model(classifier, image_size=size)


def _head_settings(head: str | None, covariance: str | None) -> HeadSettings:
    """Return the settings of the head that is asked for."""
    if covariance == "linear":
        head, covariance = head or "linear", None
    name = (head or "kernel_mixture").replace("-", "_")
    methods = {method: of.head for method, of in METHODS.items()}
    known = {**methods, **_POOLINGS, **_READOUTS}
    if name not in known:
        raise ConfigError(f"there is no head {name!r}; {nearest(name, known)}")
    if covariance is not None and covariance not in COVARIANCES:
        raise ConfigError(
            f"there is no covariance {covariance!r}; {nearest(covariance, COVARIANCES)}"
        )
    values: dict[str, Any] = known[name].model_dump()
    if covariance is not None:
        values["covariance"] = covariance
    try:
        settings: HeadSettings = TypeAdapter(HeadSettings).validate_python(values)
    except ValidationError as error:
        raise ConfigError(
            f"the head {name} has no covariance; leave out --covariance {covariance}."
        ) from error
    return settings


def _is_run(model: str) -> bool:
    """Tell a run's folder from the name of a backbone, which may be that of a folder too."""
    return is_surely_run(model) or (Path(model).is_dir() and not list_encoders(model))
