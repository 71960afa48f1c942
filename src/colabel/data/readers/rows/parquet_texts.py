"""Values of Parquet's columns as the cells of a text table, each different one converted once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, final

from colabel.data.readers.rows.model import LIST_DELIMITER
from colabel.errors import DataError
from colabel.limits import MAX_CELL_LENGTH


def to_text(value: object) -> str:
    """Return a value as the cell that a CSV file would hold.

    Example:
        >>> [to_text(value) for value in (True, 1.0, 0.5, None, float("nan"), " a ")]
        ['1', '1', '0.5', '', '', 'a']
    """
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
    if isinstance(value, Decimal):
        whole = value.to_integral_value()
        return format(whole if whole == value else value.normalize(), "f")
    if isinstance(value, bytes):
        return value.decode("utf-8").strip()
    if isinstance(value, list):
        return LIST_DELIMITER.join(map(to_text, value))
    return str(value).strip()


@final
class Texts:
    """Turns the arrays of one column into texts, equal ones into one object.

    A text that stands a million times is converted and held once. Arrow gives the different
    values of a batch behind those of the batches before it, so that only the new ones are new.

    Args:
        path: of the file, for messages.
        convert: what makes a text of a value.
    """

    def __init__(self, path: Path, convert: Callable[[object], str]) -> None:
        import pyarrow
        import pyarrow.compute

        self._arrow: Any = pyarrow
        self._path, self._convert = path, convert
        self._shared: dict[str, str] = {}
        self._counted = 0
        self._dictionary: Any = None
        self._words: list[str] = []

    def of(self, array: Any) -> list[str]:
        """Return the texts of an array."""
        types = self._arrow.types
        if not types.is_nested(array.type):
            return self._plain(array)
        array.validate(full=True)  # a damaged list may lead anywhere
        share = self._shared.setdefault
        if self._is_list(array.type) and types.is_dictionary(array.type.value_type):
            return [share(text, text) for text in self._lists(array)]
        return [share(text, text) for text in map(self._convert, array.to_pylist())]

    def take_length(self) -> int:
        """Return the characters of the different texts that came since this was asked last."""
        new = islice(self._shared, self._counted, None)  # in the order in which they came
        length = sum(map(len, new))
        self._counted = len(self._shared)
        return length

    def _is_list(self, kind: Any) -> bool:
        types = self._arrow.types
        return bool(
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )

    def _plain(self, array: Any) -> list[str]:
        """Return the texts of an array without lists in it."""
        if not self._arrow.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        words = self._converted(array.dictionary)
        numbers = array.indices
        bounds = self._arrow.compute.min_max(numbers).as_py()
        if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(words):
            raise DataError(
                f"{self._path}: a value of a column is none of its words; the file is damaged."
            )
        if numbers.null_count:
            numbers = numbers.fill_null(len(words))
            words = [*words, ""]
        return list(map(words.__getitem__, numbers.to_pylist()))

    def _converted(self, dictionary: Any) -> list[str]:
        """Return the different values as texts."""
        known = self._dictionary
        if (
            known is None
            or len(dictionary) < len(known)
            or (not dictionary.slice(0, len(known)).equals(known))
        ):
            self._words = []
        new = dictionary.slice(len(self._words))
        types = self._arrow.types
        fine = types.is_time64(new.type) and new.type.unit == "ns"
        if fine or any(
            fits(new.type) for fits in (types.is_timestamp, types.is_duration, types.is_date)
        ):
            # nanoseconds, and years after 9999, are more than Python's datetime can hold
            new = new.cast(self._arrow.string())
        share = self._shared.setdefault
        self._words += [share(text, text) for text in map(self._convert, new.to_pylist())]
        self._dictionary = dictionary
        return self._words

    def _lists(self, array: Any) -> Iterator[str]:
        """Yield the text of each list of words in an array."""
        words = iter(self._plain(array.flatten()))
        for length in self._arrow.compute.list_value_length(array).fill_null(0).to_pylist():
            parts = list(islice(words, length))
            if sum(map(len, parts)) > MAX_CELL_LENGTH:
                raise DataError(
                    f"{self._path}: a list of more than {MAX_CELL_LENGTH:,} characters; expected "
                    "the labels of one image."
                )
            yield LIST_DELIMITER.join(parts)
