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
