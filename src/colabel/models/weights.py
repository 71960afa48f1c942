"""Files of backbone weights: read without unpickling code, and fitted key by key."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from colabel.errors import WeightsError, listed
from colabel.state_dicts import differences

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state")
"""Names under which training scripts keep the weights beside other things, best first."""

PREFIXES = ("module.", "_orig_mod.")
"""What parallel training and compilation put before every key."""

ENCODER_PREFIX = "encoder.backbone."
"""Where a saved model of this package keeps its backbone."""


def load_backbone_weights(backbone: nn.Module, path: Path, name: str) -> None:
    """Load a file into a backbone without classifier; every key must fit.

    The backbone's own classifier is dropped from the file, as are the head of a model saved by
    this package and absent counters of batch norm. Everything else must match. Files in the
    layout of a backbone's authors are converted where timm knows how.

    Args:
        backbone: the timm model the weights are for, changed in place.
        path: ``.safetensors``, or a torch file of plain tensors.
        name: the backbone's name, for messages.

    Raises:
        WeightsError: if the file cannot be read safely, or its keys, shapes or values do not fit.
    """
    state = _unwrap(read_weights(path), path)
    expected = backbone.state_dict()
    fitted = _without_classifier(state, backbone, expected)
    problems = _differences(fitted, expected)
    if problems:
        fitted, problems = _convert(state, backbone, expected, problems, path, name)
    if problems:
        raise WeightsError(_explain(problems, fitted, expected, path, name))
    broken = [key for key, value in fitted.items() if not value.isfinite().all()]
    if broken:
        raise WeightsError(
            f"{path} holds values that are not finite: {listed(broken)}; take another file."
        )
    backbone.load_state_dict(fitted, strict=False)


def read_weights(path: Path) -> dict[str, object]:
    """Read a file of weights onto the CPU without running anything it contains.

    Raises:
        WeightsError: if the file is missing, damaged, or holds more than plain tensors.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file of weights at {path}; check the path.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path, device="cpu"))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is no torch file of plain tensors, and files that hold code are not opened; "
            "save its state_dict as .safetensors where you trust it, and give that file."
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; fetch or save it again.") from error
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, expected tensors by name; "
            "save the model's state_dict."
        )
    return dict(content)


def _unwrap(content: dict[str, object], path: Path) -> dict[str, Tensor]:
    """Take the tensors out of a checkpoint and the wrappers' prefixes off their keys."""
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            content = dict(inner)
            break
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(
            f"{path} holds no tensors by name (its keys: {listed([str(key) for key in content])}"
            "); save the model's state_dict."
        )
    for prefix in PREFIXES:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    ours = {key: value for key, value in state.items() if key.startswith(ENCODER_PREFIX)}
    if ours:
        state = {key.removeprefix(ENCODER_PREFIX): value for key, value in ours.items()}
    return state


def _without_classifier(
    state: dict[str, Tensor], backbone: nn.Module, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Drop the classifier the backbone was published with."""
    config = getattr(backbone, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
    return {
        key: value
        for key, value in state.items()
        if key in expected or not key.startswith(prefixes)
    }


def _differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Return what does not fit; empty if all does."""
    forms, wanted = (
        {
            key: (value.shape, "floating" if value.is_floating_point() else "integer")
            for key, value in tensors.items()
        }
        for tensors in (state, expected)
    )
    return differences(forms, wanted, optional="num_batches_tracked")


def _convert(
    state: dict[str, Tensor],
    backbone: nn.Module,
    expected: Mapping[str, Tensor],
    problems: list[str],
    path: Path,
    name: str,
) -> tuple[dict[str, Tensor], list[str]]:
    """Try timm's own conversion from the layout of the backbone's authors."""
    plain = _without_classifier(state, backbone, expected)
    convert = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return plain, problems
    try:
        converted = _without_classifier(dict(convert(dict(state), backbone)), backbone, expected)
    except Exception as error:  # written for one layout, it may fail in any way on another
        raise WeightsError(_explain(problems, plain, expected, path, name)) from error
    left = _differences(converted, expected)
    # if the conversion does not help, the file's own keys make the clearer message
    return (converted, left) if not left else (plain, problems)


def _explain(
    problems: Sequence[str],
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    path: Path,
    name: str,
) -> str:
    lines = [f"{path} does not fit the encoder {name}, which expects {len(expected)} tensors:"]
    lines += [f"  {problem}" for problem in problems]
    if state.keys().isdisjoint(expected):
        lines.append(
            "No key fits: the file belongs to another architecture, or to another library's "
            "version of it (torchvision names layers differently). Take a file made with timm."
        )
    else:
        lines.append("Check the encoder's name and options against what the file was made with.")
    return "\n".join(lines)
