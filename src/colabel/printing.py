"""Text from outside, such as names of files and classes, made fit for a terminal."""

from __future__ import annotations

import unicodedata
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


class PlainConsole(Console):
    """A console that takes nothing in a text for markup, an emoji or a control of the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text to be printed; tables and titles come through here, too."""
        return super().render_str(printable(text), **options)


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
