"""What kind of file a table is, by its first bytes and not by its name."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from colabel.data.opening import open_data, unreadable
from colabel.errors import DataError
from colabel.limits import MAX_FILE_BYTES

Kind = Literal["text", "json", "parquet", "workbook"]

PARQUET_SUFFIXES = (".parquet", ".pq")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")

ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    OSError, EOFError, ValueError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What zipfile raises for an archive that is damaged, encrypted or of an unknown kind."""

_HEAD = 4096
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNPACK = "unpack it and give the table inside"
_EXPORT = "export the table from there as CSV"
_OTHERS = (
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"%PDF", "a PDF document", "save the table it shows as CSV"),
    (b"\x89PNG", "a PNG image", "give the table that lists the images"),
    (b"\xff\xd8\xff", "a JPEG image", "give the table that lists the images"),
    (b"\x89HDF", "an HDF5 file", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"SQLite format 3", "an SQLite database", _EXPORT),
    (b"ARROW1", "an Arrow file", "save the table as Parquet"),
    (b"FEA1", "a Feather file", "save the table as Parquet"),
    (b"ORC", "an ORC file", "save the table as Parquet"),
    (b"Obj\x01", "an Avro file", "save the table as Parquet"),
    (b"MATLAB 5.0", "a MATLAB file", _EXPORT),
    (b"$FL2", "an SPSS file", _EXPORT),
    (b"<stata_dta>", "a Stata file", _EXPORT),
    (b"\x80\x02", "a pickle, which could run code when opened", _EXPORT),
    (b"\x80\x03", "a pickle, which could run code when opened", _EXPORT),
    (b"\x80\x04", "a pickle, which could run code when opened", _EXPORT),
    (b"\x80\x05", "a pickle, which could run code when opened", _EXPORT),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, not the file it stands for",
        "fetch the file itself with git lfs pull",
    ),
)
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta", b"<head", b"<body")


def find_kind(path: Path) -> Kind:
    """Return how a file has to be read.

    Raises:
        DataError: if it is missing, or something that holds no table; says what it is.
    """
    expected = "a table of image paths and labels"
    try:
        with open_data(path, expected=expected, limit=MAX_FILE_BYTES) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise unreadable(path, error, expected) from error
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(_OLE):
        return "workbook"
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    for start, name, remedy in _OTHERS:
        if head.startswith(start):
            raise DataError(f"{path}: this is {name}; {remedy}.")
    text = head.removeprefix(b"\xef\xbb\xbf").replace(b"\x00", b"").lstrip().lower()
    if text.startswith(_MARKUP):
        raise DataError(
            f"{path}: this is a page of HTML or XML, as some programs write under the ending of a "
            "workbook; open it there and save it as CSV or .xlsx."
        )
    return _kind_of_text(path, text)


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_ERRORS as error:
        raise DataError(
            f"{path}: a workbook or archive that is cut off or damaged ({error}); "
            "copy or save it again."
        ) from error
    if any(name.startswith("word/") for name in names):
        raise DataError(f"{path}: this is a Word document; save the table in it as CSV.")
    if "xl/workbook.bin" in names:
        raise DataError(f"{path}: this is a binary workbook (.xlsb); save it as .xlsx or CSV.")
    if "content.xml" in names or any(name.startswith("xl/") for name in names):
        return "workbook"
    held = ", ".join(names[:3]) or "nothing"
    raise DataError(f"{path}: this is a zip archive (with {held}); {_UNPACK}.")


def _kind_of_text(path: Path, text: bytes) -> Kind:
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        raise DataError(
            f"{path}: not a readable Parquet file (it does not begin with PAR1); if it is text, "
            "give it the ending .csv."
        )
    if suffix in JSON_SUFFIXES:
        return "json"
    starts = (b'{"', b"[{", b"{\n", b"{\r", b"[\n", b"[\r")
    compact = text.replace(b" ", b"")
    return "json" if compact.startswith(starts) else "text"
