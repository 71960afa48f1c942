"""Class names that look as if a table was not read as meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_OPENING = tuple("[{(\"'")
_CLOSING = tuple("]}\"'")
_SEPARATORS = frozenset(";|,\n\t#/+&")
_MISSING = frozenset(
    {
        "unlabeled", "unlabelled", "unknown", "unannotated", "notlabeled", "notlabelled",
        "notannotated", "missing", "todo", "tbd", "undefined", "unspecified",
    }
)  # fmt: skip
"""Names of what is not labelled, letters alone and in lower case."""

_FEW = 4
_SHOWN = 5


def odd_names(
    classes: Sequence[str], positives: npt.NDArray[np.int_] | None = None
) -> dict[str, list[str]]:
    """Return what is odd about class names, with the names.

    Args:
        classes: class names.
        positives: images with each class; ``None`` if that shall not be judged.

    Example:
        >>> odd_names(["['cat'", "7", "cat|dog", "owl"])
        {'brackets or quotes': ["['cat'"], 'a number for a name': ['7'], \
'a character that may separate labels': ['cat|dog']}
    """
    found = {
        "brackets or quotes": [
            name for name in classes if name.startswith(_OPENING) or name.endswith(_CLOSING)
        ],
        "a number for a name": [
            name for name in classes if name.replace(".", "", 1).replace("-", "", 1).isdecimal()
        ],
        "a character that may separate labels": [
            name
            for name in classes
            if not _SEPARATORS.isdisjoint(name) and not name.startswith("/")
        ],
    }
    found["no letter or digit"] = [name for name in classes if not any(map(str.isalnum, name))]
    found["a name for what is not labelled"] = [
        name for name in classes if "".join(filter(str.isalpha, name.casefold())) in _MISSING
    ]
    if positives is not None and len(classes) >= _FEW:
        once = [name for name, count in zip(classes, positives, strict=True) if count == 1]
        if len(once) > len(classes) / 2:
            found["one image only"] = once
    return {what: names for what, names in found.items() if names}


def odd_name_notes(
    classes: Sequence[str], positives: npt.NDArray[np.int_] | None = None
) -> tuple[str, ...]:
    """Return :func:`odd_names` as notes of a reader."""
    return tuple(
        f"{len(names)} of {len(classes)} classes with {what}: "
        f"{', '.join(map(repr, names[:_SHOWN]))}{', ...' if len(names) > _SHOWN else ''}; "
        "make sure that the labels were read as meant"
        for what, names in odd_names(classes, positives).items()
    )
