"""The paths of a table, also where its files have moved since it was written."""

from __future__ import annotations

import ntpath
import os
import posixpath
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.paths import contained, find_files
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_folders import Origin
from colabel.data.readers.table_options import TableOptions
from colabel.errors import DataError

_SAMPLE = 20
_FEW = 50
_LONGEST = 4096
_OUTSIDE = (
    "Give the folder of the images as the option images, or set allow_outside if these files are "
    "the ones you mean."
)


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
        base.rstrip("/") + "/" for base in (os.path.abspath(folder), str(folder.resolve()))
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


def names_of(
    rows: Rows, image: str, options: TableOptions, origin: Origin | None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the path of each row's image, and notes.

    Args:
        rows: the table.
        image: its column of paths.
        options: what the user says.
        origin: for several tables, where each row comes from.

    Raises:
        DataError: for a path that is blank, much too long, or leaves the folder.
    """
    cells = rows.columns[image]
    if image in rows.blobs:
        return list(cells), ()
    if options.images is not None and not (options.allow_outside and os.path.exists(cells[0])):
        found = relocated(cells, options.images)
        if found is not None:
            return found[0], (found[1],)
    base = rows.path.parent if origin is None else origin.root
    base = base if options.images is None else options.images
    names = []
    within = origin is not None and options.images is None
    if within and origin is not None and origin.beside:
        within = _are_in_folders(base, cells, origin)
    for row, cell in enumerate(cells):
        if len(cell) > _LONGEST:
            raise DataError(
                f"{rows.where(row)}: the column {image!r} holds {len(cell):,} characters, "
                "expected the path of an image."
            )
        folder = origin.folders[row] if origin is not None and within else ""
        name = contained(
            base / folder,
            cell,
            where=rows.where(row),
            allow_outside=options.allow_outside,
            remedy=_OUTSIDE,
        )
        names.append(posixpath.normpath(posixpath.join(folder, name)) if folder else name)
    return names, ()


def _are_in_folders(root: Path, cells: Sequence[str], origin: Origin) -> bool:
    """Tell whether the images of tables in one folder lie in the folders of their splits."""
    step = -(-len(cells) // _FEW)
    plain = [cell.replace("\\", "/") for cell in cells[::step]]
    inner = [
        f"{folder}/{cell}" for folder, cell in zip(origin.folders[::step], plain, strict=True)
    ]
    _, missing = find_files(root, plain, IMAGE_SUFFIXES)
    _, lost = find_files(root, inner, IMAGE_SUFFIXES)
    return len(lost) < len(missing)
