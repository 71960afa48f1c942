"""What has to be known to use a run's model: ``model.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from colabel.data.pixels import PixelOptions
from colabel.errors import RunError
from colabel.files import read_json, write_json
from colabel.limits import MAX_CLASSES, MAX_IMAGE_SIZE
from colabel.names import check_class_names
from colabel.runs.folder import DESCRIPTION
from colabel.runs.operating_point import OperatingPoint
from colabel.settings import HeadSettings, Settings, explain_problems
from colabel.settings.encoder import EncoderOptions

FORMAT = 3
"""Version of ``model.json``."""

READABLE = (2, 3)
"""Versions that are read: 2 has thresholds, and no calibration."""


class DescribedEncoder(Settings):
    """The backbone of a trained model; its weights are the run's own.

    A run may come from anybody, so there is nothing here that opens a file or the network.

    Args:
        name: of the backbone in timm.
        options: passed to timm.
        freeze_batch_norm: whether the statistics of batch norm were kept as they came.
    """

    name: str
    options: EncoderOptions = Field(default_factory=dict)
    freeze_batch_norm: bool = False


class Selection(Settings):
    """Why these weights were kept."""

    stage: str
    epoch: int
    metric: str
    value: float | None


class Description(Settings):
    """What has to be known to use the weights: the content of ``model.json``.

    Args:
        format: version of this layout.
        colabel: version of the software that wrote it.
        classes: names of the labels, in the order of the logits.
        method: name of the method it was trained with.
        head: settings of the head.
        encoder: the backbone.
        image_size: side of the square that images are resized to.
        pixels: how image files are read.
        operating_point: how logits become probabilities and labels.
        data: where the training images came from, how many, and their fingerprint.
        selection: the epoch that validation chose.
        weights: fingerprint of the weights that it describes; empty in runs of earlier versions.
    """

    format: int = FORMAT
    colabel: str
    classes: Annotated[tuple[str, ...], Field(max_length=MAX_CLASSES)]
    method: str
    head: HeadSettings
    encoder: DescribedEncoder
    image_size: int = Field(ge=1, le=MAX_IMAGE_SIZE)
    pixels: PixelOptions = PixelOptions()
    operating_point: OperatingPoint
    data: dict[str, Any]
    selection: Selection
    weights: str = ""

    @model_validator(mode="after")
    def _parts_fit(self) -> Description:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must be at least one, each with a name of its own")
        check_class_names(self.classes)
        thresholds = self.operating_point.thresholds
        if len(thresholds) != len(self.classes):
            raise ValueError(f"{len(thresholds)} thresholds for {len(self.classes)} classes")
        return self


def is_surely_run(model: str) -> bool:
    """Tell whether a name can only be that of a run's folder, and of no backbone."""
    folder = Path(model)
    return len(folder.parts) > 1 or (folder / DESCRIPTION).is_file()


def save_description(folder: Path, description: Description) -> None:
    """Replace what a run says of its model, in one step.

    Raises:
        RunError: if the disk refuses; what was there is kept.
    """
    write_json(folder / DESCRIPTION, description.model_dump(mode="json"))


def load_description(folder: Path) -> Description:
    """Read what a run says of its model.

    Raises:
        RunError: if the folder holds no finished model, or one of another format.
    """
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}.")
    if not os.path.lexists(path):
        raise RunError(
            f"{folder} holds no model yet ({DESCRIPTION} is missing): a run writes it after its "
            "first validated epoch. Check the folder, or resume the run."
        )
    content = read_json(path)
    found = content.get("format") if isinstance(content, Mapping) else None
    if found not in READABLE:
        raise RunError(
            f"{path} has format {found!r}, this version of colabel reads {FORMAT}; use the "
            "version that wrote it, or train again."
        )
    if found == 2:
        content = {key: value for key, value in content.items() if key != "calibration"}
        content["format"] = FORMAT
        content["operating_point"] = {"thresholds": content.pop("thresholds", ())}
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(explain_problems(error, Description))
        raise RunError(f"{path}: {problems}. Copy the run again, or train anew.") from error
