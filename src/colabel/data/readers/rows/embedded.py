"""Images that stand in a table itself, opened one at a time."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final

from PIL import Image

from colabel.data.images import decode
from colabel.data.pixels import Decoded, PixelOptions
from colabel.data.readers.rows.model import Blobs, Rows
from colabel.errors import DataError, ImageError, MissingExtraError
from colabel.limits import MAX_GROUP_BYTES

_FEW: Final = 64
"""Images that are taken from a group at once."""
_CACHED_BYTES: Final = 256 << 20


def pyarrow_parquet() -> ModuleType:
    """Return ``pyarrow.parquet``.

    Raises:
        MissingExtraError: where it is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyarrow":
            raise
        raise MissingExtraError("pyarrow", extra="parquet") from error
    module: ModuleType = parquet
    return module


@final
class ParquetBlobs:
    """The bytes in one column of a Parquet file.

    A row is read with all of its row group, and the last few groups are kept, up to 256 MB. Each
    process opens the file for itself, so that an object of this class can be sent to workers.

    Args:
        path: the file.
        field: the column, or ``column.bytes`` within it.
        rows: number of rows.
    """

    def __init__(self, path: Path, field: str, rows: int) -> None:
        self.path, self.field, self._rows = path, field, rows
        self._forget()

    def _forget(self) -> None:
        self._process = -1
        self._file: Any = None
        self._ends: list[int] = []
        self._groups: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def __getstate__(self) -> tuple[Path, str, int]:
        """Return what another process needs."""
        return self.path, self.field, self._rows

    def __setstate__(self, state: tuple[Path, str, int]) -> None:
        """Take over what another process sent."""
        self.path, self.field, self._rows = state
        self._forget()

    def _open(self) -> Any:
        if self._process != os.getpid():
            self._forget()
            self._file = pyarrow_parquet().ParquetFile(self.path)
            metadata = self._file.metadata
            counts = (metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
            self._ends = list(accumulate(counts))
            self._process = os.getpid()
        return self._file

    def _group(self, number: int) -> Any:
        groups = self._groups
        if number in groups:
            groups.move_to_end(number)
            return groups[number]
        groups[number] = self._read_group(number)
        while len(groups) > 1 and sum(group.nbytes for group in groups.values()) > _CACHED_BYTES:
            groups.popitem(last=False)
        return groups[number]

    def _read_group(self, number: int) -> Any:
        """Return the images of a group of rows, or refuse them when they become too many bytes.

        A few kilobytes can say of one large image that it stands in every row.
        """
        import pyarrow

        parts, size = [], 0
        # threads of Arrow do not survive the fork of a worker
        for batch in self._file.iter_batches(
            _FEW, row_groups=[number], columns=[self.field], use_threads=False
        ):
            parts.append(batch.column(0))
            size += parts[-1].nbytes
            if size > MAX_GROUP_BYTES:
                raise DataError(
                    f"{self.path}: a group of rows holds more than {MAX_GROUP_BYTES:,} bytes of "
                    "images, and one image is read with all of its group; write the file with "
                    "row_group_size=100."
                )
        return pyarrow.chunked_array(parts)

    def read(self, row: int) -> bytes | None:
        """Return the bytes of a row, ``None`` where there are none.

        Raises:
            DataError: if the file is gone, damaged, or changed since it was first read.
        """
        import pyarrow

        try:
            self._open()
            if not 0 <= row < self._rows or self._ends[-1:] != [self._rows]:
                raise DataError(
                    f"{self.path}: expected {self._rows} rows, got {(self._ends or [0])[-1]}; the "
                    "file changed while it was used."
                )
            number = bisect_right(self._ends, row)
            start = self._ends[number - 1] if number else 0
            value = self._group(number)[row - start].as_py()
        except DataError:
            raise
        except (
            pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError
        ) as error:  # fmt: skip
            raise DataError(f"{self.path}: cannot be read ({error}).") from error
        if isinstance(value, dict):
            value = value.get("bytes")
        return bytes(value) if value is not None else None


@final
class EmbeddedImages:
    """Images whose bytes stand in a table, each read and decoded when asked for.

    Args:
        blobs: the bytes.
        names: what each image is called in messages, one per row of ``blobs``.
        rows: the rows to show, in this order; ``None`` for all.
        options: how pixels are read; default: those of :class:`PixelOptions`.
    """

    def __init__(
        self,
        blobs: Blobs,
        names: Sequence[str],
        rows: Sequence[int] | None = None,
        *,
        options: PixelOptions | None = None,
    ) -> None:
        if len(names) != len(blobs):
            raise DataError(f"{len(names)} names for {len(blobs)} images in a table.")
        self._blobs, self._names = blobs, names
        self._rows = tuple(range(len(names))) if rows is None else tuple(rows)
        self.options = options or PixelOptions()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def locate(self, index: int) -> str:
        """Return file, row and name of image ``index``."""
        return self._names[self._rows[index]]

    def select(self, indices: Sequence[int]) -> EmbeddedImages:
        """Return these images, in this order."""
        chosen = [self._rows[int(index)] for index in indices]
        return EmbeddedImages(self._blobs, self._names, chosen, options=self.options)

    def with_options(self, options: PixelOptions) -> EmbeddedImages:
        """Return the same images, read with other options."""
        return EmbeddedImages(self._blobs, self._names, self._rows, options=options)

    def open(self, index: int) -> Image.Image:
        """Return image ``index`` as :func:`colabel.data.images.decode` does.

        Raises:
            ImageError: if the row holds no image, or one that cannot be decoded.
        """
        return self.read(index).image

    def read(self, index: int) -> Decoded:
        """Return image ``index`` with what was done to it.

        Raises:
            ImageError: if the row holds no image, or one that cannot be decoded.
        """
        name = self.locate(index)
        try:
            data = self._blobs.read(self._rows[index])
        except ImageError:
            raise
        except DataError as error:
            raise ImageError(f"{name}: {error}") from error
        if data is None:
            raise ImageError(f"{name}: the row holds no image; leave it out or add the image.")
        return decode(io.BytesIO(data), name, self.options)


def embedded_images(rows: Rows, column: str) -> EmbeddedImages:
    """Return the images that stand in a column of a table.

    Args:
        rows: a table with the column in its ``blobs``.
        column: its name.

    Raises:
        DataError: if the column holds no images.
    """
    if column not in rows.blobs:
        held = ", ".join(rows.blobs) or "none"
        raise DataError(
            f"{rows.path}: the column {column!r} holds no images; columns that do: {held}."
        )
    names = [f"{rows.where(row)} ({cell})" for row, cell in enumerate(rows.columns[column])]
    return EmbeddedImages(rows.blobs[column], names)
