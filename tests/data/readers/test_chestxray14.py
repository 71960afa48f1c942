import pytest
from fakes import FINDINGS, write_chestxray14

from colabel.data import read_chestxray14
from colabel.data.readers.chestxray14 import CLASSES
from colabel.errors import DataError

SPLITS = ("train", "val", "test")


def patients(records):
    return {int(group) for group in records.groups}


def check_labels(records, findings):
    for name, row in zip(records.ids, records.targets, strict=True):
        found = {CLASSES[column] for column in row.nonzero()[0]}
        assert found == set(findings[name]), name


@pytest.fixture(params=["nih", "chexnet"])
def either(request, tmp_path):
    return tmp_path, write_chestxray14(tmp_path, layout=request.param)


def test_both_layouts_give_the_findings_images_and_patients(either):
    root, findings = either
    parts = {split: read_chestxray14(root, split) for split in SPLITS}
    names = [name for part in parts.values() for name in part.ids]
    assert sorted(names) == sorted(findings)
    for part in parts.values():
        assert part.classes == FINDINGS
        check_labels(part, findings)
        assert all(int(name[:8]) == int(g) for name, g in zip(part.ids, part.groups, strict=True))
        for index in range(len(part)):
            assert part.images.open(index).size == (16, 12)
            assert part.images.locate(index).endswith(part.ids[index])
    assert patients(parts["test"]) == {4, 8, 12, 16, 20, 24}
    assert not patients(parts["train"]) & patients(parts["val"])
    assert not patients(parts["test"]) & (patients(parts["train"]) | patients(parts["val"]))


def test_the_published_validation_list_is_taken(tmp_path):
    write_chestxray14(tmp_path, layout="chexnet")
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n")
    assert patients(read_chestxray14(tmp_path, "val")) == {1, 5, 9, 13, 17, 21}


def test_the_share_of_patients_to_validate_on(tmp_path):
    write_chestxray14(tmp_path, layout="nih", patients=80)
    rest = read_chestxray14(tmp_path, "train", validation_fraction=0.3)
    held_out = read_chestxray14(tmp_path, "val", validation_fraction=0.3)
    assert abs(len(held_out) / (len(rest) + len(held_out)) - 0.3) < 0.05
    assert not patients(rest) & patients(held_out)
    again = read_chestxray14(tmp_path, "val", validation_fraction=0.3)
    assert again.ids == held_out.ids
    with pytest.raises(DataError, match="between 0 and 1"):
        read_chestxray14(tmp_path, "val", validation_fraction=1.0)


def test_images_without_a_finding(either):
    root, findings = either
    kept = read_chestxray14(root, "test")
    healthy = sum(not findings[name] for name in kept.ids)
    assert f"{healthy} images without a finding kept (option no_finding)" in kept.notes
    dropped = read_chestxray14(root, "test", no_finding="drop")
    assert len(dropped) == len(kept) - healthy
    assert dropped.targets.any(axis=1).all()
    check_labels(dropped, findings)
    assert f"{healthy} images without a finding dropped (option no_finding)" in dropped.notes
    with pytest.raises(DataError, match="did you mean 'drop'"):
        read_chestxray14(root, "test", no_finding="dropp")


def test_an_unknown_split(either):
    with pytest.raises(DataError, match="did you mean 'train'"):
        read_chestxray14(either[0], "trian")


@pytest.mark.parametrize(
    "line",
    [
        "00000002_000.png 0 1",
        "00000002_000.png " + "2 " * 14,
        "00000002_000.png " + "0 " * 15,
    ],
)
def test_a_line_of_another_shape(tmp_path, line):
    write_chestxray14(tmp_path, layout="chexnet")
    with (tmp_path / "test_list.txt").open("a") as file:
        file.write("\n" + line + "\n")
    with pytest.raises(DataError, match=r"test_list\.txt, line \d+: expected the name of an im"):
        read_chestxray14(tmp_path, "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the list is empty"),
        ("00000004_000.png\n00000004_000.png\n", "line 2: 00000004_000.png is listed twice"),
        ("../00000004_000.png\n", r"line 1: the path '../00000004_000\.png' leaves"),
        ("00000099_000.png\n", r"is listed but not in .*Data_Entry_2017_v2020\.csv"),
    ],
)
def test_lists_that_are_wrong(tmp_path, content, message):
    write_chestxray14(tmp_path, layout="nih")
    (tmp_path / "test_list.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read_chestxray14(tmp_path, "test")


def test_a_name_without_a_patient(tmp_path):
    (tmp_path / "test_list.txt").write_text("chest.png " + "0 " * 14)
    with pytest.raises(DataError, match=r"'chest\.png' does not name a patient"):
        read_chestxray14(tmp_path, "test")


def test_a_table_that_is_wrong(tmp_path):
    write_chestxray14(tmp_path, layout="nih")
    path = tmp_path / "Data_Entry_2017_v2020.csv"
    text = path.read_text()
    path.write_text(text.replace("No Finding", "No Findings"))
    with pytest.raises(DataError, match=r"line \d+: unknown finding .*mean 'No Finding'"):
        read_chestxray14(tmp_path, "test")
    path.write_text(text.replace("Finding Labels", "Labels"))
    with pytest.raises(DataError, match="no column 'Finding Labels'"):
        read_chestxray14(tmp_path, "test")
    path.unlink()
    with pytest.raises(DataError, match=r"no Data_Entry_2017\*\.csv"):
        read_chestxray14(tmp_path, "test")


def test_a_folder_without_lists(tmp_path):
    with pytest.raises(DataError, match=r"ChestX-ray14 not found; looked for .*train_val_list"):
        read_chestxray14(tmp_path, "train")


def test_labels_without_images(tmp_path):
    write_chestxray14(tmp_path, layout="chexnet")
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="none of the"):
        read_chestxray14(tmp_path, "test")
    assert len(read_chestxray14(tmp_path, "test", require_images=False)) > 0
