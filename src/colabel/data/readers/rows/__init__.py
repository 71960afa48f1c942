"""Rows of a table of any common program as text, each with the line it stands on."""

from __future__ import annotations

from pathlib import Path

from colabel.data.readers.rows.embedded import EmbeddedImages, embedded_images
from colabel.data.readers.rows.kinds import find_kind
from colabel.data.readers.rows.model import (
    FIND_OUT,
    LIST_DELIMITER,
    Blobs,
    Dialect,
    RowOptions,
    Rows,
    concatenate,
)
from colabel.data.readers.rows.text import read_text
from colabel.errors import DataError

__all__ = [
    "LIST_DELIMITER",
    "Blobs",
    "Dialect",
    "EmbeddedImages",
    "RowOptions",
    "Rows",
    "concatenate",
    "embedded_images",
    "read_rows",
]


def read_rows(path: Path, options: RowOptions = FIND_OUT) -> Rows:
    """Return the rows of a table as text.

    What kind of file it is is told by its content. A text file is divided by the separator and
    the quotes that explain its rows best; titles, comments and blank lines above the header are
    left out, and told. A list in a cell is joined by :data:`LIST_DELIMITER`.

    Args:
        path: text (CSV, TSV and the like), Parquet, JSON, JSON lines or a workbook.
        options: how to read it.

    Returns:
        At least one row; what was decided stands in its notes and its dialect.

    Raises:
        DataError: if the file is missing, empty, not a table, or ragged; names file and line.
        MissingExtraError: for Parquet without pyarrow and workbooks without python-calamine.
    """
    kind = find_kind(path)
    if kind == "parquet":
        from colabel.data.readers.rows.parquet import read_parquet

        rows = read_parquet(path, options)
    elif kind == "workbook":
        from colabel.data.readers.rows.workbook import read_workbook

        rows = read_workbook(path, options)
    elif kind == "json":
        from colabel.data.readers.rows.json_records import read_json

        rows = read_json(path, options)
    else:
        rows = read_text(path, options)
    if not len(rows):
        raise DataError(f"{path}: no rows; expected one per image below the header.")
    if not rows.columns:
        raise DataError(
            f"{path}: no column has a name; expected one of images and some of labels."
        )
    return rows
