r"""Predictions as CSV or lines of JSON, written so that they read back without doubt.

In CSV the first two columns are ``image`` and ``labels``; where it was asked for, ``abstains``
comes next, which says yes or no; then one column of probabilities for each class, whose name
heads it. Text is escaped with backslashes, which :func:`unescape` and
:func:`split_labels` undo:

- ``\\`` is a backslash; ``\n``, ``\r`` and ``\t`` are a line feed, a carriage return and a tab;
- ``\xNN`` is a byte of a file name that is no UTF-8 text;
- ``\uNNNN`` is a letter that would act on a terminal: a control, an end of a line, half of a
  surrogate pair or a control of the writing direction;
- ``\;`` is a semicolon of a label, since plain ones separate labels;
- one before ``=``, ``+``, ``-`` or ``@`` at the beginning of a cell keeps a spreadsheet from
  taking it for a formula; one before a class called ``image``, ``labels`` or ``abstains`` keeps
  the header unique.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from colabel.printing import escape_acting, json_text

if TYPE_CHECKING:
    from colabel.runs.description import Description
    from colabel.workflows.predict import Prediction

_COLUMNS = ("image", "labels")
_ABSTAINS = "abstains"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN = {"n": "\n", "r": "\r", "t": "\t"}
_FORMULA = ("=", "+", "-", "@")


def escape(text: str) -> str:
    r"""Return text as a cell that no program takes for anything but text.

    Example:
        >>> print(escape("=SUM(A1)"), escape("a;b.png"), escape("two\nlines"))
        \=SUM(A1) a;b.png two\nlines
    """
    return _guarded(_all_escaped(text))


def join_labels(labels: Iterable[str]) -> str:
    r"""Return labels as one cell, separated by semicolons.

    Example:
        >>> print(join_labels(["red; ripe", "round"]))
        red\; ripe;round
    """
    return _guarded(";".join(_all_escaped(label).replace(";", "\\;") for label in labels))


def split_labels(cell: str) -> list[str]:
    r"""Return the labels of a cell, as they are called in the model.

    Example:
        >>> split_labels(r"red\; ripe;round"), split_labels("")
        (['red; ripe', 'round'], [])
    """
    return [unescape(label) for label in re.findall(r"(?:\\.|[^\\;])+", cell)]


def unescape(cell: str) -> str:
    r"""Return the text that :func:`escape` made a cell of.

    Example:
        >>> unescape(r"\=SUM(A1)"), unescape(r"two\nlines")
        ('=SUM(A1)', 'two\nlines')
    """
    return re.sub(
        r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)", lambda found: _meant(found[1]), cell, flags=re.DOTALL
    )


def _meant(code: str) -> str:
    if len(code) == 5:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return os.fsdecode(bytes([int(code[1:], 16)]))
    return _PLAIN.get(code, code)


def _all_escaped(text: str) -> str:
    if text.isprintable() and "\\" not in text:  # as nearly every name is
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python writes a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return _ESCAPES.get(character) or escape_acting(character)


def _guarded(cell: str) -> str:
    return f"\\{cell}" if cell.startswith(_FORMULA) else cell


def columns_before(*, abstain: bool) -> tuple[str, ...]:
    """Return the columns in front of the probabilities.

    Args:
        abstain: whether it is said which images the model should not decide.
    """
    return (*_COLUMNS, _ABSTAINS) if abstain else _COLUMNS


def csv_header(classes: Iterable[str], *, abstain: bool = False) -> str:
    r"""Return the first line of a table.

    Example:
        >>> csv_header(["cat", "image"])
        'image,labels,cat,\\image\n'
    """
    line = io.StringIO()
    own = columns_before(abstain=True)
    heads = [f"\\{name}" if name in own else escape(name) for name in classes]
    csv.writer(line, lineterminator="\n").writerow([*columns_before(abstain=abstain), *heads])
    return line.getvalue()


def write_csv(
    predictions: Iterable[Prediction],
    classes: Iterable[str],
    file: TextIO,
    *,
    header: bool = True,
    abstain: bool = False,
) -> None:
    """Write predictions as they come, a line for each, as this module describes.

    Args:
        predictions: of images.
        classes: in the order of their probabilities.
        file: to write to.
        header: whether the file begins here.
        abstain: whether there is a column that says which images the model should not decide.
    """
    if header:
        file.write(csv_header(classes, abstain=abstain))
    writer = csv.writer(file, lineterminator="\n")
    for prediction in predictions:
        numbers = (f"{value:.6f}" for value in prediction.probabilities.values())
        abstains = ["yes" if prediction.abstains else "no"] if abstain else []
        writer.writerow(
            [escape(prediction.image), join_labels(prediction.labels), *abstains, *numbers]
        )


def write_jsonl(predictions: Iterable[Prediction], description: Description, file: TextIO) -> None:
    r"""Write predictions as they come, an object for each.

    A byte of a file name that is no text becomes ``\udcNN``, from which ``os.fsencode`` makes the
    name again.
    """
    point = description.operating_point
    thresholds = dict(zip(description.classes, point.thresholds, strict=True))
    rules = zip(description.classes, point.rules, strict=False)  # there may be none
    guaranteed = [label for label, rule in rules if rule.guaranteed]
    for prediction in predictions:
        given = set(prediction.labels)
        line = {
            "image": prediction.image,
            "labels": prediction.labels,
            "decisions": {label: label in given for label in prediction.probabilities},
            "logits": prediction.logits,
            "probabilities": prediction.probabilities,
            "thresholds": thresholds,
            "guaranteed": guaranteed,
            "uncertainty": prediction.uncertainty,
            "variance": prediction.variance,
            "abstains": prediction.abstains,
        }
        file.write(json_text(line) + "\n")


def least_size(pictures: Iterable[str], classes: Sequence[str], *, form: str) -> int:
    """Return how many bytes the predictions of images take at least, if all can be read.

    Args:
        pictures: the images.
        classes: of the model.
        form: csv or jsonl.

    Example:
        >>> least_size(["a.png", "b.png"], ["cat"], form="csv")
        32
    """
    count = letters = 0
    for picture in pictures:
        count += 1
        letters += len(picture)
    if form == "csv":
        return letters + count * (len(",,\n") + len("0.123456,") * len(classes) - 1)
    names = sum(len(name) for name in classes)
    return letters + count * 2 * (names + len('"": 0.5') * len(classes))


def read_csv(file: Iterable[str]) -> Iterator[tuple[str, list[str], dict[str, float]]]:
    """Yield the image, its labels and the probability of each class from what was written.

    Args:
        file: lines of the file, opened with ``newline=""`` and ``encoding="utf-8"``.
    """
    rows = csv.reader(file)
    header = next(rows)
    before = len(columns_before(abstain=header[len(_COLUMNS) : len(_COLUMNS) + 1] == [_ABSTAINS]))
    classes = [unescape(head) for head in header[before:]]
    for image, labels, *rest in rows:
        numbers = rest[before - len(_COLUMNS) :]
        probabilities = dict(zip(classes, map(float, numbers), strict=True))
        yield unescape(image), split_labels(labels), probabilities
