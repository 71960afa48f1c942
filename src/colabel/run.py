"""The run folder: where a model, its description and its numbers live.

``config.yaml`` is what was asked for, ``log.jsonl`` what happened, ``model.safetensors`` and
``model.json`` the model that validation chose, ``last/`` the state to resume from. Nothing in it
is pickled and no file needs one outside, so a folder can be moved to another machine without the
data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from colabel.errors import RunError
from colabel.files import replace_file
from colabel.settings import Settings

FORMAT = 1
"""Version of ``model.json``; a reader refuses any other."""

CONFIG, LOG, WEIGHTS, DESCRIPTION = "config.yaml", "log.jsonl", "model.safetensors", "model.json"
SPLIT = "split.csv"
"""The division of a source that came undivided: columns id and split."""


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
        method: settings of the method.
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
    method: dict[str, Any]
    encoder: dict[str, Any]
    image_size: int
    thresholds: tuple[float, ...]
    calibration: dict[str, Any] | None = None
    data: dict[str, Any]
    selection: Selection


def check_free(folder: Path) -> None:
    """Raise RunError if a new run cannot begin in this folder.

    What a start leaves behind that failed before its first step is not in the way.
    """
    if folder.is_dir() and all(_is_leftover(entry) for entry in folder.iterdir()):
        return
    if folder.exists():
        raise RunError(
            f"{folder} exists already; add --resume to continue the run in it, or choose another "
            "folder with --out."
        )


def _is_leftover(path: Path) -> bool:
    """Tell whether a file was written before a run did anything."""
    return path.name in (CONFIG, SPLIT) or (path.name == LOG and path.stat().st_size == 0)


def create_run(folder: Path, *, resume: bool) -> Path:
    """Make the folder of a new run, or find that of the run to resume.

    Args:
        folder: where it is to be.
        resume: whether a run is expected there.

    Returns:
        The folder.

    Raises:
        RunError: if a run is in the way, or none is there to resume.
    """
    if resume:
        if not (folder / CONFIG).is_file():
            raise RunError(
                f"there is no run to resume in {folder}: it has no {CONFIG}. Give the folder of "
                "the run as --out, or leave out --resume to start one."
            )
        return folder
    check_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.iterdir():
            leftover.unlink()
    except OSError as error:
        raise RunError(f"the run folder {folder} cannot be made: {error}.") from error
    return folder


def free_folder(parent: Path, name: str) -> Path:
    """Return the first of ``parent/name-1``, ``parent/name-2``, ... that does not exist."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


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
        key = ".".join(str(part) for part in problem["loc"])
        raise RunError(f"{path}: {key}: {problem['msg'].lower()}.") from error


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
