"""What a check finds in the files: missing, unreadable and alike; and its threads."""

import threading
import time

import numpy as np
import pytest
import tifffile
from checked_records import only, picture, problems, save, table
from PIL import Image

from colabel.data.check import check_records, verify_images
from colabel.data.check.scan import for_each, look_alikes, same_bytes, standardised

# ---------------------------------------------------------------- files


def test_missing_files_are_named_with_what_lies_there_instead(tmp_path):
    save(tmp_path, ["a.png", "Scan_7.PNG"])
    names = ["a.png", "scan_7.png", "gone.png", "elsewhere/x.png"]
    problem = only(check_records({"train": table(tmp_path, names)}), "cannot be found")
    assert problem.severity == "error"
    assert problem.count == 3
    assert problem.examples == (
        f"train: {tmp_path / 'scan_7.png'} (there is Scan_7.PNG)",
        f"train: {tmp_path / 'gone.png'}",
        f"train: {tmp_path / 'elsewhere' / 'x.png'} (there is no such folder)",
    )


@pytest.mark.parametrize("decode", [True, False])
def test_when_no_file_is_there_the_folder_is_blamed(tmp_path, decode):
    names = [f"{index}.png" for index in range(1500)]
    problem = only(check_records({"train": table(tmp_path, names)}, decode=decode), "is there")
    assert problem.what == "None of the 1,500 image files is there."
    assert "Check the folder" in problem.remedy
    assert problem.count == 1500
    assert len(problem.examples) == 1000


def test_corrupt_files_are_named_with_the_reason(tmp_path):
    save(tmp_path, ["good.png", "cut.jpg", "noise.png"])
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.png").write_bytes(b"this is no image")
    (tmp_path / "empty.png").write_bytes(b"")
    records = table(tmp_path, ["good.png", "cut.jpg", "noise.png", "empty.png"])
    problem = only(check_records({"train": records}), "cannot be read")
    assert problem.severity == "error"
    assert problem.count == 3
    assert [line.split(":")[1].strip() for line in problem.examples] == [
        "cut.jpg",
        "noise.png",
        "empty.png",
    ]
    assert "0 bytes" in problem.examples[2]
    assert str(tmp_path) not in problem.examples[0]
    # without decoding, only what the folder tells is known
    assert only(check_records({"train": records}, decode=False), "cannot be read").count == 1


def test_files_that_need_a_setting_are_not_blamed_on_a_copy(tmp_path):
    bands = np.full((40, 40, 4), 500, np.uint16)
    tifffile.imwrite(
        tmp_path / "bands.tif", bands, photometric="minisblack", planarconfig="contig"
    )
    (tmp_path / "noise.png").write_bytes(b"this is no image")
    problem = only(check_records({"train": table(tmp_path, ["bands.tif"])}), "cannot be read")
    assert problem.remedy.startswith("Give the setting that is named below. To train without")
    both = table(tmp_path, ["bands.tif", "noise.png"])
    problem = only(check_records({"train": both}), "cannot be read")
    assert "below for 1 of them. Export or copy" in problem.remedy


def test_verify_images_names_missing_and_corrupt_files(tmp_path):
    save(tmp_path, [f"{index}.png" for index in range(70)])
    (tmp_path / "40.png").write_bytes(b"nothing")
    (tmp_path / "65.png").unlink()
    steps = []
    records = table(tmp_path, [f"{index}.png" for index in range(70)])
    verified = verify_images(records, workers=3, progress=lambda *step: steps.append(step))
    found = verified.failures
    assert verified.changes == ()
    assert [index for index, _ in found] == [40, 65]
    assert all(str(tmp_path / f"{index}.png") in message for index, message in found)
    assert steps == sorted(steps)
    assert steps[-1] == (70, 70)


# ---------------------------------------------------------------- copies


def test_identical_files_across_splits_are_errors_and_within_one_warnings(tmp_path):
    save(tmp_path, ["a.png", "b.png", "c.png"])
    for name in ("a2.png", "a3.png"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "b2.png").write_bytes((tmp_path / "b.png").read_bytes())
    train = table(tmp_path, ["a.png", "b.png", "b2.png"], [[1, 0], [0, 1], [0, 1]])
    test = table(tmp_path, ["a2.png", "a3.png", "c.png"], [[1, 0], [0, 0], [1, 1]])
    for decode in (True, False):
        report = check_records({"train": train, "test": test}, decode=decode)
        across = only(report, "in more than one split, as identical files")
        assert across.severity == "error"
        assert across.examples == ("train: a.png = test: a2.png = test: a3.png",)
        within = only(report, "more than once in the same split")
        assert within.severity == "warning"
        assert within.examples == ("train: b.png = train: b2.png",)
        differing = only(report, "different labels")
        assert differing.examples == across.examples
        assert problems(report, "look the same") == []


def test_the_same_name_in_two_splits_is_reported_once(tmp_path):
    save(tmp_path, ["a.png", "b.png"])
    save(tmp_path / "again", ["a.png", "b.png"])
    picture(1, size=(80, 60)).save(tmp_path / "again" / "b.png")
    splits = {
        "train": table(tmp_path, ["a.png", "b.png"]),
        "val": table(tmp_path / "again", ["a.png", "b.png"]),
    }
    report = check_records(splits)
    problem = only(report, "image names in more than one split")
    assert problem.severity == "error"
    assert problem.examples == ("a.png: train and val", "b.png: train and val")
    assert problems(report, "identical files") == []
    assert problems(report, "look the same") == []


def test_copies_in_another_format_or_size_look_the_same(tmp_path):
    save(tmp_path, [f"{index}.png" for index in range(12)])
    picture(3).save(tmp_path / "copy.jpg", quality=60)
    picture(5, size=(96, 80)).save(tmp_path / "large.png")
    picture(7).point(lambda value: round(0.8 * value)).save(tmp_path / "darker.png")
    Image.new("RGB", (48, 40), (90, 90, 90)).save(tmp_path / "grey.png")
    Image.new("RGB", (40, 40), (91, 90, 90)).save(tmp_path / "grey2.png")
    train = table(tmp_path, [f"{index}.png" for index in range(12)] + ["grey.png"])
    test = table(tmp_path, ["copy.jpg", "large.png", "darker.png", "grey2.png"])
    problem = only(check_records({"train": train, "test": test}), "look the same")
    assert problem.severity == "warning"
    assert problem.examples == (
        "train: 3.png ~ test: copy.jpg",
        "train: 5.png ~ test: large.png",
        "train: 7.png ~ test: darker.png",
    )


def test_the_same_bytes_are_found_past_equal_sizes_and_ends(tmp_path):
    tail = bytes(5000)
    contents = [b"a" + tail, b"b" + tail, b"a" + tail, b"c" * 5001, b"short", b"short", b"other"]
    paths = []
    for index, content in enumerate(contents):
        (tmp_path / str(index)).write_bytes(content)
        paths.append(str(tmp_path / str(index)))
    sizes = [len(content) for content in contents]
    assert same_bytes(sizes, paths) == [[0, 2], [4, 5]]
    # a size of 0 stands for a file that cannot be compared
    assert same_bytes([0, *sizes[1:]], paths) == [[4, 5]]


def test_look_alikes_are_those_of_numpys_correlation():
    generator = np.random.default_rng(1)
    stack = generator.integers(0, 256, (9, 256)).astype(np.uint8)
    near = stack[[4, 2]].astype(int) + generator.integers(-3, 4, (2, 256))
    other = np.concatenate([near.clip(0, 255), stack[[7]], np.full((1, 256), 9)]).astype(np.uint8)
    expected = [
        (row, column)
        for row in range(9)
        for column in range(3)
        if np.corrcoef(stack[row], other[column])[0, 1] >= 0.99
    ]
    assert len(expected) == 3
    assert look_alikes(standardised(stack), standardised(other)) == expected


def test_an_image_of_nearly_one_tone_resembles_nothing():
    flat = np.full((2, 256), 128, dtype=np.uint8)
    flat[:, :128] += 1
    assert look_alikes(standardised(flat[:1]), standardised(flat[1:])) == []
    flat[:, :128] += 9
    assert look_alikes(standardised(flat[:1]), standardised(flat[1:])) == [(0, 0)]


# ---------------------------------------------------------------- threads


def test_for_each_keeps_the_order_and_stays_a_little_ahead():
    started = []
    lock = threading.Lock()

    def work(index):
        with lock:
            started.append(index)
        return 2 * index

    results = for_each(5000, work, workers=2)
    assert next(results) == 0
    time.sleep(0.2)
    with lock:
        assert len(started) <= 5 * 32
    assert list(results) == [2 * index for index in range(1, 5000)]
    assert sorted(started) == list(range(5000))


def test_for_each_passes_an_unexpected_failure_on():
    def work(index):
        if index == 77:
            raise KeyError("a mistake")
        return index

    with pytest.raises(KeyError, match="a mistake"):
        list(for_each(200, work, workers=2))


def test_for_each_of_nothing_is_nothing():
    assert list(for_each(0, lambda index: index)) == []
