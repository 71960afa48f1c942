"""The picture of a comparison, read back from its objects."""

import math

import pytest
from drawn_figures import assert_picture, texts

from colabel.errors import DataError
from colabel.figures.comparison import ForestRow, comparison_figure
from colabel.figures.drawing import BLUE, GREY
from colabel.workflows.comparison.asked import MOST_PAIRS

NAN = math.nan


def draw(tmp_path, methods, pairs):
    comparison_figure(
        methods, pairs, tmp_path / "a.png", metric="mAP", split="test", hint="$why$",
        as_matrix=len(pairs) > MOST_PAIRS,
    )  # fmt: skip
    return assert_picture(tmp_path / "a.png")


def lines(axes):
    return [
        (line.get_xdata(), line.get_ydata()[0], line.get_color())
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    ]


def dots(axes):
    """Offsets of the dots of seeds; those of the legend are none."""
    return [one.get_offsets().tolist() for one in axes.collections if len(one.get_offsets())]


def test_intervals_values_and_seeds_are_where_they_belong(tmp_path, drawn):
    draw(
        tmp_path,
        [ForestRow(("a",), 0.5, 0.4, 0.7, (0.45, 0.55)), ForestRow(("b",), 0.6, NAN, NAN)],
        [
            ForestRow(("a", "b"), -0.1, -0.2, -0.05, (-0.12, -0.08)),
            ForestRow(("a", "c"), 0.1, -0.2, 0.3, marked=False),
        ],
    )
    top, bottom = drawn[0].axes
    ((ends, place, colour),) = lines(top)
    assert (list(ends), place, colour) == (pytest.approx([40, 70]), 0, BLUE)
    assert dots(top) == [[pytest.approx([45, 0.28]), pytest.approx([55, 0.28])]]
    assert [(list(ends), place, colour) for ends, place, colour in lines(bottom)] == [
        (pytest.approx([-20, -5]), 0, BLUE),
        (pytest.approx([-20, 30]), 1, GREY),
    ]
    assert any(list(line.get_xdata()) == [0, 0] for line in bottom.lines)  # where nothing differs
    assert top.get_ylim()[0] > top.get_ylim()[1]  # the first at the top
    found = texts(drawn[0])
    assert {"mAP on test", "$why$", "a − b", "a − c", "one seed", "points"} <= set(found)


def test_a_single_seed_needs_no_legend(tmp_path, drawn):
    draw(tmp_path, [ForestRow(("a",), 0.5, 0.4, 0.7)] * 2, [ForestRow(("a", "b"), 0, -0.1, 0.1)])
    assert "one seed" not in texts(drawn[0])


def test_long_names_keep_their_ends_and_the_picture_grows(tmp_path, drawn):
    name = "a-very-long-name-of-a-method-$x$\x1b-"
    small = draw(tmp_path, [ForestRow(("a",), 0.5, 0.4, 0.6)] * 2, [])
    large = draw(
        tmp_path,
        [ForestRow((f"{name}{i}",), 0.5, 0.4, 0.6) for i in range(7)],
        [ForestRow((f"{name}{i}", f"{name}{j}"), 0, -0.1, 0.1)
         for i in range(7) for j in range(i)],
    )  # fmt: skip
    assert large[1] > 2 * small[1]
    found = texts(drawn[1])
    labels = {text for text in found if "−" in text and "…" in text}
    assert len(labels) == 21
    assert all("\x1b" not in text for text in found)


def test_many_pairs_are_a_matrix_with_the_highest_first(tmp_path, drawn):
    values = [0.5, 0.3, 0.45, 0.8, NAN, 0.2, 0.1, 0.4]
    names = [f"m{i}" for i in range(len(values))]
    draw(
        tmp_path,
        [ForestRow((name,), value, NAN, NAN) for name, value in zip(names, values, strict=True)],
        [
            ForestRow(
                (names[i], names[j]), values[i] - values[j], NAN, NAN, marked=(i, j) == (0, 3)
            )
            for i in range(8)
            for j in range(i + 1, 8)
        ],
    )
    bottom = drawn[0].axes[1]
    order = ["m3", "m0", "m2", "m7", "m1", "m5", "m6", "m4"]
    assert [label.get_text() for label in bottom.get_yticklabels()] == order
    assert [label.get_text() for label in bottom.get_xticklabels()] == order
    written = {text.get_position(): text for text in bottom.texts if text.get_ha() == "center"}
    assert len(written) == 8 * 7
    assert written[1, 0].get_text() == "+30.0"  # m3 above m0, in the first row
    assert written[0, 1].get_text() == "-30.0"
    assert {place for place, text in written.items() if text.get_fontweight() == "bold"} == {
        (1, 0), (0, 1),
    }  # fmt: skip
    (image,) = bottom.images
    shown = image.get_array().filled(NAN)
    assert (shown[0, 1], shown[1, 0]) == (pytest.approx(30), pytest.approx(-30))
    assert math.isnan(shown[2, 0])  # what was not found has no colour


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(DataError, match="no method has a mAP; there is nothing to draw"):
        draw(tmp_path, [ForestRow(("a",), NAN, NAN, NAN)] * 2, [])
