"""The folder of likely label errors: a table, a thumbnail each, and one picture of the first."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from colabel.errors import RunError, remedy
from colabel.figures.suspects import Panel, contact_sheet
from colabel.files import is_running, make_folder, replace_file
from colabel.printing import printable

TABLE, SHEET, THUMBNAILS = "suspects.csv", "contact-sheet.png", "thumbnails"
COLUMNS = ("image", "label", "given", "probability", "suspicion", "split")
ON_SHEET = 60
"""Thumbnails on the contact sheet."""

_SIDE = 256
_HEADER = ",".join(COLUMNS).encode()
_PARENT = Path("suspects")


@dataclass(frozen=True)
class Suspect:
    """A label that is probably wrong.

    Args:
        image: its id.
        label: which.
        given: what the file says: 1 present, 0 absent.
        probability: that it is present, by the model.
        suspicion: probability that what the file says is wrong.
        split: of the image.
    """

    image: str
    label: str
    given: int
    probability: float
    suspicion: float
    split: str

    @property
    def says(self) -> str:
        """What the file says, and the model."""
        return f"{'given' if self.given else 'not given'}; model: {100 * self.probability:.0f} %"


def check_place(folder: Path | None) -> None:
    """Refuse a folder that holds anything but an earlier list, before any work.

    Args:
        folder: to make or replace; ``None`` for one that nobody has.

    Raises:
        RunError: with what to do.
    """
    if folder is None or not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise RunError(f"--out {folder} is no folder; give the name of a new one.")
    try:
        names = {entry.name for entry in folder.iterdir()}
        others = sorted(names - {TABLE, SHEET, THUMBNAILS})
        ours = not names or (TABLE in names and _begins_like_ours(folder / TABLE))
    except OSError as error:
        raise RunError(
            f"--out {folder} cannot be read: {error.strerror or error}; choose another."
        ) from error
    if others or not ours:
        found = f", such as {printable(others[0])}" if others else ""
        raise RunError(
            f"--out {folder} holds something else than an earlier list of suspects{found}; choose "
            "a new folder."
        )


def _begins_like_ours(table: Path) -> bool:
    with table.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def write_suspects(
    suspects: Sequence[Suspect],
    open_image: Callable[[int], Image.Image],
    folder: Path | None,
    *,
    name: str,
    title: str,
) -> Path:
    """Write table, thumbnails and contact sheet; the folder appears whole or not at all.

    Args:
        suspects: the most suspicious first.
        open_image: returns the image of a suspect, by its position in the list.
        folder: to make, or to replace if it holds an earlier list; ``None`` makes the first free
            ``suspects/<name>-<number>``.
        name: of the data.
        title: of the contact sheet.

    Returns:
        The folder.

    Raises:
        RunError: if it cannot be written; an earlier list is then intact.
    """
    parent = (folder or _PARENT / name).parent
    make_folder(parent)
    try:
        with _beside(parent, (folder or Path(name)).name) as new:
            _fill(new, suspects, open_image, title)
            return _take_place(new, folder, name)
    except OSError as error:
        raise RunError(
            f"{folder or parent} cannot be written: {error.strerror or error}; {remedy(error)}, "
            "then try again."
        ) from error


@contextmanager
def _beside(parent: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder that is gone at the end, and remove those of killed processes."""
    hidden = f".{glob.escape(name)}"
    for left in (
        *parent.glob(f"{hidden}.*.suspects"),
        *parent.glob(f"{hidden}-before.*.suspects"),
    ):
        process = left.name.split(".")[-2]
        if process.isdecimal() and not is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    new = parent / f".{name}.{os.getpid()}.suspects"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(
    folder: Path,
    suspects: Sequence[Suspect],
    open_image: Callable[[int], Image.Image],
    title: str,
) -> None:
    (folder / THUMBNAILS).mkdir()
    digits = max(3, len(str(len(suspects))))
    panels = []
    for position, suspect in enumerate(suspects):
        small = open_image(position)
        small.thumbnail((_SIDE, _SIDE))
        kind = "given" if suspect.given else "missing"
        file = f"{position + 1:0{digits}}-{kind}-{_file_name(suspect.label)}.jpg"
        small.save(folder / THUMBNAILS / file, quality=88)
        if position < ON_SHEET:
            panels.append(
                Panel(small, f"{position + 1}  {suspect.label}", suspect.says, bool(suspect.given))
            )
    if panels:
        contact_sheet(panels, title, folder / SHEET)
    # last: what has it is complete
    content = table_of(suspects).encode()
    replace_file(folder / TABLE, lambda file: file.write(content))


def table_of(suspects: Sequence[Suspect]) -> str:
    """Return the table as text.

    Example:
        >>> print(table_of([Suspect("a.png", "cat", 1, 0.02, 0.75, "train")]), end="")
        image,label,given,probability,suspicion,split
        a.png,cat,1,0.02,0.75,train
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in suspects:
        numbers = (f"{one.probability:.6g}", f"{one.suspicion:.6g}")
        writer.writerow((one.image, one.label, one.given, *numbers, one.split))
    return text.getvalue()


def _file_name(label: str) -> str:
    """Return a label as a part of a file's name that every system can hold.

    Example:
        >>> _file_name("Car / truck?")
        'Car-truck'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", label)[:40].strip("-") or "label"


def _take_place(new: Path, folder: Path | None, name: str) -> Path:
    """Rename the complete folder to the place that was asked for, or the first free one."""
    if folder is None:
        for number in itertools.count(1):
            place = _PARENT / f"{name}-{number}"
            if not os.path.lexists(place):
                with suppress(FileExistsError):
                    new.rename(place)
                    return place
    assert folder is not None
    check_place(folder)  # again: something may have come since
    if folder.exists() and any(folder.iterdir()):
        old = new.with_name(f".{folder.name}-before.{os.getpid()}.suspects")
        folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(folder)
    return folder
