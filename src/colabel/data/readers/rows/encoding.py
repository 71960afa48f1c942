"""The encoding of a text file, decided by all of its bytes."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from colabel.errors import DataError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 65536
_CANDIDATES = ("cp1252", "cp1250", "cp1251", "gb18030", "shift_jis", "euc_kr", "mac_roman")
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_LATIN_LETTERS = frozenset(
    bytes(byte for byte in range(0xC0, 0xFF) if byte not in b"\xd0\xd7\xdd\xde\xf0\xf7\xfd\xfe")
    + b"\x8c\x9c\xaa\xba"
)
_LATIN_SIGNS = frozenset(
    b"\x80\x84\x85\x91\x92\x93\x94\x96\x97\xa0\xa3\xa7\xa9\xab\xae\xb0\xb1\xb2\xb3\xb4\xb5\xb7\xbb"
    b"\xbc\xbd\xbe\xbf\xd7"
)
_JOINING = frozenset(b"\x92\x96\x97\xb4\xb7")


@final
@dataclass(frozen=True)
class Decoding:
    """How to decode a file.

    Args:
        encoding: Python's name of it.
        notes: what a user should know about the choice.
    """

    encoding: str
    notes: tuple[str, ...] = ()


def _line_of(data: bytes, position: int) -> int:
    """Return the line of a byte, for an encoding in which a line feed is one byte."""
    before = data[:position]
    return 1 + before.count(b"\n") + before.replace(b"\r\n", b"").count(b"\r")


def _excerpt(data: bytes, position: int) -> bytes:
    """Return the word around a byte."""
    start = max(data.rfind(mark, 0, position) for mark in (b"\n", b"\r", b",", b";", b"\t"))
    return re.split(
        rb"[\r\n,;\t]", data[max(start + 1, position - 20) : position + 20], maxsplit=1
    )[0]


def _utf_16_without_mark(data: bytes) -> str | None:
    """Return the byte order of UTF-16 text: where Latin letters have their zero bytes."""
    head = data[: _HEAD - _HEAD % 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 or max(even, odd) * 10 < len(head):
        return None
    if even == 0:
        return "utf-16-le"
    return "utf-16-be" if odd == 0 else None


def _is_western(data: bytes) -> bool:
    """Tell whether the bytes beyond ASCII make sense as the letters of a Western language.

    They do if they are letters or signs of cp1252, no more than two in a row and two only beside
    another letter, no sign stands between two letters, and no capital follows a small letter.
    Text of another script, of a Mac or of DOS breaks one of these rules at once.
    """
    for run in _HIGH_RUN.finditer(data):
        start, end = run.span()
        if end - start > 2 or not all(
            byte in _LATIN_LETTERS or byte in _LATIN_SIGNS for byte in run.group()
        ):
            return False
        before = data[start - 1 : start] if start else b""
        after = data[end : end + 1]
        sign = run.group()[0] in _LATIN_SIGNS and run.group()[0] not in _JOINING
        if sign and end - start == 1 and before.isalpha() and after.isalpha():
            return False
        if end - start == 2 and not (before.isalpha() or after.isalpha()):
            return False
        if before.islower() and run.group()[:1].decode("cp1252").isupper():
            return False
    return True


def _refuse(path: Path, data: bytes, position: int, reason: str) -> DataError:
    word = _excerpt(data, position)
    readings = []
    for encoding in _CANDIDATES:
        try:
            readings.append(f"{word.decode(encoding)!r} ({encoding})")
        except UnicodeDecodeError:
            continue
    shown = f" It could be {', '.join(readings)}." if readings else ""
    return DataError(
        f"{path}, line {_line_of(data, position)}: not UTF-8 text: {reason} at byte {position} of "
        f'the file.{shown} Save the table as UTF-8 (in Excel: "CSV UTF-8"), or name its '
        "encoding in the option encoding."
    )


def _check(path: Path, data: bytes, encoding: str, name: str) -> None:
    """Decode everything once, in pieces, and refuse what cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, step = 1, 1 << 24
    for start in range(0, max(len(data), 1), step):
        piece = data[start : start + step]
        try:
            lines += decoder.decode(piece, start + step >= len(data)).count("\n")
        except UnicodeDecodeError as error:
            # the decoder puts what was left of the last piece before this one
            position = start + len(piece) - len(error.object) + error.start
            lines += error.object[: error.start].decode(error.encoding, "ignore").count("\n")
            raise DataError(
                f"{path}, line {lines}: not {name} text: {error.reason} at byte {position} of the "
                'file; save the table as UTF-8 (in Excel: "CSV UTF-8"), or name its encoding in '
                "the option encoding."
            ) from error
        except UnicodeError as error:
            raise DataError(
                f"{path}: not {name} text: {error}; save the table as UTF-8."
            ) from error


def _find_zero(path: Path, data: bytes) -> None:
    position = data.find(b"\x00")
    if position >= 0:
        raise DataError(
            f"{path}, line {_line_of(data, position)}: a zero byte (byte {position} of the file), "
            "which text does not hold; the file is damaged or no table. Save it as CSV again."
        )


def find_encoding(path: Path, data: bytes, given: str | None = None) -> Decoding:
    """Return the encoding of text, by its byte-order mark or by all of its bytes.

    Without a mark it is UTF-8 if all of it can be; UTF-16 if every second byte tends to be zero;
    cp1252, which older programs in Western Europe and America write, if every byte beyond ASCII
    is one of its letters and stands where such a letter can stand. That choice is told.

    Args:
        path: the file, for messages.
        data: all of it.
        given: the encoding the user named.

    Raises:
        DataError: for any other text; names the line and the byte.
    """
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "a".encode(given)  # refuses rot13 and the like, which are no encodings of text
        except (LookupError, ValueError, UnicodeError):
            raise DataError(
                f"encoding: Python knows no text encoding {given!r}; expected for instance utf-8, "
                "cp1252, gb18030 or utf-16."
            ) from None
        name = "utf-8-sig" if name == "utf-8" else name
        _check(path, data, name, given)
        return Decoding(name)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            _check(path, data, encoding, encoding.upper().removesuffix("-SIG"))
            if encoding == "utf-8-sig":
                _find_zero(path, data)
            return Decoding(encoding, _damage(data) if encoding == "utf-8-sig" else ())
    sixteen = _utf_16_without_mark(data)
    if sixteen is not None:
        _check(path, data, sixteen, "UTF-16")
        return Decoding(sixteen, (f"read as {sixteen.upper()}, which no byte-order mark says",))
    _find_zero(path, data)
    try:
        # decoded whole only to be checked; ASCII costs no copy of another width
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _western(path, data, error)
    return Decoding("utf-8", _damage(data))


def _damage(data: bytes) -> tuple[str, ...]:
    """Return notes about letters that an earlier program has lost."""
    lost = data.find("\ufffd".encode())
    if lost >= 0:
        return (
            f"line {_line_of(data, lost)} holds the sign \ufffd for a letter that an earlier "
            "conversion lost",
        )
    return ()


def _western(path: Path, data: bytes, error: UnicodeDecodeError) -> Decoding:
    first = _HIGH.search(data)
    assert first is not None
    if any(len(run) > 1 and _is_utf_8(run) for run in _HIGH_RUN.findall(data)):
        raise _refuse(path, data, error.start, f"{error.reason} among text that is UTF-8")
    if not _is_western(data):
        raise _refuse(path, data, error.start, error.reason)
    word = _excerpt(data, first.start()).decode("cp1252").strip().strip("\"'")
    return Decoding(
        "cp1252",
        (
            f"not UTF-8, so read as cp1252: {word!r} in line {_line_of(data, first.start())}; "
            "if that is wrong, name the encoding in the option encoding",
        ),
    )


def _is_utf_8(run: bytes) -> bool:
    try:
        run.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
