"""The picture of a sweep, read back from its objects."""

import numpy as np
import pytest
from drawn_figures import assert_picture, texts

from colabel.errors import DataError
from colabel.figures.sweep import SweepPoint, SweepScale, sweep_figure

SCALES = {
    "training.rate": SweepScale(1e-5, 1e-2, logarithmic=True),
    "training.$share$": SweepScale(0, 1, logarithmic=False),
    "head.kind": ("plain", "a word that is much longer"),
}


def point(number, rate, score, state="complete", kind="plain"):
    places = {"training.rate": rate, "training.$share$": 0.5, "head.kind": kind}
    return SweepPoint(number, places, score, state)


POINTS = [
    point(0, 1e-3, 50.0),
    point(1, 1e-5, None, "failed"),
    point(2, 1e-4, 80.0, "pruned"),
    point(3, 1e-2, 60.0, kind="a word that is much longer"),
    point(4, 2e-3, 40.0),
]


def places(axes):
    return [tuple(one.get_offsets()[0]) for one in axes.collections]


def test_every_trial_is_where_it_belongs_and_the_best_whole_one_is_marked(tmp_path, drawn):
    sweep_figure(POINTS, tmp_path / "s.png", title="cost$ of $x$", scales=SCALES)
    assert_picture(tmp_path / "s.png")
    history, rate, share, kind = drawn[0].axes
    assert places(history) == [(0, 50), (2, 80), (3, 60), (4, 40)]
    assert places(rate) == [(1e-3, 50), (1e-4, 80), (1e-2, 60), (2e-3, 40)]
    assert places(share) == [(0.5, 50), (0.5, 80), (0.5, 60), (0.5, 40)]
    assert places(kind) == [(0, 50), (0, 80), (1, 60), (0, 40)]
    best = history.lines[0]
    np.testing.assert_array_equal(best.get_ydata(), [50, 60, 60])
    np.testing.assert_array_equal(best.get_xdata(), [0, 3, 4])
    sizes = [one.get_sizes()[0] for one in history.collections]
    assert sizes.index(max(sizes)) == 2  # that of trial 3: a trial that was cut short is not best
    assert [line.get_xdata()[0] for line in history.lines if line.get_marker() == "x"] == [1]
    assert rate.get_xscale() == "log"
    assert rate.get_xlim()[0] < 1e-5 < 1e-2 < rate.get_xlim()[1]
    assert {"cost$ of $x$", "training.$share$", "plain", "a word that is…"} <= set(texts(drawn[0]))


def test_a_sweep_without_a_score_is_not_drawn(tmp_path):
    with pytest.raises(DataError, match="no trial of the sweep has a score"):
        sweep_figure(POINTS[1:2], tmp_path / "s.png", title="t", scales=SCALES)
