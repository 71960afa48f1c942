import pytest

from colabel.training import verdict


def epochs(*scores, stage="bce"):
    return [{"stage": stage, "monitor": "mAP", "score": score} for score in scores]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.4, 0.5, 0.52), "still rising in the last epoch (by 2.0 points)"),
        ((0.4, 0.55, 0.52), "highest after epoch 2 of 3 and fell by 3.0 points"),
        ((0.4, 0.5, 0.505), ""),
        ((0.5, 0.4, 0.495), ""),
        ((0.5,), ""),
        ((None, 0.5), ""),
        ((None, None), ""),
        ((), ""),
    ],
)
def test_the_verdict_goes_by_the_scores(scores, expected):
    said = verdict(epochs(*scores))
    assert expected in said
    assert bool(said) == bool(expected)


def test_a_rise_above_an_earlier_peak_is_measured_from_it():
    assert "by 2.0 points" in verdict(epochs(0.6, 0.4, 0.62))


def test_the_last_validated_stage_counts_alone():
    lines = [*epochs(0.9, stage="warm_start"), *epochs(0.5, 0.505), *epochs(None, stage="none")]
    assert verdict(lines) == ""
    assert "rising" in verdict([*epochs(0.9, stage="warm_start"), *epochs(0.5, 0.6)])


@pytest.mark.parametrize("scores", [(0.4, 0.5, 0.62), (0.4, 0.62, 0.5)])
def test_what_is_less_than_validation_can_tell_is_not_spoken_of(scores):
    assert verdict(epochs(*scores))
    assert verdict(epochs(*scores), uncertainty=0.11)
    assert verdict(epochs(*scores), uncertainty=0.14) == ""


def test_an_uncertainty_below_a_point_changes_nothing():
    assert verdict(epochs(0.5, 0.505), uncertainty=0.002) == ""


@pytest.mark.parametrize(
    ("out_of_time", "more", "less"),
    [
        (True, "points): more time would help.", "since: less time, more augmentation"),
        (
            False,
            "points): more epochs (training.epochs) would help.",
            "since: fewer epochs (training.epochs), more augmentation",
        ),
    ],
)
def test_the_advice_is_to_change_what_ended_the_run(out_of_time, more, less):
    assert more in verdict(epochs(0.5, 0.6), out_of_time=out_of_time)
    assert less in verdict(epochs(0.6, 0.5), out_of_time=out_of_time)


def test_a_head_that_learns_alone_is_told_of_the_encoder():
    advice = "So may training some of the encoder, too (training.freeze_encoder=false)."
    assert verdict(epochs(0.5, 0.6), frozen=True).endswith(advice)
    assert "freeze_encoder" not in verdict(epochs(0.6, 0.5), frozen=True)
    assert "freeze_encoder" not in verdict(epochs(0.5, 0.6))
