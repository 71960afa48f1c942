"""Tables as people have them: what each column means, and what is refused."""

import json
import unicodedata

import pytest
from fakes import write_image

from colabel.data import TableOptions, read_table_splits
from colabel.data.copies import groups_with_copies
from colabel.errors import DataError


def read(folder, header, lines, **options):
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_table_splits(path, TableOptions(**{"require_images": False, **options}))


def whole(folder, header, lines, **options):
    return read(folder, header, lines, **options)["all"]


def listed(folder, cells, **options):
    lines = [f'{number}.png\t"{cell}"' for number, cell in enumerate(cells)]
    path = folder / "table.tsv"
    path.write_text("path\tlabels\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return read_table_splits(path, TableOptions(require_images=False, **options))["all"]


def names(records):
    return [
        {name for name, target in zip(records.classes, row, strict=True) if target == 1}
        for row in records.targets
    ]


@pytest.mark.parametrize("separator", [";", "|", ",", "\n", "#", "+", "/", " ", " / ", "、"])
def test_a_separator_is_found_where_its_parts_recur(tmp_path, separator):
    cells = [separator.join(("elm", "oak")), "elm", "oak", separator.join(("oak", "fir", "elm"))]
    records = listed(tmp_path, cells)
    assert names(records) == [{"elm", "oak"}, {"elm"}, {"oak"}, {"elm", "oak", "fir"}]
    assert records.reading.separator == separator.strip() or separator.isspace()


@pytest.mark.parametrize(
    "cells",
    [
        ["stop sign", "fire truck", "bus"],
        ["birds/owl", "birds/hen", "fish/cod", "fish/eel"],
        ["/m/01", "/m/02", "/m/03", "/m/04"],
        ["Soft_Tissue", "Bone"],
        ["semi-truck", "van"],
    ],
)
def test_names_of_several_words_stay_whole(tmp_path, cells):
    assert names(listed(tmp_path, cells)) == [{cell} for cell in cells]


def test_blanks_do_not_tear_what_another_separator_explains(tmp_path):
    records = listed(tmp_path, ["red fox|elk", "red fox", "fox", "red", "elk"])
    assert records.classes == ("elk", "fox", "red", "red fox")


def test_a_separator_needs_four_fifths_of_its_parts_to_recur(tmp_path):
    pairs = ["elm/oak", "oak/elm", "elm/fir", "fir/elm", "oak/fir", "fir/oak"]
    once = ["ash/yew", "box/bay"]
    # 12 of 16 parts recur, which is 0.75, and 7 different parts make up 9 cells
    with pytest.raises(DataError, match=r"holds '/' .*; 8 of 9 .* lists of 7 labels"):
        listed(tmp_path, [*pairs, *once, "elm"])
    # 18 of 22 parts recur, which is 0.82
    records = listed(tmp_path, [*pairs, *once, "elm", "elm/oak/fir", "fir/oak/elm"])
    assert records.reading.separator == "/"
    assert records.classes == ("ash", "bay", "box", "elm", "fir", "oak", "yew")


def test_thin_evidence_is_asked_about(tmp_path):
    cells = ["red van", "red bus", "blue bus", "bus", "van old"]
    with pytest.raises(DataError, match=r"holds ' ' .*delimiter=space, or delimiter=none"):
        listed(tmp_path, cells)
    assert len(listed(tmp_path, cells, delimiter="none").classes) == 5
    assert listed(tmp_path, cells, delimiter="space").classes == (
        "blue",
        "bus",
        "old",
        "red",
        "van",
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["['elm', 'old oak']", "[]"], [{"elm", "old oak"}, set()]),
        (["[elm, old oak]", "[elm]"], [{"elm", "old oak"}, {"elm"}]),
        (["['elm' 'oak']", "['elm']"], [{"elm", "oak"}, {"elm"}]),
        (["{'elm', 'oak'}", "{'oak'}"], [{"elm", "oak"}, {"oak"}]),
        (["{'choices': ['elm']}", "{'choices': ['oak']}"], [{"elm"}, {"oak"}]),
        (["{'elm': 1, 'oak': 0}", "{'elm': 1, 'oak': 1}"], [{"elm"}, {"elm", "oak"}]),
    ],
)
def test_lists_as_programs_write_them(tmp_path, cells, expected):
    assert names(listed(tmp_path, cells)) == expected


def test_brackets_in_some_cells_only_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"lists in brackets .*line 2.* and cells without .*line 3"
    ):
        listed(tmp_path, ["['elm', 'oak']", "elm"])


@pytest.mark.parametrize("cells", [["[0, 1, 1]", "[1, 0, 0]"], ["0 1 1", "1 0 0"], ["011", "100"]])
def test_vectors_need_names(tmp_path, cells):
    with pytest.raises(DataError, match=r"vectors of 3 times 0 or 1.*option names"):
        listed(tmp_path, cells)
    records = listed(tmp_path, cells, names=("elm", "oak", "fir"))
    assert (records.classes, records.targets.tolist()) == (
        ("elm", "oak", "fir"),
        [[0, 1, 1], [1, 0, 0]],
    )
    with pytest.raises(DataError, match=r"names gives 2 class names.*have 3 places"):
        listed(tmp_path, cells, names=("elm", "oak"))


def test_confidences_behind_labels(tmp_path):
    cells = ["elm:0.9|oak:0.2", "oak:0.5", "elm:0.1|oak:0.8"]
    with pytest.raises(DataError, match="minimum_confidence"):
        listed(tmp_path, cells)
    records = listed(tmp_path, cells, minimum_confidence=0.5)
    assert names(records) == [{"elm"}, {"oak"}, {"oak"}]


def test_words_for_nothing(tmp_path):
    cells = ["elm;oak", "nan", "None", "N/A", "null", "No Finding", "elm"]
    records = listed(tmp_path, cells)
    assert records.classes == ("No Finding", "elm", "oak")
    assert not records.targets[1:5].any()
    assert any("'None' (1 cells)" in note for note in records.notes)
    assert any("'No Finding' is a class" in note for note in records.notes)
    assert "None" in listed(tmp_path, cells, keep_labels=("None",)).classes
    with pytest.raises(DataError, match="keep_labels names yew"):
        listed(tmp_path, cells, keep_labels=("yew",))


def test_labels_that_look_the_same_are_one(tmp_path):
    records = listed(tmp_path, ["old oak", "old\u00a0oak", "old  oak", "caf\u00e9", "cafe\u0301"])
    assert records.classes == ("café", "old oak")
    assert records.targets.sum(axis=0).tolist() == [2, 3]
    assert any("put together" in note for note in records.notes)


def test_prose_is_no_list_of_labels(tmp_path):
    with pytest.raises(DataError, match="60 of them once only"):
        listed(tmp_path, [f"the picture {n} of {n * 7}" for n in range(60)])


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("is_valid", ["True", "False"], ["val", "train"]),
        ("IsTest", ["1", "0"], ["test", "train"]),
        ("split_name", ["dev", "Training"], ["val", "train"]),
        ("my column", ["test", "train"], ["test", "train"]),
    ],
)
def test_columns_of_splits(tmp_path, header, cells, expected):
    lines = [f"{number}.png,a;b,{cell}" for number, cell in enumerate(cells)]
    parts = read(tmp_path, f"path,labels,{header}", lines)
    assert {split: part.ids for split, part in parts.items()} == {
        split: (f"{number}.png",) for number, split in enumerate(expected)
    }


def test_numbers_of_folds_are_explained_by_the_user(tmp_path):
    lines = [f"{n}.png,{n % 2},{n % 3}" for n in range(6)]
    with pytest.raises(DataError, match=r"split_values={0: train, 1: train, 2: train}"):
        read(tmp_path, "path,elm,fold", lines)
    values = {"0": "val", "1": "train", "2": "train"}
    parts = read(tmp_path, "path,elm,fold", lines, split_values=values)
    assert parts["val"].ids == ("0.png", "3.png")
    with pytest.raises(DataError, match="does not hold"):
        read(tmp_path, "path,elm,fold", lines, split_values={**values, "9": "test"})


@pytest.mark.parametrize(
    "header", ["PatientID", "patientId", "Subject-ID", "case_number", "slide"]
)
def test_patients_by_any_name(tmp_path, header):
    lines = [f"{n}.png,a,p{n // 2}" for n in range(6)]
    records = whole(tmp_path, f"path,labels,{header}", lines)
    assert records.groups == ("p0", "p0", "p1", "p1", "p2", "p2")
    assert records.reading.columns[header] == "group"


def test_signs_of_patients_are_told(tmp_path):
    lines = [f"p{n // 3:02}/{n}.png,a,mrn{n // 3}" for n in range(36)]
    notes = whole(tmp_path, "path,labels,record", lines).notes
    assert any("'record' repeats like a patient (12 values in 36 rows)" in note for note in notes)
    assert any("group_folder=1" in note for note in notes)
    groups = whole(tmp_path, "path,labels,record", lines, group_folder=1).groups
    assert groups[:4] == ("p00", "p00", "p00", "p01")


def test_a_fact_of_ones_and_zeros_is_asked_about(tmp_path):
    lines = ["a.png,1,0", "b.png,0,1"]
    with pytest.raises(DataError, match=r"sex hold 1 and 0.*ignore=sex.*each_label"):
        whole(tmp_path, "path,sex,elm", lines)
    assert whole(tmp_path, "path,sex,elm", lines, ignore=("sex",)).classes == ("elm",)
    both = whole(tmp_path, "path,sex,elm", lines, each_label=("sex", "elm"))
    assert both.classes == ("sex", "elm")


def test_every_column_has_a_role(tmp_path):
    lines = [f"{n},{n}.png,{40 + n},{n % 2},train,p{n}" for n in range(4)]
    header = "Unnamed: 0,path,age,elm,split,patient"
    reading = read(tmp_path, header, lines)["train"].reading
    assert reading.columns == {
        "Unnamed: 0": "not used (about the image)",
        "path": "image",
        "age": "not used (about the image)",
        "elm": "label",
        "split": "split",
        "patient": "group",
    }


@pytest.mark.parametrize(
    ("present", "absent"), [("yes", "no"), ("T", "F"), ("1.00", "0.00"), ("+", "-"), ("x", "")]
)
def test_words_for_present_and_absent(tmp_path, present, absent):
    records = whole(tmp_path, "path,elm", [f"a.png,{present}", f"b.png,{absent}"])
    assert records.targets.tolist() == [[1], [0]]


def test_fractions_need_a_threshold(tmp_path):
    lines = ["a.png,0.7", "b.png,0.2", "c.png,1"]
    with pytest.raises(DataError, match="soft_threshold"):
        whole(tmp_path, "path,elm", lines)
    records = whole(tmp_path, "path,elm", lines, soft_threshold=0.5)
    assert records.targets.tolist() == [[1], [0], [1]]


@pytest.mark.parametrize("options", [{}, {"each_label": ("elm",)}, {"soft_threshold": 0.5}])
def test_decimal_commas_are_told(tmp_path, options):
    lines = ['a.png,"0,7"', 'b.png,"0,2"', "c.png,1"]
    with pytest.raises(DataError, match="decimal comma"):
        whole(tmp_path, "path,elm", lines, **options)


def test_a_list_beside_columns_must_agree(tmp_path):
    lines = ["a.png,elm;oak,1,1", "b.png,elm,1,0"]
    records = whole(tmp_path, "path,labels,elm,oak", lines)
    assert names(records) == [{"elm", "oak"}, {"elm"}]
    lines[1] = "b.png,elm,1,1"
    with pytest.raises(DataError, match=r"do not say the same.*labels=labels.*each_label=elm,oak"):
        whole(tmp_path, "path,labels,elm,oak", lines)


def test_several_columns_of_labels(tmp_path):
    lines = ["a.png,elm,oak", "b.png,oak,"]
    assert names(whole(tmp_path, "path,label1,label2", lines)) == [{"elm", "oak"}, {"oak"}]
    with pytest.raises(DataError, match=r"tags and category. Name the one"):
        whole(tmp_path, "path,tags,category", ["a.png,elm,w", "b.png,oak,w"])
    numbers = whole(tmp_path, "path,label,label_id", ["a.png,elm,3", "b.png,oak,7"])
    assert numbers.classes == ("elm", "oak")


def test_several_columns_of_lists_are_said_to_be_lists(tmp_path):
    def form(trees):
        rows = [
            {"path": f"{n}.png", "tree": tree, "size": ["big"]} for n, tree in enumerate(trees)
        ]
        (tmp_path / "t.json").write_text(json.dumps(rows))
        options = TableOptions(labels=("tree", "size"), require_images=False)
        return read_table_splits(tmp_path / "t.json", options)["all"].reading.form

    assert form([["elm", "oak"], ["oak"]]) == "a list in each of 2 columns"
    assert form(["elm", "oak"]) == "one label in each of 2 columns"


LONG = ["a,x,elm,1", "a,x,oak,0", "b,x,oak,1"]


def test_a_row_per_image_and_label(tmp_path):
    records = whole(tmp_path, "path,label", ["a.png,elm", "a.png,oak", "b.png,elm"])
    assert (records.ids, names(records)) == (("a.png", "b.png"), [{"elm", "oak"}, {"elm"}])
    assert any("3 rows put together to 2 images" in note for note in records.notes)
    with pytest.raises(DataError, match="stands already in line 2"):
        whole(tmp_path, "path,label", ["a.png,elm", "a.png,oak"], layout="image")
    with pytest.raises(DataError, match="layout=long has no effect"):
        whole(tmp_path, "path,label", ["a.png,elm", "b.png,oak"], layout="long")


@pytest.mark.parametrize(("unlisted", "value"), [(None, 0), ("absent", 0), ("unknown", -1)])
def test_confidence_of_a_row(tmp_path, unlisted, value):
    header = "ImageID,Source,LabelName,Confidence"
    records = whole(tmp_path, header, LONG, unlisted=unlisted)
    assert records.classes == ("elm", "oak")
    assert records.targets.tolist() == [[1, 0], [value, 1]]
    with pytest.raises(DataError, match="present here and absent"):
        whole(tmp_path, header, [*LONG, "a,x,elm,0"])
    with pytest.raises(DataError, match="minimum_confidence"):
        whole(tmp_path, header, [*LONG, "b,x,elm,0.4"])


@pytest.mark.parametrize(
    ("cell", "options"),
    [("a;b", {"blank": "unknown"}), ("a;b", {"names": ("a",)}), ("1", {"delimiter": ";"})],
)
def test_an_option_without_effect_is_refused(tmp_path, cell, options):
    header = "path,elm" if cell == "1" else "path,labels"
    with pytest.raises(DataError, match="has no effect"):
        whole(tmp_path, header, [f"a.png,{cell}", f"b.png,{cell[:1]}"], **options)


def test_names_without_an_ending_and_in_the_other_unicode_form(tmp_path):
    write_image(tmp_path / "scan_1.png")
    write_image(tmp_path / unicodedata.normalize("NFD", "für.png"))
    lines = ["scan_1,a", "f\u00fcr.png,b"]
    records = whole(tmp_path, "path,labels", lines, require_images=True)
    assert records.images.open(0).size == records.images.open(1).size == (16, 12)
    assert any("1 names without an ending matched" in note for note in records.notes)
    write_image(tmp_path / "scan_1.jpg")
    with pytest.raises(DataError, match=r"'scan_1' may be scan_1\.jpg or scan_1\.png"):
        whole(tmp_path, "path,labels", lines, require_images=True)


def test_images_in_another_folder_are_pointed_to(tmp_path):
    write_image(tmp_path / "deep" / "down" / "scan_1.png")
    with pytest.raises(DataError, match=r"set the option images=.*down"):
        whole(tmp_path, "path,labels", ["scan_1,a"], require_images=True)


def test_a_folder_with_a_table_per_split(tmp_path):
    for split, count in (("train", 3), ("valid", 1), ("test", 1)):
        for number in range(count):
            write_image(tmp_path / split / f"{number}.png")
        lines = "".join(f"{number}.png,1,0\n" for number in range(count))
        (tmp_path / split / "_labels.csv").write_text("filename,elm,oak\n" + lines)
    parts = read_table_splits(tmp_path)
    assert {split: len(part) for split, part in parts.items()} == {"train": 3, "val": 1, "test": 1}
    assert parts["val"].ids == ("valid/0.png",)
    assert parts["val"].images.open(0).size == (16, 12)
    with pytest.raises(DataError, match=r"missing in test, train, valid"):
        read_table_splits(tmp_path, TableOptions(tables="other.csv"))


def test_copies_of_a_file_are_one_group(tmp_path):
    for name, seed in zip("abcde", (1, 1, 3, 4, 5), strict=True):
        write_image(tmp_path / f"{name}.png", seed=seed)
    lines = ["a.png,u,p1", "b.png,u,p2", "c.png,u,p1", "d.png,v,p3", "e.png,v,p4"]
    records = whole(tmp_path, "path,labels,patient", lines, require_images=True)
    groups, notes = groups_with_copies(records)
    assert len(set(groups[:3])) == 1  # a and b are the same file, a and c the same patient
    assert len(set(groups)) == 3
    assert "a.png = b.png" in notes[0]
