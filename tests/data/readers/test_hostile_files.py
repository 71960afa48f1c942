"""Files that would keep a reader waiting, fill the memory or end the process."""

import json
import os
import time

import pytest
from fakes import write_adp, write_image, write_voc

from colabel.build.source import open_source
from colabel.data.paths import find_files
from colabel.data.readers.adp import read_adp
from colabel.data.readers.folders import read_folders
from colabel.data.readers.rows import read_rows
from colabel.data.readers.table_cells import confidence, read_brackets, without_confidence
from colabel.data.readers.voc import read_voc2007
from colabel.errors import ColabelError, ConfigError, DataError
from colabel.settings.data import Data


@pytest.fixture(autouse=True)
def soon():
    """Check that no test of these takes long."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 20


def refused(source, kind=ColabelError, **options):
    with pytest.raises(kind) as caught:
        open_source(Data(source=source, options=options))
    return str(caught.value)


NAMED = {
    "{}/labels.csv": "labels.csv",
    "{}/labels.parquet": "labels.parquet",
    "{}/labels.json": "labels.json",
    "{}/labels.xlsx": "labels.xlsx",
    "coco:{}/x.json": "x.json",
    "labelstudio:{}/x.json": "x.json",
    "fiftyone:{}": "labels.json",
    "voc:{}": "a.xml",
    "openimages:{}": "imagelabels.csv",
    "textfiles:{}": "a.txt",
    "chestxray14:{}": "train_list.txt",
}


@pytest.mark.parametrize("source", NAMED)
@pytest.mark.parametrize("what", ["pipe", "folder", "sparse", "loop"])
def test_what_is_no_file_of_annotations_is_refused_at_once(tmp_path, source, what):
    path = tmp_path / NAMED[source]
    write_image(tmp_path / "a.png")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path.name)
    else:
        with path.open("wb") as file:
            file.truncate(2**41)
    message = refused(source.format(tmp_path))
    assert len(message) < 2000
    assert str(tmp_path) in message


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 300, "x/" * 3000, "~nobody-of-this-name/x", "\ud800"]
)
def test_sources_that_cannot_be_are_refused(name):
    for reader in ("", "voc2007:", "coco:", "folders:", "textfiles:", "labelstudio:", "fiftyone:"):
        refused(f"{reader}{name}")
        refused(f"{reader}{name}.csv")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("coco:{}/x.json", '{"images": %s}'),
        ("labelstudio:{}/x.json", '[{"data": {"image": %s}}]'),
        ("labelstudio:{}/x.json", '[{"image": "a.png", "kind": %s}]'),
        ("fiftyone:{}", '{"labels": {"a": %s}}'),
        ("{}/x.json", '[{"path": "a.png", "labels": %s}]'),
        ("{}/x.json", '{"path": "a.png", "labels": %s}'),
        ("{}/x.json", "[%s]"),
    ],
)
@pytest.mark.parametrize("deep", [150, 300, 900, 5000, 200_000])
def test_deep_json_is_refused(tmp_path, source, text, deep):
    for one, other in (("[", "]"), ('{"a":', "}")):
        inner = one * deep + "1" + other * deep
        for name in ("x.json", "labels.json"):
            (tmp_path / name).write_text(text % inner)
        assert "Traceback" not in refused(source.format(tmp_path), DataError)


def test_numbers_keys_and_halves_of_letters_in_json(tmp_path):
    path = tmp_path / "x.json"

    def message(text):
        path.write_text(text)
        return refused(str(path), DataError)

    path.write_text('[{"path": "a.png", "labels": ["cat"], "n": %s}]' % ("7" * 5000))
    assert read_rows(path).columns["n"] == ["7" * 5000]
    assert "the key 'a' twice in one record" in message('[{"a": 1, "a": 2}]')
    many = ", ".join(f'"k{number}": 1' for number in range(100_000))
    assert "the key 'k9' twice" in message(f'[{{{many}, "k9": 1}}]')
    for half in (r"\ud800", r"\udfff", r"\uD83Dx"):
        found = message(f'[{{"path": "{half}.png", "labels": ["cat"]}}]')
        assert "line 1: " in found
        assert "holds half of a surrogate pair" in found
        assert "half of a surrogate" in message(f'[{{"path": "a.png", "labels": ["{half}"]}}]')
    path.write_text(r'[{"path": "\ud83d\ude00.png", "labels": ["\ud83d\ude00"]}]')
    assert read_rows(path).columns == {"path": ["😀.png"], "labels": ["😀"]}


def test_json_that_grows_when_it_is_read(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f'{{"k{number}": 1}}\n' for number in range(20_000)))
    with pytest.raises(DataError, match=r"rows of .* columns, where at most 268,435,456 cells"):
        read_rows(path)


def test_too_many_classes_columns_and_characters(tmp_path):
    path = tmp_path / "labels.csv"

    def message():
        return refused(str(path), DataError, require_images="false")

    path.write_text("path,labels\n" + "".join(
        f"{row}.png,{' ; '.join(f'c{row * 50 + n}' for n in range(50))};x\n" for row in range(2500)
    ))  # fmt: skip
    assert "125,001 classes, where at most 100,000 are read. If they" in message()
    path.write_text(",".join(["path", *(f"c{n}" for n in range(200_000))]) + "\n")
    assert "200,001 columns, where at most 200,000 are read" in message()
    path.write_text("path,labels\na.png," + "cat " * 300 + "\nb.png,dog\n")
    assert "a class name of 1,199 characters, where at most 1,000" in message()
    path.write_text('path,labels\na.png,"' + "cat;" * 300_000 + '"\nb.png,dog\n')
    assert "holds 1,200,000 characters, where labels take at most 1,048,576" in message()


@pytest.mark.parametrize("name", ["a\x1bb", "a\u202eb", "a\x9bb", "a\x7fb"])
def test_no_source_gives_a_class_with_a_control_character(tmp_path, name):
    write_image(tmp_path / "a.png")
    categories = [{"id": 1, "name": name}]
    images = [{"id": 1, "file_name": "a.png"}]
    annotations = [{"image_id": 1, "category_id": 1}]
    choices = {"type": "choices", "from_name": "k", "value": {"choices": [name]}}
    files = {
        "labels.csv": f"path,labels\na.png,{name}\n",
        "flags.csv": f"path,{name}\na.png,1\n",
        "records.json": json.dumps([{"path": "a.png", "labels": [name]}]),
        "coco.json": json.dumps(
            {"images": images, "categories": categories, "annotations": annotations}
        ),
        "labelstudio.json": json.dumps(
            [{"data": {"image": "a.png"}, "annotations": [{"result": [choices]}]}]
        ),
        "labels.json": json.dumps({"classes": [name], "labels": {"a.png": 0}}),
        "text/a.txt": name,
    }
    write_image(tmp_path / "data" / "a.png")
    write_image(tmp_path / "text" / "a.png")
    write_image(tmp_path / "folders" / name / "a.png")
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    for source in (
        f"{tmp_path}/labels.csv", f"{tmp_path}/flags.csv", f"{tmp_path}/records.json",
        f"coco:{tmp_path}/coco.json", f"labelstudio:{tmp_path}/labelstudio.json",
        f"folders:{tmp_path}/folders", f"textfiles:{tmp_path}/text",
    ):  # fmt: skip
        assert "holds the control character U+" in refused(source, DataError)
    for other in set(files) - {"labels.json"} - {"text/a.txt"}:
        (tmp_path / other).unlink()
    assert "holds the control character U+" in refused(f"fiftyone:{tmp_path}", DataError)


CELLS = (
    "[" * 5000, "[" * 5000 + "]" * 5000, "{[1]}", "{[]: 1}", "[" + "-" * 5000 + "1]",
    "[1" + "0" * 5000 + "]", '{"a": ' + "9" * 400 + "}", '{"a": NaN}', '{"a": 1e999}',
    "[b'a', 1j]",
    "['\\d']", "[0x" + "f" * 5000 + "]", "{1: {2: 3}}", "[" * 400 + "'a'" + "]" * 400,
    "(" * 200 + ")",
    "['a'" + " 'b'" * 5000 + "]", "['\\ud800']", "[1_0, 1__0]", "['a']['b']", "[*a]",
    "[lambda: 0]",
    "[f'{1}']", "{**{}}", "[...]", "[1if 2else 3]", "['\\N{x}']", "['\0']",
)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_cells_in_brackets_are_read_or_not(cell):
    read_brackets(cell)


@pytest.mark.parametrize("piece", [" ", "1", "a ", "(", ":", "( 1", ": 1", "1.", "\n"])
def test_cells_with_confidences_take_no_longer_than_they_are_long(piece):
    cell = f"a{piece * 100_000}x"
    confidence(cell)
    confidence(f"a:{piece * 100_000}x")
    without_confidence([cell, f"a({piece * 50_000}x"])


def test_annotations_in_odd_encodings(tmp_path):
    folder = write_voc(tmp_path)
    path = folder / "Annotations" / "000001.xml"
    body = "<annotation><object><name>dog</name></object></annotation>"

    def read(content):
        path.write_bytes(content)
        return read_voc2007(folder, "train").targets[0].sum()

    for name in ("UTF-8", "UTF-16", "GBK", "ISO-8859-1", "cp1252", "Shift_JIS"):
        assert read(f'<?xml version="1.0" encoding="{name}"?>{body}'.encode(name)) == 1
    for order in ("utf-16-le", "utf-16-be"):
        assert read(f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode(order)) == 1
    for name in (
        "nothing",
        "hex",
        "rot13",
        "idna",
        "punycode",
        "unicode_escape",
        "zlib",
        "ä",
        "a\0",
    ):
        with pytest.raises(DataError, match="not well-formed XML"):
            read(f'<?xml version="1.0" encoding="{name}"?>{body}'.encode())
    for content in (
        b"\xef\xbb\xbf<?xml version='1.0' encoding='unicode_escape'?>" + body.encode(),
        f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode(),
        body.encode("utf-16")[:-3],
        b"<?xml " + b"encoding='a' " * 500_000,
        b"<annotation a='" + b"x" * 1_000_000,
        b"<a>" * 1_000_000,
        b"<annotation>&#xD800;</annotation>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>',
        b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>',
    ):
        with pytest.raises(DataError, match=r"not well-formed XML|document type or entities"):
            read(content)
    assert read(
        body.replace("<object>", "<part>" * 100_000 + "</part>" * 100_000 + "<object>").encode()
    )


def test_an_array_that_claims_more_than_it_has(tmp_path):
    write_adp(tmp_path)
    path = tmp_path / "ADP V1.0 Release" / "splits" / "train.npy"
    content = path.read_bytes()
    assert b"(6,)" in content
    for shape in (b"(10**15,)", b"(900000000000,)", b"(-6,)", b"(6, 900000000)"):
        claim = content.replace(b"(6,), }", shape + b", }").replace(
            b" " * (len(shape) - 4), b"", 1
        )
        path.write_bytes(claim)
        with pytest.raises(DataError, match="not a plain array of numbers"):
            read_adp(tmp_path, "train")
    path.write_bytes(content[:6] + b"\x09" + content[7:])
    with pytest.raises(DataError, match=r"not a plain array of numbers \(.*version"):
        read_adp(tmp_path, "train")


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    (tmp_path / "labels.csv").write_text("path,labels\ninner/a.png,cat\n")
    listdir, scandir = os.listdir, os.scandir

    def deny(path, real):
        if str(path).rstrip("/").endswith("inner"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "listdir", lambda path: deny(path, listdir))
    monkeypatch.setattr(os, "scandir", lambda path: deny(path, scandir))
    for source in (f"{tmp_path}/labels.csv", f"folders:{tmp_path}", f"textfiles:{tmp_path}"):
        assert "inner" in (found := refused(source, DataError))
        assert "cannot be read (Permission denied); expected a folder" in found


def test_an_image_that_goes_while_it_is_looked_at(tmp_path, monkeypatch):
    for name in ("cat/a.png", "dog/b.png"):
        write_image(tmp_path / name)
    gone = tmp_path / "dog" / "b.png"
    monkeypatch.setattr(
        "colabel.data.readers.folders.open_plain",
        lambda path: (_ for _ in ()).throw(FileNotFoundError(2, "No such file", str(path))),
    )
    with pytest.raises(DataError, match=r"a\.png: no such file; expected an image, to compare"):
        read_folders(tmp_path)
    assert gone.exists()


def test_folders_and_files_that_differ_in_case_or_end_like_others(tmp_path):
    for name in ("A.PNG", "a.png", "x.jpg/b.png"):
        write_image(tmp_path / name)
    (tmp_path / "x.csv").mkdir()
    paths, missing = find_files(tmp_path, ["A.png", "a.png", "x.jpg/b.png"])
    assert missing == [0]
    assert paths[2].endswith("x.jpg/b.png")
    assert "a folder" in refused(f"{tmp_path}/x.csv")
    (tmp_path / "loop").symlink_to("loop")
    assert read_folders(tmp_path)["all"].classes == ("x.jpg",)


@pytest.mark.parametrize("name", [":", "-", "?!", "…"])
def test_a_column_without_a_letter_in_its_name(tmp_path, name):
    write_image(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(f"path,{name}\na.png,cat\nb.png,dog\n")
    assert f"the column '{name}' holds 'cat'" in refused(f"{tmp_path}/labels.csv", DataError)
    opened = open_source(Data(source=f"{tmp_path}/labels.csv", options={"labels": name}))
    assert opened["all"].classes == ("cat", "dog")


def test_options_are_plain_yaml_too(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("path,labels,split\na.png,cat,1\n")
    source = str(tmp_path / "labels.csv")
    for value in ("{1: &a [*a]}", "{a: 2024-01-01}", "[" * 100 + "]" * 100):
        assert "is not valid YAML" in refused(source, ConfigError, split_values=value, names=value)
    assert "finite number" in refused(source, ConfigError, minimum_confidence="nan")
