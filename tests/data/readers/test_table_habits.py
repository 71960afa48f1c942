"""Tables as people and their programs leave them: what is read, what is told."""

import json

import pytest
from fakes import write_image

from colabel.build.source import open_source
from colabel.data import TableOptions, read_table, read_table_splits
from colabel.data.readers.table_paths import relocated
from colabel.errors import DataError
from colabel.settings.data import Data


def read(folder, text, name="labels.csv", **options):
    path = folder / name
    path.write_text(text)
    return read_table(path, options=TableOptions(**{"require_images": False, **options}))


def write_beside(folder, **tables):
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text("path,labels\n" + "\n".join(rows) + "\n")
    for image in "abcd":
        write_image(folder / f"{image}.jpg")


def test_tables_of_the_splits_side_by_side(tmp_path):
    write_beside(
        tmp_path, train=["a.jpg,oak;ash", "b.jpg,ash"], val=["c.jpg,elm"], test=["d.jpg,"]
    )
    parts = open_source(Data(source=str(tmp_path)))
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("a.jpg", "b.jpg"),
        "val": ("c.jpg",),
        "test": ("d.jpg",),
    }
    assert parts["test"].classes == ("ash", "elm", "oak")
    assert "splits are the tables test.csv, train.csv, val.csv" in parts["train"].notes
    single = read_table(tmp_path / "train.csv")
    (note,) = [note for note in single.notes if note.startswith("not read: test.csv, val.csv")]
    assert f"give the folder {tmp_path}" in note


def test_tables_side_by_side_may_share_more_of_their_name(tmp_path):
    write_beside(tmp_path, tree_train=["a.jpg,oak"], tree_valid=["b.jpg,ash"], other=["c.jpg,elm"])
    parts = read_table_splits(tmp_path)
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("a.jpg",),
        "val": ("b.jpg",),
    }


@pytest.mark.parametrize(
    "names", [("train", "other"), ("train_1", "train_2"), ("a_train", "a_val", "b_train", "b_val")]
)
def test_tables_side_by_side_that_are_no_splits(tmp_path, names):
    write_beside(tmp_path, **{name: ["a.jpg,oak"] for name in names})
    with pytest.raises(DataError, match=r"a folder; expected .* train\.csv and test\.csv"):
        read_table_splits(tmp_path)
    notes = read_table(tmp_path / f"{names[0]}.csv").notes
    assert any("not read" in note for note in notes) == (len(names) == 4)


def test_an_image_in_two_tables_side_by_side(tmp_path):
    rows = ["a.jpg,oak", "a.jpg,ash", "b.jpg,elm"]
    write_beside(tmp_path, train=rows, val=["a.jpg,elm", "c.jpg,oak"])
    for layout in ("long", None):
        with pytest.raises(DataError, match=r"val\.csv, line 2: 'a\.jpg' is in val, and in train"):
            read_table_splits(tmp_path, TableOptions(layout=layout))


def test_tables_side_by_side_with_folders_of_images(tmp_path):
    for split in ("train", "val"):
        write_image(tmp_path / split / "a.jpg")
        (tmp_path / f"{split}.csv").write_text("path,labels\na.jpg,oak\n")
    parts = read_table_splits(tmp_path)
    assert (parts["train"].ids, parts["val"].ids) == (("train/a.jpg",), ("val/a.jpg",))
    write_image(tmp_path / "a.jpg")  # now the names may be meant as they stand
    with pytest.raises(DataError, match="an image belongs to one split"):
        read_table_splits(tmp_path)


def test_further_columns_of_images_are_told(tmp_path):
    text = "leaf,bark,labels\na.jpg,b.jpg,oak\nc.jpg,d.jpg,ash\n"
    records = read(tmp_path, text, image="leaf")
    assert records.reading.columns["bark"] == "not used (paths of other images)"
    assert any("'leaf' are read, not those in 'bark'" in note for note in records.notes)
    wide = read(tmp_path, "leaf,bark,oak\na.jpg,b.jpg,1\nc.jpg,d.jpg,0\n")
    assert wide.classes == ("oak",)
    web = read(tmp_path, "path,origin,labels\na.jpg,https://x.org/a.jpg,oak\n")
    assert not any("other images" in why for why in web.reading.columns.values())


@pytest.mark.parametrize(
    "address", ["file:///data/a.jpg", "abfs://box/a.jpg", "HTTPS://x.org/a.jpg"]
)
def test_addresses_are_no_paths(tmp_path, address):
    with pytest.raises(DataError, match="holds the address"):
        read(tmp_path, f"path,labels\n{address},oak\n")


def test_json_within_json(tmp_path):
    cells = [json.dumps(json.dumps(labels)) for labels in (["oak", "red elm"], ["ash"], [])]
    rows = [f'{row}.jpg,"{cell.replace(chr(34), 2 * chr(34))}"' for row, cell in enumerate(cells)]
    records = read(tmp_path, "path,labels\n" + "\n".join(rows) + "\n")
    assert records.classes == ("ash", "oak", "red elm")
    assert records.targets.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]


def test_labels_in_quotes_may_hold_the_separator(tmp_path):
    text = 'path\tlabels\na.jpg\t"oak, red", ash\nb.jpg\tash\nc.jpg\tash, elm\n'
    records = read(tmp_path, text, name="labels.tsv", quote="none")
    assert records.classes == ("ash", "elm", "oak, red")
    assert records.targets.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]


def test_a_comma_that_may_be_part_of_a_name_is_told(tmp_path):
    told = "set delimiter=none if each cell is one label"
    text = 'path,labels\na.jpg,"oak, red"\nb.jpg,ash\nc.jpg,"elm, wych"\n'
    assert any(told in note for note in read(tmp_path, text).notes)
    assert read(tmp_path, text, delimiter="none").classes == ("ash", "elm, wych", "oak, red")
    assert not any(told in note for note in read(tmp_path, text, delimiter=",").notes)
    sure = 'path,labels\na.jpg,"oak, ash"\nb.jpg,ash\nc.jpg,"ash, oak, elm"\nd.jpg,elm\n'
    assert not any(told in note for note in read(tmp_path, sure).notes)


@pytest.mark.parametrize(("yes", "no"), [("ja", "nein"), ("OUI", "NON"), ("WAHR", "FALSCH")])
def test_words_of_other_languages(tmp_path, yes, no):
    records = read(tmp_path, f"path,oak,ash\na.jpg,{yes},{no}\nb.jpg,{no},{no}\n")
    assert records.targets.tolist() == [[1, 0], [0, 0]]
    assert any("words read as present and absent" in note for note in records.notes)
    text = f"path,labels,is_test\na.jpg,oak,{yes}\nb.jpg,ash,{no}\n"
    (tmp_path / "labels.csv").write_text(text)
    parts = read_table_splits(tmp_path / "labels.csv", TableOptions(require_images=False))
    assert (parts["test"].ids, parts["train"].ids) == (("a.jpg",), ("b.jpg",))


def test_a_decimal_comma_is_named(tmp_path):
    with pytest.raises(DataError, match=r"line 2: .* decimal comma are not read"):
        read(tmp_path, "path;oak\na.jpg;0,5\nb.jpg;1\n")
    with pytest.raises(DataError, match=r"expected 1 \(present\)"):
        read(tmp_path, "path;oak\na.jpg;2\nb.jpg;2\n")


@pytest.mark.parametrize(
    "front", ["C:\\Users\\eva\\trees\\", "/home/eva/trees/", "\\\\nas\\trees\\"]
)
def test_absolute_paths_of_another_machine(tmp_path, front):
    for name in ("wood/a.jpg", "field/b.jpg"):
        write_image(tmp_path / "here" / name)
    names = [front + "wood/a.jpg", front + "field/b.jpg", front + "field/lost.jpg"]
    text = "path,labels\n" + "".join(f"{name},oak\n" for name in names)
    with pytest.raises(DataError, match="Give the folder of the images as the option images"):
        read(tmp_path, text)
    records = read(tmp_path, text, images=tmp_path / "here")
    assert records.ids == ("wood/a.jpg", "field/b.jpg", "field/lost.jpg")
    assert records.images.open(1).size == (16, 12)
    assert any("in front of all paths replaced by" in note for note in records.notes)


def test_paths_are_relocated_together_or_not_at_all(tmp_path):
    write_image(tmp_path / "trees" / "a.jpg")
    names, note = relocated(["/x/trees/a.jpg", "/x/trees/b.jpg"], tmp_path)
    assert names == ["trees/a.jpg", "trees/b.jpg"]
    assert note.startswith("/x in front of all paths")
    assert relocated(["/x/trees/a.jpg", "trees/a.jpg"], tmp_path) is None
    assert relocated([str(tmp_path / "trees/a.jpg")], tmp_path) is None
    assert relocated(["/x/trees/c.jpg"], tmp_path) is None
    write_image(tmp_path / "a.jpg")  # which the name without its folder would find
    assert relocated(["trees/a.jpg"], tmp_path) is None
    names, _ = relocated(["set/trees/a.jpg", "set/trees/c.jpg"], tmp_path)
    assert names == ["trees/a.jpg", "trees/c.jpg"]


@pytest.mark.parametrize("front", ["set/", "~/", "/set/"])
def test_the_folder_that_a_message_names_is_the_right_one(tmp_path, front):
    write_image(tmp_path / "trees" / "a.jpg")
    text = f"path,labels\n{front}trees/a.jpg,oak\n"
    options = {"require_images": True, "allow_outside": front == "/set/"}
    with pytest.raises(DataError, match=r"exists: set the option images=") as caught:
        read(tmp_path, text, **options)
    folder = str(caught.value).split("images=")[1].rstrip(".")
    assert folder == str(tmp_path)
    records = read(tmp_path, text, images=tmp_path, **options)
    assert records.ids == ("trees/a.jpg",)


def test_zeros_that_a_spreadsheet_dropped_are_named(tmp_path):
    write_image(tmp_path / "scans" / "0007.jpg")
    with pytest.raises(
        DataError, match=r"scans/0007\.jpg exists: write the names with their zeros"
    ):
        read(tmp_path, "image,labels\n7,oak\n8,ash\n", require_images=True)


def test_minus_one_may_mean_absent(tmp_path):
    text = "path,oak,ash\na.jpg,1,-1\nb.jpg,-1,1\n"
    with pytest.raises(DataError, match=r"line 2: the column 'ash' holds -1.*minus_one=absent or"):
        read(tmp_path, text)
    assert read(tmp_path, text, minus_one="absent").targets.tolist() == [[1, 0], [0, 1]]
    assert read(tmp_path, text, minus_one="unknown").targets.tolist() == [[1, -1], [-1, 1]]
    blank = text.replace("-1,1", ",1")
    assert read(tmp_path, blank).targets.tolist() == [[1, -1], [0, 1]]
    both = read(tmp_path, blank, minus_one="absent", blank="unknown")
    assert both.targets.tolist() == [[1, 0], [-1, 1]]


@pytest.mark.parametrize("word", ["and", "&", "UND"])
def test_words_that_join_labels_are_no_labels(tmp_path, word):
    cells = [f"oak {word} ash", "oak", "ash", f"ash {word} elm", "elm", f"oak {word} elm"]
    text = "path,labels\n" + "".join(f"{row}.jpg,{cell}\n" for row, cell in enumerate(cells))
    with pytest.raises(DataError, match=f"line 5: .* 'delimiter= {word} '"):
        read(tmp_path, text)
    assert read(tmp_path, text, delimiter=f" {word} ").classes == ("ash", "elm", "oak")


def test_names_of_what_is_not_labelled_are_told(tmp_path):
    notes = read(tmp_path, "path,labels\na.jpg,oak;ash\nb.jpg,Not labelled\nc.jpg,?\n").notes
    assert any("a name for what is not labelled: 'Not labelled'" in note for note in notes)
    assert any("no letter or digit: '?'" in note for note in notes)


def test_two_lists_of_one_vocabulary_do_not_say_the_same(tmp_path):
    with pytest.raises(DataError, match="labels and tags"):
        read(tmp_path, "path,labels,tags\na.jpg,oak,ash\nb.jpg,ash,elm\nc.jpg,elm,oak\n")
    other = read(tmp_path, "path,labels,label_id\na.jpg,oak,1\nb.jpg,ash,2\nc.jpg,elm,3\n")
    assert other.classes == ("ash", "elm", "oak")
