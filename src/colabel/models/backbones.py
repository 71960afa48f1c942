"""The names of timm's backbones, and how one is made, with errors that a user can act on."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import timm
from torch import nn

from colabel.errors import ConfigError, WeightsError
from colabel.settings.encoder import check_option_names


def list_encoders(pattern: str = "*") -> list[str]:
    """Return the names of the backbones that match a shell pattern.

    Example:
        >>> list_encoders("tresnet_[ml]")
        ['tresnet_l', 'tresnet_m']
    """
    return [str(name) for name in timm.list_models(pattern)]


def check_encoder_name(name: str) -> None:
    """Raise ConfigError for a name that timm does not know, with the nearest that it does."""
    # timm's source prefixes (a hub, a folder) would take the architecture itself from elsewhere
    if ":" in name or not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=1)
        hint = (
            f"did you mean {close[0]!r}?"
            if close
            else "colabel.models.list_encoders() gives all names."
        )
        raise ConfigError(f"there is no encoder named {name!r}; {hint}")


def build_backbone(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """Create a model of timm without its classifier.

    Args:
        name: in timm.
        pretrained: fetch its published weights.
        options: further arguments of it.

    Raises:
        ConfigError: if the name or an option is unknown or refused.
        WeightsError: if the published weights cannot be had.
    """
    check_encoder_name(name)
    try:
        check_option_names(options)
    except ValueError as error:
        raise ConfigError(f"encoder {name}: {error}.") from error
    try:
        with _retries_told_once(name):
            backbone: nn.Module = timm.create_model(
                name, pretrained=pretrained, num_classes=0, **options
            )
    except (OSError, RuntimeError, ValueError) as error:
        if not pretrained:
            raise ConfigError(_refusal(name, options, error)) from error
        raise WeightsError(
            f"the published weights of {name} cannot be had: {error}\n"
            "Check the network, or fetch the file elsewhere and give its path as weights "
            "(encoder.weights in a recipe; null begins untrained)."
        ) from error
    except (AssertionError, AttributeError, LookupError, TypeError) as error:
        raise ConfigError(_refusal(name, options, error)) from error
    return backbone


@contextmanager
def _retries_told_once(name: str) -> Iterator[None]:
    """Let the hub's client say once, in our words, that it tries again for a minute."""
    client, told = logging.getLogger("huggingface_hub.utils._http"), []

    def say_once(record: logging.LogRecord) -> bool:
        reason = record.getMessage().partition(" thrown")[0]
        record.msg = (
            f"the published weights of {name} are not on this machine, and the network does not "
            f"answer ({reason}): trying again for up to a minute"
        )
        record.args = ()
        told.append(record)
        return len(told) == 1

    client.addFilter(say_once)
    try:
        yield
    finally:
        client.removeFilter(say_once)


def _refusal(name: str, options: Mapping[str, object], error: Exception) -> str:
    given = f"with the options {dict(options)}" if options else "as named"
    return f"{name} cannot be built {given}: {error}; correct or leave out what it names."
