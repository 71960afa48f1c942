"""Figures: what is drawn is read back from the picture's objects or its pixels."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from colabel import figures
from colabel.errors import DataError, RunError
from colabel.metrics import evaluate_scores


@pytest.fixture
def drawn(monkeypatch):
    """The figures in the order they are saved."""
    saved = []
    savefig = Figure.savefig

    def keep(figure, *arguments, **options):
        saved.append(figure)
        savefig(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def assert_picture(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert round(image.info["dpi"][0]) == 150
        assert len(image.convert("RGB").getcolors(1 << 24)) > 5
        return image.size


def step_record(step, *, stage="train"):
    terms = {
        "asymmetric": {"raw": 50.0 / step, "weighted": 5.0 / step, "gradient_share": 0.75},
        "contrastive": {"raw": 2.0, "weighted": 0.5, "gradient_share": 0.25},
    }
    return {
        "kind": "step",
        "stage": stage,
        "epoch": 1,
        "step": step,
        "learning_rate": 1e-4 * step,
        "terms": terms,
    }


def epoch_record(epoch, score, *, best, stage="train"):
    record = step_record(10 * epoch, stage=stage)
    validation = {"mAP": score, "CF1": None, "images": 5}
    return record | {
        "kind": "epoch",
        "epoch": epoch,
        "validation": validation,
        "monitor": "mAP",
        "score": score,
        "best": best,
    }


def write_log(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_training_curves(tmp_path, drawn):
    records = [*map(step_record, (2, 4, 6)), epoch_record(1, 0.5, best=True)]
    records += [step_record(12), {"kind": "resume", "stage": "train", "epoch": 2, "step": 12}]
    records += [epoch_record(2, 0.7, best=True), epoch_record(3, 0.6, best=False)]
    png = tmp_path / "curves.png"
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), png)
    assert_picture(png)
    losses, shares, validation, rate = drawn[0].axes
    lines = {line.get_label(): line for line in losses.lines}
    assert lines["asymmetric"].get_xydata().tolist() == [[10, 0.5], [20, 0.25], [30, 5 / 30]]
    assert [line.get_label() for line in shares.lines[:2]] == ["asymmetric", "contrastive"]
    assert shares.lines[1].get_ydata().tolist() == [0.25] * 4
    assert validation.lines[0].get_xydata().tolist() == [[10, 0.5], [20, 0.7], [30, 0.6]]
    assert np.isnan(validation.lines[1].get_ydata()).all()
    assert [line.get_label() for line in validation.lines[:2]] == ["mAP", "CF1"]
    assert "dashed: best mAP, 0.700, epoch 2 of train" in texts(drawn[0])
    assert rate.lines[0].get_xdata().tolist() == [2, 4, 6, 12]


def test_stages_are_separated(tmp_path, drawn):
    records = [
        epoch_record(1, 0.5, best=True),
        epoch_record(2, 0.6, best=True),
        epoch_record(3, 0.7, best=True, stage="second"),
    ]
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "c.png")
    rate = drawn[0].axes[3]
    assert [line.get_xdata() for line in rate.lines if line.get_linestyle() == ":"] == [[20, 20]]


@pytest.mark.parametrize(
    "records",
    [
        [step_record(1)],
        [epoch_record(1, None, best=False)],
        [{"kind": "step", "step": 1, "learning_rate": None, "terms": {}}],
    ],
)
def test_short_logs_are_drawn(tmp_path, records):
    png = tmp_path / "curves.png"
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), png)
    assert_picture(png)


def test_logs_without_a_step_are_refused(tmp_path):
    with pytest.raises(RunError, match="no training step yet"):
        figures.training_curves(write_log(tmp_path / "log.jsonl", []), tmp_path / "c.png")
    with pytest.raises(RunError, match="cannot read"):
        figures.training_curves(tmp_path / "missing.jsonl", tmp_path / "c.png")


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
    with pytest.raises(RunError, match="cannot write"):
        figures.per_class_chart(report_of(2), tmp_path / "missing" / "c.png")
