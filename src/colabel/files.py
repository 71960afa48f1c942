"""Writing a file so that its previous content survives whatever goes wrong."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from colabel.errors import RunError


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside the place, force it to disk, then rename: a full disk or a kill costs nothing.

    Args:
        path: file to make or replace; its folder must exist.
        write: called with a binary file to write to.

    Raises:
        RunError: if the disk refuses; the previous file is intact.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> replace_file(path, lambda file: file.write(b"kept"))
        >>> path.read_text()
        'kept'
    """
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            beside = Path(file.name)
            try:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                beside.unlink()
                raise
        beside.chmod(0o666 & ~_mask())
        beside.replace(path)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}. What was there before is "
            "intact; make room or check the permissions, then try again."
        ) from error


def _mask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
