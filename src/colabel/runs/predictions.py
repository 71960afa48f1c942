"""Saved predictions and their metrics: files in, files out, no model."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from colabel.calibration.curves import sigmoid
from colabel.errors import DataError, RunError
from colabel.files import replace_file, write_json
from colabel.foreign import open_plain
from colabel.limits import MAX_PREDICTIONS_BYTES
from colabel.metrics import APProtocol, Report, evaluate_scores
from colabel.runs.operating_point import OperatingPoint

_REQUIRED = ("ids", "classes", "logits", "split")
_RESERVED = (*_REQUIRED, "targets", "model", "groups", "reading")


@dataclass(frozen=True)
class Predictions:
    """What a model says about the images of one split, and the truth where it is known.

    Args:
        ids: one name per image.
        classes: class names in the order of the columns.
        logits: log-odds that each label is present, float32, shape (images, classes).
        targets: int8, the shape of ``logits``: 1 present, 0 absent, -1 unknown; ``None`` where
            nothing is known about the images.
        split: which part of the data these images are ("val", "test").
        extra: further arrays with one row per image, by name ("variance").
        model: what tells the model from every other, see
            :func:`colabel.runs.identity.weights_fingerprint`; empty where it is not known.
        groups: what each image belongs to, such as a patient; empty where each stands for itself,
            ``None`` where nobody has noted it.
        reading: what was said of how to read the images, if not what the run says; empty if so.

    Raises:
        DataError: if shapes, lengths or types disagree, or an extra array takes the name of a
            field.

    Example:
        >>> logits = np.array([[0.0, 3.0]], dtype=np.float32)
        >>> predictions = Predictions(("a.jpg",), ("cat", "dog"), logits, None, "test")
        >>> predictions.probabilities.round(3).tolist()
        [[0.5, 0.953]]
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int8] | None
    split: str
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    model: str = ""
    groups: tuple[str, ...] | None = ()
    reading: str = ""

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        shape = (len(self.ids), len(self.classes))
        if len(set(self.ids)) != len(self.ids):
            twice = next(name for name, times in Counter(self.ids).items() if times > 1)
            raise DataError(f"two images have the name {twice!r}; every image needs its own.")
        _check_array("logits", self.logits, np.float32, shape)
        if self.targets is not None:
            _check_array("targets", self.targets, np.int8, shape)
        if self.groups and len(self.groups) != shape[0]:
            raise DataError(f"{len(self.groups)} groups for {shape[0]} images.")
        for name, values in self.extra.items():
            if name in _RESERVED:
                raise DataError(f"the extra array {name!r} has the name of a field; rename it.")
            if values.dtype.hasobject or values.shape[:1] != shape[:1]:
                raise DataError(
                    f"the extra array {name!r} must hold numbers or text, one row for each of the "
                    f"{shape[0]} images; got {values.dtype} of shape {values.shape}."
                )

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Sigmoid of the logits, in float64, so that confident predictions do not become ties."""
        return sigmoid(self.logits.astype(np.float64))

    def save(self, path: Path) -> None:
        """Write a compressed ``.npz`` without pickled objects; an older file survives a failure.

        Raises:
            RunError: if the file cannot be written.
        """
        arrays = {
            "ids": np.array(self.ids, dtype=np.str_),
            "classes": np.array(self.classes, dtype=np.str_),
            "logits": self.logits,
            "split": np.array(self.split),
            "model": np.array(self.model),
            "reading": np.array(self.reading),
            **self.extra,
        }
        if self.targets is not None:
            arrays["targets"] = self.targets
        if self.groups is not None:
            arrays["groups"] = np.array(self.groups, dtype=np.str_)
        replace_file(path, lambda file: _write_arrays(file, arrays))

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote.

        Raises:
            RunError: if the file is missing, damaged or not a file of predictions.
        """
        arrays = _read_arrays(path)
        missing = [name for name in _REQUIRED if name not in arrays]
        if missing:
            raise RunError(
                f"{path} is not a file of predictions: it has no array {', '.join(missing)}."
            )
        unnamed = [name for name in ("ids", "classes", "groups") if _is_no_text(arrays, name)]
        if unnamed:
            raise RunError(f"{path} is not a file of predictions: {unnamed[0]} must be names.")
        try:
            return cls(
                ids=tuple(arrays["ids"].tolist()),
                classes=tuple(arrays["classes"].tolist()),
                logits=arrays["logits"],
                targets=arrays.get("targets"),
                split=str(arrays["split"]),
                model=str(arrays.get("model", "")),
                reading=str(arrays.get("reading", "")),
                groups=tuple(arrays["groups"].tolist()) if "groups" in arrays else None,
                extra={name: array for name, array in arrays.items() if name not in _RESERVED},
            )
        except (DataError, TypeError) as error:
            raise RunError(f"{path} is not a file of predictions: {error}") from error


def _is_no_text(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> bool:
    # numpy makes an array of floats of an empty list of names
    return name in arrays and arrays[name].size > 0 and arrays[name].dtype.kind != "U"


def _check_array(
    name: str, values: npt.NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    if values.dtype != dtype or values.shape != shape:
        raise DataError(
            f"{name} must be {np.dtype(dtype)} of shape (images, classes) = {shape}, "
            f"got {values.dtype} of shape {values.shape}."
        )


def check_finite(*numbers: npt.NDArray[Any]) -> None:
    """Refuse what a model says where it is no number, so that nobody takes it for one.

    Args:
        numbers: logits, and variances where there are any.

    Raises:
        RunError: if one is infinite or not a number.

    Example:
        >>> check_finite(np.array([1.0, np.inf]))
        Traceback (most recent call last):
        colabel.errors.RunError: the model gives results that are no finite numbers, ...
    """
    if not all(np.isfinite(values).all() for values in numbers):
        raise RunError(
            "the model gives results that are no finite numbers, so its weights are of no use: "
            "they were damaged, or training went astray; copy the run again, or train anew."
        )


def _write_arrays(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    # numpy's own writers pickle objects, or take an array called "file" for an option
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # opened here, since numpy leaves a file open that turns out to be damaged
        with open_plain(path, follow_links=False) as file:
            _check_claims(file)
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array, expected an archive of several")
            return {name: np.asanyarray(archive[name]) for name in archive.files}
    except FileNotFoundError as error:
        raise RunError(
            f"there are no predictions at {path}; make them with: {_how_to_make(path)}"
        ) from error
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RunError(
            f"{path} is not a readable file of predictions ({reason}); make it again with: "
            f"{_how_to_make(path)}"
        ) from error


def _how_to_make(path: Path) -> str:
    """Return the command that writes a file of predictions."""
    split = path.stem.removeprefix("predictions-")
    if path.stem in ("predictions-val", "predictions-test"):
        return f"colabel evaluate {path.parent} --split {split}"
    return "colabel evaluate RUN"


def _check_claims(file: IO[bytes]) -> None:
    """Refuse arrays that claim more than the archive holds, before room is made for them.

    Raises:
        ValueError: saying which.
    """
    with zipfile.ZipFile(file) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_PREDICTIONS_BYTES:
            raise ValueError(f"more than {MAX_PREDICTIONS_BYTES:,} bytes unpacked")
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version)
                if read is None:
                    raise ValueError(f"{info.filename} is an array of version {version}")
                shape, _, dtype = read(member)
            if math.prod(shape) * dtype.itemsize > info.file_size:
                raise ValueError(f"{info.filename} claims more than it holds")


def score_predictions(
    predictions: Predictions,
    point: OperatingPoint | None = None,
    *,
    protocol: APProtocol = "noninterpolated",
) -> Report:
    """Measure predictions against the targets they carry.

    Args:
        predictions: with targets.
        point: what makes probabilities and labels of the logits; ``None``: the sigmoid, and 0.5.
        protocol: how average precision is computed, see :func:`colabel.metrics.average_precision`.

    Returns:
        Every metric, overall and per class.

    Raises:
        DataError: if the predictions have no targets, or logits that are not numbers.
        ConfigError: on an unknown protocol.

    Example:
        >>> logits = np.array([[2.0], [-1.0]], dtype=np.float32)
        >>> targets = np.array([[1], [0]], dtype=np.int8)
        >>> predictions = Predictions(("a", "b"), ("cat",), logits, targets, "test")
        >>> score_predictions(predictions).mean_average_precision
        1.0
    """
    if predictions.targets is None:
        raise DataError(
            f"the predictions of split {predictions.split!r} carry no targets; metrics need a "
            "split with labels."
        )
    point = point or OperatingPoint.plain(len(predictions.classes))
    return evaluate_scores(
        point.probabilities(predictions.logits),
        predictions.targets,
        thresholds=list(point.thresholds),
        class_names=predictions.classes,
        protocol=protocol,
        logits=predictions.logits,
    )


def write_metrics(
    metrics: Mapping[str, Any], path: Path, facts: Mapping[str, Any] | None = None
) -> None:
    """Write metrics as JSON, undefined values as ``null``; an older file survives a failure.

    Args:
        metrics: plain values.
        path: file to make or replace; its folder must exist.
        facts: written beside the metrics, such as what they were measured on.

    Raises:
        RunError: if the file cannot be written.
    """
    write_json(path, {**(facts or {}), **metrics})
