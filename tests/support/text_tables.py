"""Tables as text, written to a file and read as rows."""

from colabel.data.readers.rows import RowOptions, read_rows

PATHS = ["a.jpg", "b.jpg", "c.jpg"]
PLAIN = {"path": PATHS, "labels": ["cat;dog", "dog", "cat"]}
WIDE = {"path": PATHS, "cat": ["1", "0", "1"], "dog": ["0", "0", "1"]}


def write(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content, name="t.csv", **options):
    return read_rows(write(folder, content, name), RowOptions(**options))


def table(separator, columns=WIDE, newline="\n", quote=""):
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "".join(
        separator.join(f"{quote}{cell}{quote}" for cell in row) + newline for row in rows
    )


COMMA = table(",")
LISTS = table(",", PLAIN)
