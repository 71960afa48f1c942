"""How commands print: results, notes, progress, and only one of several processes."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import RenderableType

from colabel.printing import PlainConsole

_unprinted: list[Exception] = []
"""What kept results from being printed."""


def show(result: RenderableType) -> None:
    """Print a result on standard output: a table, or a text that may be wider than the terminal.

    Where it cannot be printed the command goes on to its end, and :func:`finish` says so.
    """
    with _noting():
        PlainConsole().print(result, soft_wrap=isinstance(result, str))


def show_text(text: str) -> None:
    r"""Print a text for other programs on standard output, as UTF-8 wherever it goes.

    A byte of a file name that is no text becomes ``\udcNN``, as JSON writes it too.
    """
    line = (text.removesuffix("\n") + "\n").encode("utf-8", "backslashreplace")
    with _noting():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.flush()
            sys.stdout.buffer.write(line)
        else:
            print(line.decode(), end="")


def speak_utf8() -> None:
    """Write UTF-8 to standard output, whatever the terminal would be given."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


@contextmanager
def _noting() -> Iterator[None]:
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        note_unprinted(error)


def note_unprinted(error: Exception) -> None:
    """Remember what kept a result from being printed, for :func:`finish`."""
    _unprinted.append(error)


def finish() -> bool:
    """Say that results could not be printed, if so; return whether all were.

    Whoever has read enough of them, as ``head`` does, is told nothing.
    """
    if not _unprinted:
        return True
    first = _unprinted[0]
    _unprinted.clear()
    if not isinstance(first, BrokenPipeError):
        reason = first.strerror if isinstance(first, OSError) else first
        say(f"the results could not be printed: {reason}")
    return False


def say(text: str) -> None:
    """Print a note or a warning on standard error, on one line."""
    PlainConsole(stderr=True).print(text, soft_wrap=True)


def prints_results() -> bool:
    """Tell whether this is the process that prints results, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def interrupted_status(name: str | None) -> int:
    """Return the exit status of work that a signal ended: 128 and its number.

    Args:
        name: of the signal; ``None`` where another process got it, which counts as Ctrl-C.

    Example:
        >>> interrupted_status("SIGTERM")
        143
    """
    return 128 + signal.Signals[name or "SIGINT"]


def tell_problems(problems: Iterable[str], *, interrupted: bool, name: str | None) -> None:
    """Say what failed, and leave where work was interrupted that the same command goes on with.

    Args:
        problems: a sentence each.
        interrupted: whether a signal ended the work.
        name: of the signal, as for :func:`interrupted_status`.

    Raises:
        SystemExit: if it was interrupted.
    """
    for problem in problems:
        say(f"failed: {problem}")
    if interrupted:
        say("to go on: the same command again")
        sys.exit(interrupted_status(name))


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
