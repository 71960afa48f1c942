"""Backbones of timm as encoders: images in, features out, pooled and at each position.

With ``backbones.py``, ``folded_norms.py`` and ``frozen_stages.py`` this is what knows timm.
Everything a backbone needs to be used correctly, its normalisation, its width, the memory layout
that is safe and quick for it, is settled when the encoder is built, so that nothing has to be
guessed in the training loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from colabel.errors import ConfigError
from colabel.models.backbones import build_backbone
from colabel.models.feature_maps import (
    FeatureMap,
    copy_to_meta,
    count_previous_channels,
    find_map,
    in_two_steps,
    with_previous_stage,
)
from colabel.models.features import Features
from colabel.models.folded_norms import fold_frozen_norms
from colabel.models.frozen_stages import freeze_first_stages
from colabel.models.halfway import Halt, find_halt, go_on, stop_at
from colabel.models.strided_depthwise import keep_in_float32
from colabel.models.weights import load_backbone_weights

_data_config: Callable[[nn.Module], dict[str, Any]] = resolve_model_data_config


class Encoder(nn.Module):
    """A backbone with its normalisation: images of 0 to 255, or of 0 to 1, to features.

    The mean and the standard deviation are buffers and travel with the saved model, so a model
    is never used with another normalisation than it was trained with.

    Features at each position come from timm's ``forward_features``: the last feature map of a
    convolutional backbone, the tokens of the patches of a transformer, its class token dropped.

    Args:
        backbone: images (batch, 3, height, width), normalised, to features (batch, width).
        name: name of the backbone in timm.
        width: number of features per image.
        feature_map: where the backbone has features at each position, and in what layout.
        mean: mean of each colour channel, in 0 to 1.
        std: standard deviation of each colour channel, in 0 to 1.
        image_size: side in pixels the backbone's published weights were made for.
        freeze_batch_norm: keep every batch-norm layer in evaluation mode, also while training:
            stored statistics are used and never updated. Their scale and shift still train.
        channels_last: convert images and weights to the channels-last memory layout.
        frozen: parts of the backbone that stay in evaluation mode, also while training.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        name: str,
        width: int,
        feature_map: FeatureMap,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        image_size: int,
        freeze_batch_norm: bool = False,
        channels_last: bool = False,
        frozen: tuple[nn.Module, ...] = (),
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone: nn.Module = backbone.to(memory_format=self.memory_format)
        self.name = name
        self.width = width
        self.feature_map = feature_map
        self.image_size = image_size
        self.freeze_batch_norm = freeze_batch_norm
        self.frozen = frozen
        self.gives_previous_stage = False
        self._halt: Halt | None = None
        shape = (1, 3, 1, 1)
        self.register_buffer("pixel_mean", torch.tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("pixel_std", torch.tensor(std, dtype=torch.float32).view(shape))
        self.train(self.training)

    def train(self, mode: bool = True) -> Encoder:
        """Set training mode as usual, but leave what is frozen in evaluation mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        if self.freeze_batch_norm:
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    @property
    def map_channels(self) -> int:
        """Number of features at each position.

        Raises:
            ConfigError: if the backbone has no features at each position.
        """
        if self.feature_map.channels is None:
            raise ConfigError(
                f"{self.name} has no feature map: {self.feature_map.reason}. Choose another "
                "encoder, or a head that pools as the encoder does."
            )
        return self.feature_map.channels

    def give_previous_stage(self) -> int:
        """Give the map of the stage before the last from now on, and return its channels.

        The backbone computes it anyway; without this nothing is kept of it.

        Raises:
            ConfigError: if the backbone has no such stage with a finer map than that of the last.
        """
        try:
            channels = count_previous_channels(self.backbone, self.image_size)
        except ConfigError as error:
            raise ConfigError(
                f"{self.name} has no finer map before that of its last stage, which the head tdrg "
                f"needs: {error}. Choose an encoder of several stages, such as resnet101."
            ) from error
        self.gives_previous_stage = True
        return channels

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that the backbone's authors do not decay."""
        names = getattr(self.backbone, "no_weight_decay", None)
        return {f"backbone.{name}" for name in names()} if callable(names) else set()

    def find_halfway(self, image_size: int) -> int | None:
        """Find out whether what the frozen first stages give is all that the rest needs.

        It is tried with made-up images. If so, :meth:`encode_halfway` gives that much of an image
        from now on, and :meth:`forward` goes on from it.

        Args:
            image_size: side of the images, in pixels.

        Returns:
            How many numbers are needed of an image; ``None`` if it is not so, or nothing is
            frozen.

        Example:
            >>> encoder = build_encoder("test_efficientnet", freeze_stages=3)
            >>> images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
            >>> encoder.find_halfway(64)
            6144
            >>> half = encoder.encode_halfway(images)
            >>> torch.equal(encoder(half).vector, encoder(images).vector)
            True
        """
        training = self.training
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(2, 3, image_size, image_size, generator=generator)
        images = noise.to(self.pixel_mean.device, memory_format=self.memory_format)
        try:
            self._halt = find_halt(self, self.frozen, self._encode, images)
        finally:
            self.train(training)
        return None if self._halt is None else self._halt.numbers

    def encode_halfway(self, images: Tensor) -> Features:
        """Return what the frozen first stages make of images, after :meth:`find_halfway`.

        Args:
            images: as for :meth:`forward`.
        """
        assert self._halt is not None
        normalised = self._normalise(images)
        given = stop_at(self, self._halt, lambda: self._encode(normalised))
        return Features(None, halfway=given)

    def forward(self, images: Tensor | Features) -> Features:
        """Normalise and encode.

        Args:
            images: shape (batch, 3, height, width); uint8 in 0 to 255, or floating in 0 to 1. Or
                what :meth:`encode_halfway` gave for them.

        Returns:
            The pooled features, shape (batch, width), and the feature map, if there is one.

        Raises:
            ValueError: if the images have another shape or another integer type.
        """
        if isinstance(images, Features):
            assert self._halt is not None
            assert images.halfway is not None
            return go_on(self, self._halt, images.halfway, self._encode)
        return self._encode(self._normalise(images))

    def _normalise(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"images must have shape (batch, 3, height, width), got {tuple(images.shape)}."
            )
        largest = _largest_value(images)
        pixels = images.to(self.pixel_mean.dtype).contiguous(memory_format=self.memory_format)
        return (pixels - largest * self.pixel_mean) / (largest * self.pixel_std)

    def _encode(self, normalised: Tensor) -> Features:
        if self.feature_map.channels is None:
            return Features(self.backbone(normalised), reason=self.feature_map.reason)
        if self.gives_previous_stage:
            backbone: Any = self.backbone
            unpooled, previous = with_previous_stage(backbone, normalised)
            vector = backbone.forward_head(unpooled)
            return Features(vector, unpooled, self.feature_map.to_map, previous=previous)
        unpooled, vector = in_two_steps(self.backbone, normalised)
        return Features(vector, unpooled, self.feature_map.to_map)

    def check_image_size(self, size: int) -> None:
        """Raise ConfigError if the backbone cannot encode square images of this side.

        Example:
            >>> build_encoder("vit_tiny_patch16_224").check_image_size(9)
            Traceback (most recent call last):
            colabel.errors.ConfigError: vit_tiny_patch16_224 cannot encode images of 9 x 9 ...: ...
        """
        _measure_width(self.backbone, self.name, size)


def build_encoder(
    name: str,
    *,
    pretrained: bool = False,
    weights: Path | None = None,
    options: Mapping[str, object] | None = None,
    freeze_batch_norm: bool = False,
    channels_last: bool | None = None,
    freeze_stages: float = 0,
) -> Encoder:
    """Build any backbone of timm as an encoder, untrained unless told otherwise.

    Args:
        name: name in timm, with or without the tag of its published weights: ``resnet50``,
            ``resnet50.tv_in1k``. The tag also decides the normalisation.
        pretrained: fetch the published weights from timm's hub (needs the network).
        weights: local file of weights, ``.safetensors`` or a torch file of plain tensors.
        options: further arguments of the backbone, such as ``{"pad_type": "same"}`` or
            ``{"img_size": 448}``.
        freeze_batch_norm: keep batch-norm layers in evaluation mode whatever ``train()`` says;
            their scale and shift still train.
        channels_last: memory layout of images and weights. ``None`` decides: channels-last,
            which is quicker for most backbones, except for TResNet, which is slower in it, and
            for backbones in which it corrupts memory on processors.
        freeze_stages: the first stages of the backbone, the stem among them, that are not
            trained; below 1 their share, rounded down.

    Returns:
        The encoder, on the CPU, in training mode.

    Raises:
        ConfigError: if the name or an option is unknown, two sources of weights are given,
            channels-last is asked for where it is unsafe, or there are no such stages.
        WeightsError: if the weights cannot be had or do not fit.

    Example:
        >>> encoder = build_encoder("test_efficientnet")
        >>> features = encoder(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
        >>> features.vector.shape, features.map.shape
        (torch.Size([2, 256]), torch.Size([2, 256, 2, 2]))
        >>> build_encoder("resnet5O")
        Traceback (most recent call last):
        colabel.errors.ConfigError: there is no encoder named 'resnet5O'; did you mean 'resnet50'?
    """
    if pretrained and weights is not None:
        raise ConfigError(
            f"pretrained and weights are both given ({weights}), expected one of them; leave out "
            "pretrained to load the file."
        )
    options = dict(options or {})
    image_size = _image_size(options)
    backbone = build_backbone(name, pretrained, options)
    config = _data_config(backbone)
    mean, std = _per_channel(config["mean"]), _per_channel(config["std"])
    image_size = image_size or int(config["input_size"][-1])
    width = _measure_width(backbone, name, image_size)
    if weights is not None:
        load_backbone_weights(backbone, Path(weights), name)
    unsafe = _unsafe_convolution(backbone)
    if channels_last and unsafe is not None:
        raise ConfigError(
            f"{name} cannot run in channels_last: its convolution {unsafe} corrupts memory "
            "on processors in that layout; leave channels_last out."
        )
    if channels_last is None:
        channels_last = unsafe is None and not name.startswith("tresnet")
    feature_map = find_map(backbone, width, image_size)
    if freeze_batch_norm:
        fold_frozen_norms(backbone, image_size)
    keep_in_float32(backbone)
    return Encoder(
        backbone,
        name=name,
        width=width,
        feature_map=feature_map,
        mean=mean,
        std=std,
        image_size=image_size,
        freeze_batch_norm=freeze_batch_norm,
        channels_last=channels_last,
        frozen=freeze_first_stages(backbone, name, freeze_stages),
    )


def _measure_width(backbone: nn.Module, name: str, image_size: int) -> int:
    """Return the number of features a square image of this side is encoded into."""
    if image_size < 1:
        raise ConfigError(f"image_size must be at least 1 pixel, got {image_size}.")
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    try:
        with torch.no_grad():
            features = copy_to_meta(backbone)(images)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"{name} cannot encode images of {image_size} x {image_size} pixels: {error} "
            f"Take another image size, or set the encoder option img_size if {name} has it."
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ConfigError(
            f"{name} does not give one feature vector per image with these options, expected "
            "shape (batch, width); leave out the option global_pool, or take another encoder."
        )
    return int(features.shape[1])


def _image_size(options: Mapping[str, object]) -> int | None:
    """Return the side the user asks the backbone to be built for, if any."""
    size = options.get("img_size")
    if isinstance(size, (tuple, list)) and size:
        size = size[-1]
    if size is None or (isinstance(size, int) and size > 0):
        return size
    raise ConfigError(f"the encoder option img_size must be a positive integer, got {size!r}.")


def _per_channel(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(values) if len(values) == 3 else (values[0],) * 3


def _unsafe_convolution(backbone: nn.Module) -> str | None:
    """Return the name of a convolution that corrupts memory in channels-last on processors.

    The backward pass of a strided pointwise convolution of fewer than 16 input channels writes
    beyond its memory there: wrong gradients, or the process ends.
    """
    for name, module in backbone.named_modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.kernel_size == (1, 1)
            and max(module.stride) > 1
            and module.groups == 1
            and module.in_channels < 16
        ):
            return str(name)
    return None


def _largest_value(images: Tensor) -> float:
    """Return what white is in images of this type."""
    if images.dtype == torch.uint8:
        return 255.0
    if images.is_floating_point():
        return 1.0
    raise ValueError(
        f"images must be uint8 in 0 to 255 or floating in 0 to 1, got {images.dtype}; "
        "convert them first."
    )
