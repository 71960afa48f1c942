"""How commands print: errors as text, progress, and only one of several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from colabel.printing import PlainConsole, printable_lines


@contextmanager
def errors_as_text() -> Iterator[None]:
    """Print an error of ours as a message and leave with status 2."""
    from colabel.errors import ColabelError

    try:
        yield
    except ColabelError as error:
        text = Text(printable_lines(f"error: {_message(error)}"), style="red")
        PlainConsole(stderr=True).print(text, soft_wrap=True)
        sys.exit(2)


def _message(error: Exception) -> str:
    """Return what an error says, without the trace that torch adds where a worker raised it."""
    text = str(error)
    if "Original Traceback" in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return text.strip()


def say(text: str) -> None:
    """Print a note or a warning on standard error, on one line."""
    PlainConsole(stderr=True).print(text, soft_wrap=True)


def prints_results() -> bool:
    """Tell whether this is the process that prints results, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(
    *, enabled: bool, task: str = "reading images"
) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error, where it is a terminal."""
    console = PlainConsole(stderr=True)
    if not (enabled and console.is_terminal):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(task)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
