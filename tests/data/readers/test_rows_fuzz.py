import csv
import io
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from colabel.data.readers.rows import read_rows
from colabel.errors import DataError

bounded = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# what tables are made of, so that much of what is tried is nearly a table
pieces = st.sampled_from(
    [
        b"path", b"cat", b"a.jpg", b"b.png", b"1", b"0", b",", b";", b"\t", b"|", b" ", b"\n",
        b"\r\n", b"\r", b'"', b"'", b"\\", b"#", b"sep=;", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe",
        b"\xe4", "ä".encode(), b"[", b"]", b"{", b"}", b":", b'"a":', b"PAR1", b"PK\x03\x04",
    ]
)  # fmt: skip
nearly_tables = st.lists(pieces, max_size=40).map(b"".join)


def rows_or_none(path):
    """Return the rows, None where they are refused with the name of the file."""
    refusal = ""
    try:
        return read_rows(path)
    except DataError as error:
        refusal = str(error)
    assert str(path) in refusal
    return None


@bounded
@given(st.binary(max_size=300) | nearly_tables, st.sampled_from(["t.csv", "t.json", "t.tsv"]))
@example(b"\xff\xfe\x00", "t.csv")
@example(b"\xff\xfe\x00\x00", "t.csv")
@example(b'""', "t.csv")
@example(b"#\n#", "t.csv")
@example(b"sep=\n", "t.csv")
@example(b'#"\n\x01', "t.csv")
def test_bytes_are_rows_or_refused(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    rows = rows_or_none(path)
    if rows is None:
        return
    assert rows.columns
    assert all(len(cells) == len(rows) > 0 for cells in rows.columns.values())
    assert all(cell == cell.strip() for cells in rows.columns.values() for cell in cells)


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"),
    min_size=1,
    max_size=8,
).map(str.strip)
numbers = st.sampled_from(["0", "1", "-1", "0.5", ""])
tables = st.integers(1, 6).flatmap(
    lambda rows: st.lists(
        st.lists(words, min_size=rows, max_size=rows)
        | st.lists(numbers, min_size=rows, max_size=rows),
        min_size=1,
        max_size=5,
    )
)


@bounded
@given(
    tables,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_a_written_table_is_read_again(tmp_path, cells, separator, newline, encoding, quoting):
    columns = {"path": [f"{row}.jpg" for row in range(len(cells[0]))]}
    columns |= {f"name {'abcde'[number]}": column for number, column in enumerate(cells)}
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator=newline, quoting=quoting)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path = tmp_path / "t.csv"
    path.write_bytes(file.getvalue().encode(encoding))
    assert read_rows(path).columns == columns


@bounded
@given(tables)
def test_written_records_are_read_again(tmp_path, cells):
    columns = {f"name {'abcde'[number]}": column for number, column in enumerate(cells)}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    for text in (json.dumps(records), "\n".join(map(json.dumps, records))):
        (tmp_path / "t.jsonl").write_text(text)
        assert read_rows(tmp_path / "t.jsonl").columns == columns


@bounded
@given(st.data())
def test_a_damaged_parquet_file_is_rows_or_refused(tmp_path, data):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    table = arrow.table({"path": ["a.jpg", "b.jpg"], "tags": [["cat"], ["dog", "cat"]]})
    parquet.write_table(table, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    rows = rows_or_none(path)
    assert rows is None or len(rows) > 0
