"""Vectors of labels from a file: word vectors as text, or a matrix with a row per label."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from colabel.data.opening import at_home, open_data, read_data
from colabel.errors import DataError, listed
from colabel.limits import MAX_LINE_LENGTH, MAX_VECTORS_BYTES, MAX_WORDS_BYTES

Vectors = npt.NDArray[np.float32]

_CHOICES = "head.vectors: learned, one_hot, or another file"
_EXPECTED = f"word vectors, as {_CHOICES}"
_WORD = re.compile(r"[^\W_]+")


def read_label_vectors(file: Path | str, classes: Sequence[str]) -> Vectors:
    r"""Return a vector per label, float32, shape (classes, width).

    Args:
        file: text of GloVe's format, a word and its numbers on each line, in UTF-8, of which only
            the words of the labels are kept; or ``.npy`` or ``.safetensors``, one matrix with a
            row per label, in the order of the labels. Nothing in them is run.
        classes: names of the labels. One of several words has the mean of their vectors, unless
            the file has it as it is written; upper case counts where the file has it.

    Raises:
        DataError: if the file cannot be read, a word is missing from it, or a number is not
            finite.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "words.txt"
        ...     _ = path.write_text("hair 1 0\ndrier 0 1\ncat 4 4\n")
        ...     read_label_vectors(path, ["hair drier", "Cat"])
        array([[0.5, 0.5],
               [4. , 4. ]], dtype=float32)
    """
    path = at_home(file)
    if path.suffix in (".npy", ".safetensors"):
        vectors = _read_matrix(path, classes)
    else:
        vectors = _read_words(path, classes)
    if not np.isfinite(vectors).all():
        raise DataError(f"{path}: a number is not finite; expected {_EXPECTED}.")
    return vectors


def _read_matrix(path: Path, classes: Sequence[str]) -> Vectors:
    content = read_data(path, expected=_EXPECTED, limit=MAX_VECTORS_BYTES)
    try:
        if path.suffix == ".npy":
            found = {"": np.load(io.BytesIO(content), allow_pickle=False)}
        else:
            found = load_safetensors(content)
    except (SafetensorError, ValueError, OSError, EOFError, KeyError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected {_EXPECTED}.") from error
    shapes = [str(each.shape) for each in found.values()]
    if len(found) != 1 or shapes == ["()"]:
        raise DataError(
            f"{path}: {len(found)} arrays ({listed(shapes)}), expected one with a row per label."
        )
    (matrix,) = found.values()
    if matrix.ndim != 2 or len(matrix) != len(classes) or matrix.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: numbers of type {matrix.dtype} and shape {matrix.shape}, expected a row for "
            f"each of the {len(classes)} labels, in their order."
        )
    rows: Vectors = matrix.astype(np.float32)
    return rows


def _read_words(path: Path, classes: Sequence[str]) -> Vectors:
    forms = {name: _forms(name) for name in classes}
    wanted = {word for ways in forms.values() for way in ways for word in way}
    found: dict[str, Vectors] = {}
    width: int | None = None
    for number, word, text in _lines(path):
        if word not in wanted or word in found:
            continue
        try:
            vector = np.array(text.split(), dtype=np.float32)
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: {error}; expected a word and its numbers."
            ) from error
        width = len(vector) if width is None else width
        if not len(vector) or len(vector) != width:
            raise DataError(
                f"{path}, line {number}: {len(vector)} numbers, where others have {width}."
            )
        found[word] = vector
    missing = [word for ways in forms.values() for word in _missing(ways, found)]
    if missing:
        raise DataError(
            f"{path} has no vector for {listed(sorted(set(missing)))}; rename the labels, add the "
            f"words, or choose {_CHOICES}."
        )
    return np.stack([_mean(ways, found) for ways in forms.values()])


def _forms(name: str) -> list[tuple[str, ...]]:
    """Return the words that may stand for a label, best first.

    Example:
        >>> _forms("Hair drier")
        [('Hair drier',), ('hair drier',), ('Hair', 'drier'), ('hair', 'drier')]
    """
    words = tuple(_WORD.findall(name)) or (name,)
    lower = tuple(word.lower() for word in words)
    return list(dict.fromkeys([(name,), (name.lower(),), words, lower]))


def _missing(ways: Sequence[tuple[str, ...]], found: Mapping[str, Vectors]) -> list[str]:
    """Return the words of the last way that are not there, if no way is there whole."""
    if any(all(word in found for word in way) for way in ways):
        return []
    return [word for word in ways[-1] if word not in found]


def _mean(ways: Sequence[tuple[str, ...]], found: Mapping[str, Vectors]) -> Vectors:
    way = next(way for way in ways if all(word in found for word in way))
    mean: Vectors = np.stack([found[word] for word in way]).mean(axis=0)
    return mean


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the word and the rest of each line."""
    with open_data(path, expected=_EXPECTED, limit=MAX_WORDS_BYTES) as file:
        number = 0
        while line := file.readline(MAX_LINE_LENGTH + 1):
            number += 1
            if len(line) > MAX_LINE_LENGTH:
                raise DataError(
                    f"{path}, line {number}: more than {MAX_LINE_LENGTH:,} bytes; expected a word "
                    "and its numbers on each line."
                )
            word, _, rest = line.decode("utf-8", errors="replace").strip().partition(" ")
            yield number, word, rest
