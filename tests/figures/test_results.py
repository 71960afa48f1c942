"""Figures: what is drawn is read back from the picture's objects or its pixels."""

import numpy as np
import pytest
from drawn_figures import assert_picture, texts

from colabel import figures
from colabel.errors import RunError
from colabel.metrics import evaluate_scores


def report_of(classes):
    generator = np.random.default_rng(0)
    targets = (generator.random((50, classes)) < 0.4).astype(np.int8)
    targets[:, 0] = 0
    names = [f"cost$ {k} in US$ {'very ' * 9}" for k in range(classes)]
    return evaluate_scores(generator.random((50, classes)), targets, class_names=names)


@pytest.mark.parametrize("classes", [1, 5, 100])
def test_per_class_chart(tmp_path, drawn, classes):
    report = report_of(classes)
    png = tmp_path / "classes.png"
    figures.per_class_chart(report, png)
    width, _ = assert_picture(png)
    assert width == 8 * 150
    (axes,) = drawn[0].axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0
    assert len(widths) == min(classes, 80)
    if classes > 1:
        assert widths[0] == max(row.average_precision for row in report.per_class[1:])
    assert "no positives" in texts(drawn[0])
    assert any("20 classes left out" in text for text in texts(drawn[0])) == (classes == 100)


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        figures.per_class_chart(report_of(2), tmp_path / "missing" / "c.png")


HOSTILE = (
    "$\\frac{1}{0}$",
    "_a",
    "\x1b[2J",
    "文字",
    "a\nb",
    "\ud800",
    "\u202egnp",
    "$",
    "x" * 999,
    "\x00",
)


def test_no_name_breaks_the_picture_or_makes_a_warning(tmp_path, drawn):
    generator = np.random.default_rng(0)
    targets = (generator.random((50, len(HOSTILE))) < 0.4).astype(np.int8)
    report = evaluate_scores(generator.random(targets.shape), targets, class_names=HOSTILE)
    figures.per_class_chart(report, tmp_path / "classes.png")
    assert_picture(tmp_path / "classes.png")
    shown = texts(drawn[0])
    for name in (
        "$\\frac{1}{0}$",
        "_a",
        r"\x1b[2J",
        "文字",
        r"a\x0ab",
        r"\ud800",
        r"\u202egnp",
        "$",
    ):
        assert name in shown
    assert all(text.isprintable() for text in shown)
