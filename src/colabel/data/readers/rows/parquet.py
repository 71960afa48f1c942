"""A Parquet file as rows, with the names of its classes and the images it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from colabel.data.readers.rows.embedded import ParquetBlobs, pyarrow_parquet
from colabel.data.readers.rows.model import (
    LIST_DELIMITER,
    Blobs,
    RowOptions,
    Rows,
    refuse_too_many_cells,
)
from colabel.data.readers.rows.parquet_texts import Texts, to_text
from colabel.errors import DataError
from colabel.limits import MAX_TABLE_BYTES

_PANDAS_INDEX = "__index_level_0__"
_ERRORS = (
    OSError, ValueError, KeyError, MemoryError,
    OverflowError,  # dates beyond those of Python
)  # fmt: skip
"""What reading a damaged file may raise beside Arrow's own errors."""
_FEW: Final = 16
"""Rows read together to see what bytes are, which may be images of megabytes."""
_SOME: Final = 256
"""Rows read together to see whether there is any image."""
_BATCH: Final = 65_536
_LARGE_GROUP: Final = 256 << 20
_FLAG_NAMES = frozenset(
    {"no", "yes", "false", "true", "negative", "positive", "absent", "present"}
)
_IMAGE_STARTS = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"RIFF", b"P5", b"P6",
)  # fmt: skip


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return the names of the classes by column, which Hugging Face's ``datasets`` writes."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names_in(feature) for column, feature in features.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names_in(feature: object) -> list[str]:
    if isinstance(feature, list) and len(feature) == 1:
        return _names_in(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return list(map(str, names)) if isinstance(names, list) else []
    return _names_in(feature["feature"]) if "feature" in feature else []


def _namer(path: Path, column: str, names: Sequence[str]) -> Callable[[object], str]:
    """Return what turns the number of a class into its name."""

    def name_of(value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, list):
            return LIST_DELIMITER.join(map(name_of, value))
        if not isinstance(value, int) or not 0 <= value < len(names):
            raise DataError(
                f"{path}: the column {column!r} holds {value}, and its classes are numbered from "
                f"0 to {len(names) - 1}; -1 marks images without a label: leave their rows out."
            )
        return names[value].strip()

    return name_of


class _Reader:
    """Reads the columns of one file, in batches.

    Args:
        path: of the file.
        file: opened as it is, for what it says of itself.
        words: opened so that texts come as a dictionary and the number of each: a text that
            stands a million times is then held once, however long it is.
        options: how to read it.
    """

    def __init__(self, path: Path, file: Any, words: Any, options: RowOptions) -> None:
        import pyarrow
        import pyarrow.compute

        self.arrow: Any = pyarrow
        self.path, self.file, self.words, self.options = path, file, words, options
        self.held = 0
        self.schema: Any = file.schema_arrow
        self.notes: list[str] = []
        self.classes = _class_names(self.schema.metadata)
        self.rows: int = file.metadata.num_rows

    def _plain(self, kind: Any) -> Any:
        """Return the type that a dictionary or an extension stores."""
        types = self.arrow.types
        while True:
            if types.is_dictionary(kind):
                kind = kind.value_type
            elif isinstance(kind, self.arrow.BaseExtensionType):
                kind = kind.storage_type
            else:
                return kind

    def _is_list(self, kind: Any) -> bool:
        types = self.arrow.types
        return bool(
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )

    def _is_nested(self, kind: Any) -> bool:
        return bool(self.arrow.types.is_nested(kind))

    def _is_binary(self, kind: Any) -> bool:
        types = self.arrow.types
        return bool(
            types.is_binary(kind) or types.is_large_binary(kind)
            or types.is_fixed_size_binary(kind) or str(kind) == "binary_view"
        )  # fmt: skip

    def _is_image(self, kind: Any) -> bool:
        if not self.arrow.types.is_struct(kind):
            return False
        fields = {kind.field(number).name for number in range(kind.num_fields)}
        return "bytes" in fields and fields <= {"bytes", "path"}

    def _values(self, column: str, rows: int = _BATCH) -> Iterator[Any]:
        """Yield one array of the values of a column per batch, or per part of one."""
        # lists of words cannot be put together from several groups of rows
        nested = self._is_nested(self._plain(self.schema.field(column).type))
        groups = range(self.file.num_row_groups)
        for part in [[group] for group in groups] if nested else [list(groups)]:
            for batch in self.words.iter_batches(
                rows, row_groups=part, columns=[column], use_threads=False
            ):
                array = batch.column(0)
                while isinstance(array, self.arrow.ExtensionArray):
                    array = array.storage
                yield array

    def _count(self, column: str) -> None:
        """Add what a column takes to what is held, and refuse what is too much."""
        paths = [self.file.schema.column(number).path for number in range(len(self.file.schema))]
        chunks = [
            self.file.metadata.row_group(group).column(number)
            for group in range(self.file.num_row_groups)
            for number, path in enumerate(paths)
            if path == column or path.startswith(f"{column}.")
        ]
        refuse_too_many_cells(self.path, sum(chunk.num_values for chunk in chunks), 1)
        self._hold(sum(chunk.total_uncompressed_size for chunk in chunks), column)

    def _hold(self, size: int, column: str) -> None:
        self.held += size
        if size < 0 or self.held > MAX_TABLE_BYTES:
            raise DataError(
                f"{self.path}: unpacked up to the column {column!r}, the table takes more than "
                f"{MAX_TABLE_BYTES:,} bytes without its images; name in the option ignore what "
                "is not needed, or divide the table by split."
            )

    def _cells(self, column: str, convert: Callable[[object], str]) -> list[str]:
        """Return a column as text; equal values become one object."""
        self._count(column)
        texts = Texts(self.path, convert)
        cells: list[str] = []
        for array in self._values(column):
            cells.extend(texts.of(array))
            self._hold(texts.take_length(), column)
        return cells

    def _first_bytes(self, column: str) -> bytes | None:
        for array in self._values(column, _FEW):
            present = array.drop_null()
            if len(present):
                value: bytes = present[0].as_py()
                return value
        return None

    def _images(self, column: str, kind: Any) -> tuple[list[str], Blobs | None]:
        """Return the names and the bytes of a column of images."""
        struct = self.arrow.types.is_struct(kind)
        numbered = [f"row {number + 1}" for number in range(self.rows)]
        cells = numbered
        if struct and kind.get_field_index("path") >= 0:
            named = self._paths(column)
            if not any(named):
                pass
            elif len(set(named)) == len(named) and all(named):
                cells = named
            elif self._has_bytes(column):
                self.notes.append(
                    f"images of the column {column!r} are named by their rows: their paths "
                    "repeat or are missing"
                )
            else:
                cells = named
        if struct and not self._has_bytes(column):
            return cells, None
        field = f"{column}.bytes" if struct else column
        largest = self._largest_group(field)
        if largest > _LARGE_GROUP:
            self.notes.append(
                f"a row group holds {largest >> 20} MB of images, and one image is read with all "
                "of its group; write the file with row_group_size=100 to train faster"
            )
        return cells, ParquetBlobs(self.path, field, self.rows)

    def _paths(self, column: str) -> list[str]:
        """Return the paths beside the images in a column."""
        texts = Texts(self.path, to_text)
        paths: list[str] = []
        for group in range(self.file.num_row_groups):
            for batch in self.words.iter_batches(
                _BATCH, row_groups=[group], columns=[f"{column}.path"], use_threads=False
            ):
                # a row without image and path has a blank one
                paths.extend(texts.of(self.arrow.compute.struct_field(batch.column(0), "path")))
                self._hold(texts.take_length(), column)
        return paths

    def _chunk(self, field: str) -> int | None:
        schema = self.file.schema
        names = [schema.column(number).path for number in range(len(schema))]
        return names.index(field) if field in names else None

    def _largest_group(self, field: str) -> int:
        number = self._chunk(field)
        if number is None:
            return 0
        groups = (self.file.metadata.row_group(g) for g in range(self.file.num_row_groups))
        return max((group.column(number).total_uncompressed_size for group in groups), default=0)

    def _has_bytes(self, column: str) -> bool:
        """Tell whether any image stands in the file, and not only its path."""
        if self._chunk(f"{column}.bytes") is None:
            return False
        for group in range(self.file.num_row_groups):
            for batch in self.words.iter_batches(
                _SOME, row_groups=[group], columns=[f"{column}.bytes"], use_threads=False
            ):
                inner = self.arrow.compute.struct_field(batch.column(0), "bytes")
                if inner.null_count < len(inner):
                    return True
        return False

    def read(self, name: str) -> tuple[list[str], Blobs | None]:
        """Return a column as text, and its bytes where it holds images."""
        # Arrow looks at what the file says of its parts; unless reading asks it to, an error in
        # there ends the process
        next(self.file.iter_batches(1, columns=[name], use_threads=False), None)
        kind = self._plain(self.schema.field(name).type)
        if name in self.options.ignore and (self._is_nested(kind) or self._is_binary(kind)):
            return [""] * self.rows, None
        if self._is_image(kind):
            return self._images(name, kind)
        if self._is_binary(kind):
            start = self._first_bytes(name)
            if start is not None and start.startswith(_IMAGE_STARTS):
                return self._images(name, kind)
        inner = self._plain(kind.value_type) if self._is_list(kind) else kind
        if self._is_nested(inner):
            raise DataError(
                f"{self.path}: the column {name!r} holds {kind}; expected text, numbers or a list "
                "of them. If it does not matter, name it in the option ignore."
            )
        if name in self.classes:
            names = self.classes[name]
            if inner is kind and len(names) == 2 and {n.casefold() for n in names} <= _FLAG_NAMES:
                return self._cells(name, to_text), None
            self.notes.append(f"the numbers of the column {name!r} named after their classes")
            return self._cells(name, _namer(self.path, name, names)), None
        try:
            return self._cells(name, to_text), None
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}: the column {name!r} holds bytes that are neither images nor UTF-8 "
                "text; if it does not matter, name it in the option ignore."
            ) from error


def _text_fields(file: Any) -> list[str]:
    """Return the fields that hold texts or bytes, alone or in lists."""
    fields = map(file.schema.column, range(len(file.schema)))
    return [field.path for field in fields if field.physical_type == "BYTE_ARRAY"]


def read_parquet(path: Path, options: RowOptions) -> Rows:
    """Return the rows of a Parquet file; see :func:`read_rows`."""
    parquet = pyarrow_parquet()
    import pyarrow

    try:
        with (
            parquet.ParquetFile(path, pre_buffer=True) as file,
            parquet.ParquetFile(
                path, metadata=file.metadata, read_dictionary=_text_fields(file)
            ) as words,
        ):
            names = list(file.schema_arrow.names)
            refuse_too_many_cells(path, file.metadata.num_rows, len(names))
            reader = _Reader(path, file, words, options)
            if len(set(names)) != len(names):
                raise DataError(f"{path}: two columns of the same name among {', '.join(names)}.")
            columns: dict[str, list[str]] = {}
            blobs: dict[str, Blobs] = {}
            for name in names:
                if name == _PANDAS_INDEX:
                    continue
                columns[name.strip()], held = reader.read(name)
                if len(columns[name.strip()]) != reader.rows:
                    raise DataError(
                        f"{path}: {len(columns[name.strip()]):,} rows in the column {name!r}, "
                        f"expected {reader.rows:,} as the file says; it is damaged."
                    )
                if held is not None:
                    blobs[name.strip()] = held
            lines = range(1, reader.rows + 1)
    except DataError:
        raise
    except (pyarrow.ArrowException, *_ERRORS) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}).") from error
    return Rows(path, columns, lines, "row", tuple(reader.notes), blobs=blobs)
