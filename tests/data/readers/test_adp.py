import numpy as np
import pytest
from fakes import ADP_CODES, write_adp

from colabel.data import read_adp
from colabel.data.readers.adp import codes_at_level
from colabel.errors import DataError

SPLITS = {"train": "train.npy", "val": "valid.npy", "test": "test.npy"}


@pytest.fixture
def release(tmp_path):
    return tmp_path / "ADP V1.0 Release", write_adp(tmp_path)


def test_the_levels_of_the_flat_release():
    levels = {level: codes_at_level(ADP_CODES, level) for level in ("L1", "L2", "L3")}
    assert levels["L1"] == ("E", "C", "H", "S", "A", "M", "N", "G", "T")
    assert {level: len(codes) for level, codes in levels.items()} == {"L1": 9, "L2": 19, "L3": 22}
    assert {"M", "T"} < set(levels["L2"])  # nothing refines them
    assert "C.D" not in levels["L3"]
    assert {"C.D.I", "C.D.R", "C.L"} < set(levels["L3"])


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
@pytest.mark.parametrize("split", SPLITS)
def test_labels_of_every_level_and_split(release, level, split):
    folder, labels = release
    records = read_adp(folder, split, level=level)
    rows = np.load(folder / "splits" / SPLITS[split])
    columns = [ADP_CODES.index(code) for code in records.classes]
    assert records.classes == codes_at_level(ADP_CODES, level)
    assert (records.targets == labels[rows][:, columns]).all()
    assert records.ids[0] == f"{1 + rows[0] // 4:03}.png_crop_{rows[0]}.png"
    assert records.images.open(0).size == (16, 12)
    assert "patches, not slides" in records.notes[0]


def test_the_folder_above_and_labels_in_a_folder_of_their_own(release):
    folder, _ = release
    expected = read_adp(folder, "train")
    assert read_adp(folder.parent, "train").ids == expected.ids
    (folder / "lbl").mkdir()
    name = "ADP_EncodedLabels_Release1_Flat.csv"
    (folder / name).rename(folder / "lbl" / name)
    assert read_adp(folder, "train").images.locate(0) == expected.images.locate(0)


def test_names_that_do_not_exist(release):
    folder, _ = release
    with pytest.raises(DataError, match="split: 'valid'; did you mean 'val'"):
        read_adp(folder, "valid")
    with pytest.raises(DataError, match="level: 'L4'"):
        read_adp(folder, "train", level="L4")
    with pytest.raises(DataError, match="ADP not found; looked for"):
        read_adp(folder / "splits", "train")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([0, 12]), "row numbers from 0 to 12; expected each once, within the 12 rows"),
        (np.array([-1, 2]), "row numbers from -1"),
        (np.array([2, 2]), "expected each once"),
        (np.array([0.0, 1.0]), "float64 of shape"),
        (np.zeros((2, 2), int), r"of shape \(2, 2\)"),
        (np.array([], int), r"of shape \(0,\)"),
    ],
)
def test_split_arrays_that_are_wrong(release, array, message):
    folder, _ = release
    np.save(folder / "splits" / "train.npy", array)
    with pytest.raises(DataError, match=rf"train\.npy: .*{message}"):
        read_adp(folder, "train")


def test_pickled_and_broken_split_files_are_refused(release):
    folder, _ = release
    path = folder / "splits" / "train.npy"
    np.save(path, np.array([print, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a plain array of numbers"):
        read_adp(folder, "train")
    path.write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(DataError, match="not a plain array of numbers"):
        read_adp(folder, "train")
    path.unlink()
    with pytest.raises(
        DataError, match=r"train\.npy: no such file; .*option image: 'Patch Names'"
    ):
        read_adp(folder, "train")


def test_a_table_that_is_wrong(release):
    folder, _ = release
    path = folder / "ADP_EncodedLabels_Release1_Flat.csv"
    text = path.read_text()
    first, *_ = np.load(folder / "splits" / "train.npy")
    lines = text.splitlines()
    name = lines[1 + first].split(",")[0]
    lines[1 + first] = lines[1 + first].replace(f"{name},", f"{name},maybe,", 1).rsplit(",", 1)[0]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=rf"line {2 + first}: 'maybe' in the column E; expected 0"):
        read_adp(folder, "train")
    path.write_text(text.replace(name, f"../{name}"))
    with pytest.raises(DataError, match=rf"line {2 + first}: the path .* leaves"):
        read_adp(folder, "train")
    path.write_text(text.replace("Patch Names", "Patches"))
    with pytest.raises(DataError, match="no column 'Patch Names'; did you mean 'Patches'"):
        read_adp(folder, "train")
    path.write_text("Patch Names,tissue\na.png,1\n")
    with pytest.raises(DataError, match="no columns of level L1; expected codes such as E"):
        read_adp(folder, "train")
