"""Settings of the backbone."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from colabel.settings.base import Settings


class EncoderSettings(Settings):
    """The backbone and where its weights come from."""

    name: str = "resnet18"
    """Any timm model."""
    weights: str | None = None
    """A local weight file (safetensors, or a torch file of plain tensors), or ``pretrained``: the
    weights that timm publishes, fetched on first use; the only setting that uses the network."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Passed to timm, such as ``pad_type: same``."""
    freeze_batch_norm: bool = False
    """Keep the running statistics of batch norm as they came."""
    freeze_stages: int = Field(0, ge=0)
    """The first stages of the backbone, the stem among them, that are not trained: quicker, since
    no gradient goes back to where images are largest."""
    channels_last: bool | None = None
    """Memory format; default: what is faster and safe on the device."""


PRETRAINED = "pretrained"
"""Value of ``encoder.weights`` that asks for timm's published weights."""
