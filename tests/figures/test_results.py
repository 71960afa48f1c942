"""Figures: what is drawn is read back from the picture's objects or its pixels."""

import numpy as np
import pytest
from drawn_figures import assert_picture, texts
from PIL import Image

from colabel import figures
from colabel.errors import DataError, RunError
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


def test_examples_grid(tmp_path, drawn):
    images = [
        Image.new("RGB", (40, 20), "red"),
        np.zeros((30, 10, 3), np.uint8),
        Image.new("L", (300, 400)),
        Image.new("RGBA", (8, 8)),
        Image.new("RGB", (1, 1)),
    ]
    probabilities = np.array([[0.9, 0.8, 0.7, 0.1, 0.2], *[[0.1] * 5] * 3, [0.9] * 5])
    targets = np.array([[1, 0, -1, 1, 0], *[[0] * 5] * 3, [1] * 5])
    png = tmp_path / "examples.png"
    names = ["cat $x$", "dog", "bird", "fish", "frog"]
    figures.examples_grid(images, probabilities, targets, names, png)
    assert_picture(png)
    assert len(drawn[0].axes) == 5
    captions = texts(drawn[0])
    assert {"✓ cat $x$ 0.90", "✗ dog 0.80", "· bird 0.70", "○ fish 0.10"} < set(captions)
    assert not any("frog 0.20" in text for text in captions)
    assert captions.count("no label") == 3


def test_example_thresholds_and_long_lists(tmp_path, drawn):
    image = [Image.new("RGB", (4, 4))]
    names = [f"label {k}" for k in range(9)]
    probabilities = np.full((1, 9), 0.4)
    cuts = np.array([0.4] * 8 + [0.5])
    png = tmp_path / "e.png"
    figures.examples_grid(image, probabilities, None, names, png, thresholds=cuts)
    assert texts(drawn[0]).count("and 2 more") == 1
    assert "· label 0 0.40" in texts(drawn[0])
    assert not any("right" in text for text in texts(drawn[0]))


def test_examples_of_another_shape_are_refused(tmp_path):
    with pytest.raises(DataError, match="at least one image"):
        figures.examples_grid([], np.zeros((0, 2)), None, ["a", "b"], tmp_path / "e.png")
    image = [Image.new("RGB", (4, 4))]
    with pytest.raises(DataError, match=r"\(1, 3\)"):
        figures.examples_grid(image, np.zeros((1, 3)), None, ["a", "b"], tmp_path / "e.png")


@pytest.mark.parametrize("scale", [1, 0.125])
def test_co_occurrence(tmp_path, drawn, scale):
    counts = np.array([[8, 2, 0], [2, 4, 0], [0, 0, 0]])
    png = tmp_path / "co.png"
    figures.co_occurrence_figure(counts * scale, ["cat", "$dog$", "never"], png)
    assert_picture(png)
    shown = np.ma.filled(drawn[0].axes[0].images[0].get_array(), np.nan)
    np.testing.assert_array_equal(
        shown, [[np.nan, 0.25, 0], [0.5, np.nan, 0], [np.nan, np.nan, np.nan]]
    )
    assert {"25", "50"} < set(texts(drawn[0]))


@pytest.mark.parametrize("classes", [1, 60])
def test_co_occurrence_of_few_and_many_classes(tmp_path, classes):
    names = [f"class {k}" for k in range(classes)]
    figures.co_occurrence_figure(np.ones((classes, classes)), names, tmp_path / "co.png")
    assert_picture(tmp_path / "co.png")


@pytest.mark.parametrize("matrix", [np.ones((2, 3)), -np.ones((2, 2)), np.full((2, 2), np.nan)])
def test_other_matrices_are_refused(tmp_path, matrix):
    with pytest.raises(DataError, match="co-occurrence matrix of 2 classes"):
        figures.co_occurrence_figure(matrix, ["a", "b"], tmp_path / "co.png")


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        figures.per_class_chart(report_of(2), tmp_path / "missing" / "c.png")
