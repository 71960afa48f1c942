"""From the name of a source to records: readers and their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from colabel.build.options import checked_options, known_options
from colabel.data import (
    Records,
    TableOptions,
    read_adp,
    read_chestxray14,
    read_coco2014,
    read_coco2017,
    read_table_splits,
    read_voc2007,
    read_voc2012,
)
from colabel.data.readers.shapes import read_shapes
from colabel.errors import ConfigError, DataError, nearest
from colabel.settings.data import Data

READERS: Mapping[str, Callable[..., Records]] = {
    "voc2007": read_voc2007,
    "voc2012": read_voc2012,
    "coco2014": read_coco2014,
    "coco2017": read_coco2017,
    "chestxray14": read_chestxray14,
    "adp": read_adp,
}
"""Readers of ``name:FOLDER``."""

WITHOUT_VALIDATION = frozenset({"coco2014", "coco2017"})
"""Readers whose published splits are train and test only."""

WITHOUT_TEST = frozenset({"voc2012"})
"""Readers whose test labels were never published."""

TABLES = (".csv", ".tsv", ".parquet")


def open_source(data: Data, names: tuple[str | None, ...] | None = None) -> dict[str, Records]:
    """Read the splits of a source as it divides itself.

    Args:
        data: source and options.
        names: the splits wanted; default: train, validation and test.

    Returns:
        Records by split name, those that exist; a table without splits comes back as ``all``.

    Raises:
        ConfigError: if the source or an option of its reader is unknown.
        DataError: if the source cannot be read.
    """
    asked = names or (data.train, data.validation, data.test)
    wanted = [split for split in asked if split is not None]
    name, colon, folder = data.source.partition(":")
    if data.source == "shapes":
        return {
            split: read_shapes(split, **_options_of(data, read_shapes, split)) for split in wanted
        }
    if colon and name in READERS:
        reader = READERS[name]
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise DataError(f"{data.source}: there is no folder {root}.")
        return {
            split: reader(root, split, **_options_of(data, reader, split))
            for split in wanted
            if not (split == "val" and name in WITHOUT_VALIDATION)
            and not (split == "test" and name in WITHOUT_TEST and names is None)
        }
    path = Path(data.source).expanduser()
    if path.suffix.lower() in TABLES:
        if data.train_options:
            raise ConfigError("data.train_options: a table is read at once; use data.options.")
        return read_table_splits(path, _table_options(data))
    known = ", ".join((*(f"{reader}:FOLDER" for reader in READERS), "shapes"))
    hint = f" {nearest(name, READERS)}" if colon else ""
    raise ConfigError(
        f"the data source {data.source!r} is not understood;{hint} expected a "
        f"{', '.join(TABLES)} file of paths and labels, or one of: {known}."
    )


def _options_of(data: Data, reader: Callable[..., Any], split: str) -> dict[str, Any]:
    """Return the reader's options for a split, checked against its signature."""
    known = known_options(reader)
    options = checked_options(data.options, known, key="data.options", source=data.source)
    for_train = checked_options(
        data.train_options, known, key="data.train_options", source=data.source
    )
    return {**options, **(for_train if split == data.train else {})}


def _table_options(data: Data) -> TableOptions:
    """Return the options of a table."""
    if data.train_options:
        raise ConfigError(
            "data.train_options: a table is read once for all splits; use data.options instead."
        )
    known = known_options(TableOptions)
    return TableOptions(
        **checked_options(data.options, known, key="data.options", source=data.source)
    )


def options_of_source(source: str) -> dict[str, Any]:
    """Return the options that the reader of a source knows, with the type of each.

    Args:
        source: as in :class:`~colabel.settings.data.Data`; one that is not understood has none.
    """
    name, colon, _ = source.partition(":")
    if source == "shapes":
        return known_options(read_shapes)
    return known_options(READERS[name] if colon and name in READERS else TableOptions)
