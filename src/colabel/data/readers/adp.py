"""Atlas of Digital Pathology: histological tissue types at three levels of a taxonomy."""

from __future__ import annotations

import io
import math
import os
import re
import tokenize
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colabel.data.listed import find_images
from colabel.data.opening import read_data
from colabel.data.paths import contained, first_existing
from colabel.data.readers.rows import Rows, read_rows
from colabel.data.records import Records
from colabel.errors import DataError, nearest
from colabel.limits import MAX_ROW_NUMBERS_BYTES

Level = Literal["L1", "L2", "L3"]

_TABLE = "ADP_EncodedLabels_Release1_Flat.csv"
_IMAGES = "img_res_1um_bicubic"
_RELEASE = "ADP V1.0 Release"
_NAMES = "Patch Names"
_CODE = re.compile(r"[A-Z](\.[A-Z])*")
_ERRORS = (
    ValueError, TypeError, MemoryError,
    SyntaxError, tokenize.TokenError, RecursionError,  # the header is Python
)  # fmt: skip
"""What reading a damaged file of NumPy's may raise."""
_SPLIT_FILES = {"train": "train.npy", "val": "valid.npy", "test": "test.npy"}
_DEPTHS = {"L1": 1, "L2": 2, "L3": 3}


def codes_at_level(codes: Sequence[str], level: Level) -> tuple[str, ...]:
    """Return the codes of one level of the taxonomy.

    A code has a part per level (C, C.D, C.D.R). A level holds the codes of that depth, and the
    shallower ones that nothing refines, so that each level covers all tissue.

    Source: Hosseini et al., Atlas of Digital Pathology, 2019. The flat release has 9, 19 and 22
    codes at the three levels.

    Deviation: KMCL states 11 codes at level 2, of which the release knows nothing.

    Args:
        codes: all codes, in the order of the table.
        level: "L1", "L2" or "L3".

    Example:
        >>> codes_at_level(["C", "C.D", "C.D.R", "C.L", "M"], "L2")
        ('C.D', 'C.L', 'M')
    """
    depth = _DEPTHS[level]
    refined = {code.rsplit(".", 1)[0] for code in codes if "." in code}
    return tuple(
        code
        for code in codes
        if code.count(".") + 1 == depth or (code.count(".") + 1 < depth and code not in refined)
    )


def _find_release(root: Path) -> tuple[Path, Path]:
    """Return the folder of the release and its table of labels."""
    candidates = [
        folder / inner / _TABLE for folder in (root, root / _RELEASE) for inner in (".", "lbl")
    ]
    layout = f"{_TABLE}, {_IMAGES} and splits with train.npy, valid.npy and test.npy"
    table = first_existing(candidates, what="ADP", layout=layout)
    folder = table.parent.parent if table.parent.name == "lbl" else table.parent
    return folder, table


def _parse_array(content: bytes) -> npt.NDArray[Any]:
    """Return the array in a file of NumPy's.

    Raises:
        ValueError: also if it claims more numbers than the file has bytes for, which NumPy would
            make room for first.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"version {version} of the format, expected 1.0 or 2.0")
    with warnings.catch_warnings():  # about headers of Python 2, which are read all the same
        warnings.simplefilter("ignore", UserWarning)
        shape, _, kind = read_header(file)
    held = len(content) - file.tell()
    if any(side < 0 for side in shape) or math.prod(shape) * kind.itemsize > held:
        raise ValueError(f"it claims the shape {shape}, but holds {held} bytes")
    if not np.issubdtype(kind, np.number):
        raise ValueError(f"it holds {kind}")
    return np.frombuffer(content, kind, math.prod(shape), file.tell()).reshape(shape)


def _read_rows_of(path: Path, rows: int) -> npt.NDArray[np.int64]:
    """Return the row numbers of a split."""
    if not os.path.lexists(path):
        raise DataError(
            f"{path}: no such file; expected the rows of this split as an integer array. Without "
            f"the published split, give {_TABLE} itself as a table with the option image: "
            f"{_NAMES!r}."
        )
    content = read_data(
        path, expected="the rows of this split as an array", limit=MAX_ROW_NUMBERS_BYTES
    )
    try:
        numbers = _parse_array(content)
    except _ERRORS as error:
        raise DataError(f"{path}: not a plain array of numbers ({error}).") from error
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer) or not numbers.size:
        raise DataError(
            f"{path}: {numbers.dtype} of shape {numbers.shape}; expected one list of integers."
        )
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= rows or len(np.unique(numbers)) != len(numbers):
        raise DataError(
            f"{path}: row numbers from {low} to {high}; expected each once, within the {rows} "
            "rows of the table."
        )
    return numbers.astype(np.int64)


def _read_column(rows: Rows, code: str, chosen: Sequence[int]) -> list[int]:
    values = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
    cells = rows.columns[code]
    for row in chosen:
        if cells[row] not in values:
            raise DataError(
                f"{rows.where(row)}: {cells[row]!r} in the column {code}; expected 0 or 1."
            )
    return [values[cells[row]] for row in chosen]


def read_adp(
    root: Path, split: str, *, level: Level = "L1", require_images: bool = True
) -> Records:
    """Read the Atlas of Digital Pathology, release 1 with flat labels.

    The published split divides patches, not slides: patches of one slide occur in training and
    in test. A note says so; ``groups`` is empty, since the slides are not kept together.

    Args:
        root: the folder with the table, ``img_res_1um_bicubic`` and ``splits``, or the one above.
        split: "train", "val" or "test".
        level: of the taxonomy; see :func:`codes_at_level`.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Raises:
        DataError: if the folder, the table or the split is not as described.
    """
    if split not in _SPLIT_FILES:
        raise DataError(f"split: {split!r}; {nearest(split, _SPLIT_FILES)}")
    if level not in _DEPTHS:
        raise DataError(f"level: {level!r}; {nearest(level, _DEPTHS)}")
    folder, table = _find_release(root)
    rows = read_rows(table)
    if _NAMES not in rows.columns:
        raise DataError(f"{table}: no column {_NAMES!r}; {nearest(_NAMES, rows.columns)}")
    classes = codes_at_level([name for name in rows.columns if _CODE.fullmatch(name)], level)
    if not classes:
        raise DataError(
            f"{table}: no columns of level {level}; expected codes such as E or C.D.R."
        )
    chosen = _read_rows_of(folder / "splits" / _SPLIT_FILES[split], len(rows)).tolist()
    patches = [
        contained(folder / _IMAGES, rows.columns[_NAMES][row], where=rows.where(row))
        for row in chosen
    ]
    targets = np.array([_read_column(rows, code, chosen) for code in classes], dtype=np.int8).T
    images, notes = find_images(
        folder,
        [f"{_IMAGES}/{patch}" for patch in patches],
        source=table,
        require_images=require_images,
    )
    notes = (*notes, "the published split divides patches, not slides")
    return Records(tuple(patches), images, targets, classes, root=folder, notes=notes)
