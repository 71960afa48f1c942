"""What scores, targets and thresholds must look like, checked once where they come in."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int8

from colabel.errors import ConfigError, DataError
from colabel.metrics.decisions import UNKNOWN


def check_scores(
    scores: npt.ArrayLike, name: str = "scores"
) -> Float[np.ndarray, "images classes"]:
    """Return scores as an array, once it is sure that they are probabilities.

    Args:
        scores: anything that numpy makes a matrix (images, classes) of.
        name: what they are called in messages.

    Returns:
        The same numbers in [0, 1]; float32 where they were that or less, else float64.

    Raises:
        DataError: unless they are a matrix of numbers in [0, 1] with at least one row and column.

    Example:
        >>> check_scores([[0, 1]])
        array([[0., 1.]])
    """
    values = np.asarray(scores)
    if values.dtype.kind not in "fiub":
        raise DataError(f"{name} must be numbers, got an array of {values.dtype}.")
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(
            f"{name} must have shape (images, classes) with at least one of each, "
            f"got {values.shape}."
        )
    single = values.dtype.kind == "f" and values.itemsize <= 4
    values = values.astype(np.float32 if single else np.float64, copy=False)
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:  # false where one of them is NaN
        return values
    if np.isnan(low):
        row, column = np.argwhere(np.isnan(values))[0]
        raise DataError(
            f"{name}: the value of image {row}, class {column} is not a number (NaN); "
            "look for a loss that diverged, or a division by zero, where the scores were made."
        )
    raise DataError(
        f"{name} must be probabilities in [0, 1], got values from {low} to {high}; "
        "apply the sigmoid to logits, divide percentages by 100."
    )


def check_targets(
    targets: npt.ArrayLike, shape: tuple[int, ...], of: str = "scores"
) -> Int8[np.ndarray, "images classes"]:
    """Return targets as an array, once it is sure that they are 1, 0 or -1.

    Args:
        targets: anything that numpy makes a matrix (images, classes) of.
        shape: the shape that they must have.
        of: what has this shape, in messages; a word in the plural.

    Returns:
        1 present, 0 absent, -1 unknown.

    Raises:
        DataError: on another shape or another value.

    Example:
        >>> check_targets([[1.0, -1.0]], (1, 2))
        array([[ 1, -1]], dtype=int8)
    """
    values = np.asarray(targets)
    if values.shape != shape:
        raise DataError(
            f"targets must have the {of}' shape (images, classes) = {shape}, got {values.shape}."
        )
    valid = (values == 1) | (values == 0) | (values == UNKNOWN)
    if not valid.all():
        row, column = np.argwhere(~valid)[0]
        raise DataError(
            "targets must be 1 (present), 0 (absent) or -1 (unknown), "
            f"got {values[row, column]} for image {row}, class {column}."
        )
    return values.astype(np.int8, copy=False)


def check_thresholds(
    thresholds: float | npt.ArrayLike, classes: int
) -> Float[np.ndarray, " classes"]:
    """Return one threshold per class.

    Raises:
        ConfigError: on another number of thresholds, or any outside [0, 1].

    Example:
        >>> check_thresholds(0.5, 2).tolist()
        [0.5, 0.5]
    """
    values = np.asarray(thresholds, dtype=np.float64)
    if values.shape not in ((), (classes,)):
        raise ConfigError(
            f"thresholds must be one number or one per class ({classes}), "
            f"got an array of shape {values.shape}."
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ConfigError(f"thresholds must lie in [0, 1], got {values.tolist()}.")
    return np.full(classes, values)


def check_logits(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return logits as a table in float64.

    Raises:
        DataError: on anything but finite numbers of shape (images, classes).

    Example:
        >>> check_logits([1, 2])
        Traceback (most recent call last):
        colabel.errors.DataError: logits must have shape (images, classes), got (2,).
    """
    values = np.asarray(logits)
    if values.dtype.kind not in "fiub":
        raise DataError(f"logits must be numbers, got an array of {values.dtype}.")
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"logits must have shape (images, classes), got {values.shape}.")
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"the logit of image {row}, class {column} is {values[row, column]}; look for a loss "
            "that diverged, or probabilities of exactly 0 or 1 that were turned into logits."
        )
    return values
