"""Several tables as one source: in the folders train, valid and test, or side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from colabel.data.readers.layout import file_names, folder_names
from colabel.data.readers.rows import RowOptions, Rows, concatenate, read_rows
from colabel.data.readers.table_names import words
from colabel.data.readers.table_splits import SPLIT_WORDS
from colabel.errors import DataError

TABLES = (
    ".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".xlsx",
    ".xls", ".ods",
)  # fmt: skip
"""Endings of files that may be tables."""

_LISTS = (".txt", ".json")


@final
@dataclass(frozen=True)
class Origin:
    """Where the rows of a folder of tables come from.

    Args:
        root: the folder above.
        folders: of each row, the folder of its table below ``root``; "" where there is none.
        splits: of each row, the split that this folder, or the table, is named after.
        names: of the folders or tables.
        beside: whether the tables lie in ``root``; ``folders`` are then those named after their
            splits, where the images may be.
    """

    root: Path
    folders: tuple[str, ...]
    splits: tuple[str, ...]
    names: tuple[str, ...]
    beside: bool = False

    @property
    def note(self) -> str:
        """Return in words what divides the images."""
        what = "tables" if self.beside else "folders"
        return f"splits are the {what} {', '.join(sorted(self.names))}"


def find_tables(root: Path, name: str | None) -> dict[str, Path]:
    """Return the table of each split, by the name of its folder, or its own where they share one.

    Args:
        root: the folder above.
        name: of the table, the same in all folders; ``None`` where each folder has just one.

    Returns:
        The tables in folders named after splits; else those of :func:`find_side_by_side`; nothing
        where there are neither.

    Raises:
        DataError: if there are several such names, or the given one is missing.
    """
    folders = [root / inner for inner in folder_names(root) if inner.lower() in SPLIT_WORDS]
    if name is not None:
        lacking = [folder.name for folder in folders if not os.path.isfile(folder / name)]
        if lacking or not folders:
            raise DataError(
                f"{root}: expected folders such as train, valid and test with {name} in each; "
                f"it is missing in {', '.join(lacking) or 'all'}."
            )
        return {folder.name: folder / name for folder in folders}
    held = [
        {file for file in file_names(folder) if Path(file).suffix.lower() in TABLES}
        for folder in folders
    ]
    shared = sorted(set.intersection(*held)) if held else []
    tabular = [one for one in shared if not one.lower().endswith(_LISTS)] or shared
    if len(tabular) > 1:
        raise DataError(
            f"{root}: its folders {', '.join(folder.name for folder in folders)} hold more than "
            f"one table each: {', '.join(tabular)}. Name the one that lists images and labels in "
            f"the option tables, such as tables={tabular[0]}."
        )
    if tabular:
        return {folder.name: folder / tabular[0] for folder in folders}
    return find_side_by_side(root)


def find_side_by_side(root: Path, beside: Path | None = None) -> dict[str, Path]:
    """Return tables in one folder whose names differ in the word for a split alone, by name.

    Args:
        root: the folder.
        beside: only those that differ from this table so.

    Returns:
        Such as train.csv and test.csv, or labels_train.csv and labels_val.csv; nothing where no
        two splits have one, or a split has several.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("labels_train.csv", "labels_val.csv", "notes.csv"):
        ...     _ = (folder / name).write_text("")
        >>> list(find_side_by_side(folder))
        ['labels_train.csv', 'labels_val.csv']
    """
    series: dict[tuple[tuple[str, ...], str], dict[str, Path]] = {}
    for file in (root / inner for inner in file_names(root)):
        ending = file.suffix.lower()
        parts = words(file.stem)
        if ending not in TABLES or ending in _LISTS or _split_of(parts) is None:
            continue
        rest = tuple(part for part in parts if part not in SPLIT_WORDS)
        series.setdefault((rest, ending), {})[file.name] = file
    found = [
        tables
        for tables in series.values()
        if len(tables) > 1
        and len({_split_of(words(file.stem)) for file in tables.values()}) == len(tables)
        and (beside is None or beside.name in tables)
    ]
    return found[0] if len(found) == 1 else {}


def _split_of(parts: tuple[str, ...]) -> str | None:
    """Return the split that the words of a name tell, None where they tell none or several."""
    told = [SPLIT_WORDS[part] for part in parts if part in SPLIT_WORDS]
    return told[0] if len(told) == 1 else None


def read_tables(root: Path, tables: dict[str, Path], options: RowOptions) -> tuple[Rows, Origin]:
    """Return the rows of all tables, and where each comes from.

    Raises:
        DataError: if a table cannot be read, or they do not have the same columns.
    """
    parts = {folder: read_rows(path, options) for folder, path in tables.items()}
    first = next(iter(parts.values()))
    for part in parts.values():
        odd = sorted(set(part.columns) ^ set(first.columns))
        if odd:
            raise DataError(
                f"{part.path} and {first.path} have different columns: {', '.join(odd)}. Give "
                "all splits the same columns; a label that no image has is a column of 0."
            )
    beside = all(path.parent == root for path in tables.values())
    splits = {
        name: (_split_of(words(path.stem)) if beside else SPLIT_WORDS[name.lower()]) or ""
        for name, path in tables.items()
    }
    folders = {
        SPLIT_WORDS[inner.lower()]: inner
        for inner in folder_names(root)
        if inner.lower() in SPLIT_WORDS
    }
    counts = [(name, len(part)) for name, part in parts.items()]
    return concatenate(list(parts.values())), Origin(
        root,
        tuple(
            folders.get(splits[name], "") if beside else name
            for name, count in counts
            for _ in range(count)
        ),
        tuple(splits[name] for name, count in counts for _ in range(count)),
        tuple(tables),
        beside,
    )
