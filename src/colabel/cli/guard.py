"""What stands around every command: its errors in words, its interruption, its last defence.

An exit status of 0 means done, 1 done except for what was named, 2 refused with what to do,
70 a fault that nobody expected, 128 and the number of a signal interrupted by it.
"""

from __future__ import annotations

import errno
import functools
import os
import platform
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, NoReturn

from rich.text import Text

from colabel.cli.output import say
from colabel.errors import ColabelError
from colabel.limits import ADDRESS_SPACE
from colabel.printing import PlainConsole, printable, printable_lines
from colabel.version import VERSION

REFUSED, UNEXPECTED = 2, 70
"""Exit statuses: what the user can mend, and what we have to (EX_SOFTWARE of sysexits.h)."""

_MEMORY = (
    "the memory is not enough. Lower training.batch_size, data.image_size or data.cache_mb in a "
    "recipe, --batch of predict, or give the process more memory"
)
_MEMORY_WORDS = (
    "can't allocate memory", "out of memory", "cannot allocate memory", "failed to map segment",
)  # fmt: skip


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that ends with words and a status, whatever happens in it."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        with ExitStack() as stack:
            stack.enter_context(errors_as_text())
            stack.enter_context(signals_as_interruption())
            _warn_of_address_space()
            command(*arguments, **options)

    return run


@contextmanager
def errors_as_text() -> Iterator[None]:
    """Turn whatever ends a command into a message and a status."""
    try:
        yield
    except ColabelError as error:
        print_error(_message(error))
        sys.exit(REFUSED)
    except BrokenPipeError:  # whoever reads the results has read enough, as head does
        sys.exit(1)
    except KeyboardInterrupt as interruption:
        _end_interrupted(interruption)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            _end_unexpectedly(error)
        name = os.fsdecode(error.filename or "")
        print_error(
            f"{name[:60]!r}... is longer than a path may be ({len(name):,} letters); check what "
            "was given, or give a shorter one."
        )
        sys.exit(REFUSED)
    except Exception as error:  # the last line of defence: nobody should have to read a trace
        # while a class is made, as in an import, Python 3.11 wraps an interruption in an error
        if isinstance(error.__cause__, KeyboardInterrupt):
            _end_interrupted(error.__cause__)
        _end_unexpectedly(error)


def _end_interrupted(interruption: KeyboardInterrupt) -> NoReturn:
    say("interrupted; no file is left half written")
    number = interruption.args[0] if interruption.args else signal.SIGINT
    sys.exit(128 + int(number))


def _end_unexpectedly(error: Exception) -> NoReturn:
    print_error(printable(_words(error)))
    say(_where_it_is_written(error))
    sys.exit(UNEXPECTED)


@contextmanager
def signals_as_interruption() -> Iterator[None]:
    """Raise KeyboardInterrupt for the polite kill and the hang-up too, so that both clean up.

    What is ignored, as under nohup, stays ignored. A further hang-up is none: a terminal that
    goes away sends several.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if number == signal.SIGHUP:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _warn_of_address_space() -> None:
    """Say in advance what the libraries of torch do not get to say when they end the process."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < ADDRESS_SPACE:
        say(
            f"note: the address space is limited to {allowed / 1e9:.1f} GB (ulimit -v); loading "
            f"torch may need {ADDRESS_SPACE / 1e9:.1f}"
        )


def print_error(text: str) -> None:
    """Print what went wrong on standard error; lines after the first are indented."""
    PlainConsole(stderr=True).print(
        Text(printable_lines(f"error: {text}"), style="red"), soft_wrap=True
    )


def _message(error: Exception) -> str:
    """Return what an error says, without the trace that torch adds where a worker raised it."""
    text = str(error)
    if "Original Traceback" in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return text.strip()


def _words(error: Exception) -> str:
    """Return one line on an error that nobody expected."""
    text = " ".join(_message(error).split())
    if isinstance(error, MemoryError) or any(word in text.lower() for word in _MEMORY_WORDS):
        return f"{_MEMORY} ({text or type(error).__name__})."
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{place}{error.strerror}."
    if isinstance(error, ImportError):
        return f"a package that colabel needs cannot be imported: {text}; install it again."
    return f"something unexpected happened: {type(error).__name__}: {text}"[:500]


def _where_it_is_written(error: Exception) -> str:
    """Write the trace to a file that only its owner can read; say where it is."""
    trace = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="colabel-error-", suffix=".txt")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(
                f"colabel {VERSION}, Python {platform.python_version()}, {platform.platform()}\n"
                f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{' '.join(sys.argv)}\n\n{trace}"
            )
    except OSError:
        PlainConsole(stderr=True).print(Text(printable_lines(trace)), soft_wrap=True)
        return "If this looks like a fault of colabel, please report it with the lines above."
    return f"The details are in {path}; if it looks like a fault of colabel, please report it."
