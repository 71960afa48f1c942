"""A sheet of an Excel or OpenDocument workbook as rows."""

from __future__ import annotations

import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from colabel.data.readers.rows.columns import Columns
from colabel.data.readers.rows.header import find_header
from colabel.data.readers.rows.model import RowOptions, Rows
from colabel.data.readers.rows.workbook_claims import check_contents
from colabel.errors import DataError, MissingExtraError, nearest


def _calamine() -> ModuleType:
    try:
        import python_calamine
    except ModuleNotFoundError as error:
        if error.name != "python_calamine":
            raise
        raise MissingExtraError("python-calamine", extra="formats") from error
    module: ModuleType = python_calamine
    return module


def _text(value: object) -> str:
    """Return the value of a cell as a CSV file would hold it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value).strip()


def _sheets(path: Path, workbook: Any, given: str | None) -> tuple[str, list[list[object]], int]:
    """Return name and cells of the sheet to read, and the number of sheets."""
    names: list[str] = list(workbook.sheet_names)
    if given is not None and given not in names:
        raise DataError(f"{path}: no sheet {given!r}; {nearest(given, names)}")
    filled = {}
    for name in names if given is None else [given]:
        try:
            sheet = workbook.get_sheet_by_name(name)
            cells = sheet.to_python(skip_empty_area=False)
        except Exception as error:
            if given is not None:
                raise
            # a sheet that is a chart has no cells
            if "not found" not in str(error).lower() and "chart" not in str(error).lower():
                raise
            continue
        if any(value not in ("", None) for row in cells for value in row):
            filled[name] = cells
    if not filled:
        raise DataError(f"{path}: no sheet holds anything; expected a header and a row per image.")
    if len(filled) > 1:
        raise DataError(
            f"{path}: {len(filled)} sheets hold something: {', '.join(filled)}; name the one to "
            "read in the option sheet."
        )
    name, cells = next(iter(filled.items()))
    return name, cells, len(names)


def _contents(path: Path, given: str | None) -> tuple[list[list[object]], list[str]]:
    """Return the cells of the sheet to read, and notes."""
    calamine = _calamine()
    try:
        notes = check_contents(path)
        with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
            name, cells, number = _sheets(path, workbook, given)
            return cells, [*([f"the sheet {name!r} of {number}"] * (number > 1)), *notes]
    except DataError:
        raise
    except BaseException as error:
        # a panic in the library is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        encrypted = "assword" in str(error) or _is_encrypted(path)
        reason = "it is protected by a password" if encrypted else str(error)
        raise DataError(
            f"{path}: not a readable workbook ({reason}); save the sheet as CSV UTF-8."
        ) from error


def _is_encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        return "EncryptedPackage".encode("utf-16-le") in file.read(1 << 20)


def read_workbook(path: Path, options: RowOptions) -> Rows:
    """Return the rows of a sheet; see :func:`read_rows`."""
    cells, notes = _contents(path, options.sheet)
    rows = [
        (line, row)
        for line, values in enumerate(cells, start=1)
        if any(row := [_text(value) for value in values])
    ]
    width = max(len(row) for _, row in rows)
    rows = [(line, row + [""] * (width - len(row))) for line, row in rows]
    header = find_header(path, rows[:1000], options, unit="row")
    columns = Columns(header.names)
    columns.add(row for _, row in rows[header.first :])
    notes += header.notes
    named = columns.finish(path, notes)
    return Rows(path, named, [line for line, _ in rows[header.first :]], "row", tuple(notes))
