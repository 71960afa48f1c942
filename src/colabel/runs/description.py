"""A run's model: its description in ``model.json``, its weights in ``model.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError, field_validator, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from colabel.data.pixels import PixelOptions
from colabel.errors import RunError
from colabel.files import replace_file
from colabel.runs.folder import DESCRIPTION, WEIGHTS
from colabel.settings import HeadSettings, Settings

FORMAT = 2
"""Version of ``model.json``; a reader refuses any other."""


OPENS_OR_FETCHES = ("checkpoint_path", "cache_dir", "url", "file", "hf_hub_id", "source")
"""Options by which timm reads files or the network, beside all that begin with ``pretrained``."""

DTYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls the types of numbers."""


class DescribedEncoder(Settings):
    """The backbone of a trained model; its weights are the run's own.

    A run may come from anybody, so there is nothing here that opens a file or the network.

    Args:
        name: of the backbone in timm.
        options: passed to timm.
        freeze_batch_norm: whether the statistics of batch norm were kept as they came.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    freeze_batch_norm: bool = False

    @field_validator("options")
    @classmethod
    def _open_nothing(cls, options: dict[str, Any]) -> dict[str, Any]:
        for option in options:
            if option.startswith("pretrained") or option in OPENS_OR_FETCHES:
                raise ValueError(
                    f"the option {option!r} would take weights from elsewhere, and a run has its "
                    "own"
                )
        return options


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
    encoder: DescribedEncoder
    image_size: int = Field(ge=1, le=4096)
    pixels: PixelOptions = PixelOptions()
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
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not valid JSON: {error}; copy the run again.") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error
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
        reason = problem["msg"].removeprefix("Value error, ")
        reason = reason[:1].lower() + reason[1:]
        raise RunError(f"{path}: {key}: {reason}; copy the run again, or train anew.") from error


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
    expected = {
        name: _form(tensor.shape, DTYPES.get(tensor.dtype, str(tensor.dtype)))
        for name, tensor in model.state_dict().items()
    }
    try:
        _check_forms(path, expected)
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise RunError(f"{path} is damaged ({error}); copy it again.") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise RunError(
            f"{path} holds values that are not finite, in {len(broken)} tensors, first "
            f"{broken[0]}; copy it again, or train anew."
        )
    model.load_state_dict(tensors)


def _check_forms(path: Path, expected: Mapping[str, str]) -> None:
    """Compare the header of a file with a model, before anything else is read."""
    with safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {name: _form(part.get_shape(), part.get_dtype()) for name, part in slices.items()}
    wrong = [
        f"{name}: {found.get(name, 'missing')} in the file, {expected.get(name, 'missing')} in "
        "the model"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]
    if wrong:
        raise RunError(
            f"{path} does not fit the model that {DESCRIPTION} describes, "
            f"{len(wrong)} differences:\n  " + "\n  ".join(wrong[:10])
        )


def _form(shape: Sequence[int], dtype: str) -> str:
    """Return shape and type of a tensor in words."""
    return f"{dtype} {tuple(shape)}"
