import numpy as np
import pytest
from rich.console import Console

from colabel.cli.check_view import render
from colabel.data.check import (
    CheckReport,
    ImageSummary,
    Problem,
    SplitSummary,
    check_records,
)
from colabel.data.readers.shapes import read_shapes


def text(report, width=100, **options):
    console = Console(width=width, color_system=None, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(render(report, **options))
    return capture.get()


def row(printed, name):
    """The cells of the table row that begins with this name."""
    (line,) = [line for line in printed.splitlines() if line.startswith(name + " ")]
    return line.removeprefix(name).split()


def split(name, positives, *, images=100, judged=None, **options):
    return SplitSummary(
        name=name,
        images=images,
        groups=options.get("groups"),
        labels_per_image=options.get("labels_per_image", (7, images - 7)),
        positives=tuple(positives),
        judged=tuple(judged or [images] * len(positives)),
        notes=options.get("notes", ()),
    )


def report(classes=("cat", "dog"), splits=None, together=None, pictures=None, problems=()):
    parts = splits or (split("train", range(10, 10 + len(classes))),)
    if together is None:
        together = np.diag(np.sum([part.positives for part in parts], axis=0))
    return CheckReport(tuple(classes), tuple(parts), np.asarray(together), pictures, problems)


def problem(severity="warning", examples=("a.png",), count=None):
    return Problem(
        severity, "Something odd.", "It hurts.", "Mend it.", count or len(examples), examples
    )


def test_every_number_of_a_split_and_of_a_class_is_in_its_row():
    parts = (
        split("train", (300, 20), images=1000, judged=(600, 1000), groups=412),
        split("val", (5, 0), images=50, judged=(50, 0), groups=30),
    )
    printed = text(report(("cat", "dog"), parts))
    assert row(printed, "train") == ["1,000", "412", "320", "0.32", "7"]
    assert row(printed, "val") == ["50", "30", "5", "0.10", "7"]
    # of the images of which it is known
    assert row(printed, "cat") == ["300", "50.0", "5", "10.0"]
    assert row(printed, "dog") == ["20", "2.0", "0", "-"]


def test_without_groups_there_is_no_column_for_them():
    assert "Groups" not in text(report())
    assert "Groups" in text(report(splits=(split("train", (1, 2), groups=3),)))


def test_the_most_common_classes_come_first_and_the_middle_is_left_out():
    classes = [f"class{number:02d}" for number in range(80)]
    parts = (split("train", range(80)),)
    printed = text(report(classes, parts), classes=10)
    named = [line.split()[0] for line in printed.splitlines() if line.startswith("class")]
    assert named == [
        *[f"class{number}" for number in (79, 78, 77, 76, 75)],
        *[f"class{number:02d}" for number in (4, 3, 2, 1, 0)],
    ]
    assert "... 70 more ..." in printed


def test_labels_that_go_together_are_compared_with_chance():
    together = [[200, 30, 12, 0], [30, 40, 0, 0], [12, 0, 60, 9], [0, 0, 9, 10]]
    parts = (split("train", (200, 40, 60, 10), images=1000),)
    printed = text(report(("person", "tie", "car", "meter"), parts, together))
    # 30 of 40 images with a tie, 20 % of all; cars and persons meet by chance alone,
    # and 9 images are too few to tell
    section = printed.split("Labels that go together most")[1].split("WARNING")[0]
    lines = [line.split() for line in section.splitlines()[2:] if line.strip()]
    assert lines[0] == ["tie", "person", "75", "20"]
    assert not any(line[0] in ("car", "meter") for line in lines)


def test_a_problem_says_what_it_costs_and_what_to_do():
    names = tuple(f"{number}.png" for number in range(8))
    printed = text(report(problems=(problem(examples=names),)), examples=3)
    block = printed[printed.index("WARNING") :].splitlines()
    assert [line.rstrip() for line in block[:7]] == [
        "WARNING  Something odd.",
        "  What it costs: It hurts.",
        "  What to do: Mend it.",
        "  - 0.png",
        "  - 1.png",
        "  - 2.png",
        "  - and 5 more",
    ]


def test_a_cut_list_of_examples_counts_all_that_there_are():
    names = tuple(f"{number}.png" for number in range(1000))
    printed = text(report(problems=(problem(examples=names, count=112_120),)))
    assert "- and 112,115 more" in printed


@pytest.mark.parametrize(
    ("severities", "last"),
    [
        ([], "No errors and no warnings."),
        (["note"], "No errors and no warnings."),
        (["warning"], "No errors, 1 warning to look at."),
        (["error"], "1 error to put right before training."),
        (
            ["error", "error", "warning", "warning"],
            "2 errors to put right before training, 2 warnings to look at.",
        ),
    ],
)
def test_the_last_line_says_whether_to_go_on(severities, last):
    found = tuple(problem(severity) for severity in severities)
    assert text(report(problems=found)).splitlines()[-1].strip() == last


def test_names_from_the_data_are_never_taken_for_markup():
    odd = "[bold]x[/bold] [/] :smile: \\["
    parts = (split("[red]train", (10, 11), notes=(f"note {odd}",)),)
    found = (Problem("error", f"what {odd}", f"cost {odd}", f"do {odd}", 1, (odd,)),)
    printed = text(report((f"class {odd}", "dog"), parts, problems=found), width=160)
    for begin in ("note ", "what ", "cost ", "do ", "class ", "- "):
        assert begin + odd in printed
    assert "[red]train" in printed


def test_images_are_described_in_plain_words():
    pictures = ImageSummary(
        5, (60, 64, 1200), (80, 80, 80), {"I;16": 3, "L": 1, "YCbCr": 1}, {"PNG": 5}
    )
    printed = text(report(pictures=pictures))
    assert "60 to 1,200 pixels, median 64" in printed
    assert "Height     80 pixels" in printed
    assert "5 PNG" in printed
    assert "3 16-bit grey, 1 8-bit grey, 1 YCbCr" in printed


def test_real_reports_fit_a_narrow_terminal():
    splits = {name: read_shapes(name, images={name: 40}) for name in ("train", "val", "test")}
    printed = text(check_records(splits), width=72)
    assert max(len(line) for line in printed.splitlines()) <= 72
    assert "checkered" in printed
    assert "drawn by colabel" in printed
