"""Read a damaged Parquet file many times, in a process of its own: what it reads with is C++.

python parquet_attempts.py FOLDER SEED TIMES
"""

from __future__ import annotations

import datetime
import decimal
import random
import sys
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from colabel.data.readers.rows import read_rows
from colabel.errors import ColabelError

WAYS = (
    {},
    {"compression": "none", "use_dictionary": False},
    {"compression": "zstd", "row_group_size": 7},
    {"compression": "gzip", "data_page_version": "2.0"},
)


def table() -> pa.Table:
    """Return a table with a column of each kind that is read."""
    day, moment = datetime.date(2024, 1, 1), pa.array([1_700_000_000_000_000_001] * 20)
    return pa.table(
        {
            "path": [f"{row}.jpg" for row in range(20)],
            "labels": [["cat", "dog"], [], None, ["owl", None]] * 5,
            "one": ["cat", "dog", None, "owl"] * 5,
            "flag": [True, False, None, True] * 5,
            "number": pa.array([0, 1, -1, None] * 5, pa.int8()),
            "day": [day] * 20,
            "moment": moment.cast(pa.timestamp("ns")),
            "time": pa.array([5] * 20, pa.time64("ns")),
            "length": pa.array([5] * 20, pa.duration("s")),
            "exact": [decimal.Decimal("1.5")] * 20,
            "code": pa.array(["q", "r"] * 10).dictionary_encode(),
            "image": [{"bytes": b"\x89PNG..", "path": f"{row}.png"} for row in range(20)],
            "raw": [b"\xff\xd8\xff"] * 20,
            "vector": [[1.0, 2.0]] * 20,
        }
    )


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return the file with some bytes changed, most of them where it describes itself."""
    held = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        end = min(len(held), 3000)
        place = len(held) - 1 - chance.randrange(end) if chance.random() < 0.5 else None
        place = chance.randrange(len(held)) if place is None else place
        way = chance.random()
        if way < 0.8:
            held[place] = chance.randrange(256)
        elif way < 0.9:
            del held[place : place + chance.randrange(1, 9)]
        else:
            held[place:place] = chance.randbytes(chance.randrange(1, 9))
    return bytes(held)


def main() -> None:
    """Say how often the file was read and how often refused."""
    folder, seed, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("error")
    chance = random.Random(seed)
    path = folder / "damaged.parquet"
    contents = []
    for way in WAYS:
        pq.write_table(table(), path, **way)
        contents.append(path.read_bytes())
    read = refused = 0
    for _ in range(times):
        path.write_bytes(damage(chance.choice(contents), chance))
        try:
            rows = read_rows(path)
            for held in rows.blobs.values():
                for row in range(len(held)):
                    held.read(row)
            read += 1
        except ColabelError:
            refused += 1
    print(read, refused)


if __name__ == "__main__":
    main()
