"""The training log: one JSON object per line.

Lines have a ``kind``:

- ``"step"``: ``stage``, ``epoch`` (counted from 1 in its stage), ``step`` (from 1 in the run),
  ``learning_rates`` (by group of parameters), ``loss`` (weighted sum), ``terms`` (per name
  ``raw``, ``weighted`` and ``gradient_share``, the part of the gradient's length at the
  features), ``gradient_norm``, ``images_per_second``, ``diagnostics``.
- ``"epoch"``: ``stage``, ``epoch``, ``step``, ``learning_rates``, ``loss`` and ``terms`` (means
  over the epoch), ``validation`` (metric per name), ``monitor``, ``score``, ``best`` (whether
  this is the best so far), ``seconds``, ``validation_seconds``, ``images_per_second``,
  ``peak_memory_mb``, ``diagnostics`` (the last of the epoch), ``warning`` (about them, or null).
- ``"resume"``: ``stage``, ``epoch``, ``step`` at which an interrupted run went on.

A value that is not a finite number is ``null``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from colabel.errors import RunError, remedy
from colabel.files import replace_file
from colabel.foreign import parse_json, read_plain
from colabel.limits import MAX_LOG_BYTES


class TrainingLog:
    """Appends lines to a log file, from a given position on.

    Args:
        path: the file; made if it is missing.
        position: length in bytes up to which the file is kept; what a killed run wrote after its
            last saved state is cut off, because the resumed run writes it again.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
        >>> with TrainingLog(path, position=0) as log:
        ...     log.write({"kind": "step", "loss": float("nan")})
        >>> read_log(path)
        [{'kind': 'step', 'loss': None}]
    """

    def __init__(self, path: Path, *, position: int) -> None:
        self._path = path
        try:
            # a link would let a run that came from elsewhere write outside its folder
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            self._file = os.fdopen(os.open(path, flags, 0o666), "ab")
            if os.fstat(self._file.fileno()).st_nlink > 1:  # so would a file of two names
                self._file.close()
                content = read_plain(path, limit=MAX_LOG_BYTES, follow_links=False)
                replace_file(path, lambda file: file.write(content))
                self._file = os.fdopen(os.open(path, flags, 0o666), "ab")
            self._file.truncate(min(position, path.stat().st_size))
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise RunError(
                f"{path} cannot be written: {error.strerror or error}; {remedy(error)}."
            ) from error

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line, readable by others at once.

        Raises:
            RunError: if the line cannot be written, as on a full disk.
        """
        line = json.dumps(finite(record), allow_nan=False) + "\n"
        with self._explained():
            self._file.write(line.encode())
            self._file.flush()

    def position(self) -> int:
        """Return the length in bytes of what is safely on the disk.

        Raises:
            RunError: if the disk refuses.
        """
        with self._explained():
            os.fsync(self._file.fileno())
        return self._file.tell()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"cannot write {self._path}: {error.strerror or error}; {remedy(error)}, and "
                "resume the run."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> TrainingLog:
        """Return the log, closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, without a last line that a killed run left unfinished.

    Args:
        path: a ``log.jsonl``.

    Raises:
        RunError: if a line in the middle is no JSON object.
    """
    lines = _content(path).split(b"\n")
    return [_parsed(path, number, line) for number, line in enumerate(lines[:-1], start=1)]


def check_log(path: Path, length: int) -> None:
    """Refuse a log from which a run cannot go on, before it does.

    Args:
        path: a ``log.jsonl``.
        length: in bytes, of what was written when the state was saved.

    Raises:
        RunError: if the log is shorter, or a line of it is no JSON object.
    """
    content = _content(path) if length or path.exists() else b""
    if len(content) < length or (length and content[length - 1 : length] != b"\n"):
        raise RunError(
            f"{path} is not the log of the saved state, which was written after {length} bytes of "
            f"it; it has {len(content)}. Copy the whole run folder again, or begin a new run."
        )
    for number, line in enumerate(content[:length].split(b"\n")[:-1], start=1):
        _parsed(path, number, line)


def _content(path: Path) -> bytes:
    try:
        return read_plain(path, limit=MAX_LOG_BYTES, follow_links=False)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read: {error.strerror or error}; {remedy(error)}."
        ) from error


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return a line of a log."""
    try:
        record = parse_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise RunError(
            f"{path}, line {number}: expected a JSON object, got {line[:80]!r}; copy the whole "
            "run folder again, or begin a new run."
        )
    return record


def finite(value: Any) -> Any:
    """Return the value with every number that JSON cannot hold replaced by ``None``.

    Example:
        >>> finite({"loss": [1.5, math.inf]})
        {'loss': [1.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
