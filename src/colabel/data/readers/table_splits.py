"""Which split each row of a table is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from colabel.data.readers import table_names as known
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_names import compact
from colabel.data.readers.table_values import BLANKS, is_present, is_values, value_of
from colabel.data.split import SPLITS, read_split_table
from colabel.errors import DataError

SPLIT_WORDS = {
    "train": "train", "training": "train", "trn": "train", "tr": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
"""Words for splits, in lower case."""

_SHOWN = 12


def find_split_flags(rows: Rows, free: Sequence[str], *, wide: bool) -> dict[str, str]:
    """Return the columns of true and false that say which split an image is in.

    Args:
        rows: the table.
        free: columns without a role.
        wide: whether labels have a column each, so that "train" may be one of them.

    Returns:
        By column, the split that true means.

    Raises:
        DataError: for a column that may be a label or a split.
    """
    named = [
        name
        for name in free
        if compact(name) in known.SPLIT_FLAGS
        and any(rows.columns[name])
        and is_values(rows.different(name))
    ]
    sure = [name for name in named if not wide or compact(name).startswith("is")]
    bare = [name for name in named if name not in sure]
    exact = len(bare) > 1 and all(
        sum(value_of(cell) == 1 for cell in cells) == 1
        for cells in set(zip(*(rows.columns[name] for name in bare), strict=True))
    )
    words = [name for name in bare if not _is_numeric(rows, name)]
    numeric = [name for name in free if name not in bare and is_values(rows.different(name))]
    if exact or (words == bare and all(_is_numeric(rows, name) for name in numeric)):
        sure += bare
    elif doubtful := [name for name in bare if compact(name) != "train"]:
        raise DataError(
            f"{rows.path}: the columns {', '.join(doubtful)} hold 1 and 0: they may say which "
            "images are in that split, or be labels. Name them in the option ignore, or the "
            "labels in the option each_label; a split is told by a column named split with train, "
            "val and test, or is_valid with true and false."
        )
    return {name: known.SPLIT_FLAGS[compact(name)] for name in sure}


def _is_numeric(rows: Rows, name: str) -> bool:
    return all(cell.lower() not in ("true", "false") for cell in rows.different(name))


def read_split_flags(rows: Rows, flags: Mapping[str, str]) -> list[str | None]:
    """Return the split of each row from columns of true and false.

    What no column claims is in train; where train itself has a column, in the split that has
    none.
    """
    rest = next(
        split for split in ("train", "val", "test") if split not in flags.values()
    ) if len(set(flags.values())) < len(SPLITS) else None  # fmt: skip
    if set(flags.values()) == {"train"}:
        rest = "test"
    splits: dict[tuple[str, ...], str | None] = {}
    every = list(zip(*(rows.columns[name] for name in flags), strict=True))
    for cells in dict.fromkeys(every):
        claimed = {
            split for cell, split in zip(cells, flags.values(), strict=True) if is_present(cell)
        }
        if len(claimed) > 1:
            where = rows.where(every.index(cells))
            raise DataError(
                f"{where}: the columns {', '.join(flags)} put this image in "
                f"{' and in '.join(sorted(claimed))}; an image belongs to one split."
            )
        blank = all(cell.lower() in BLANKS for cell in cells)
        splits[cells] = None if blank else next(iter(claimed), rest)
    return [splits[cells] for cells in every]


def read_split_column(
    rows: Rows, column: str, values: Mapping[str, str] | None
) -> list[str | None]:
    """Return the split in each row's column, ``None`` where it is blank.

    Args:
        rows: the table.
        column: with the names of splits.
        values: what other words mean.

    Raises:
        DataError: for a word that names no split; says how to explain it.
    """
    meaning: dict[str, str | None] = dict.fromkeys(BLANKS)
    meaning.update(SPLIT_WORDS)
    different = sorted(rows.different(column))
    for word, split in (values or {}).items():
        if split not in SPLITS:
            raise DataError(
                f"split_values: {word!r} is to mean {split!r}; expected train, val or test."
            )
        if word.lower() not in {cell.lower() for cell in different}:
            raise DataError(
                f"split_values explains {word!r}, which the column {column!r} does not hold; it "
                f"holds {', '.join(different[:_SHOWN])}."
            )
        meaning[word.lower()] = split
    unknown = [cell for cell in different if cell.lower() not in meaning]
    if unknown:
        first = rows.columns[column].index(unknown[0])
        told = ", ".join(f"{cell}: train" for cell in unknown[:_SHOWN])
        raise DataError(
            f"{rows.where(first)}: {unknown[0]!r} in the column {column!r} is no split; expected "
            "train, val or test. Say what it means with the option split_values, such as "
            f"'split_values={{{told}}}' with val and test where you mean them. If the column "
            "means something else, name it in the option ignore."
        )
    table = {cell: meaning[cell.lower()] for cell in different}
    return [table[cell] for cell in rows.columns[column]]


def look_up_splits(
    path: Path, ids: Sequence[str], names: Sequence[str]
) -> tuple[list[str | None], str]:
    """Return the split of each image from another file, by id or by path, and a note."""
    saved = read_split_table(path)
    splits = [saved.get(key, saved.get(name)) for key, name in zip(ids, names, strict=True)]
    strangers = saved.keys() - set(ids) - set(names)
    if strangers:
        raise DataError(
            f"{path}: {len(strangers)} of {len(saved)} names are not in the table, first "
            f"{min(strangers)!r}; expected its ids or paths."
        )
    for split in set(splits):
        if split is not None and split not in SPLITS:
            raise DataError(f"{path}: {split!r} is no split; expected train, val or test.")
    return splits, f"splits taken from {path}"
