"""Processor time and peak memory of reading large tables, beside csv.reader and pandas.

The rows alone (colabel rows), and the records of a data set that they are taken for (colabel
records): columns recognised, labels read, every image looked for, of which none is there. Last,
the division of as many images into splits.

python benchmarks/table_reading.py [--rows 1000000] [--columns 20]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from colabel.data.readers.rows import read_rows
from colabel.data.readers.table import read_table_splits
from colabel.data.readers.table_options import TableOptions
from colabel.data.split import stratified_split

WORDS = ("cat", "dog", "bird", "tree", "car", "house", "water", "person")


def write_flags(path: Path, rows: int, columns: int) -> None:
    """Write a CSV file of paths and flags of 0 and 1."""
    with path.open("w") as file:
        file.write("path," + ",".join(f"label {column}" for column in range(columns)) + "\n")
        flags = [
            ",".join("01"[(row * column) % 7 == 1] for column in range(columns))
            for row in range(97)
        ]
        file.writelines(f"images/{row:08}.jpg,{flags[row % 97]}\n" for row in range(rows))


def write_lists(path: Path, rows: int, _: int) -> None:
    """Write a CSV file of paths and lists of labels."""
    with path.open("w") as file:
        file.write("path,labels\n")
        file.writelines(
            f"images/{row:08}.jpg,{WORDS[row % 8]};{WORDS[row % 5]}\n" for row in range(rows)
        )


def write_quoted(path: Path, rows: int, _: int) -> None:
    """Write a CSV file with quotes around every cell."""
    with path.open("w") as file:
        file.write('"path","labels"\n')
        file.writelines(
            f'"images/{row:08}.jpg","{WORDS[row % 8]}, {WORDS[row % 5]}"\n' for row in range(rows)
        )


def write_records(path: Path, rows: int, _: int) -> None:
    """Write JSON lines of paths and lists of labels."""
    with path.open("w") as file:
        file.writelines(
            f'{{"path": "images/{row:08}.jpg", "labels": ["{WORDS[row % 8]}"]}}\n'
            for row in range(rows)
        )


def write_parquet(path: Path, rows: int, _: int) -> None:
    """Write a Parquet file of paths and lists of labels."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "path": [f"images/{row:08}.jpg" for row in range(rows)],
            "labels": [[WORDS[row % 8], WORDS[row % 5]] for row in range(rows)],
        }
    )
    pyarrow.parquet.write_table(table, path)


def read_with_csv(path: Path) -> None:
    import csv

    with path.open(newline="") as file:
        for _ in csv.reader(file):
            pass


def read_with_pandas(path: Path) -> None:
    import pandas

    if path.suffix == ".csv":
        pandas.read_csv(path, dtype=str)
    elif path.suffix == ".jsonl":
        pandas.read_json(path, lines=True)
    else:
        pandas.read_parquet(path)


def read_records(path: Path) -> object:
    return read_table_splits(path, TableOptions(require_images=False))


TABLES = {
    "flags.csv": write_flags,
    "lists.csv": write_lists,
    "quoted.csv": write_quoted,
    "records.jsonl": write_records,
    "lists.parquet": write_parquet,
}
READERS: dict[str, Callable[[Path], object]] = {
    "csv": read_with_csv,
    "colabel rows": read_rows,
    "colabel records": read_records,
    "pandas": read_with_pandas,
}


def measure(reader: str, path: Path, answer: multiprocessing.SimpleQueue) -> None:
    """Send seconds and peak megabytes of one reading in this process, None where it fails."""
    start = time.process_time()
    try:
        held = READERS[reader](path)
    except ImportError:
        answer.put(None)
        return
    seconds = time.process_time() - start
    del held
    answer.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def time_division(rows: int, columns: int) -> float:
    """Return the seconds in which images with about one label in seven are divided."""
    targets = (np.random.default_rng(0).random((rows, columns)) < 1 / 7).astype(np.int8)
    start = time.process_time()
    stratified_split(targets)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    arguments = parser.parse_args()
    # a new interpreter for each reading, so that its peak is its own
    context = multiprocessing.get_context("spawn")
    print(f"{'table':<16}{'reader':<17}{'seconds':>9}{'peak MB':>9}{'times csv':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in TABLES.items():
            path = Path(folder) / name
            writer = context.Process(target=write, args=(path, arguments.rows, arguments.columns))
            writer.start()
            writer.join()
            seconds_of_csv = None
            for reader in READERS:
                if not path.exists() or (reader == "csv" and path.suffix != ".csv"):
                    continue
                answer = context.SimpleQueue()
                process = context.Process(target=measure, args=(reader, path, answer))
                process.start()
                process.join()
                measured = None if answer.empty() else answer.get()
                if measured is None:
                    print(f"{name:<16}{reader:<17}  not installed")
                    continue
                seconds, peak = measured
                seconds_of_csv = seconds if reader == "csv" else seconds_of_csv
                ratio = f"{seconds / seconds_of_csv:.1f}" if seconds_of_csv else ""
                print(f"{name:<16}{reader:<17}{seconds:>9.2f}{peak:>9.0f}{ratio:>11}")
            path.unlink(missing_ok=True)
    seconds = time_division(arguments.rows, arguments.columns)
    print(f"division of {arguments.rows:,} images of {arguments.columns} labels: {seconds:.2f} s")


if __name__ == "__main__":
    main()
