"""Names of classes that may be shown and written anywhere, and of files that are nobody's data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from colabel.errors import DataError
from colabel.limits import MAX_CLASSES, MAX_NAME_LENGTH
from colabel.printing import ACTS_ON_TERMINAL, printable

SYSTEM_NAMES = frozenset(
    {
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin",
        "system volume information",  # Windows
        "__macosx", "icon\r",  # macOS
        "@eadir", "#recycle", "@recycle", "@recently-snapshot",  # Synology, QNAP
        "lost+found",
    }
)  # fmt: skip
"""What operating systems and network drives put beside the files of a user, in lower case; what
begins with a dot is theirs as well."""

_SHOWN = 80


def is_system_name(name: str) -> bool:
    """Tell whether a file or folder is hidden, or left by an operating system.

    Example:
        >>> [is_system_name(name) for name in (".DS_Store", "@eaDir", "Thumbs.db", "cat")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def check_class_names(names: Sequence[str], *, source: object = "the classes") -> None:
    r"""Refuse names of classes that cannot be shown, written or kept as they are.

    Names in any script are welcome, with the joiners and marks that it needs. Refused are control
    characters, ends of lines, controls of the writing direction and halves of surrogate pairs:
    they forge lines of a terminal or a log, and make files that nothing reads.

    Args:
        names: of the classes.
        source: where they stand, for the message.

    Raises:
        DataError: for the first name that is refused, or too many names.

    Example:
        >>> check_class_names(["Zähne", "नमस्ते", "क्‍ष", "👩‍⚕️"])
        >>> check_class_names(["cat\n", "dog"], source="labels.csv")
        Traceback (most recent call last):
        colabel.errors.DataError: labels.csv: the class name 'cat\x0a' holds the control character
        U+000A; expected visible characters, blanks between words and no line ends. Rename it.
    """
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{source}: {len(names):,} classes, where at most {MAX_CLASSES:,} are read. If they "
            "are meant, keep those that occur often; else check what separates the labels, and "
            "which column holds them."
        )
    check_lengths(names, source=source)
    for name in names:
        control = ACTS_ON_TERMINAL.search(name)
        if control is not None:
            raise DataError(
                f"{source}: the class name '{printable(name[:_SHOWN])}' holds the control "
                f"character U+{ord(control[0]):04X}; expected visible characters, blanks between "
                "words and no line ends. Rename it."
            )


def check_lengths(names: Iterable[str], *, source: object) -> None:
    """Refuse names of classes that are whole texts.

    Args:
        names: of the classes.
        source: where they stand, for the message.

    Raises:
        DataError: for the first name that is too long.
    """
    for name in names:
        if len(name) > MAX_NAME_LENGTH:
            raise DataError(
                f"{source}: a class name of {len(name):,} characters, where at most "
                f"{MAX_NAME_LENGTH:,} are read: '{printable(name[:_SHOWN])}...'. Give the class "
                "a shorter name, or check what separates the labels."
            )


def not_text(names: Iterable[str]) -> str | None:
    r"""Return the first name that holds half of a surrogate pair, which no file can be called.

    JSON may write such halves; neither UTF-8 nor the text of another file can hold them.

    Example:
        >>> not_text(["a.jpg", "\ud800.jpg"]) == "\ud800.jpg"
        True
    """
    listed = list(names)
    try:
        "".join(listed).encode()
    except UnicodeEncodeError:
        return next(name for name in listed if any("\ud800" <= sign <= "\udfff" for sign in name))
    return None
