"""The picture of an ablation, read back from its objects."""

import numpy as np
import pytest
from drawn_figures import assert_picture, texts

from colabel.errors import DataError, RunError
from colabel.figures import AblationPoint, ablation_figure


def point(value, *scores, note=""):
    return AblationPoint(value, str(value), scores, note)


def draw(tmp_path, points, **options):
    ablation_figure(points, tmp_path / "a.png", key="method.$x$", metric="mAP", **options)
    assert_picture(tmp_path / "a.png")


def dots(figure):
    return [
        one.get_offsets().tolist()
        for one in figure.axes[0].collections
        if hasattr(one, "set_sizes") and len(one.get_offsets()) and one.get_sizes().size
    ]


def curve(figure):
    return next(line for line in figure.axes[0].lines if line.get_label() == "mean")


def test_mean_and_deviation_are_those_of_the_seeds():
    scores = (70.0, 73.0, 71.0)
    assert point(1, *scores).mean == pytest.approx(sum(scores) / 3)
    mean = sum(scores) / 3
    expected = (sum((score - mean) ** 2 for score in scores) / 2) ** 0.5
    assert point(1, *scores).deviation == pytest.approx(expected)
    assert point(1, 70.0).deviation == 0
    assert np.isnan(point(1).mean)


def test_numbers_lie_on_a_line_in_their_order(tmp_path, drawn):
    points = [point(0.6, 70, 72), point(0.2, 60, 62), point(0.4), point(1.0, 65)]
    draw(tmp_path, points, chosen="0.6")
    axes = drawn[0].axes[0]
    assert axes.get_xscale() == "linear"
    assert curve(drawn[0]).get_xydata().tolist() == [[0.2, 61], [0.6, 71], [1.0, 65]]
    (paper,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert list(paper.get_xdata()) == [0.6, 0.6]
    assert dots(drawn[0]) == [[[0.6, 70], [0.6, 72]], [[0.2, 60], [0.2, 62]], [[1.0, 65]]]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(71 + 2**0.5)
    legend = [text.get_text() for text in drawn[0].legends[0].texts]
    assert sorted(legend) == ["mean", "one seed", "the paper's value", "± one standard deviation"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [((0.1, 1.0), "log"), ((0.1, 0.9), "linear"), ((0, 1, 100), "linear"), ((-1, 20), "linear")],
)
def test_a_decade_has_a_logarithmic_axis(tmp_path, drawn, values, scale):
    draw(tmp_path, [point(value, 50, 51) for value in values])
    axes = drawn[0].axes[0]
    assert axes.get_xscale() == scale
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(one) for one in values]


@pytest.mark.parametrize("values", [("jaccard", "cosine"), (True, False), (None, 1, 8), (3,)])
def test_other_values_lie_side_by_side(tmp_path, drawn, values):
    points = [point(value, 50, 53, note="paper: 89.1") for value in values]
    draw(tmp_path, points, chosen=str(values[-1]), hint="validation, not $test$")
    axes = drawn[0].axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        f"{value}\npaper: 89.1" for value in values
    ]
    for place, shown in enumerate(dots(drawn[0])):
        (left, low), (right, high) = shown
        assert (low, high) == (50, 53)
        assert place - 0.2 < left < place < right < place + 0.2
    (paper,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert list(paper.get_xdata()) == [len(values) - 1] * 2
    assert "validation, not $test$" in texts(drawn[0])
    assert axes.get_ylabel() == "mAP on validation (%)"


def test_one_seed_has_no_band_and_no_value_of_a_paper_no_dashed_line(tmp_path, drawn):
    draw(tmp_path, [point(1, 50), point(2, 60)])
    legend = [text.get_text() for text in drawn[0].legends[0].texts]
    assert sorted(legend) == ["mean", "one seed"]


def test_an_ablation_without_scores_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"ablation of method\.x has no score yet"):
        ablation_figure([point(1), point(2)], tmp_path / "a.png", key="method.x", metric="mAP")


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        ablation_figure([point(1, 2)], tmp_path / "no" / "a.png", key="method.x", metric="mAP")


def test_names_are_neither_formulas_nor_controls(tmp_path, drawn):
    points = [AblationPoint("a", "a\x1b[2J", (1.0,), "")]
    ablation_figure(
        points, tmp_path / "a.png", key="data.$x_{$", metric="mAP", hint="\x1b[2J $_{$"
    )
    (figure,) = drawn
    assert "mAP over data.$x_{$" in texts(figure)
    assert "a\\x1b[2J" in texts(figure)
    assert "\\x1b[2J $_{$" in texts(figure)
