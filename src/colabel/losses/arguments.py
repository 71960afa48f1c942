"""What the losses on logits and embeddings check and convert before they compute."""

import torch
from torch import Tensor


def check_classes(logits: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless there is one target for every logit."""
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the logits (batch, classes) = "
            f"{tuple(logits.shape)}, got {tuple(targets.shape)}."
        )


def check_rows(embeddings: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless there is one row of targets for every embedding."""
    if embeddings.ndim != 2 or targets.ndim != 2 or len(embeddings) != len(targets):
        raise ValueError(
            "embeddings (batch, width) and targets (batch, classes) must have the same batch, "
            f"got shapes {tuple(embeddings.shape)} and {tuple(targets.shape)}."
        )


def check_positive(**values: float) -> None:
    """Raise ValueError, with its name, for a number that is not positive and finite."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive, got {value}.")


def at_least_float32(values: Tensor) -> Tensor:
    """Return narrow floating-point numbers as float32, others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
