"""Names of files as people write them, turned into paths that stay where they should."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from colabel.errors import DataError

_DRIVE = re.compile(r"[A-Za-z]:")


def contained(
    root: Path,
    name: str,
    *,
    where: str,
    allow_outside: bool = False,
    remedy: str = "Correct the list, or use the one the data set came with.",
) -> str:
    r"""Return a name as a path relative to the data folder, with forward slashes.

    Backslashes separate folders, so that lists written on Windows work. The rule about leaving
    the folder is about the text of the name: ``..`` that climbs out and absolute paths elsewhere
    are refused. Symbolic links inside the folder are followed, since whoever made the folder
    made them: data sets are often assembled from links.

    Args:
        root: the data folder.
        name: a path relative to it, or an absolute path inside it.
        where: file and row that hold the name, for the message.
        allow_outside: accept paths that leave the folder.
        remedy: the sentence of the message that says what to do.

    Returns:
        The normalised relative path; for an accepted path outside, with ``..`` or absolute.

    Raises:
        DataError: if the name is empty, holds a NUL character or leaves the folder.

    Example:
        >>> contained(Path("data"), r"images\a.jpg", where="labels.csv, line 2")
        'images/a.jpg'
    """
    text = name.strip().replace("\\", "/")
    if not text or "\0" in text:
        raise DataError(f"{where}: expected the path of an image, got {name!r}.")
    path = posixpath.normpath(text)
    absolute = path.startswith("/") or _DRIVE.match(path) is not None
    if absolute:
        for base in (Path(os.path.abspath(root)), root.resolve()):
            prefix = base.as_posix().rstrip("/") + "/"
            if path.startswith(prefix):
                return path[len(prefix) :]
    if allow_outside or not (absolute or path in (".", "..") or path.startswith("../")):
        return path
    raise DataError(
        f"{where}: the path {name!r} leaves the data folder {root}; expected a path inside it. "
        + remedy
    )


class _Folders:
    """Listings of folders, each read once."""

    def __init__(self, suffixes: frozenset[str] = frozenset()) -> None:
        self._suffixes = suffixes
        self._stems: dict[str, dict[str, list[str]]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}
        self._actual: dict[str, str | None] = {}

    def _list(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            with os.scandir(folder) as entries:
                self._names[folder] = frozenset(entry.name for entry in entries)
        return self._names[folder]

    def _spelled(self, folder: str, name: str) -> str | None:
        """Return the name as it stands in the folder, whatever its case and Unicode form."""
        names = self._list(folder)
        if name in names:
            return name
        if folder not in self._folded:
            folded: dict[str, list[str]] = {}
            for present in names:
                folded.setdefault(_folded(present), []).append(present)
            self._folded[folder] = folded
        candidates = self._folded[folder].get(_folded(name), [])
        return candidates[0] if len(candidates) == 1 else None

    def _folder(self, folder: str, root: str) -> str | None:
        """Return the folder as it stands on disk below ``root``, or None where there is none."""
        if folder not in self._actual:
            self._actual[folder] = self._find_folder(folder, root)
        return self._actual[folder]

    def _find_folder(self, folder: str, root: str) -> str | None:
        if os.path.isdir(folder):
            return folder
        above, leaf = os.path.split(folder)
        if folder == root or above == folder or not leaf:
            return None
        parent = self._folder(above, root)
        spelled = None if parent is None else self._spelled(parent, leaf)
        if parent is None or spelled is None:
            return None
        found = os.path.join(parent, spelled)
        return found if os.path.isdir(found) else None

    def find(self, root: str, name: str) -> str | None:
        """Return the full path of a file below ``root``, or None where there is none."""
        folder, leaf = os.path.split(os.path.join(root, name))
        actual = self._folder(folder, root)
        if actual is None:
            return None
        spelled = self._spelled(actual, leaf) or self._with_ending(actual, leaf)
        return None if spelled is None else os.path.join(actual, spelled)

    def _with_ending(self, folder: str, leaf: str) -> str | None:
        """Return the one file that is called so but for an ending, None where there is none."""
        if os.path.splitext(leaf)[1].lower() in self._suffixes or not self._suffixes:
            return None
        if folder not in self._stems:
            stems: dict[str, list[str]] = {}
            for present in self._list(folder):
                stem, ending = os.path.splitext(present)
                if ending.lower() in self._suffixes:
                    stems.setdefault(_folded(stem), []).append(present)
            self._stems[folder] = stems
        found = sorted(self._stems[folder].get(_folded(leaf), []))
        if len(found) > 1:
            raise DataError(
                f"{leaf!r} may be {' or '.join(found)} in {folder}; write the names with their "
                "endings, or keep one of the files."
            )
        return found[0] if found else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def find_files(
    root: Path, names: Iterable[str], suffixes: frozenset[str] = frozenset()
) -> tuple[list[str], list[int]]:
    """Return the full path of each name, and the positions of those that do not exist.

    Every folder is listed once, which for many files is quicker than asking for each. Where a
    file of that exact name is missing, the one that differs in letter case or Unicode form only
    is taken (``a.jpg`` for ``A.JPG``), if there is exactly one; likewise the one that has an
    ending more, for a name that has none.

    Args:
        root: folder the names are relative to.
        names: relative paths with forward slashes, as :func:`contained` returns them.
        suffixes: endings that a name may lack, in lower case with the dot; none by default.

    Returns:
        One path per name (as asked for, where nothing was found), and the missing positions.

    Raises:
        DataError: if several files have the name of one that lacks its ending.
    """
    folders = _Folders(suffixes)
    base = str(root)
    paths, missing = [], []
    for position, name in enumerate(names):
        found = folders.find(base, name)
        if found is None:
            missing.append(position)
            found = os.path.join(base, name)
        paths.append(found)
    return paths, missing


def first_existing(candidates: Sequence[Path], *, what: str, layout: str) -> Path:
    """Return the first of the paths that exists.

    Args:
        candidates: where to look, in this order.
        what: the thing looked for, for the message.
        layout: how the folder should look, for the message.

    Raises:
        DataError: if none exists.
    """
    for candidate in candidates:
        if candidate.exists():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise DataError(f"{what} not found; looked for {tried}. Expected {layout}.")
