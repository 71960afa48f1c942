"""What the heads are made of: layers computed in float32, their starts, checks of arguments."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.choices import Initialisation
from colabel.errors import ConfigError, nearest

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}

PAPER_WEIGHT_BOUND = 0.1
"""Upper end of the uniform distribution the paper draws mean and coefficient weights from."""

PAPER_VARIANCE_WEIGHT = 1.0
"""Constant the paper sets the variance weights to."""


def bring_to_length(
    features: Float[Tensor, "*rows width"], length: float | None
) -> Float[Tensor, "*rows width"]:
    """Return features of one length, in float32 or float64; ``None`` leaves them as they are.

    Args:
        features: one vector per image, or one per image and class.
        length: Euclidean length of the result, positive.

    Example:
        >>> bring_to_length(torch.tensor([[3.0, 4.0]]), 10)
        tensor([[6., 8.]])
    """
    if length is None:
        return features
    dtype = torch.promote_types(features.dtype, torch.float32)
    return length * functional.normalize(features.to(dtype), dim=-1)


@torch.no_grad()
def initialise(
    weight_layer: nn.Linear, mean_layer: nn.Linear, variance_layer: nn.Linear, init: Initialisation
) -> None:
    """Replace the linear start of the output layers by the papers', where ``init`` asks for it."""
    if init == "linear":
        return
    nn.init.uniform_(mean_layer.weight, 0.0, PAPER_WEIGHT_BOUND)
    nn.init.constant_(variance_layer.weight, PAPER_VARIANCE_WEIGHT)
    nn.init.zeros_(mean_layer.bias)
    nn.init.zeros_(variance_layer.bias)
    if init == "paper":
        nn.init.uniform_(weight_layer.weight, 0.0, PAPER_WEIGHT_BOUND)
        nn.init.zeros_(weight_layer.bias)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a block in which arithmetic keeps its precision, also under autocast."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def apply_linear(layer: nn.Linear, features: Tensor) -> Tensor:
    """Apply a layer in float32, or in float64 if it is; autocast would take bfloat16."""
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    with without_autocast(features.device):
        return functional.linear(features.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))


def apply_per_class(layer: nn.Linear, features: Tensor) -> Tensor:
    """Apply a layer whose outputs belong to classes, each to its own features.

    Args:
        layer: with the outputs of class 0 first, then those of class 1, the same number for each.
        features: shape (batch, width), the same for all classes, or (batch, classes, width).

    Returns:
        Shape (batch, outputs), as the layer itself would give.
    """
    if features.ndim == 2:
        return apply_linear(layer, features)
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    weight = layer.weight.to(dtype).view(features.shape[1], -1, layer.in_features)
    with without_autocast(features.device):
        products = torch.einsum("nkd,kod->nko", features.to(dtype), weight)
    return products.flatten(1) + layer.bias.to(dtype)


def check_sizes(width: int, classes: int) -> None:
    """Raise ConfigError unless there is at least one feature and one class."""
    if width < 1 or classes < 1:
        raise ConfigError(
            f"width and classes must be at least 1, got width {width} and classes {classes}."
        )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, with the nearest choice, unless the value is one of the choices."""
    if value not in choices:
        raise ConfigError(f"there is no {name} {value!r}; {nearest(str(value), choices)}")


def check_length(feature_length: float | None) -> None:
    """Raise ConfigError unless the length is positive or ``None``."""
    if feature_length is not None and not feature_length > 0:
        raise ConfigError(f"feature_length must be positive, got {feature_length}.")


def check_features(features: Tensor, width: int, classes: int | None = None) -> None:
    """Raise ValueError unless the features have the shape that a head takes.

    Args:
        features: one vector per image, or one per image and class.
        width: number of features.
        classes: number of classes, where each may have features of its own.
    """
    shared = features.ndim == 2 and features.shape[1] == width
    if shared or (classes is not None and features.shape[1:] == (classes, width)):
        return
    other = "" if classes is None else f" or (batch, classes, width) = (batch, {classes}, {width})"
    raise ValueError(
        f"features must have shape (batch, width) = (batch, {width}){other}, "
        f"got {tuple(features.shape)}."
    )


def check_map(features: Tensor, channels: int) -> None:
    """Raise ValueError unless the features at each position have the shape that a head takes."""
    if features.ndim != 4 or features.shape[1] != channels:
        raise ValueError(
            "features must have shape (batch, channels, height, width) = (batch, "
            f"{channels}, height, width), got {tuple(features.shape)}."
        )
