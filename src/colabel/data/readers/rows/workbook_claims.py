"""What a workbook claims, looked at before a library makes room for it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from colabel.data.readers.rows.kinds import ZIP_ERRORS
from colabel.errors import DataError
from colabel.limits import MAX_SHEET_CELLS, MAX_WORKBOOK_BYTES

_BLOCK = 1 << 20
_ERROR = re.compile(rb'<c [^>]*t="e"')
_NO_RESULT = re.compile(rb"(?:</f>|<f [^>]*/>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
# what follows errs on the side of too many: a cell that is overlooked may end the process
_STYLED = re.compile(rb'<c r="[A-Z]+\d+"(?: s="\d+")?/>')
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]+)(\d+)["']""")
_ROW_NUMBER = re.compile(rb"""\br\s*=\s*["'](\d+)["']""")
_ROW = re.compile(rb"<(?:[^\s<>/!?]+:)?row(?=[\s/>])")
_PLACELESS = re.compile(rb"""<(?:[^\s<>/!?]+:)?c(?!\s+r=["'])[\s/>]""")
_NUMBERLESS = re.compile(rb"""<(?:[^\s<>/!?]+:)?row(?!\s+r=["'])[\s/>]""")
_ODS_ROW = re.compile(rb"<[^\s<>/!?]*table-row(?=[\s/>])")
_ODS_CELL = re.compile(rb"<[^\s<>/!?]*table-cell(?=[\s/>])")
_ODS_COLUMNS = re.compile(rb"""number-columns-repeated\s*=\s*["']\s*(\d+)""")
_ODS_ROWS = re.compile(rb"""number-rows-repeated\s*=\s*["']\s*(\d+)""")
_MOST_DIGITS = 12


def check_contents(path: Path) -> list[str]:
    """Refuse a workbook that is too large or whose formulas have no results; return notes.

    The library reads an error, and a formula that no program has computed, as a blank cell. It
    makes room for all cells up to the last one, and ends the process where there is none.

    Args:
        path: of the workbook.

    Raises:
        DataError: says what to do.
    """
    size = path.stat().st_size
    if size > MAX_WORKBOOK_BYTES or not zipfile.is_zipfile(path):
        _refuse_size(path, size)
        return []
    errors = 0
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_size(path, max(size, sum(entry.file_size for entry in entries)))
            for entry in entries:
                text = _unpacked(path, archive, entry)
                if b"sheetData" in text:
                    _refuse_cells(path, *_sheet_size(text))
                if entry.filename == "content.xml":
                    _refuse_cells(path, *_ods_size(text))
                if entry.filename.startswith("xl/worksheets/"):
                    errors += len(_ERROR.findall(text))
                    if _NO_RESULT.search(text):
                        raise DataError(
                            f"{path}: it holds formulas without results, as programs write that "
                            "do not compute them; open it in Excel or LibreOffice and save it."
                        )
    except DataError:
        raise
    except ZIP_ERRORS as error:
        raise DataError(
            f"{path}: not a readable workbook ({error}); save the sheet as CSV UTF-8."
        ) from error
    return [f"{errors} cells of the workbook hold an error such as #N/A, read as blank"] * (
        errors > 0
    )


def _refuse_size(path: Path, size: int) -> None:
    if size > MAX_WORKBOOK_BYTES:
        raise DataError(
            f"{path}: {size} bytes when unpacked are more than the limit of {MAX_WORKBOOK_BYTES}; "
            "save the sheet as CSV."
        )


def _unpacked(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return an entry of an archive, or refuse it if it is larger than it says."""
    claimed, parts, size = entry.file_size, [], 0
    entry.file_size = MAX_WORKBOOK_BYTES + 1  # else what comes after is passed over in silence
    with archive.open(entry) as file:
        while part := file.read(_BLOCK):
            parts.append(part)
            size += len(part)
            if size > claimed:
                break
    if size != claimed:
        raise DataError(
            f"{path}: not a readable workbook ({entry.filename} does not have the size that it "
            "claims); save the sheet as CSV UTF-8."
        )
    return b"".join(parts)


def _refuse_cells(path: Path, rows: int, columns: int) -> None:
    if rows * columns > MAX_SHEET_CELLS:
        raise DataError(
            f"{path}: a sheet of {rows:,} rows and {columns:,} columns up to its last cell, where "
            f"at most {MAX_SHEET_CELLS:,} cells are read; delete what stands far off the table, "
            "or save the sheet as CSV."
        )


def _sheet_size(text: bytes) -> tuple[int, int]:
    """Return the rows and columns up to the last cell of Excel's XML, or more."""
    rows, columns = _placed(text)
    if rows * columns > MAX_SHEET_CELLS:  # cells that only have a colour do not count
        rows, columns = _placed(_STYLED.sub(b"", text))
    if _PLACELESS.search(text):
        columns += max(len(_PLACELESS.findall(part)) for part in _ROW.split(text))
        rows = max(rows, _largest(set(_ROW_NUMBER.findall(text))))
        rows += len(_NUMBERLESS.findall(text))
    return rows, columns


def _placed(text: bytes) -> tuple[int, int]:
    """Return the last row and column that a cell names."""
    places = _PLACE.findall(text)
    columns = max(map(_column_number, {column for column, _ in places}), default=0)
    return _largest({row for _, row in places}), columns


def _largest(digits: set[bytes]) -> int:
    return max((int(number[:_MOST_DIGITS]) for number in digits), default=0)


def _column_number(letters: bytes) -> int:
    """Return the number of a column.

    Example:
        >>> _column_number(b"A"), _column_number(b"AA"), _column_number(b"xfd")
        (1, 27, 16384)
    """
    number = 0
    for letter in letters[:_MOST_DIGITS].upper():
        number = 26 * number + letter - 64
    return number


def _ods_size(text: bytes) -> tuple[int, int]:
    """Return the rows and columns up to the last cell of OpenDocument's XML, or more."""
    rows = columns = last = 0
    for part in _ODS_ROW.split(text)[1:]:
        repeated = _ODS_ROWS.search(part)
        rows += int(repeated[1][:_MOST_DIGITS]) if repeated else 1
        end = part.rfind(b"value")
        if end < 0:  # a row of blank cells
            continue
        end = part.find(b"table-cell", end)
        filled = part if end < 0 else part[:end]
        width = len(_ODS_CELL.findall(filled))
        width += sum(int(number[:_MOST_DIGITS]) for number in _ODS_COLUMNS.findall(filled))
        last, columns = rows, max(columns, width)
    return last, columns
