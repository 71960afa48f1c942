"""Text from outside, such as names of files and classes, made fit for a terminal and for JSON."""

from __future__ import annotations

import io
import json
import math
import re
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories without a shape: control characters, surrogates, line and paragraph ends."""
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of the writing direction, which can show a name in another order than it has."""
_UNSEEN = frozenset(
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
    "\ufff9\ufffa\ufffb"
)
"""Letters without a width, with which two names look the same. The joiners of Persian words and
of emoji (U+200C and U+200D) are none of them: without these, names are not spelt as they are."""
_TAGS = range(0xE0000, 0xE0080)
"""Letters that repeat ASCII unseen."""
ACTS_ON_TERMINAL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""A letter that acts: controls, ends of lines, writing directions, halves of surrogate pairs."""


def printable(text: str) -> str:
    r"""Return a text on one line in which everything that would act on a terminal is written out.

    Args:
        text: any text; control characters, ends of lines, halves of surrogate pairs, controls
            of the writing direction and letters that nobody sees become escapes such as ``\x1b``.

    Example:
        >>> print(printable("Zähne [links]\x1b[31m\n"))
        Zähne [links]\x1b[31m\x0a
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) if _is_unprintable(letter) else letter for letter in text)


def printable_lines(text: str) -> str:
    r"""Return a text of several lines as :func:`printable` lines, all but the first indented.

    So what follows the end of a line in a name cannot pass for a message of its own.

    Example:
        >>> print(printable_lines("two keys:\n  a\nb\x07"))
        two keys:
          a
          b\x07
    """
    first, *others = text.split("\n")
    return "\n".join(
        [printable(first), *(f"  {printable(line.removeprefix('  '))}" for line in others)]
    )


def plain(text: str, style: str = "") -> Text:
    """Return a text that a console prints as it stands: neither markup nor emoji codes count."""
    return Text(printable(text), style=style)


class _Unfailing(io.TextIOBase):
    """Standard error as it is now; what it does not take is dropped.

    Nobody can be told that nobody can be told, and no training should end of it: the terminal may
    have gone, the pipe may be closed, the disk that it is sent to may be full.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            if (stream := self._stream()) is not None:
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what can be."""
        with suppress(OSError, ValueError):
            if (stream := self._stream()) is not None:
                stream.flush()

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        with suppress(ValueError):
            return (stream := self._stream()) is not None and stream.isatty()
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What letters are written as."""
        return getattr(self._stream(), "encoding", None) or "utf-8"

    def _stream(self) -> Any:
        """Return standard error itself; while a bar is shown, rich stands in its place."""
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr)


class PlainConsole(Console):
    """A console that takes nothing in a text for markup, an emoji or a control of the terminal.

    On standard error it never fails.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        if stderr:
            options["file"] = _Unfailing()
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text to be printed; tables and titles come through here, too."""
        return super().render_str(printable(text), **options)


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""Return a value as JSON that any parser takes and any terminal shows.

    Letters stay as they are, but what acts on a terminal and halves of surrogate pairs, which are
    no UTF-8, become escapes of JSON. A number that is not finite is ``null``.

    Args:
        value: of dictionaries, lists, tuples, text, numbers, booleans and ``None``.
        indent: as for :func:`json.dumps`.

    Example:
        >>> print(json_text({"größe": float("nan"), "x\x1b\x9b": "\udcff"}))
        {"größe": null, "x\u001b\u009b": "\udcff"}
    """
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return escape_acting(text, keep="\n")


def escape_acting(text: str, *, keep: str = "") -> str:
    r"""Return a text with ``\uNNNN`` in place of each letter that acts on a terminal.

    Letters that are merely unseen stay: the text is data, which is read again.

    Args:
        text: any text.
        keep: letters that stay.

    Example:
        >>> print(escape_acting("a\tb\x9b\u202e", keep="\t"))
        a	b\u009b\u202e
    """
    return ACTS_ON_TERMINAL.sub(
        lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text
    )


def _finite(value: Any) -> Any:
    """Return the value with every number that JSON cannot hold replaced by ``None``."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_unprintable(letter: str) -> bool:
    return (
        unicodedata.category(letter) in _INVISIBLE
        or letter in _DIRECTIONS
        or letter in _UNSEEN
        or ord(letter) in _TAGS
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
