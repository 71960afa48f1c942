"""Text from outside, such as names of files and classes, made fit for a terminal."""

from __future__ import annotations

import io
import sys
import unicodedata
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories without a shape: control characters, surrogates, line and paragraph ends."""
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of the writing direction, which can show a name in another order than it has."""


def printable(text: str) -> str:
    r"""Return a text on one line in which everything that would act on a terminal is written out.

    Args:
        text: any text; control characters, ends of lines, halves of surrogate pairs and controls
            of the writing direction become escapes such as ``\x1b``.

    Example:
        >>> print(printable("Zähne [links]\x1b[31m\n"))
        Zähne [links]\x1b[31m\x0a
    """
    return "".join(_escaped(letter) if _acts(letter) else letter for letter in text)


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


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
