"""From the name of a source to records: readers and their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import expanduser
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
from colabel.data.images import read_with
from colabel.data.pixels import PixelOptions
from colabel.data.readers.coco_export import read_coco
from colabel.data.readers.fiftyone import read_fiftyone
from colabel.data.readers.folders import read_folders
from colabel.data.readers.labelstudio import read_labelstudio
from colabel.data.readers.openimages import read_openimages
from colabel.data.readers.recognise import other_readers, recognise
from colabel.data.readers.shapes import read_shapes
from colabel.data.readers.table_folders import TABLES, find_tables
from colabel.data.readers.textfiles import read_textfiles
from colabel.data.readers.voc_export import read_voc
from colabel.errors import ConfigError, DataError, nearest
from colabel.limits import MAX_PIXELS
from colabel.settings.data import Data

READERS: Mapping[str, Callable[..., Records]] = {
    "voc2007": read_voc2007,
    "voc2012": read_voc2012,
    "coco2014": read_coco2014,
    "coco2017": read_coco2017,
    "chestxray14": read_chestxray14,
    "adp": read_adp,
}
"""Readers of published sets, ``name:FOLDER``, which are asked for one split at a time."""

LAYOUTS: Mapping[str, Callable[..., dict[str, Records]]] = {
    "coco": read_coco,
    "fiftyone": read_fiftyone,
    "folders": read_folders,
    "labelstudio": read_labelstudio,
    "openimages": read_openimages,
    "textfiles": read_textfiles,
    "voc": read_voc,
}
"""Readers of anyone's files in a known layout, ``name:PATH``, which return all splits there are,
or ``all`` where nothing divides the images."""

WITHOUT_VALIDATION = frozenset({"coco2014", "coco2017"})
"""Readers whose published splits are train and test only."""

WITHOUT_TEST = frozenset({"voc2012"})
"""Readers whose test labels were never published."""


def open_source(data: Data, names: tuple[str | None, ...] | None = None) -> dict[str, Records]:
    """Read the splits of a source as it divides itself.

    Args:
        data: source and options.
        names: the splits wanted; default: train, validation and test.

    Returns:
        Records by split name, those that exist; a table or folder that nothing divides comes back
        as ``all``.

    Raises:
        ConfigError: if the source or an option of its reader is unknown.
        DataError: if the source cannot be read.
    """
    options = pixel_options(data)
    opened = _read_source(data, names)
    return {split: read_with(records, options) for split, records in opened.items()}


def gives_all_splits(data: Data) -> bool:
    """Tell whether a source is read as a whole, so that it is known which splits it has."""
    name, colon, _ = data.source.partition(":")
    return not (data.source == "shapes" or (colon and name in READERS))


def pixel_options(data: Data) -> PixelOptions:
    """Return how the settings ask for image files to be read.

    Raises:
        ConfigError: if there are no such channels.
    """
    return PixelOptions(data.scale, data.alpha, data.bands, data.max_pixels or MAX_PIXELS)


def _read_source(data: Data, names: tuple[str | None, ...] | None) -> dict[str, Records]:
    asked = names or (data.train, data.validation, data.test)
    wanted = [split for split in asked if split is not None]
    name, colon, folder = data.source.partition(":")
    if data.source == "shapes":
        return {
            split: read_shapes(split, **_options_of(data, read_shapes, split)) for split in wanted
        }
    if colon and name in READERS:
        reader = READERS[name]
        root = Path(expanduser(folder))
        if not root.is_dir():
            raise DataError(f"{data.source}: there is no folder {root}.")
        return {
            split: reader(root, split, **_options_of(data, reader, split))
            for split in wanted
            if not (split == "val" and name in WITHOUT_VALIDATION)
            and not (split == "test" and name in WITHOUT_TEST and names is None)
        }
    if colon and name in LAYOUTS:
        return _read_layout(data, LAYOUTS[name], Path(expanduser(folder)))
    path = Path(expanduser(data.source))
    if path.suffix.lower() in TABLES or path.is_file() or _is_folder_of_tables(path, data):
        if data.train_options:
            raise ConfigError("data.train_options: a table is read at once; use data.options.")
        try:
            return read_table_splits(path, _table_options(data))
        except DataError as error:
            if offered := other_readers(path):
                raise DataError(f"{error}{offered}") from error
            raise
    known = ", ".join(
        (
            *(f"{reader}:FOLDER" for reader in READERS),
            *(f"{reader}:PATH" for reader in LAYOUTS),
            "shapes",
        )
    )
    hint = f" {nearest(name, (*READERS, *LAYOUTS))}" if colon else ""
    if offered := other_readers(path):
        raise ConfigError(f"{data.source}: expected the name of a reader before it.{offered}")
    tables = _tables_in(path)
    if tables:
        raise ConfigError(
            f"{data.source}: expected a file, or the name of a reader before the folder. Did you "
            f"mean {' or '.join(tables)}?"
        )
    raise ConfigError(
        f"the data source {data.source!r} is not understood;{hint} expected a "
        "table of paths and labels (CSV, Parquet, JSON or a workbook), a folder with such a "
        "table in each of train, valid and test, or with train.csv, val.csv and test.csv, or one "
        f"of: {known}."
    )


def _is_folder_of_tables(path: Path, data: Data) -> bool:
    if not path.is_dir() or "tables" in data.options:
        return path.is_dir()
    # the tables of Open Images are side by side as well, and have a reader that knows them
    return bool(find_tables(path, None)) and f"openimages:{path}" not in recognise(path)


def _read_layout(
    data: Data, reader: Callable[..., dict[str, Records]], path: Path
) -> dict[str, Records]:
    """Return all splits of files in a known layout."""
    if data.train_options:
        raise ConfigError(
            f"data.train_options: {data.source} is read once for all splits; use data.options "
            "instead."
        )
    if not path.exists():
        raise DataError(f"{data.source}: there is no file or folder {path}.")
    return reader(path, **_options_of(data, reader))


def _tables_in(folder: Path) -> list[str]:
    """Return the first three files of a folder that end like tables."""
    if not folder.is_dir():
        return []
    ends = (path for path in folder.iterdir() if path.suffix.lower() in TABLES)
    found = (path for path in ends if path.is_file())
    return [str(path) for path in sorted(found)[:3]]


def _options_of(
    data: Data, reader: Callable[..., Any], split: str | None = None
) -> dict[str, Any]:
    """Return the reader's options for a split, or for all, checked against its signature."""
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
    readers: Mapping[str, Callable[..., Any]] = {**READERS, **LAYOUTS}
    return known_options(readers[name] if colon and name in readers else TableOptions)
