import json
import re
import threading
import time

import numpy as np
import pytest
import tifffile
from PIL import Image
from pixel_files import BLACK_IS_ZERO, COLOUR_ALPHA, RGB, png, tiff

from colabel.data.check import check_records, describe_changes, verify_images
from colabel.data.check.scan import for_each, look_alikes, same_bytes, standardised
from colabel.data.images import FileImages, read_with
from colabel.data.pixels import PixelOptions
from colabel.data.readers.shapes import read_shapes
from colabel.data.records import Records
from colabel.errors import DataError

CLASSES = ("cat", "dog")


def picture(seed, size=(48, 40)):
    """A smooth random colour image, unlike any other."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def save(folder, names, first_seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names, start=first_seed):
        picture(seed).save(folder / name)


def table(folder, names, targets=None, *, classes=CLASSES, groups=None):
    if targets is None:
        targets = [[index % 2, (index // 2) % 2] for index in range(len(names))]
    return Records(
        ids=tuple(names),
        images=FileImages([str(name) for name in names], folder),
        targets=np.array(targets, dtype=np.int8).reshape(len(names), len(classes)),
        classes=tuple(classes),
        groups=groups,
    )


def labels_only(targets, classes=CLASSES, prefix="", **options):
    """Records whose images cannot be opened, for checks that look at labels."""
    targets = np.array(targets, dtype=np.int8)

    class Nowhere:
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def open(self, index):
            raise AssertionError(f"must not be opened: {index}")

        def locate(self, index):
            return f"nowhere {index}"

    ids = tuple(f"{prefix}{index}" for index in range(len(targets)))
    return Records(ids, Nowhere(len(targets)), targets, tuple(classes), **options)


def problems(report, words):
    return [problem for problem in report.problems if words in problem.what]


def only(report, words):
    (problem,) = problems(report, words)
    assert problem.cost.endswith(".")
    assert problem.remedy.endswith(".")
    return problem


# ---------------------------------------------------------------- counts


def test_counts_are_those_of_plain_loops():
    generator = np.random.default_rng(0)
    classes = ("a", "b", "c", "d")
    splits = {
        name: labels_only(generator.integers(-1, 2, (n, 4)), classes, name, notes=(f"{name}!",))
        for name, n in (("train", 37), ("val", 11))
    }
    report = check_records(splits, decode=False)
    together = np.zeros((4, 4), dtype=int)
    for part, (name, records) in zip(report.splits, splits.items(), strict=True):
        histogram = [0] * len(part.labels_per_image)
        positives, judged = [0] * 4, [0] * 4
        for row in records.targets:
            histogram[sum(value == 1 for value in row)] += 1
            for first in range(4):
                positives[first] += int(row[first] == 1)
                judged[first] += int(row[first] != -1)
                for second in range(4):
                    together[first, second] += int(row[first] == 1 and row[second] == 1)
        assert part.name == name
        assert part.images == len(records)
        assert part.groups is None
        assert list(part.labels_per_image) == histogram
        assert list(part.positives) == positives
        assert list(part.judged) == judged
        assert part.mean_labels == pytest.approx(sum(positives) / len(records))
        assert part.notes == (f"{name}!",)
    assert (report.co_occurrence == together).all()
    assert report.pictures is None


def test_clean_data_has_neither_errors_nor_warnings():
    splits = {name: read_shapes(name, images={name: 400}) for name in ("train", "val", "test")}
    report = check_records(splits, workers=2)
    assert report.of("error") == ()
    assert report.of("warning") == ()
    assert report.pictures is not None
    assert report.pictures.images == 1200
    assert report.pictures.widths == (64, 64, 64)
    assert report.pictures.modes == {"RGB": 1200}
    assert report.pictures.formats == {}


def test_the_report_is_plain_json(tmp_path):
    save(tmp_path, ["a.png", "b.png"])
    report = check_records({"train": table(tmp_path, ["a.png", "b.png", "c.png"])})
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["classes"] == ["cat", "dog"]
    assert read["splits"]["train"]["positives"] == {"cat": 1, "dog": 1}
    assert read["co_occurrence"] == [[1, 0], [0, 1]]
    assert read["pictures"]["formats"] == {"PNG": 2}
    assert read["problems"][0]["severity"] == "error"
    assert read["problems"][0]["count"] == 1


def test_nothing_to_check_is_refused():
    with pytest.raises(DataError, match="at least one split"):
        check_records({})


def test_an_empty_split_is_an_error():
    report = check_records(
        {"train": labels_only([[1, 0]]), "val": labels_only(np.empty((0, 2)))}, decode=False
    )
    assert "val" in only(report, "No images in").what


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


# ---------------------------------------------------------------- splits


def test_a_patient_in_two_splits_is_an_error():
    splits = {
        "train": labels_only([[1, 0]] * 3, prefix="t", groups=("p1", "p1", "p2")),
        "val": labels_only([[1, 0]] * 2, prefix="v", groups=("p3", "p2")),
        "test": labels_only([[1, 0]], prefix="x", groups=("p2",)),
    }
    report = check_records(splits, decode=False)
    problem = only(report, "patients, slides")
    assert problem.severity == "error"
    assert problem.examples == ("p2: train, val and test",)
    assert [part.groups for part in report.splits] == [2, 2, 1]


def test_differing_classes_are_an_error_and_counted_by_name():
    splits = {
        "train": labels_only([[1, 0], [1, 1]], ("cat", "dog"), "t"),
        "val": labels_only([[1, 0]], ("dog", "cat"), "v"),
        "test": labels_only([[1, 1]], ("cat", "cow"), "x"),
    }
    report = check_records(splits, decode=False)
    problem = only(report, "classes of train and of val and test differ")
    assert problem.severity == "error"
    assert problem.examples == ("val: another order", "test: cow, dog")
    assert report.classes == ("cat", "dog", "cow")
    assert [part.positives for part in report.splits] == [(2, 1, 0), (0, 1, 0), (1, 0, 1)]
    assert [part.judged for part in report.splits] == [(2, 2, 0), (1, 1, 0), (1, 0, 1)]


# ---------------------------------------------------------------- labels


def test_classes_without_positives_or_negatives_or_with_few_are_named():
    train = np.zeros((40, 5), dtype=int)
    train[:, 0] = 1
    train[:20, 2] = 1
    train[:9, 3] = 1
    train[:, 4] = -1
    val = np.zeros((30, 5), dtype=int)
    val[:15, [0, 1, 4]] = 1
    val[:10, 2] = 1
    classes = ("all", "none", "some", "few", "unjudged")
    splits = {"train": labels_only(train, classes, "t"), "val": labels_only(val, classes, "v")}
    report = check_records(splits, decode=False)
    assert only(report, "without a positive image in train").examples == ("none", "unjudged")
    assert "cannot be learned" in only(report, "without a positive image in train").cost
    assert only(report, "without a positive image in val").examples == ("few",)
    assert "average precision" in only(report, "without a positive image in val").cost
    assert only(report, "without a negative image in train").examples == ("all",)
    few = only(report, "fewer than 10 positive images in train")
    assert few.severity == "warning"
    assert few.examples == ("few: 9 images",)
    assert problems(report, "fewer than 10 positive images in val") == []


def test_classes_labelled_alike_everywhere_are_named():
    targets = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]] * 6)
    splits = {"train": labels_only(targets, ("a", "b", "c"))}
    report = check_records(splits, decode=False)
    assert only(report, "labelled alike").examples == ("a = b",)
    targets[5, 1] = -1
    splits = {"train": labels_only(targets, ("a", "b", "c"))}
    assert problems(check_records(splits, decode=False), "labelled alike") == []


def test_a_shift_between_splits_is_told_from_chance():
    generator = np.random.default_rng(0)
    train = generator.random((1000, 3)) < [0.2, 0.2, 0.02]
    test = generator.random((500, 3)) < [0.4, 0.2, 0.03]
    # 2 % and 3.2 %, one and a half standard deviations apart
    train[:, 2] = np.arange(1000) < 20
    test[:, 2] = np.arange(500) < 16
    splits = {
        "train": labels_only(train, ("more", "same", "rare"), "t"),
        "test": labels_only(test, ("more", "same", "rare"), "x"),
    }
    problem = only(check_records(splits, decode=False), "more or less frequent in test")
    assert problem.severity == "note"
    (line,) = problem.examples
    shares = f"{train[:, 0].mean():.1%} in train, {test[:, 0].mean():.1%} in test"
    assert line == f"more: {shares}"


def test_images_without_labels_and_unknown_labels_are_counted():
    splits = {"train": labels_only([[0, 0], [0, -1], [1, -1], [-1, 1], [0, 1]])}
    report = check_records(splits, decode=False)
    assert only(report, "without any label").examples == ("train: 2 images",)
    unknown = only(report, "unknown")
    assert unknown.count == 3
    assert "30.0%" in unknown.what
    assert unknown.examples == ("cat: 1 image", "dog: 2 images")


# ---------------------------------------------------------------- pictures


def test_messy_images_are_described_as_stored(tmp_path):
    picture(0).convert("L").save(tmp_path / "grey.png")
    ramp = np.linspace(0, 4095, 48 * 40).reshape(40, 48).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "twelve_bit.png")
    Image.fromarray(ramp * 16).save(tmp_path / "sixteen_bit.png")
    picture(1).convert("CMYK").save(tmp_path / "print.jpg")
    lying = Image.Exif()
    lying[0x0112] = 6
    picture(2, size=(60, 40)).save(tmp_path / "lying.jpg", exif=lying)
    upright = Image.Exif()
    upright[0x0112] = 1
    picture(3).save(tmp_path / "upright.jpg", exif=upright)
    Image.new("RGB", (40, 40), (7, 8, 9)).save(tmp_path / "blank.png")
    picture(4, size=(120, 40)).save(tmp_path / "narrow.png")
    picture(5, size=(20, 30)).save(tmp_path / "tiny.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    report = check_records({"train": table(tmp_path, names)})
    assert report.of("error") == ()
    dark = only(report, "nearly black")
    assert dark.severity == "warning"
    assert dark.examples == ("train: twelve_bit.png: grey values 0 to 16 of 255, stored as I;16",)
    assert only(report, "one single tone").examples == ("train: blank.png",)
    assert only(report, "stored lying").examples == ("train: lying.jpg",)
    assert only(report, "three times as long").examples == ("train: narrow.png: 120 x 40",)
    assert only(report, "under 32 pixels").examples == ("train: tiny.png: 20 x 30",)
    mixed = only(report, "3 images stored as greyscale, 6 in colour")
    assert mixed.examples == tuple(
        f"train: {name}.png" for name in ("grey", "sixteen_bit", "twelve_bit")
    )
    assert report.pictures is not None
    assert report.pictures.modes == {"RGB": 5, "I;16": 2, "L": 1, "CMYK": 1}
    assert report.pictures.formats == {"PNG": 6, "JPEG": 3}
    # the lying image counts as it is used
    assert report.pictures.widths == (20, 48, 120)
    assert report.pictures.heights[2] == 60


def test_images_are_nearly_black_whatever_shines_in_them(tmp_path):
    for seed in range(3):
        field = 300 + np.asarray(picture(seed).convert("L")).astype(np.uint16) * 6
        field[5, 5] = 11_500  # one pixel of two thousand
        Image.fromarray(field).save(tmp_path / f"{seed}.png")
    records = table(tmp_path, [f"{seed}.png" for seed in range(3)])
    dark = only(check_records({"train": records}), "nearly black")
    assert (dark.severity, dark.count) == ("warning", 3)
    scale = float(re.search(r"data\.scale=(\d+)", dark.remedy)[1])
    assert 1500 < scale < 300 + 255 * 6 + 1  # what all but the roof stay below
    brighter = read_with(records, PixelOptions(scale=scale))
    assert problems(check_records({"train": brighter}), "nearly black") == []


def test_dark_images_of_eight_bits_have_no_scale(tmp_path):
    Image.fromarray(np.asarray(picture(0)) // 12).save(tmp_path / "dim.png")
    dark = only(check_records({"train": table(tmp_path, ["dim.png"])}), "nearly black")
    assert dark.remedy.startswith("Export them")


CHANGED = {
    "stains": (png(np.full((9, 9, 4), 31, np.uint8), COLOUR_ALPHA), "warning", "half-transparent"),
    "hidden": (png(np.zeros((9, 9, 4), np.uint8), COLOUR_ALPHA), "warning", "wholly transparent"),
    "icon": (
        png(np.array([[[9, 9, 9, 255]] * 8, [[9, 9, 9, 0]] * 8], np.uint8), COLOUR_ALPHA),
        "note", "with transparency, laid over white",
    ),
    "stack": (
        tiff(np.full((9, 9), 99, np.uint8), BLACK_IS_ZERO, following=0),
        "warning", "several pages or frames",
    ),
    "more": (
        tiff(np.full((9, 9, 4), 99, np.uint8), RGB, extra=[0]), "warning", "more channels than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_what_is_lost_in_reading_is_reported_and_noted(tmp_path, kind):
    content, severity, words = CHANGED[kind]
    for name in ("b", "c"):
        (tmp_path / name).write_bytes(content)
    picture(1).save(tmp_path / "a.png")
    records = table(tmp_path, ["a.png", "b", "c"])
    problem = only(check_records({"train": records}), words)
    assert (problem.severity, problem.count) == (severity, 2)
    assert [example.split(": ")[1] for example in problem.examples] == ["b", "c"]
    notes = describe_changes(records, verify_images(records).changes)
    (note,) = (note for note in notes if words in note)
    assert note.startswith("2 of 3 images ")
    assert f"first: {tmp_path / 'b'}" in note


def test_without_decoding_no_image_is_opened():
    splits = {"train": labels_only([[1, 0], [0, 1]])}
    assert check_records(splits, decode=False).pictures is None
    with pytest.raises(AssertionError, match="must not be opened"):
        check_records(splits)


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
