"""Which column of a table is what: given by the user, or found by its name and its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.readers.rows import Rows
from colabel.data.records import UNKNOWN
from colabel.errors import DataError, nearest

_IMAGE_NAMES = (
    "path", "image_path", "filepath", "file_path", "file", "files", "filename", "filenames",
    "file_name", "image_file", "image_name", "image_index", "patch_names", "image", "images",
    "img",
)  # fmt: skip
_LABELS_NAMES = (
    "labels", "label", "tags", "tag", "classes", "class", "categories", "category",
    "finding_labels", "findings", "targets", "target",
)  # fmt: skip
_ID_NAMES = ("id", "image_id", "uid")
_GROUP_NAMES = ("group", "groups", "patient", "patient_id", "subject", "subject_id", "case_id")
_SPLIT_NAMES = ("split", "set", "subset", "partition")
BLANKS = ("", "nan", "null")
VALUES = {
    "1": 1, "1.0": 1, "true": 1,
    "0": 0, "0.0": 0, "false": 0,
    "-1": UNKNOWN, "-1.0": UNKNOWN,
}  # fmt: skip


@final
@dataclass(frozen=True)
class TableOptions:
    """How to read a table; ``None`` means: find out.

    Args:
        image: column with the path of each image.
        labels: the one column that lists labels (``cat;dog``).
        each_label: the columns that hold one label each (1, 0, -1 or blank).
        id: column with a unique name per image; without one, its path is the name.
        group: column of what must not be spread over splits, such as a patient.
        split: column with the split of each image: train, val or test.
        ignore: columns that are none of these.
        delimiter: what separates the labels in the column ``labels``.
        blank: what a blank cell of a label's own column means. A blank list of labels always
            means that the image has none.
        images: folder the paths are relative to; else that of the table, or ``images`` in it.
        splits: the split of each image from elsewhere: a CSV file with the columns id and split,
            or a folder with train.txt, val.txt and test.txt. Without a split column, a folder
            ``splits`` beside the table is taken.
        allow_outside: accept paths that leave the folder of the images.
        require_images: refuse a table of which not one image exists.

    Raises:
        DataError: if both ``labels`` and ``each_label`` are given.
    """

    image: str | None = None
    labels: str | None = None
    each_label: tuple[str, ...] | None = None
    id: str | None = None
    group: str | None = None
    split: str | None = None
    ignore: tuple[str, ...] = ()
    delimiter: str | None = None
    blank: Literal["absent", "unknown"] = "absent"
    images: Path | None = None
    splits: Path | None = None
    allow_outside: bool = False
    require_images: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot both be meant."""
        if self.labels is not None and self.each_label is not None:
            raise DataError(
                "labels names one column that lists labels, each_label names columns of one label "
                "each; give one of the two."
            )
        if self.blank not in ("absent", "unknown"):
            raise DataError(f"blank must be 'absent' or 'unknown', got {self.blank!r}.")


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


@final
@dataclass(frozen=True)
class Roles:
    """What each column of one table is."""

    image: str
    labels: str | None
    each_label: tuple[str, ...]
    id: str | None
    group: str | None
    split: str | None


def find_roles(rows: Rows, options: TableOptions) -> Roles:
    """Return the given columns, with those left open found out."""
    given = [options.image, options.labels, options.id, options.group, options.split]
    taken = {name for name in (*given, *(options.each_label or ()), *options.ignore) if name}
    for name in taken:
        if name not in rows.columns:
            raise DataError(f"{rows.path}: no column {name!r}; {nearest(name, rows.columns)}")

    def find(names: Iterable[str], among: Iterable[str] = tuple(rows.columns)) -> str | None:
        free = {_plain(column): column for column in among if column not in taken}
        found = next((free[name] for name in names if name in free), None)
        taken.update([found] if found else [])
        return found

    image = options.image or find(_IMAGE_NAMES) or _column_of_paths(rows, taken)
    if image is None:
        raise DataError(
            f"{rows.path}: no column with the paths of the images; expected one named path, file, "
            f"filename or image, got: {', '.join(rows.columns)}. Rename the column, or give its "
            "name as the option image."
        )
    taken.add(image)
    identifier = options.id or find(_ID_NAMES)
    group = options.group or find(_GROUP_NAMES)
    split = options.split or find(_SPLIT_NAMES)
    labels, each_label = options.labels, options.each_label
    if labels is None and each_label is None:
        lists = [name for name in rows.columns if not is_values(rows.columns[name])]
        labels = find(_LABELS_NAMES, lists)
    if labels is None and each_label is None:
        each_label = tuple(column for column in rows.columns if column not in taken)
    if labels is None and not each_label:
        raise DataError(
            f"{rows.path}: no labels; expected a column named labels that lists them (cat;dog), "
            "or one column per label with 1 and 0."
        )
    return Roles(image, labels, each_label or (), identifier, group, split)


def _column_of_paths(rows: Rows, taken: set[str]) -> str | None:
    """Return the first column of which every cell ends like an image file."""
    for name, cells in rows.columns.items():
        if name not in taken and all(
            cell.lower().endswith(tuple(IMAGE_SUFFIXES)) for cell in cells
        ):
            return name
    return None


def is_values(cells: Iterable[str]) -> bool:
    """Tell whether cells hold 1, 0, -1 and blanks alone."""
    return all(cell in VALUES or cell in BLANKS for cell in {cell.lower() for cell in cells})
