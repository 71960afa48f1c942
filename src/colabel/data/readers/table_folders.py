"""Several tables as one source: a folder with a table in each of train, valid and test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from colabel.data.readers.rows import RowOptions, Rows, concatenate, read_rows
from colabel.data.readers.table_splits import SPLIT_WORDS
from colabel.errors import DataError

TABLES = (
    ".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".xlsx",
    ".xls", ".ods",
)  # fmt: skip
"""Endings of files that may be tables."""


@final
@dataclass(frozen=True)
class Origin:
    """Where the rows of a folder of tables come from.

    Args:
        root: the folder above.
        folders: of each row, the folder of its table, below ``root``.
        splits: of each row, the split that this folder is named after.
    """

    root: Path
    folders: tuple[str, ...]
    splits: tuple[str, ...]


def find_tables(root: Path, name: str | None) -> dict[str, Path]:
    """Return the table in each folder that is named after a split, by the folder's name.

    Args:
        root: the folder above.
        name: of the table, the same in all folders; ``None`` where each folder has just one.

    Returns:
        Nothing where no folder is named after a split, or they hold no table of one name.

    Raises:
        DataError: if there are several such names, or the given one is missing.
    """
    folders = [
        entry for entry in sorted(root.iterdir())
        if entry.is_dir() and entry.name.lower() in SPLIT_WORDS
    ]  # fmt: skip
    if name is not None:
        lacking = [folder.name for folder in folders if not (folder / name).is_file()]
        if lacking or not folders:
            raise DataError(
                f"{root}: expected folders such as train, valid and test with {name} in each; "
                f"it is missing in {', '.join(lacking) or 'all'}."
            )
        return {folder.name: folder / name for folder in folders}
    held = [
        {file.name for file in folder.iterdir() if file.suffix.lower() in TABLES}
        for folder in folders
    ]
    shared = sorted(set.intersection(*held)) if held else []
    tabular = [one for one in shared if not one.lower().endswith((".txt", ".json"))] or shared
    if len(tabular) > 1:
        raise DataError(
            f"{root}: its folders {', '.join(folder.name for folder in folders)} hold more than "
            f"one table each: {', '.join(tabular)}. Name the one that lists images and labels in "
            f"the option tables, such as tables={tabular[0]}."
        )
    return {folder.name: folder / tabular[0] for folder in folders} if tabular else {}


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
    counts = [(folder, len(part)) for folder, part in parts.items()]
    return concatenate(list(parts.values())), Origin(
        root,
        tuple(folder for folder, count in counts for _ in range(count)),
        tuple(SPLIT_WORDS[folder.lower()] for folder, count in counts for _ in range(count)),
    )
