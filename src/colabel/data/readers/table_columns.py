"""Which column of a table is what: given by the user, or found by its name and its cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.readers import table_names as known
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_hints import MORE_IMAGES
from colabel.data.readers.table_labels import find_each_label, find_listing
from colabel.data.readers.table_names import compact
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_splits import SPLIT_WORDS, find_split_flags
from colabel.data.readers.table_values import has_decimal_commas, is_values
from colabel.errors import DataError, listed, nearest

_FEW_SITES = 20
_SUFFIXES = tuple(sorted(IMAGE_SUFFIXES))
_LONGEST_SUFFIX = max(map(len, _SUFFIXES))
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/{1,3}", re.IGNORECASE)


@final
@dataclass(frozen=True)
class Roles:
    """What each column of one table is.

    Args:
        image: column of paths.
        labels: columns that list labels.
        each_label: columns of one label each; beside ``labels``, those that may say the same.
        id: column of unique names.
        group: column of what must stay together.
        split: column of split names.
        split_flags: columns of true and false, with the split that true means.
        confidence: column that says how sure a label is, or whether it is there.
        unused: the other columns, with the reason.
    """

    image: str
    labels: tuple[str, ...]
    each_label: tuple[str, ...]
    id: str | None
    group: str | None
    split: str | None
    split_flags: Mapping[str, str] = field(default_factory=dict)
    confidence: str | None = None
    unused: Mapping[str, str] = field(default_factory=dict)

    def described(self, columns: Iterable[str]) -> dict[str, str]:
        """Return the role of each column in words."""
        roles = {
            **{name: f"not used ({why})" for name, why in self.unused.items()},
            **dict.fromkeys(self.each_label, "label"),
            **dict.fromkeys(self.labels, "labels"),
            **{name: f"split (true: {split})" for name, split in self.split_flags.items()},
        }
        for name, role in (
            (self.confidence, "confidence"),
            (self.split, "split"),
            (self.group, "group"),
            (self.id, "id"),
            (self.image, "image"),
        ):
            if name is not None:
                roles[name] = role
        return {name: roles.get(name, "not used") for name in columns}


class _Search:
    """The columns of a table that have no role yet."""

    def __init__(self, rows: Rows, options: TableOptions) -> None:
        self.rows = rows
        self.unused: dict[str, str] = {}
        self.taken: set[str] = set()
        given = [options.image, options.id, options.group, options.split]
        named = [*given, *options.label_columns, *(options.each_label or ()), *options.ignore]
        for name in named:
            if name is not None:
                if name not in rows.columns:
                    raise DataError(
                        f"{rows.path}: no column {name!r}; {nearest(name, rows.columns)}"
                    )
                self.taken.add(name)
        self.unused.update(dict.fromkeys(options.ignore, "option ignore"))

    def free(self) -> list[str]:
        return [name for name in self.rows.columns if name not in self.taken]

    def named(self, names: Iterable[str]) -> list[str]:
        """Return the free columns of these names, in the order of the names."""
        free: dict[str, list[str]] = {}
        for column in self.free():
            free.setdefault(compact(column), []).append(column)
        return [column for name in names for column in free.get(name, ())]

    def take(self, name: str | None) -> str | None:
        if name is not None:
            self.taken.add(name)
        return name

    def drop(self, names: Iterable[str], why: str) -> None:
        for name in names:
            self.taken.add(name)
            self.unused[name] = why


def find_roles(rows: Rows, options: TableOptions) -> Roles:
    """Return the given columns, with those left open found out.

    Raises:
        DataError: if a given column is missing, there are no images or no labels, or a column
            may be a label or not; names the options that decide.
    """
    _refuse_missing_header(rows)
    search = _Search(rows, options)
    image = options.image or search.take(_find_image(search))
    columns = listed(list(rows.columns), 50)
    if image is None:
        raise DataError(
            f"{rows.path}: no column with the paths of the images; expected one named path, file, "
            f"filename or image, got: {columns}. Rename the column, or give its "
            "name as the option image."
        )
    _refuse_addresses(rows, image)
    identifier = options.id or search.take(next(iter(search.named(known.IDENTIFIER)), None))
    listing = find_listing(rows, search.free(), options)
    search.taken.update(listing.columns)
    search.drop(listing.repeated, "says the same as the labels")
    split = options.split or search.take(_find_split(search, options))
    flags: dict[str, str] = {}
    if split is None and options.splits is None:
        flags = find_split_flags(rows, search.free(), wide=not listing.columns)
        search.taken.update(flags)
    else:
        other = [name for name in search.named(known.SPLIT_FLAGS) if compact(name)[:2] == "is"]
        search.drop(other, "the split is told otherwise")
    group = options.group or _find_group(search, options)
    confidence = search.take(next(iter(search.named(sorted(known.CONFIDENCE))), None))
    each = options.each_label
    search.drop(_find_more_images(search), MORE_IMAGES)
    if each is None:
        each, dropped = find_each_label(rows, search.free(), options, listing.columns)
        search.unused.update(dropped)
    for name in search.free():
        if name not in each:
            search.unused.setdefault(name, "not named in the option each_label")
    if not listing.columns and not each:
        commas = [name for name, cells in rows.columns.items() if has_decimal_commas(cells)]
        hint = (
            f" Numbers with a decimal comma are not read as such: {', '.join(commas)}; write them "
            "with a point."
        )
        raise DataError(
            f"{rows.path}: no labels; expected a column named labels that lists them (cat;dog), "
            f"or one column per label with 1 and 0. Of the columns {columns} name "
            "the one that lists labels in the option labels." + hint * bool(commas)
        )
    return Roles(
        image, listing.columns, each, identifier, group, split, flags, confidence, search.unused
    )


def _refuse_missing_header(rows: Rows) -> None:
    name = next((name for name in rows.columns if name.lower().endswith(_SUFFIXES)), None)
    if name is not None:
        raise DataError(
            f"{rows.path}: the header holds {name!r}, which is an image and no name of a column. "
            "Put a line with names above the first image, such as path,labels or path,cat,dog."
        )


def _find_image(search: _Search) -> str | None:
    named = [name for name in search.named(known.IMAGE) if not _is_flags(search.rows, name)]
    ends = [name for name in named if _share_of_paths(search.rows, name) > 0.5]
    if ends:
        return ends[0]
    full = (name for name in search.free() if _share_of_paths(search.rows, name) == 1)
    found = next(full, None) or next(iter(named), None)
    return found or next(iter(search.named(known.IDENTIFIER)), None)


def _is_flags(rows: Rows, name: str) -> bool:
    return len(rows) > 2 and is_values(rows.different(name))


def _share_of_paths(rows: Rows, name: str) -> float:
    """Return the share of a column's cells that end like an image file."""
    endings = {cell[-_LONGEST_SUFFIX:] for cell in rows.different(name)}
    images = {ending for ending in endings if ending.lower().endswith(_SUFFIXES)}
    if not images:  # nor need the cells be counted, of which a flag has many
        return 0.0
    found = [cell[-_LONGEST_SUFFIX:] in images for cell in rows.columns[name]]
    return sum(found) / len(found)


def _find_more_images(search: _Search) -> list[str]:
    """Return the free columns of paths; addresses are no second image but where one came from."""
    return [
        name
        for name in search.free()
        if _share_of_paths(search.rows, name) > 0.5
        and not any(_ADDRESS.match(cell) for cell in search.rows.different(name))
    ]


def _refuse_addresses(rows: Rows, image: str) -> None:
    for row, cell in enumerate(rows.columns[image]):
        if ":/" in cell and _ADDRESS.match(cell):
            raise DataError(
                f"{rows.where(row)}: the column {image!r} holds the address {cell[:80]!r}, "
                "expected the path of a file. Download the images, and write where they lie "
                "relative to the table; or name another column in the option image."
            )


def _find_split(search: _Search, options: TableOptions) -> str | None:
    """Return the column of split names."""
    named = search.named(known.SPLIT)
    if options.splits is not None:
        search.drop(named, "the option splits is used instead")
        return None
    sure = [name for name in named if compact(name) not in (*known.FOLDS, "dataset")]
    speaking = [
        name
        for name in search.free()
        if len(different := {cell.lower() for cell in search.rows.different(name)} - {""}) > 1
        and different <= SPLIT_WORDS.keys()
    ]
    for name in (*(one for one in speaking if one in named), *sure, *speaking):
        search.drop(
            [one for one in named if one != name and compact(one) in known.FOLDS],
            "the split is used",
        )
        return name
    folds = [name for name in named if compact(name) in known.FOLDS]
    if not folds or (_is_flags(search.rows, folds[0]) and not options.split_values):
        search.drop(folds, "numbers folds; name it in the option split to divide by it")
        return None
    return folds[0]


def _find_group(search: _Search, options: TableOptions) -> str | None:
    """Return the coarsest column of what must stay together."""
    named = [name for name in search.named(known.PATIENT) if not _is_flags(search.rows, name)]
    if options.group_folder is not None:
        search.drop(named, "the option group_folder is used instead")
        return None
    chosen: str | None = None
    for name in named:
        values = len(search.rows.different(name))
        if compact(name) in known.SITES and values < _FEW_SITES:
            why = f"{values} values are too few to divide by; name it in the option group if meant"
            search.drop([name], why)
        elif chosen is None:
            chosen = search.take(name)
        else:
            nested = _is_within(search.rows, name, chosen)
            why = f"{chosen} is used"
            search.drop([name], why if nested else f"{why}, though it groups images otherwise")
    return chosen


def _is_within(rows: Rows, fine: str, coarse: str) -> bool:
    """Tell whether each value of one column belongs to one value of the other."""
    pairs = set(zip(rows.columns[fine], rows.columns[coarse], strict=True))
    return len(pairs) == len(rows.different(fine))
