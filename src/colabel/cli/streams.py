"""The standard streams at the beginning and at the end of a command."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


def open_streams() -> None:
    """Make the streams safe to use, however the program was started.

    A descriptor that the caller closed would be given to the next file that is opened, and what a
    library prints would end in a log or a model. A closed standard output refuses what is printed
    to it, as a full disk does; a closed standard error takes it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free, which is this one
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be text, and a terminal need not know every letter of a class.
        sys.stdout.reconfigure(errors="backslashreplace")
    elif sys.stdout is None:
        sys.stdout = _closed()


def close_streams() -> bool:
    """Write out what is left; return whether standard output took it.

    Python would report a failure after everything is done, with a status of its own.
    """
    taken = True
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:
            taken = taken and descriptor != 1
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return taken


def _closed() -> TextIO:
    """Return a text file that is closed."""
    file = io.StringIO()
    file.close()
    return file
