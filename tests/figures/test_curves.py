"""Curves: what is drawn is read back from the picture's objects."""

import json

import numpy as np
import pytest
from drawn_figures import assert_picture, texts

from colabel import figures
from colabel.errors import RunError


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
        "learning_rates": {"model": 1e-4 * step},
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
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [2e-4, 4e-4, 6e-4, 12e-4])


def test_stages_are_separated(tmp_path, drawn):
    records = [
        epoch_record(1, 0.5, best=True),
        epoch_record(2, 0.6, best=True),
        epoch_record(3, 0.7, best=True, stage="second"),
    ]
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "c.png")
    rate = drawn[0].axes[2]
    assert [line.get_xdata() for line in rate.lines if line.get_linestyle() == ":"] == [[20, 20]]


def test_every_group_of_parameters_has_its_learning_rate(tmp_path, drawn):
    """A line each, which a stage that has another group does not go on with."""
    first = [
        step_record(step) | {"learning_rates": {"encoder": 1e-4 * step, "head": 1e-3 * step}}
        for step in (1, 2)
    ]
    records = [*first, step_record(3, stage="second"), step_record(4, stage="second")]
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "c.png")
    rate = drawn[0].axes[3]
    data = [line.get_xydata() for line in rate.lines[:3]]
    assert [each[np.isfinite(each).all(axis=1)].tolist() for each in data] == [
        [[1, 1e-4], [2, 2e-4]],
        [[1, 1e-3], [2, 2e-3]],
        [[3, 1e-4 * 3], [4, 1e-4 * 4]],
    ]
    names = [text.get_text() for text in rate.get_legend().get_texts()]
    assert names == ["encoder", "head", "model"]


def test_a_group_keeps_its_colour_in_a_stage_where_it_is_alone(tmp_path, drawn):
    both = step_record(1) | {"learning_rates": {"encoder": 1e-4, "head": 1e-3}}
    alone = step_record(2, stage="second") | {"learning_rates": {"head": 1e-3}}
    figures.training_curves(write_log(tmp_path / "log.jsonl", [both, alone]), tmp_path / "c.png")
    encoder, head = drawn[0].axes[3].lines[:2]
    assert head.get_color() != encoder.get_color()
    assert head.get_markevery() == [0, 2]  # a step in each stage, and a gap between them


def test_no_line_leads_from_one_stage_to_the_next(tmp_path, drawn):
    records = [
        *(step_record(step) | {"diagnostics": {"variance": 2.0}} for step in (1, 2)),
        epoch_record(1, 0.5, best=True) | {"step": 2},
        step_record(3, stage="second") | {"diagnostics": {"variance": 9.0}},
        epoch_record(2, 0.7, best=True, stage="second") | {"step": 3},
    ]
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "c.png")
    curves = [axes.lines[0] for axes in drawn[0].axes]
    assert len(curves) >= 5
    for curve in curves:
        places, values = curve.get_xdata(), curve.get_ydata()
        known = values[np.isfinite(values)]
        if len(known) > 1:
            assert np.isnan(values[places == 3][0])
    assert any("drawn equally wide" in text for text in texts(drawn[0]))


def test_a_single_step_is_drawn_as_a_dot(tmp_path, drawn):
    record = step_record(1) | {"diagnostics": {"variance": 2.0}}
    figures.training_curves(write_log(tmp_path / "log.jsonl", [record]), tmp_path / "c.png")
    for axes in (drawn[0].axes[place] for place in (0, 1, 3, 4)):
        assert axes.lines[0].get_marker() == "."


@pytest.mark.parametrize(
    "records",
    [
        [step_record(1)],
        [epoch_record(1, None, best=False)],
        [{"kind": "step", "step": 1, "learning_rates": {"model": None}, "terms": {}}],
    ],
)
def test_short_logs_are_drawn(tmp_path, records):
    png = tmp_path / "curves.png"
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), png)
    assert_picture(png)


def test_logs_without_a_step_are_refused(tmp_path):
    with pytest.raises(RunError, match="no training step yet"):
        figures.training_curves(write_log(tmp_path / "log.jsonl", []), tmp_path / "c.png")
    with pytest.raises(RunError, match="cannot be read"):
        figures.training_curves(tmp_path / "missing.jsonl", tmp_path / "c.png")


SIMILARITIES = {
    "similarity_positive": 0.9,
    "similarity_negative": 0.4,
    "anchors_without_positives": 0.1,
    "variance_at_floor": 0.0,
    "weight_entropy": 1.0000001,
}
OVERLAPS = {
    "overlap_shared": 0.6,
    "overlap_unshared": 0.2,
    "overlap_zero": 0.1,
    "variance": 1.7,
}


def draw(tmp_path, records):
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "c.png")
    assert_picture(tmp_path / "c.png")


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_similarities_are_drawn_beside_each_other_and_apart_from_the_rest(tmp_path, drawn):
    records = [step_record(2), *(step_record(n) | {"diagnostics": SIMILARITIES} for n in (4, 6))]
    draw(tmp_path, [*records, epoch_record(1, 0.5, best=True)])
    assert len(drawn[0].axes) == 6
    similarity, shares = drawn[0].axes[4:]
    assert list(lines_of(similarity)) == ["similarity_positive", "similarity_negative"]
    assert lines_of(similarity)["similarity_negative"].get_xydata().tolist() == [
        [4, 0.4],
        [6, 0.4],
    ]
    assert list(lines_of(shares)) == [
        "anchors_without_positives",
        "variance_at_floor",
        "weight_entropy",
    ]
    for axes in (similarity, shares):
        assert axes.get_ylim() == (-0.02, 1.02)
        assert len(axes.get_legend().texts) == len(lines_of(axes))
        assert axes.get_xlabel() == "training step"
    assert drawn[0].axes[2].get_xlabel() == ""


def test_a_diagnostic_with_another_range_has_an_axis_of_its_own(tmp_path, drawn):
    diagnostics = OVERLAPS | {"alone": 0.3}
    draw(tmp_path, [step_record(n) | {"diagnostics": diagnostics} for n in (1, 2)])
    overlap, shares, variance = drawn[0].axes[4:]
    assert list(lines_of(shares)) == ["alone"]
    assert list(lines_of(variance)) == ["variance"]
    assert list(lines_of(overlap)) == ["overlap_shared", "overlap_unshared", "overlap_zero"]
    assert overlap.get_ylim() == (-0.02, 1.02)
    assert lines_of(variance)["variance"].get_ydata().tolist() == [1.7, 1.7]
    low, high = variance.get_ylim()
    assert low > 1
    assert high > 1.7


def test_diagnostics_of_epochs_serve_where_no_step_was_logged(tmp_path, drawn):
    records = [epoch_record(1, 0.5, best=True) | {"diagnostics": {"variance": 3.0}}]
    draw(tmp_path, records)
    assert len(drawn[0].axes) == 4
    assert drawn[0].axes[3].lines[0].get_xydata().tolist() == [[10, 3]]
    assert drawn[0].axes[2].get_xlabel() == drawn[0].axes[3].get_xlabel() == "training step"


def test_a_single_term_has_no_panel_of_shares(tmp_path, drawn):
    records = [step_record(step) for step in (1, 2)]
    for record in records:
        del record["terms"]["contrastive"]
    draw(tmp_path, records)
    assert len(drawn[0].axes) == 3
    assert "Share of the gradient at the features" not in texts(drawn[0])


def two_stages(*, warning):
    first = [step_record(n, stage="first") | {"diagnostics": SIMILARITIES} for n in (2, 10, 12)]
    second = step_record(25, stage="second") | {"diagnostics": {}}
    second["terms"] = {"classification": {"raw": 1, "weighted": 1, "gradient_share": None}}
    return [
        *first,
        epoch_record(1, None, best=False, stage="first") | {"warning": None},
        epoch_record(2, None, best=False, stage="first") | {"warning": warning},
        second,
        epoch_record(3, 0.4, best=True, stage="second") | {"warning": None},
        epoch_record(4, 0.5, best=True, stage="second") | {"warning": "a later one"},
    ]


def test_the_first_warning_is_marked_and_told(tmp_path, drawn):
    warning = "the mixtures have collapsed into one: " + "and so on " * 20
    draw(tmp_path, two_stages(warning=warning))
    for axes in drawn[0].axes[4:]:
        assert [line.get_xdata() for line in axes.lines if line.get_linestyle() == "-."] == [
            [20, 20]
        ]
    (hint,) = [text for text in texts(drawn[0]) if "warned" in text]
    assert hint.startswith("dash-dotted: warned after epoch 2 of first: the mixtures have coll")
    assert hint.endswith("…")
    assert not any(line.get_linestyle() == "-." for line in drawn[0].axes[0].lines)


def test_without_a_warning_nothing_is_marked(tmp_path, drawn):
    draw(tmp_path, two_stages(warning=None)[:-1])
    assert not any("warned" in text for text in texts(drawn[0]))
    assert not any(line.get_linestyle() == "-." for axes in drawn[0].axes for line in axes.lines)


def test_no_hint_is_wider_than_its_panel(tmp_path, drawn):
    draw(tmp_path, two_stages(warning="wwwww " * 30))
    (hint,) = [
        text
        for text in drawn[0].axes[4].texts
        if text.get_text().startswith("dash-dotted: warned after epoch 2 of first: www")
    ]
    assert len(hint.get_text()) <= 84


def test_stages_have_borders_and_rates_of_their_own(tmp_path, drawn):
    draw(tmp_path, two_stages(warning=None))
    shares, rate = drawn[0].axes[1], drawn[0].axes[3]
    (line,) = [line for line in rate.lines if line.get_linestyle() == "-"]
    assert line.get_xdata()[np.isfinite(line.get_ydata())].tolist() == [2, 10, 12, 25]
    assert np.isnan(line.get_ydata()[3])  # between the two
    assert "dotted: between the stages first, second, drawn equally wide" in texts(drawn[0])
    assert list(lines_of(shares)) == ["asymmetric", "contrastive"]
    for axes in drawn[0].axes:
        assert [20, 20] in [
            list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ":"
        ]


def test_a_short_stage_is_as_wide_as_a_long_one(tmp_path, drawn):
    short = [step_record(step) for step in (1, 5, 9)]
    long = [step_record(step, stage="second") for step in (11, 500, 1010)]
    epochs = [epoch_record(1, None, best=True), epoch_record(101, 0.5, best=True, stage="second")]
    figures.training_curves(
        write_log(tmp_path / "log.jsonl", [*short, epochs[0], *long, epochs[1]]),
        tmp_path / "curves.png",
    )
    losses, _, validation, rate = drawn[0].axes
    for axes in (losses, rate):
        begins, border, ends = (axes.transData.transform((step, 1))[0] for step in (1, 10, 1010))
        assert border - begins == pytest.approx(ends - border)
        assert axes.get_xlim()[0] < 1
        assert axes.get_xlim()[1] > 1010
        ticks = [tick for tick in axes.get_xticks() if 1 <= tick <= 1010]
        assert len([tick for tick in ticks if tick < 10]) > 1
        assert len([tick for tick in ticks if tick > 10]) > 2
    # nothing was validated in the first stage, which therefore takes no room there
    assert 10 - 0.1 * 9 < validation.get_xlim()[0] < 10


def test_panels_of_one_stage_show_the_same_steps(tmp_path, drawn):
    records = [*(step_record(step) for step in (1, 5, 9)), epoch_record(1, 0.5, best=True)]
    figures.training_curves(write_log(tmp_path / "log.jsonl", records), tmp_path / "curves.png")
    limits = {axes.get_xlim() for axes in drawn[0].axes}
    ((first, last),) = limits
    assert first < 1
    assert last > 10
