"""Settings of the backbone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from colabel.settings.base import Settings

RESERVED_OPTIONS = {
    "num_classes": "the head gives the classes",
    "in_chans": "images are always read as RGB",
    "features_only": "a head needs one feature vector per image",
    "pretrained": "it is an option of the encoder itself",
    "pretrained_cfg": "choose other pretrained weights by the name, as in resnet50.a1_in1k",
    "pretrained_cfg_overlay": "give a local file of weights instead",
    "checkpoint_path": "give a local file of weights instead",
    "cache_dir": "set HF_HOME to keep published weights elsewhere",
    "device": "a model is built on the processor and moved",
    "dtype": "weights are always float32",
}
"""Arguments of timm that an encoder sets itself, with the reason."""

_WORD = re.compile(r"[A-Za-z0-9_.+-]*")


def check_option_names(names: Iterable[str]) -> None:
    """Refuse options of a backbone that are not its own: those that open a file or the network.

    Args:
        names: of the options.

    Raises:
        ValueError: for the first, with the reason.

    Example:
        >>> check_option_names(["pad_type", "checkpoint_path"])
        Traceback (most recent call last):
        ValueError: the option checkpoint_path cannot be set: give a local file of weights instead
    """
    for name in names:
        if name in RESERVED_OPTIONS or name.startswith("pretrained"):
            reason = RESERVED_OPTIONS.get(name, RESERVED_OPTIONS["pretrained_cfg_overlay"])
            raise ValueError(f"the option {name} cannot be set: {reason}")


def check_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of a backbone, which say how it is built and no more.

    So a recipe or a run that comes from elsewhere cannot name a path or an address in them.

    Args:
        options: numbers, truth values and words, or lists and groups of these.

    Raises:
        ValueError: for the first that is another.

    Example:
        >>> check_options({"img_size": 448, "norm_layer": "layernorm2d"})["img_size"]
        448
        >>> check_options({"block": {"source": "/home/x"}})
        Traceback (most recent call last):
        ValueError: the option source is '/home/x', expected a finite number, true, false, or a
        word of letters, digits and _ . + -
    """
    check_option_names(options)
    for name, value in options.items():
        if isinstance(value, Mapping):
            check_options(value)
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, (Mapping, list, tuple)):
                check_options({name: item})
            elif not _is_plain(item):
                raise ValueError(
                    f"the option {name} is {item!r}, expected a finite number, true, false, or a "
                    "word of letters, digits and _ . + -"
                )
    return options


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return (
        value is None
        or isinstance(value, int)
        or (isinstance(value, float) and math.isfinite(value))
    )


EncoderOptions = Annotated[dict[str, Any], AfterValidator(check_options)]
"""Options of a backbone in a file."""


class EncoderSettings(Settings):
    """The backbone and where its weights come from."""

    name: str = "resnet18"
    """Any timm model."""
    weights: str | None = None
    """A local weight file (safetensors, or a torch file of plain tensors), or ``pretrained``: the
    weights that timm publishes, fetched on first use; the only setting that uses the network."""
    options: EncoderOptions = Field(default_factory=dict)
    """Passed to timm, such as ``pad_type: same``."""
    freeze_batch_norm: bool = False
    """Keep the running statistics of batch norm as they came."""
    freeze_stages: int | float = Field(0, ge=0)
    """The first stages of the backbone, the stem among them, that are not trained: quicker, since
    no gradient goes back to where images are largest. Below 1 a share of the stages, rounded
    down: 0.65 are five of the eight of a MobileNetV2, three of the five of a ResNet."""
    channels_last: bool | None = None
    """Memory format; default: what is faster and safe on the device."""

    @field_validator("freeze_stages", mode="before")
    @classmethod
    def _is_no_truth_value(cls, given: Any) -> Any:
        if isinstance(given, bool | None):
            said = "null" if given is None else str(given).lower()
            raise ValueError(
                f"expected a number of stages, or a share below 1, and 0 for none, got {said}"
            )
        return given

    @field_validator("freeze_stages")
    @classmethod
    def _is_a_number_or_a_share(cls, given: float) -> float:
        if given > 1 and given != int(given):
            raise ValueError(f"expected a number of stages, or a share below 1, got {given}")
        return given if given < 1 else int(given)


PRETRAINED = "pretrained"
"""Value of ``encoder.weights`` that asks for timm's published weights."""
