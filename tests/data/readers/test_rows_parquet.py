import datetime
import decimal
import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image

from colabel.data.readers.rows import (
    LIST_DELIMITER,
    RowOptions,
    Rows,
    concatenate,
    embedded_images,
    read_rows,
)
from colabel.errors import DataError, ImageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def encode(grey, format="PNG"):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (grey, grey, grey)).save(file, format)
    return file.getvalue()


def save(path, columns, schema=None, **options):
    pq.write_table(pa.table(columns, schema=schema), path, **options)
    return path


def grey_of(images, index):
    return int(np.asarray(images.open(index))[0, 0, 0])


def features(**columns):
    return {b"huggingface": json.dumps({"info": {"features": columns}}).encode()}


def test_cells_are_text_as_in_a_csv_file(tmp_path):
    columns = {
        "text": [" a ", "b", None],
        "flag": [True, False, None],
        "whole": pa.array([1, -1, None], pa.int8()),
        "real": [1.0, 0.5, float("nan")],
        "exact": [decimal.Decimal("1.00"), decimal.Decimal("0.50"), None],
        "day": [datetime.date(2024, 1, 2), None, None],
        "moment": pa.array([1_700_000_000_000_000_001, None, None], pa.timestamp("ns")),
        "code": pa.array(["x", "y", "x"]).dictionary_encode(),
        "bytes": [b"x", b"y", None],
        "list": [["cat", "dog"], [], None],
        "codes": pa.array([["x", "y"], ["x"], []], pa.list_(pa.string())),
        "flags": pa.array([[1.0, 0.0]] * 3, pa.list_(pa.float32(), 2)),
        "nothing": pa.nulls(3),
    }
    rows = read_rows(save(tmp_path / "t.parquet", columns, row_group_size=2))
    assert rows.columns == {
        "text": ["a", "b", ""],
        "flag": ["1", "0", ""],
        "whole": ["1", "-1", ""],
        "real": ["1", "0.5", ""],
        "exact": ["1", "0.5", ""],
        "day": ["2024-01-02", "", ""],
        "moment": ["2023-11-14 22:13:20.000000001", "", ""],
        "code": ["x", "y", "x"],
        "bytes": ["x", "y", ""],
        "list": [f"cat{LIST_DELIMITER}dog", "", ""],
        "codes": [f"x{LIST_DELIMITER}y", "x", ""],
        "flags": [f"1{LIST_DELIMITER}0"] * 3,
        "nothing": ["", "", ""],
    }
    assert (rows.where(2), rows.notes) == (f"{tmp_path / 't.parquet'}, row 3", ())


def test_the_content_counts_and_not_the_ending(tmp_path):
    assert read_rows(save(tmp_path / "t.csv", {"path": ["a"]})).columns == {"path": ["a"]}
    (tmp_path / "t.parquet").write_text("path\na\n")
    with pytest.raises(DataError, match=r"not a readable Parquet file .*begin with PAR1"):
        read_rows(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_rows(tmp_path / "t.parquet")


def test_numbers_of_classes_become_names(tmp_path):
    label = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    schema = pa.schema(
        {
            "one": pa.int64(),
            "many": pa.list_(pa.int64()),
            "flag": pa.int64(),
            "other": pa.int64(),
        },
        features(
            one=label,
            many={"_type": "List", "feature": label},
            flag={"_type": "ClassLabel", "names": ["no", "yes"]},
            other={"_type": "Value", "dtype": "int64"},
        ),
    )
    columns = {"one": [1, 0, None], "many": [[0, 1], [], [1]], "flag": [1, 0, 1], "other": [1] * 3}
    rows = read_rows(save(tmp_path / "t.parquet", columns, schema))
    assert rows.columns == {
        "one": ["dog", "cat", ""],
        "many": [f"cat{LIST_DELIMITER}dog", "", "dog"],
        "flag": ["1", "0", "1"],
        "other": ["1", "1", "1"],
    }
    assert rows.notes == (
        "the numbers of the column 'one' named after their classes",
        "the numbers of the column 'many' named after their classes",
    )
    with pytest.raises(DataError, match=r"column 'one' holds -1, .* from 0 to 1; -1 marks images"):
        read_rows(save(tmp_path / "u.parquet", {**columns, "one": [-1, 0, 0]}, schema))


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b'{"info": {"features": {"a": 1}}}'])
def test_broken_metadata_is_no_obstacle(tmp_path, metadata):
    schema = pa.schema({"a": pa.int64()}, {b"huggingface": metadata})
    assert read_rows(save(tmp_path / "t.parquet", {"a": [1]}, schema)).columns == {"a": ["1"]}


def test_embedded_images(tmp_path):
    images = [{"bytes": encode(10 * n), "path": f"{n}.png"} for n in range(7)]
    path = save(tmp_path / "t.parquet", {"image": images, "cat": [1] * 7}, row_group_size=3)
    rows = read_rows(path)
    assert rows.columns["image"] == [f"{n}.png" for n in range(7)]
    source = embedded_images(rows, "image")
    assert len(source) == 7
    assert [grey_of(source, index) for index in (6, 0, 3, 2)] == [60, 0, 30, 20]
    assert source.locate(4) == f"{path}, row 5 (4.png)"
    chosen = source.select([5, 1]).select([0])
    assert (len(chosen), grey_of(chosen, 0), chosen.locate(0)) == (1, 50, f"{path}, row 6 (5.png)")
    copy = pickle.loads(pickle.dumps(source))
    assert grey_of(copy, 6) == 60
    assert len(pickle.dumps(source)) < path.stat().st_size
    with pytest.raises(DataError, match="column 'cat' holds no images; columns that do: image"):
        embedded_images(rows, "cat")


def test_images_whose_paths_repeat_are_named_by_rows(tmp_path):
    images = [{"bytes": encode(n), "path": "image.png"} for n in range(2)]
    rows = read_rows(save(tmp_path / "t.parquet", {"image": images}))
    assert rows.columns["image"] == ["row 1", "row 2"]
    assert rows.notes == (
        "images of the column 'image' are named by their rows: their paths repeat or are missing",
    )
    plain = read_rows(save(tmp_path / "u.parquet", {"image": [encode(1), encode(2, "JPEG")]}))
    assert plain.columns["image"] == ["row 1", "row 2"]
    assert grey_of(embedded_images(plain, "image"), 1) in (1, 2, 3)


def test_images_by_path_alone_are_paths(tmp_path):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": None, "path": "a.png"}, {"bytes": None, "path": "a.png"}], kind)
    rows = read_rows(save(tmp_path / "t.parquet", {"image": images}))
    assert rows.columns == {"image": ["a.png", "a.png"]}
    assert rows.blobs == {}


def test_rows_without_an_image_or_with_a_broken_one_are_named(tmp_path):
    images = [{"bytes": encode(1), "path": "a"}, {"bytes": None, "path": "b"}, None]
    images.append({"bytes": b"\x89PNG and no more", "path": "d"})
    path = save(tmp_path / "t.parquet", {"image": images})
    source = embedded_images(read_rows(path), "image")
    assert grey_of(source, 0) == 1
    for index in (1, 2):
        with pytest.raises(ImageError, match=rf"row {index + 1} .*the row holds no image"):
            source.open(index)
    with pytest.raises(ImageError, match=r"row 4 .*not an image|cannot be decoded"):
        source.open(3)
    save(path, {"image": images[:1]})
    with pytest.raises(ImageError, match="expected 4 rows, got 1; the file changed"):
        pickle.loads(pickle.dumps(source)).open(0)
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        pickle.loads(pickle.dumps(source)).open(0)


def test_no_more_than_a_few_row_groups_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr("colabel.data.readers.rows.embedded._CACHED_BYTES", 2_500)
    images = [np.random.default_rng(n).bytes(1_000) for n in range(8)]
    images[0] = encode(1)
    path = save(tmp_path / "t.parquet", {"image": images}, row_group_size=1)
    blobs = read_rows(path).blobs["image"]
    assert [blobs.read(row) for row in range(8)] == images
    assert len(blobs._groups) == 2


def test_large_row_groups_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("colabel.data.readers.rows.parquet._LARGE_GROUP", 10)
    (note,) = read_rows(save(tmp_path / "t.parquet", {"image": [encode(1)]})).notes
    assert "write the file with row_group_size=100" in note


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([{"x": 1}], "column 'c' holds struct<x: int64>; .*option ignore"),
        ([[[1]]], "column 'c' holds list<.*; .*option ignore"),
        ([b"\xff\x00"], "column 'c' holds bytes that are neither images nor UTF-8"),
    ],
)
def test_nested_values_are_refused_or_ignored(tmp_path, cells, message):
    path = save(tmp_path / "t.parquet", {"path": ["a"], "c": cells})
    with pytest.raises(DataError, match=message):
        read_rows(path)
    assert read_rows(path, RowOptions(ignore=("c",))).columns == {"path": ["a"], "c": [""]}


def test_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="two columns of the same name"):
        read_rows(tmp_path / "t.parquet")


def test_several_tables_as_one(tmp_path):
    (tmp_path / "a.csv").write_text("path,cat\n\na.jpg,1\n")
    (tmp_path / "b.csv").write_text("cat,path,dog\n0,b.jpg,1\n1,c.jpg,0\n")
    save(tmp_path / "c.parquet", {"path": ["d.jpg"], "cat": [1], "dog": [1]})
    rows = concatenate([read_rows(tmp_path / name) for name in ("a.csv", "b.csv", "c.parquet")])
    assert rows.columns == {
        "path": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
        "cat": ["1", "0", "1", "1"],
        "dog": ["", "1", "0", "1"],
    }
    assert [rows.where(row) for row in range(4)] == [
        f"{tmp_path / 'a.csv'}, line 3",
        f"{tmp_path / 'b.csv'}, line 2",
        f"{tmp_path / 'b.csv'}, line 3",
        f"{tmp_path / 'c.parquet'}, row 1",
    ]
    (note,) = rows.notes
    assert note.startswith("the column 'dog' is missing in 1 of 3 tables")
    assert concatenate([rows]) is rows
    with pytest.raises(DataError, match="not one in common"):
        concatenate([rows, Rows(tmp_path, {"x": ["1"]}, [1])])
    with pytest.raises(DataError, match="no table"):
        concatenate([])


def test_images_of_several_shards(tmp_path):
    for shard in range(2):
        images = [{"bytes": encode(10 * shard + n), "path": f"{n}.png"} for n in range(2)]
        save(tmp_path / f"{shard}.parquet", {"image": images})
    (tmp_path / "t.csv").write_text("image\nx.png\n")
    rows = concatenate(
        [read_rows(tmp_path / name) for name in ("0.parquet", "t.csv", "1.parquet")]
    )
    assert rows.columns["image"] == [
        "0.parquet/0.png", "0.parquet/1.png", "t.csv/x.png", "1.parquet/0.png", "1.parquet/1.png",
    ]  # fmt: skip
    source = pickle.loads(pickle.dumps(embedded_images(rows, "image")))
    assert [grey_of(source, index) for index in (0, 1, 3, 4)] == [0, 1, 10, 11]
    with pytest.raises(ImageError, match=r"t\.csv, line 2 .* holds no image"):
        source.open(2)


def test_days_and_times_beyond_those_of_python(tmp_path):
    columns = {
        "day": pa.array([3_000_000, -1, None], pa.int32()).cast(pa.date32()),
        "time": pa.array([1, 1_000_000_000, None], pa.time64("ns")),
    }
    assert read_rows(save(tmp_path / "t.parquet", columns)).columns == {
        "day": ["10183-09-21", "1969-12-31", ""],
        "time": ["00:00:00.000000001", "00:00:01.000000000", ""],
    }


def test_one_long_text_in_every_row_is_held_once(tmp_path):
    text = "x" * 2**24
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array([text]))
    lists = pa.ListArray.from_arrays(pa.array(range(20_001), pa.int32()), one)
    columns = {"path": list(map(str, range(20_000))), "one": one, "many": lists}
    path = save(tmp_path / "t.parquet", columns, store_schema=False, compression="zstd")
    assert path.stat().st_size < 2**20
    rows = read_rows(path)  # 300 GB if each row had its own
    assert {id(cell) for cell in rows.columns["one"]} == {id(rows.columns["one"][0])}
    assert {id(cell) for cell in rows.columns["many"]} == {id(rows.columns["many"][0])}


def test_one_large_image_in_every_row_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("colabel.data.readers.rows.embedded.MAX_GROUP_BYTES", 2**20)
    image = encode(7) + b"\0" * 2**16
    rows = read_rows(save(tmp_path / "t.parquet", {"image": [image] * 100, "cat": [1] * 100}))
    with pytest.raises(ImageError, match=r"holds more than 1,048,576 bytes of images, .*group_si"):
        embedded_images(rows, "image").open(0)


def test_claims_are_looked_at_before_anything_is_read(tmp_path, monkeypatch):
    path = save(tmp_path / "t.parquet", {"path": ["a", "b"], "list": [["x"] * 40] * 2})
    monkeypatch.setattr("colabel.data.readers.rows.model.MAX_CELLS", 3)
    with pytest.raises(DataError, match="2 rows of 2 columns, where at most 3 cells"):
        read_rows(path)
    monkeypatch.setattr("colabel.data.readers.rows.model.MAX_CELLS", 50)
    with pytest.raises(DataError, match="80 rows of 1 columns, where at most 50 cells"):
        read_rows(path)
    monkeypatch.undo()
    monkeypatch.setattr("colabel.data.readers.rows.parquet.MAX_TABLE_BYTES", 100)
    with pytest.raises(
        DataError, match=r"unpacked up to the column '\w+', .* more than 100 bytes"
    ):
        read_rows(path)
    monkeypatch.undo()
    monkeypatch.setattr("colabel.data.readers.rows.parquet_texts.MAX_CELL_LENGTH", 30)
    with pytest.raises(DataError, match="a list of more than 30 characters"):
        read_rows(path)


def test_a_row_that_names_no_word_of_the_dictionary_is_refused(tmp_path):
    path = save(tmp_path / "t.parquet", {"path": ["cat", "dog"] * 8}, compression="none")
    content = path.read_bytes()
    place = content.index(b"\x03cat\x03" if b"\x03cat\x03" in content else b"cat")
    refused = 0
    for position in range(place, len(content)):
        path.write_bytes(content[:position] + b"\xfe" + content[position + 1 :])
        try:
            assert len(read_rows(path)) == 16
        except DataError:
            refused += 1
    assert refused
