"""A run's model: its description in ``model.json``, its weights in ``model.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from colabel.errors import RunError
from colabel.files import replace_file
from colabel.runs.folder import DESCRIPTION, WEIGHTS
from colabel.settings import HeadSettings, Settings

FORMAT = 2
"""Version of ``model.json``; a reader refuses any other."""


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
        encoder: name and options of the backbone.
        image_size: side of the square that images are resized to.
        thresholds: probability from which each label counts as predicted.
        calibration: how probabilities were corrected; ``None``: they were not.
        data: where the training images came from, how many, and their fingerprint.
        selection: the epoch that validation chose.
    """

    format: int = FORMAT
    colabel: str
    classes: tuple[str, ...]
    method: str
    head: HeadSettings
    encoder: dict[str, Any]
    image_size: int = Field(ge=1, le=4096)
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    calibration: None = None
    data: dict[str, Any]
    selection: Selection

    @model_validator(mode="after")
    def _parts_fit(self) -> Description:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must be at least one, each with a name of its own")
        if len(self.thresholds) != len(self.classes):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.classes)} classes")
        return self


def save_model(folder: Path, model: nn.Module, description: Description) -> None:
    """Replace the model of a run.

    Args:
        folder: of the run.
        model: its state is stored as float tensors, on the CPU.
        description: what has to be known to use it.

    Raises:
        RunError: if the disk refuses; the previous model is kept.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    text = json.dumps(description.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    weights = save(tensors)
    replace_file(folder / WEIGHTS, lambda file: file.write(weights))
    replace_file(folder / DESCRIPTION, lambda file: file.write(text.encode()))


def load_description(folder: Path) -> Description:
    """Read what a run says of its model.

    Raises:
        RunError: if the folder holds no finished model, or one of another format.
    """
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}.")
    if not path.is_file():
        raise RunError(
            f"{folder} holds no model yet ({DESCRIPTION} is missing): a run writes it after its "
            "first validated epoch. Check the folder, or resume the run."
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON: {error}.") from error
    found = content.get("format") if isinstance(content, Mapping) else None
    if found != FORMAT:
        raise RunError(
            f"{path} has format {found!r}, this version of colabel reads {FORMAT}; use the "
            "version that wrote it, or train again."
        )
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "content"
        raise RunError(
            f"{path}: {key}: {problem['msg'].lower()}; copy the run again, or train anew."
        ) from error


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill a model with the weights of a run.

    Args:
        folder: of the run.
        model: built from the run's description.

    Raises:
        RunError: if the weights are missing, damaged or of another model.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise RunError(f"{folder} holds no {WEIGHTS}; copy the whole run folder.")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise RunError(f"{path} is damaged ({error}); copy it again.") from error
    expected = model.state_dict()
    wrong = [
        f"{name}: {_shape(tensors, name)} in the file, {_shape(expected, name)} in the model"
        for name in sorted({*tensors, *expected})
        if _shape(tensors, name) != _shape(expected, name)
    ]
    if wrong:
        raise RunError(
            f"{path} does not fit the model that {DESCRIPTION} describes, "
            f"{len(wrong)} differences:\n  " + "\n  ".join(wrong[:10])
        )
    model.load_state_dict(tensors)


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(tensors[name].shape)) if name in tensors else "missing"
