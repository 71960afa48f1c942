"""From settings to a model and to the stages that train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from colabel.config import Config, check_config
from colabel.methods import kmcl, linear, probmcl
from colabel.models import Classifier, build_encoder
from colabel.runs.description import Description
from colabel.settings import Settings
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.training import Stage


@dataclass(frozen=True)
class Method:
    """What a file in ``methods/`` offers.

    Args:
        classifier: (encoder, number of classes, settings) to the model that is deployed.
        stages: (model, settings, epochs=, learning_rate=) to what is trained, in order.
    """

    classifier: Callable[..., Classifier]
    stages: Callable[..., tuple[Stage, ...]]


METHODS: Mapping[str, Method] = {
    "kmcl": Method(kmcl.classifier, kmcl.stages),
    "probmcl": Method(probmcl.classifier, probmcl.stages),
    "asl": Method(linear.classifier, linear.stages),
    "bce": Method(linear.classifier, linear.stages),
}
"""A method per ``method.name``; its settings are checked by :mod:`colabel.config`."""


def build_classifier(
    method: Settings, encoder: EncoderSettings, classes: int, *, image_size: int
) -> Classifier:
    """Return an initialised model.

    Args:
        method: settings of the method.
        encoder: the backbone and its weights.
        classes: number of labels.
        image_size: side of the images it will see, in pixels.

    Raises:
        ConfigError: if the backbone or an option of it is unknown, or it takes no such images.
        WeightsError: if the weights do not fit.
    """
    built = build_encoder(
        encoder.name,
        pretrained=encoder.weights == PRETRAINED,
        weights=None
        if encoder.weights in (None, PRETRAINED)
        else Path(encoder.weights).expanduser(),
        options=encoder.options,
        freeze_batch_norm=encoder.freeze_batch_norm,
        channels_last=encoder.channels_last,
    )
    built.check_image_size(image_size)
    return METHODS[_name(method)].classifier(built, classes, method)


def build_stages(model: Classifier, config: Config) -> tuple[Stage, ...]:
    """Return what is trained, in order."""
    training = config.training
    return METHODS[config.method.name].stages(
        model, config.method, epochs=training.epochs, learning_rate=training.learning_rate
    )


def build_described(description: Description) -> Classifier:
    """Rebuild the model that a run describes, without its weights.

    Args:
        description: the content of ``model.json``.

    Returns:
        The model that is deployed: what a method trains and then drops is not part of it.

    Raises:
        ConfigError: if this version does not know the method, the backbone or an option.
    """
    config = check_config({"method": description.method, "encoder": description.encoder})
    return build_classifier(
        config.method,
        config.encoder,
        len(description.classes),
        image_size=description.image_size,
    )


def _name(method: Settings) -> str:
    name: str = method.model_dump()["name"]
    return name
