"""JSON files of annotations, decoded into the fields that are read and nothing else."""

from __future__ import annotations

import json
import mmap
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from colabel.data.garbage import collector_paused
from colabel.data.opening import open_data
from colabel.errors import DataError
from colabel.foreign import read_plain, within_depth
from colabel.limits import MAX_JSON_BYTES, MAX_JSON_DEPTH

T = TypeVar("T")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@collector_paused()
def read_json(path: Path, kind: type[T], *, expected: str) -> T:
    """Return a JSON file as a type; fields that the type does not name are skipped.

    The file is mapped into memory, not read.

    Args:
        path: a plain file.
        kind: a type that msgspec decodes and that holds no part of the file itself.
        expected: what the file should hold, for the message.

    Raises:
        DataError: if there is no plain file, or it holds no JSON, or JSON of another shape.
    """
    try:
        with (
            open_data(path, expected=expected, limit=MAX_JSON_BYTES) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            start = len(_BYTE_ORDER_MARK) * (mapped[:3] == _BYTE_ORDER_MARK)
            content = memoryview(mapped)
            try:
                return msgspec.json.decode(content[start:], type=kind)
            finally:
                content.release()
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: not as expected ({error}); expected {expected}.") from error
    except DataError:
        raise
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: an empty file has no map
        raise DataError(
            f"{path}: not readable JSON ({error}); export or download it again, as UTF-8."
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply; expected {expected}.") from error
    except (OSError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read ({error or type(error).__name__}).") from error


def _unique(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object with a key twice; keep nothing of it."""
    if len(dict(pairs)) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise KeyError(key)
            seen.add(key)


@collector_paused()
def refuse_repeated_keys(path: Path) -> None:
    """Refuse a JSON file in which an object has a key twice, of which decoders keep the last.

    Args:
        path: a file that has been decoded before.

    Raises:
        DataError: names the key.
    """
    try:
        content = read_plain(path, limit=MAX_JSON_BYTES).removeprefix(_BYTE_ORDER_MARK).decode()
        # numbers stay text: they are not looked at, and may be longer than Python converts
        json.loads(content, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except KeyError as error:
        raise DataError(
            f"{path}: the key {error.args[0]!r} occurs twice in one object; expected it once. "
            "Only one of the two values would be read."
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be looked through.") from error
    except (OSError, ValueError, MemoryError) as error:
        raise DataError(
            f"{path}: cannot be looked through ({error or type(error).__name__})."
        ) from error


def refuse_deep(path: Path, value: object) -> None:
    """Refuse values that are nested more deeply than Python can show them.

    Raises:
        DataError: names the file.
    """
    if not within_depth(value):
        raise DataError(
            f"{path}: lists and objects within each other more than {MAX_JSON_DEPTH} deep; "
            "expected annotations of images."
        )


def refuse_more_keys_than(path: Path, expected: Mapping[str, int]) -> None:
    """Refuse repeated keys in a large file, which is looked through only on suspicion.

    Args:
        path: a file that has been decoded before.
        expected: how often each key occurs if no object has it twice.

    Raises:
        DataError: as :func:`refuse_repeated_keys`.
    """
    pattern = re.compile(rb'"(' + b"|".join(key.encode() for key in expected) + rb')"\s*:')
    with (
        open_data(path, expected="the file that was decoded before", limit=MAX_JSON_BYTES) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        found = Counter(match[1].decode() for match in pattern.finditer(mapped))
    if any(found[key] > count for key, count in expected.items()):
        refuse_repeated_keys(path)
