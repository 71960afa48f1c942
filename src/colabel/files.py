"""Writing a file so that its previous content survives whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from colabel.errors import RunError


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: if the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside the place, force it to disk, then rename: a full disk or a kill costs nothing.

    Args:
        path: file to make or replace; its folder must exist.
        write: called with a binary file to write to.

    Raises:
        RunError: if the disk refuses; the previous file is intact.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> replace_file(path, lambda file: file.write(b"kept"))
        >>> path.read_text()
        'kept'
    """
    beside = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}. What was there before is "
            "intact; make room or check the permissions, then try again."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    with suppress(OSError):  # the new file is in place; some file systems cannot do more
        flush_to_disk(path.parent)
