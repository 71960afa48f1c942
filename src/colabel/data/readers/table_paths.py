"""Absolute paths that were written on another machine, found again below a given folder."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.paths import find_files
from colabel.errors import DataError

_SAMPLE = 20


def relocated(cells: Sequence[str], folder: Path) -> tuple[list[str], str] | None:
    r"""Return absolute paths relative to a folder that now holds their files, and a note.

    What all paths have in front is replaced by the folder; where no file is found so, as little
    less of it as needed, folder by folder.

    Args:
        cells: the paths, with slashes or backslashes.
        folder: where the files are.

    Returns:
        Relative paths; ``None`` where a path is relative or inside the folder, or no file is
        found.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "wood").mkdir()
        >>> (folder / "wood" / "a.jpg").touch()
        >>> names, note = relocated([r"D:\trees\wood\a.jpg", r"D:\trees\wood\b.jpg"], folder)
        >>> names, note.startswith("D:/trees in front of all paths replaced by")
        (['wood/a.jpg', 'wood/b.jpg'], True)
    """
    texts = [cell.replace("\\", "/") for cell in cells]
    roots = tuple(
        base.rstrip("/") + "/" for base in (os.path.abspath(folder), str(folder.resolve()))
    )
    if not all(_is_absolute(text) and not text.startswith(roots) for text in texts):
        return None
    paths = [text.split("/") for text in texts]
    shared = _shared([path[:-1] for path in paths])
    sample = paths[:: -(-len(paths) // _SAMPLE)]
    for length in range(len(shared), 0, -1):
        try:
            _, missing = find_files(
                folder, ["/".join(path[length:]) for path in sample], IMAGE_SUFFIXES
            )
        except DataError:
            missing = []
        if len(missing) < len(sample):
            front = "/".join(shared[:length]) or "/"
            note = f"{front} in front of all paths replaced by {folder} (option images)"
            return ["/".join(path[length:]) for path in paths], note
    return None


def _shared(paths: Sequence[list[str]]) -> list[str]:
    """Return the folders that all paths begin with."""
    pairs = zip(min(paths), max(paths), strict=False)
    return [folder for folder, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or bool(ntpath.splitdrive(path)[0])
