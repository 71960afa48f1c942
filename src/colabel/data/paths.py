"""Names of files as people write them, turned into paths that stay where they should."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from colabel.data.opening import unreadable
from colabel.errors import DataError

_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(r"(?:\w[\w.\- +()]*/)*\w[\w.\- +()]*(?<! )")
"""A path as most are: relative, normalised, of ordinary characters."""
_CORRECT = "Correct the list, or use the one the data set came with."


def contained(
    root: Path,
    name: str,
    *,
    where: str,
    allow_outside: bool = False,
    remedy: str = _CORRECT,
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
    if _PLAIN.fullmatch(name):
        return name
    return contained_names(
        root, [name], where=lambda _: where, allow_outside=allow_outside, remedy=remedy
    )[0]


def contained_names(
    root: Path,
    names: Iterable[str],
    *,
    where: Callable[[int], str],
    allow_outside: bool = False,
    remedy: str = _CORRECT,
) -> list[str]:
    """Return :func:`contained` of many names.

    Args:
        root: the data folder.
        names: as for :func:`contained`.
        where: returns what holds the name at a position, for the message.
        allow_outside: as for :func:`contained`.
        remedy: as for :func:`contained`.

    Raises:
        DataError: as :func:`contained`, for the first name that is refused.
    """
    is_plain = _PLAIN.fullmatch
    prefixes: tuple[str, ...] | None = None  # asked of the file system at the first need
    paths = []
    for position, name in enumerate(names):
        if is_plain(name):
            paths.append(name)
            continue
        text = name.strip().replace("\\", "/")
        if not text or "\0" in text:
            raise DataError(f"{where(position)}: expected the path of an image, got {name!r}.")
        path = posixpath.normpath(text)
        absolute = path.startswith("/") or _DRIVE.match(path) is not None
        prefix = None
        if absolute:
            prefixes = _prefixes(root) if prefixes is None else prefixes
            prefix = next((prefix for prefix in prefixes if path.startswith(prefix)), None)
        if prefix is not None:
            paths.append(path[len(prefix) :])
        elif allow_outside or not (absolute or path in (".", "..") or path.startswith("../")):
            paths.append(path)
        else:
            raise DataError(
                f"{where(position)}: the path {name!r} leaves the data folder {root}; expected a "
                f"path inside it. {remedy}"
            )
    return paths


def _prefixes(root: Path) -> tuple[str, ...]:
    """Return what absolute paths inside a folder may begin with."""
    bases = (Path(os.path.abspath(root)), Path(os.path.realpath(root)))
    return tuple(base.as_posix().rstrip("/") + "/" for base in bases)


class _Opened(NamedTuple):
    """A folder that names are in.

    Args:
        asked: what comes before a name in it, as the user wrote it.
        actual: the folder as it stands on disk, ``None`` where there is none.
        prefix: what comes before a name in it on disk.
        names: of its entries.
    """

    asked: str
    actual: str | None
    prefix: str
    names: frozenset[str]


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
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except (OSError, ValueError) as error:
                raise unreadable(folder, error, "a folder that can be listed") from error
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
        above, leaf = os.path.split(folder)
        listed = self._names.get(above)
        may_exist = listed is None or leaf in listed or leaf in ("", ".", "..")
        if may_exist and os.path.isdir(folder):
            return folder
        if folder == root or above == folder or not leaf:
            return None
        parent = self._folder(above, root)
        spelled = None if parent is None else self._spelled(parent, leaf)
        if parent is None or spelled is None:
            return None
        found = os.path.join(parent, spelled)
        return found if os.path.isdir(found) else None

    def open(self, root: str, above: str) -> _Opened:
        """Return the folder of the names that begin with ``above``, such as "images/"."""
        asked = os.path.join(root, above)
        actual = self._folder(os.path.split(os.path.join(asked, ""))[0], root)
        if actual is None:
            return _Opened(asked, None, "", frozenset())
        return _Opened(asked, actual, os.path.join(actual, ""), self._list(actual))

    def find(self, folder: str, leaf: str) -> str | None:
        """Return the name that a file has in a folder, or None where there is none."""
        return self._spelled(folder, leaf) or self._with_ending(folder, leaf)

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
        DataError: if several files have the name of one that lacks its ending, or a folder cannot
            be listed.
    """
    folders = _Folders(suffixes)
    base = str(root)
    opened: dict[str, _Opened] = {}
    paths, missing = [], []
    for position, name in enumerate(names):
        cut = name.rfind("/") + 1
        above, leaf = name[:cut], name[cut:]
        if above not in opened:
            opened[above] = folders.open(base, above)
        asked, actual, prefix, present = opened[above]
        if leaf in present:
            paths.append(prefix + leaf)
            continue
        found = None if actual is None else folders.find(actual, leaf)
        if found is None:
            missing.append(position)
            paths.append(asked + leaf)
        else:
            paths.append(prefix + found)
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
        if os.path.exists(candidate):
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise DataError(f"{what} not found; looked for {tried}. Expected {layout}.")
