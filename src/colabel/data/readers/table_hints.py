"""Signs of patients that a table does not name: told, never acted upon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from colabel.data.readers.rows import Rows
from colabel.data.readers.table_names import FACTS as _FACTS
from colabel.data.readers.table_names import compact

MORE_IMAGES = "paths of other images"
"""Why a column of paths is not used beside the one that is."""

_FEWEST = 10
_ONCE = 1.2
_OFTEN = 50


def group_hints(rows: Rows, unused: Mapping[str, str], paths: Sequence[str]) -> tuple[str, ...]:
    """Return notes about columns and folders that repeat like patients.

    Args:
        rows: the table, without a column of groups.
        unused: its columns without a role.
        paths: of the images.
    """
    notes = []
    for name in unused:
        values = rows.different(name) - {""}
        filled = len(rows) - rows.columns[name].count("")
        if (
            compact(name) not in _FACTS
            and _repeats(len(values), filled)
            and not _are_measures(values)
        ):
            notes.append(
                f"the column {name!r} repeats like a patient ({len(values):,} values in "
                f"{filled:,} rows) and is not used; if images that share a value must stay "
                f"in one split, set group={name}"
            )
    above = [folder.split("/") for folder in {path[: path.rfind("/") + 1] for path in paths}]
    depth = min(map(len, above)) - 1
    for level in range(depth):
        folders = {parts[level] for parts in above}
        numbered = sum(any(map(str.isdecimal, name)) for name in folders)
        if _repeats(len(folders), len(paths)) and numbered > 0.9 * len(folders):
            first = paths[0].split("/")[level]
            notes.append(
                f"the images lie in {len(folders):,} folders such as {first!r}, which "
                "may be patients; if images of one folder must stay in one split, set "
                f"group_folder={level + 1}"
            )
            break
    return tuple(notes)


def image_hints(unused: Mapping[str, str], image: str) -> tuple[str, ...]:
    """Return a note about further columns of images, of which only one is read.

    Args:
        unused: columns without a role, with the reason.
        image: the column of images that is read.
    """
    others = [name for name, why in unused.items() if why == MORE_IMAGES]
    if not others:
        return ()
    return (
        f"only the images in the column {image!r} are read, not those in "
        f"{', '.join(map(repr, others))}; set image=NAME for another, or write one row per image "
        "if the labels hold for each",
    )


def _repeats(values: int, rows: int) -> bool:
    return values >= _FEWEST and _ONCE <= rows / values <= _OFTEN


def _are_measures(values: Iterable[str]) -> bool:
    """Tell whether values are numbers with a fraction, as measurements are."""
    return all(value.replace(".", "", 1).isdecimal() for value in values) and any(
        "." in value for value in values
    )


def folder_groups(paths: Sequence[str], level: int) -> list[str]:
    """Return the folder of each path at a level from 1, nothing where it has none.

    Example:
        >>> folder_groups(["p1/s2/a.png", "b.png"], 1)
        ['p1', '']
    """
    parts = [path.split("/")[:-1] for path in paths]
    return ["/".join(part[:level]) if len(part) >= level else "" for part in parts]
