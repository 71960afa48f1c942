"""Parameters and multiply-accumulates of a model, counted cleanly and as the papers count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from colabel.choices import Covariance
from colabel.models.classifier import Classifier, Head
from colabel.models.encoders import Encoder, build_encoder
from colabel.models.feature_maps import copy_to_meta
from colabel.models.heads import KernelMixtureHead, LinearHead


@dataclass(frozen=True)
class Cost:
    """What a model costs to store and to run on one image.

    Args:
        parameters: number of trained parameters of encoder and head.
        head_parameters: those of the head alone.
        macs: multiply-accumulates of one image: convolutions, linear layers and attention.
        paper_parameters: as published for KMCL: with a linear classifier that is built beside the
            kernel mixture module and never used.
        paper_macs: as published: one more for every element that passes a ReLU or average pooling.
    """

    parameters: int
    head_parameters: int
    macs: int
    paper_parameters: int
    paper_macs: int

    def to_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return asdict(self)


def cost(
    encoder_name: str,
    *,
    image_size: int,
    classes: int,
    covariance: Covariance | Literal["linear"] = "isotropic",
    options: Mapping[str, object] | None = None,
) -> Cost:
    """Count parameters and multiply-accumulates without running the model.

    Source: KMCL, Tables 3 and 4; the number of head parameters at width H for K classes is
    3K(H+1) isotropic, (2KH+K)(H+1) diagonal, (KH+H+K)(H+1) with a shared diagonal and (2K+1)(H+1)
    with a shared scalar variance.

    Deviation: the papers' counts are given beside the clean ones, see :class:`Cost`. A model with
    a linear head uses its classifier, so the two counts of its parameters agree.

    Args:
        encoder_name: name of the backbone in timm.
        image_size: side of the square images, in pixels.
        classes: number of labels.
        covariance: form of the kernels' covariance, or ``"linear"`` for a plain linear head.
        options: further arguments of the backbone.

    Returns:
        Plain numbers, not millions.

    Raises:
        ConfigError: if the encoder, the covariance or an option is unknown, or the encoder cannot
            take images of this size.

    Example:
        >>> counted = cost("tresnet_m", image_size=224, classes=9)
        >>> round(counted.paper_parameters / 1e6, 2), round(counted.paper_macs / 1e9, 2)
        (29.41, 5.74)
    """
    with torch.random.fork_rng(devices=[]):  # counting must not shift a caller's random numbers
        encoder = build_encoder(encoder_name, options=options)
    with torch.device("meta"):
        head = Head(
            LinearHead(encoder.width, classes)
            if covariance == "linear"
            else KernelMixtureHead(encoder.width, classes, covariance)
        )
    return cost_of_model(Classifier(encoder, head), image_size=image_size)


def cost_of_model(model: Classifier, *, image_size: int) -> Cost:
    """Count parameters and multiply-accumulates of a model that is built already.

    Source: as :func:`cost`.

    Args:
        model: an encoder and its head; it is not run and not changed.
        image_size: side of the square images, in pixels.

    Returns:
        Plain numbers, not millions.

    Raises:
        ConfigError: if the encoder cannot take images of this size.

    Example:
        >>> encoder = build_encoder("test_efficientnet")
        >>> model = Classifier(encoder, Head(LinearHead(encoder.width, 9)))
        >>> cost_of_model(model, image_size=64) == cost(
        ...     "test_efficientnet", image_size=64, classes=9, covariance="linear"
        ... )
        True
    """
    if isinstance(model.encoder, Encoder):
        model.encoder.check_image_size(image_size)
    readout = model.head.readout if isinstance(model.head, Head) else model.head
    unused_classifier = (
        readout.classes * (readout.width + 1) if isinstance(readout, KernelMixtureHead) else 0
    )
    parameters, of_head = (
        sum(parameter.numel() for parameter in part.parameters()) for part in (model, model.head)
    )
    macs, elements = _count_macs(model, image_size)
    return Cost(parameters, of_head, macs, parameters + unused_classifier, macs + elements)


def _count_macs(model: nn.Module, image_size: int) -> tuple[int, int]:
    """Return the multiply-accumulates of one image, and the elements through ReLU and pooling."""
    elements = 0

    def count(_module: nn.Module, inputs: tuple[Tensor, ...], _output: object) -> None:
        nonlocal elements
        elements += inputs[0].numel()

    hollow = copy_to_meta(model)
    for module in hollow.modules():
        if isinstance(module, (nn.ReLU, nn.AvgPool2d)):
            module.register_forward_hook(count)
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hollow(images)
    return counter.get_total_flops() // 2, elements
