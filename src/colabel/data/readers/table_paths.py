"""The paths of a table, also where its files have moved since it was written."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.paths import find_files
from colabel.data.readers.table_folders import Origin
from colabel.errors import DataError

_SAMPLE = 20
_FEW = 50


def relocated(cells: Sequence[str], folder: Path) -> tuple[list[str], str] | None:
    r"""Return paths relative to a folder that now holds their files, and a note.

    Of the folders that all paths have in front, as few as needed are replaced by it.

    Args:
        cells: the paths, with slashes or backslashes.
        folder: where the files are.

    Returns:
        Relative paths; ``None`` where the paths are right as they are, some are absolute and some
        are not, or no file is found.

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
        base.rstrip("/") + "/" for base in (os.path.abspath(folder), os.path.realpath(folder))
    )
    absolute = sum(_is_absolute(text) for text in texts)
    if absolute not in (0, len(texts)) or any(text.startswith(roots) for text in texts):
        return None
    paths = [text.split("/") for text in texts]
    shared = _shared([path[:-1] for path in paths])
    sample = paths[:: -(-len(paths) // _SAMPLE)]
    for length in range(1 if absolute else 0, len(shared) + 1):
        try:
            _, missing = find_files(
                folder, ["/".join(path[length:]) for path in sample], IMAGE_SUFFIXES
            )
        except DataError:
            missing = []
        if len(missing) < len(sample) and not length:
            return None
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


def are_in_folders(root: Path, cells: Sequence[str], origin: Origin) -> bool:
    """Tell whether the images of tables in one folder lie in the folders of their splits.

    Args:
        root: the folder of the tables.
        cells: the paths of the images.
        origin: which table each row is from.
    """
    step = -(-len(cells) // _FEW)
    plain = [cell.replace("\\", "/") for cell in cells[::step]]
    inner = [
        f"{folder}/{cell}" for folder, cell in zip(origin.folders[::step], plain, strict=True)
    ]
    _, missing = find_files(root, plain, IMAGE_SUFFIXES)
    _, lost = find_files(root, inner, IMAGE_SUFFIXES)
    return len(lost) < len(missing)
