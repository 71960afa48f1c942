"""How to read a table, as far as the user says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from colabel.data.readers.rows import RowOptions
from colabel.errors import DataError, UnusedOptionError

NO_DELIMITER = "none"
"""As the option ``delimiter``: each cell holds one label, whatever characters it contains."""

_ESCAPES = {"\\n": "\n", "\\t": "\t", "newline": "\n", "tab": "\t", "space": " "}


@final
@dataclass(frozen=True)
class TableOptions:
    r"""How to read a table; ``None`` means: find out.

    Args:
        image: column with the path of each image.
        labels: the column that lists labels (``cat;dog``), or several that hold one each.
        each_label: the columns that hold one label each (1, 0, -1 or blank).
        id: column with a unique name per image; without one, its path is the name.
        group: column of what must not be spread over splits, such as a patient.
        group_folder: number of the folder in the path, from 1, that is the group.
        split: column with the split of each image: train, val or test.
        split_values: what other words or numbers in that column mean (``{0: train, 1: val}``).
        ignore: columns that are none of these.
        delimiter: what separates the labels in the column ``labels``; space, tab, newline, ``\n``
            and ``\t`` may be written out, ``none`` means that each cell is one label.
        names: class names of a column that holds vectors of 0 and 1 (``[0, 1, 1]``), in order.
        minimum_confidence: a label with a confidence behind it (``cat:0.93``) counts from here.
        soft_threshold: a label's own column with numbers from 0 to 1 is present from here.
        keep_labels: words that are labels although they usually mean none (None, NA).
        layout: "image" for one row per image, "long" for several rows that are put together.
        unlisted: what a label is, in a table with confidences and several rows per image, that is
            listed neither as present nor as absent.
        blank: what a blank cell of a label's own column means. A blank list of labels always
            means that the image has none.
        minus_one: what -1 in a label's own column means; unknown, where 0 or blank cells say what
            is absent, and to be given where there are none.
        images: folder the paths are relative to; else that of the table, or ``images`` in it.
        splits: the split of each image from elsewhere: a CSV file with the columns id and split,
            or a folder with train.txt, val.txt and test.txt. Without a split column, a folder
            ``splits`` beside the table is taken.
        tables: name of the table in the folders train, val and test of a folder of tables.
        separator: what separates the cells of a text file, not the labels within one.
        quote: as in :class:`colabel.data.readers.rows.RowOptions`, like the next four.
        encoding: of a text file.
        header: "none" for a table without one.
        columns: names of the columns of a table without a header.
        sheet: of a workbook.
        allow_outside: accept paths that leave the folder of the images.
        require_images: refuse a table of which not one image exists.

    Raises:
        DataError: if options contradict each other or a value is out of range.
    """

    image: str | None = None
    labels: str | tuple[str, ...] | None = None
    each_label: tuple[str, ...] | None = None
    id: str | None = None
    group: str | None = None
    group_folder: int | None = None
    split: str | None = None
    split_values: dict[str, str] | None = None
    ignore: tuple[str, ...] = ()
    delimiter: str | None = None
    names: tuple[str, ...] | None = None
    minimum_confidence: float | None = None
    soft_threshold: float | None = None
    keep_labels: tuple[str, ...] = ()
    layout: Literal["image", "long"] | None = None
    unlisted: Literal["absent", "unknown"] | None = None
    blank: Literal["absent", "unknown"] | None = None
    minus_one: Literal["absent", "unknown"] | None = None
    images: Path | None = None
    splits: Path | None = None
    tables: str | None = None
    separator: str | None = None
    quote: str | None = None
    encoding: str | None = None
    header: Literal["first", "none"] | None = None
    columns: tuple[str, ...] | None = None
    sheet: str | None = None
    allow_outside: bool = False
    require_images: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.labels is not None and self.each_label is not None:
            raise DataError(
                "labels names one column that lists labels, each_label names columns of one label "
                "each; give one of the two."
            )
        if self.group is not None and self.group_folder is not None:
            raise DataError("group names a column, group_folder a folder; give one of the two.")
        for option, value, known in (
            ("blank", self.blank, ("absent", "unknown")),
            ("minus_one", self.minus_one, ("absent", "unknown")),
            ("unlisted", self.unlisted, ("absent", "unknown")),
            ("layout", self.layout, ("image", "long")),
        ):
            if value is not None and value not in known:
                raise DataError(f"{option} must be {known[0]!r} or {known[1]!r}, got {value!r}.")
        if self.delimiter == "":
            raise DataError("the delimiter of labels must be at least one character, got none.")
        if self.group_folder is not None and self.group_folder < 1:
            raise DataError(f"group_folder counts from 1, got {self.group_folder}.")

    @property
    def rows(self) -> RowOptions:
        """Return the options of the file itself."""
        return RowOptions(
            self.separator,
            self.quote,
            self.encoding,
            self.header,
            self.columns,
            self.sheet,
            self.ignore,
        )

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Return the columns of the option ``labels``."""
        if self.labels is None:
            return ()
        return (self.labels,) if isinstance(self.labels, str) else self.labels

    @property
    def label_separator(self) -> str | None:
        """Return the delimiter as the character that is meant."""
        return None if self.delimiter is None else _ESCAPES.get(self.delimiter, self.delimiter)

    def refuse_unused(self, used: set[str], why: str) -> None:
        """Refuse options about labels that have no effect on this table.

        Args:
            used: the options that have one.
            why: how the labels of this table are written.

        Raises:
            UnusedOptionError: naming the option.
        """
        for option in _ABOUT_LABELS:
            if option not in used and getattr(self, option) not in (None, ()):
                raise UnusedOptionError(
                    f"the option {option}={_shown(getattr(self, option))} has no effect on this "
                    f"table: its labels are {why}. Remove the option, or name the columns in the "
                    "option labels or each_label if the table was not read as meant.",
                    option=option,
                )


_ABOUT_LABELS = (
    "delimiter", "names", "minimum_confidence", "soft_threshold", "keep_labels", "unlisted",
    "blank", "minus_one",
)  # fmt: skip


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else repr(value)
