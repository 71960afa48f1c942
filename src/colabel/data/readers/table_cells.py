"""One cell that lists labels, in the ways programs write lists."""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

NO_LABEL = frozenset(
    {"nan", "none", "null", "n/a", "na", "#n/a", "<na>", "nat", "[]", "{}", "()", "set()", "-"}
)
"""Words for a missing value, in lower case."""

_UNPARSED = (
    ValueError, SyntaxError, RecursionError, MemoryError,
    TypeError,  # a list as a key
    OverflowError,  # a number of hundreds of digits
)  # fmt: skip
"""What parsing a cell, and looking at what it holds, may raise."""

_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_NUMPY_TEXT = re.compile(r"""^(?:'[^']*'|"[^"]*")(?:\s+(?:'[^']*'|"[^"]*"))+$""")
_PYTHON_TEXT = re.compile(r"""\['[^'"\\\r\n\0]*'(?:, ?'[^'"\\\r\n\0]*')*\]""")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_CONFIDENCE = re.compile(
    r"^(?P<label>.*\S)\s*(?:[:=]\s*(?P<plain>\d+(?:\.\d+)?|\.\d+)"
    r"|\(\s*(?P<bracketed>\d+(?:\.\d+)?|\.\d+)\s*\))\s*$",
    re.DOTALL,
)
_BEHIND = re.compile(
    r"(?:(?<!\s)\s+)?"  # from its beginning: else a run of blanks is looked at once for each
    r"(?:[:=]\s*\d*\.\d+|[:=]\s*[01](?![\w.])|\(\s*(?:\d+(?:\.\d+)?|\.\d+)\s*\))"
)


@final
@dataclass(frozen=True)
class Unreadable:
    """A bracketed cell that is no list of labels.

    Args:
        reason: in words.
    """

    reason: str


def tidy(name: str) -> str:
    r"""Return a label with one form for what looks alike: Unicode composed, blanks folded.

    Example:
        >>> tidy("cafe\u0301\u00a0 bar") == "caf\u00e9 bar"
        True
    """
    if name.isascii() and "  " not in name and not name[:1].isspace() and name.isprintable():
        return name.rstrip()
    return " ".join(unicodedata.normalize("NFC", name).translate(_INVISIBLE).split())


def is_bracketed(cell: str) -> bool:
    """Tell whether a cell stands in brackets as a whole."""
    return len(cell) > 1 and _BRACKETS.get(cell[0]) == cell[-1]


def unwrapped(cell: str) -> str:
    r"""Return the list within a cell that is JSON text of JSON text, any other cell as it is.

    Example:
        >>> print(unwrapped(r'"[\"cat\", \"dog\"]"'), unwrapped('"cat"'))
        ["cat", "dog"] "cat"
    """
    if len(cell) > 3 and cell[0] == cell[-1] == '"':
        try:
            inner = json.loads(cell)
        except ValueError:
            return cell
        if isinstance(inner, str) and is_bracketed(inner.strip()):
            return inner.strip()
    return cell


def read_brackets(cell: str) -> list[str] | Unreadable:
    """Return the items of a cell in brackets: JSON, Python, NumPy or bare words.

    Example:
        >>> read_brackets("['pleural effusion', 'mass']")
        ['pleural effusion', 'mass']
        >>> read_brackets("[cat, dog]"), read_brackets("[0. 1. 1.]"), read_brackets("['a' 'b']")
        (['cat', 'dog'], ['0.', '1.', '1.'], ['a', 'b'])
        >>> read_brackets('{"choices": ["cat"]}'), read_brackets('{"cat": 1, "dog": 0}')
        (['cat'], ['cat'])
    """
    if _PYTHON_TEXT.fullmatch(cell):  # ten times as quick as Python's own reading
        return [item for item, _ in _QUOTED.findall(cell)]
    inner = cell[1:-1].strip()
    if _NUMPY_TEXT.match(inner):
        # Python would join 'a' 'b' to one word
        return [one or other for one, other in _QUOTED.findall(inner)]
    for parse in (json.loads, _python_value):
        try:
            return _items(parse(cell))
        except _UNPARSED:
            continue
    if cell[0] == "{" and ":" in inner:
        return Unreadable("an object that is neither JSON nor Python")
    if any(character in inner for character in "[]{}"):
        return Unreadable("brackets within brackets")
    parts = inner.split(",") if "," in inner else _words(inner)
    return [part.strip().strip("'\"") for part in parts if part.strip()]


def _python_value(cell: str) -> Any:
    """Return a cell that Python wrote as its value."""
    with warnings.catch_warnings():  # about backslashes, which people write without knowing
        warnings.simplefilter("ignore")
        return ast.literal_eval(cell)


def _words(inner: str) -> list[str]:
    """Return numbers that blanks separate, or the whole as one word."""
    words = inner.split()
    return words if all(re.fullmatch(r"-?\d+\.?\d*", word) for word in words) else [inner]


def _items(value: Any) -> list[str] | Unreadable:
    if type(value) is list and all(type(item) is str for item in value):
        return value
    if isinstance(value, Mapping):
        return _members(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        items: list[str] = []
        for item in sorted(value, key=str) if isinstance(value, (set, frozenset)) else value:
            if isinstance(item, (list, tuple, set, Mapping)):
                inner = _items(item)
                if isinstance(inner, Unreadable):
                    return inner
                items += inner
            else:
                items.append("" if item is None else _word(item))
        return items
    return [_word(value)]


def _members(value: Mapping[Any, Any]) -> list[str] | Unreadable:
    """Return the labels of an object: of its one list, or of its flags."""
    if len(value) == 1:
        (inner,) = value.values()
        if isinstance(inner, (list, tuple, str)):
            return _items(inner) if not isinstance(inner, str) else [inner]
    if value and all(isinstance(flag, (bool, int)) and flag in (0, 1) for flag in value.values()):
        return [str(name) for name, flag in value.items() if flag]
    if value and all(
        isinstance(flag, (int, float)) and math.isfinite(flag) for flag in value.values()
    ):
        return [f"{name}:{float(confidence)}" for name, confidence in value.items()]
    return Unreadable(f"an object with the keys {', '.join(map(str, value))[:80]}")


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def as_vector(items: list[str]) -> tuple[int, ...] | None:
    """Return 0 and 1 as numbers, None where an item is neither.

    Example:
        >>> as_vector(["0", "1.0"]), as_vector(["0", "2"])
        ((0, 1), None)
    """
    flags = [_FLAGS.get(item) for item in items]
    return None if None in flags else tuple(flag for flag in flags if flag is not None)


_FLAGS = {
    "0": 0, "1": 1, "0.0": 0, "1.0": 1, "0.": 0, "1.": 1, "False": 0, "True": 1, "false": 0,
    "true": 1,
}  # fmt: skip


def without_confidence(cells: Iterable[str]) -> list[str] | None:
    """Return the cells without the numbers behind their labels, None where one has none.

    Example:
        >>> without_confidence(["cat:0.9|dog:0.1", "owl:1"])
        ['cat|dog', 'owl']
    """
    stripped: list[str] = []
    fractions = False
    for cell in cells:
        text, count = _BEHIND.subn("", cell)
        if not count or not text.strip():
            return None
        fractions = fractions or "." in cell
        stripped.append(text)
    return stripped if fractions else None


def confidence(part: str) -> tuple[str, float] | None:
    """Return a label and the number behind it.

    Example:
        >>> confidence("cat:0.93"), confidence("red cat (0.5)"), confidence("cat")
        (('cat', 0.93), ('red cat', 0.5), None)
    """
    match = _CONFIDENCE.match(part)
    if match is None:
        return None
    return match["label"].strip(), float(match["plain"] or match["bracketed"])
