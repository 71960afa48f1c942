"""Settings of the images: which, how they are read, how they are augmented."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from colabel.limits import MAX_IMAGE_SIZE
from colabel.settings.base import Settings


class Data(Settings):
    """Which images, and how they are read."""

    source: str = "shapes"
    """A table of paths and labels, ``reader:FOLDER`` or ``shapes``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the reader, such as ``difficult`` for VOC."""
    train_options: dict[str, Any] = Field(default_factory=dict)
    """Options for the training split alone, over ``options``."""
    train: str = "train"
    """Name of the split to train on."""
    validation: str | None = "val"
    """Name of the split that chooses the checkpoint; null, or the default where the source has no
    such split: a share of train is held out."""
    test: str = "test"
    """Name of the split that is reported on."""
    validation_fraction: float = Field(0.15, gt=0, lt=1)
    """Share of train that is held out where the data has no validation split."""
    fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training images that is trained on, spread over the labels, with whole groups;
    a smaller share lies in a larger one of the same seed. Validation and test stay whole."""
    division_seed: int | None = Field(None, ge=0, lt=2**63)
    """Of what is divided or held out here, where runs with other seeds are to see the same images;
    null: ``training.seed``."""
    image_size: int = Field(224, ge=16, le=MAX_IMAGE_SIZE)
    """Side of the square the images are resized to, in pixels."""
    scale: float | None = Field(None, gt=0)
    """Value of 16-bit or floating-point pixels that becomes 255 (white); default: the full range
    of 16 bits."""
    alpha: Literal["white", "ignore"] = "white"
    """Lay transparent pixels over white, or ``ignore`` the transparency and take the colours."""
    bands: tuple[int, ...] | None = None
    """Channels of an image of more than three that become red, green and blue, from 1 on."""
    max_pixels: int | None = Field(None, ge=1)
    """Width times height above which no image is decoded; default: 89,478,485."""
    shared_groups: Literal["stop", "allow"] = "stop"
    """What a group does, such as a patient, whose images are in more than one split."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    """What an image that cannot be decoded does before the first epoch."""
    verify: bool = True
    """Decode every image once before training."""
    cache_mb: int = Field(1024, ge=0)
    """Memory for decoded and resized images; what frozen first stages give of images that are not
    augmented may take as much again."""

    def name_of(self, split: str) -> str:
        """Return what the source calls a split that is asked for.

        Example:
            >>> Data(test="fold5").name_of("test"), Data(test="fold5").name_of("fold4")
            ('fold5', 'fold4')
        """
        return self.test if split == "test" else split


class Augmentation(Settings):
    """Random changes of the training images (KMCL, Table 6)."""

    operations: int = Field(2, ge=0)
    """RandAugment operations an image."""
    magnitude: float | None = Field(None, gt=0, le=1)
    """Share of each operation's range; drawn anew each time if null."""
    cutout: float = Field(0.5, ge=0, le=1)
    """Side of the square that is painted over, as a share of the image's; 0 for none."""
    horizontal_flip: bool = False
    """Mirror every other image; not in the paper."""
