"""Calibration: planted errors undone, rare labels helped by the others, order kept."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from colabel.calibration import Calibration, fit_calibration
from colabel.calibration.curves import Steps
from colabel.calibration.scaling import fit_scaling
from colabel.errors import ConfigError, DataError

KINDS = ("temperature", "platt", "isotonic")


def planted(seed, slope, intercept, *, images=30_000, classes=3):
    """Return logits whose calibrated form is known, and targets drawn by it."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(images, classes))
    chance = expit(slope * logits + intercept)
    return logits, (random.random(chance.shape) < chance).astype(np.int8), chance


def log_loss(probabilities, targets):
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -np.where(targets == 1, np.log(p), np.log1p(-p))[targets != -1].mean()


class TestPlanted:
    @pytest.mark.parametrize("slope", [0.2, 1.0, 3.0])
    def test_a_temperature_is_found(self, slope):
        logits, targets, chance = planted(0, slope, 0.0)
        fitted = fit_calibration(logits, targets, kind="temperature")
        assert np.abs(np.log(np.array(fitted.slopes) / slope)).max() < 0.06
        assert set(fitted.intercepts) == {0.0}
        assert np.abs(fitted.probabilities(logits) - chance).max() < 0.02

    @pytest.mark.parametrize("kind", ["platt", "isotonic"])
    def test_slope_and_intercept_are_found(self, kind):
        slope, intercept = np.array([0.4, 1.0, 2.0]), np.array([-3.0, 0.5, 3.0])
        logits, targets, chance = planted(1, slope, intercept)
        fitted = fit_calibration(logits, targets, kind=kind)
        error = np.abs(fitted.probabilities(logits) - chance)
        assert error.mean() < 0.01
        assert np.quantile(error, 0.99) < (0.03 if kind == "platt" else 0.06)

    def test_a_curve_of_another_form_is_found(self):
        random = np.random.default_rng(2)
        logits = 2 * random.normal(size=(30_000, 1))
        chance = np.where(logits > 1, 0.9, np.where(logits > -1, 0.5, 0.1))
        targets = (random.random(chance.shape) < chance).astype(np.int8)
        isotonic = fit_calibration(logits, targets, kind="isotonic").probabilities(logits)
        platt = fit_calibration(logits, targets).probabilities(logits)
        assert np.abs(isotonic - chance).mean() < 0.02
        assert np.abs(platt - chance).mean() > 0.04


class TestAgainstScikitLearn:
    def test_with_images_enough_it_is_platts_maximum_likelihood(self):
        logits, targets, _ = planted(3, np.array([0.5, 1.5]), np.array([1.0, -1.0]), classes=2)
        slopes, intercepts = fit_scaling(logits, targets, intercept=True)
        for k in range(2):
            oracle = LogisticRegression(C=np.inf).fit(logits[:, [k]], targets[:, k])
            assert abs(slopes[k] - oracle.coef_[0, 0]) < 0.005
            assert abs(intercepts[k] - oracle.intercept_[0]) < 0.01

    def test_isotonic_curve(self):
        logits, targets, _ = planted(4, 0.7, 0.3, images=6000, classes=1)
        logits = logits.round(2)
        fitted = fit_calibration(logits, targets, kind="isotonic")
        curve = IsotonicRegression(out_of_bounds="clip").fit(logits[:, 0], targets[:, 0])
        straight = expit(logits * fitted.slopes[0] + fitted.intercepts[0])[:, 0]
        expected = 0.99 * curve.predict(logits[:, 0]) + 0.01 * straight
        np.testing.assert_allclose(fitted.probabilities(logits)[:, 0], expected, atol=1e-9)


class TestRareLabels:
    def test_they_are_drawn_towards_the_common_parameters(self):
        logits, targets, chance = planted(5, 0.5, -1.0, images=2000, classes=20)
        targets[:, 19] = np.where(np.arange(2000) < 8, targets[:, 19], -1)  # eight are known
        fitted = fit_calibration(logits, targets)
        assert abs(np.log(fitted.slopes[19] / 0.5)) < 0.2
        assert abs(fitted.intercepts[19] + 1) < 0.3
        few = fit_calibration(logits[:, 19:], targets[:, 19:]).probabilities(logits[:, 19:])
        helped = fitted.probabilities(logits)[:, 19:]
        assert np.abs(helped - chance[:, 19:]).mean() < np.abs(few - chance[:, 19:]).mean()

    @pytest.mark.parametrize("kind", KINDS)
    def test_labels_without_positives_negatives_or_images(self, kind):
        logits, targets, _ = planted(6, 0.5, -1.0, images=1000, classes=5)
        targets[:, 1], targets[:, 2], targets[:, 3] = 0, 1, -1
        probabilities = fit_calibration(logits, targets, kind=kind).probabilities(logits)
        assert np.isfinite(probabilities).all()
        if kind != "temperature":
            assert probabilities[:, 1].mean() < 0.02
            assert probabilities[:, 2].mean() > 0.9

    def test_labels_that_the_logits_separate_keep_finite_slopes(self):
        logits = np.linspace(-1, 1, 50)[:, None]
        fitted = fit_calibration(logits, logits > 0)
        assert 1 < fitted.slopes[0] < 1000


class TestFarLogits:
    @pytest.mark.parametrize("offset", [-1000, -100, 30, 100, 1000])
    def test_an_offset_is_taken_out(self, offset):
        logits, targets, chance = planted(8, 0.8, -0.5, images=4000)
        fitted = fit_calibration(logits + offset, targets)
        assert np.abs(fitted.probabilities(logits + offset) - chance).mean() < 0.02

    def test_an_offset_of_one_label_leaves_the_others(self):
        logits, targets, chance = planted(9, 0.8, -0.5, images=4000)
        before = fit_calibration(logits, targets).probabilities(logits)
        moved = logits + np.array([0, 300, 0])
        after = fit_calibration(moved, targets).probabilities(moved)
        assert np.abs(after - chance).mean() < 0.02
        assert np.abs(after - before).max() < 0.02

    @pytest.mark.parametrize("outlier", [-1e5, -1000, 1000, 1e5])
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_few_outliers_do_not_decide_the_slopes(self, outlier, kind):
        logits, targets, chance = planted(10, 0.8, -0.5, images=4000)
        logits[:4] = outlier
        probabilities = fit_calibration(logits, targets, kind=kind).probabilities(logits)
        bound = 0.12 if kind == "temperature" else 0.08
        assert np.abs(probabilities - chance)[4:].mean() < bound

    @pytest.mark.parametrize("share", [0.7, 0.8, 0.95])
    @pytest.mark.parametrize("spread", [0.01, 0.1, 0.2])
    def test_images_that_are_all_alike_make_no_outliers_of_the_others(self, share, spread):
        random = np.random.default_rng(11)
        alike = random.random((4000, 1)) < share
        logits = np.where(
            alike, -6 + spread * random.normal(size=(4000, 5)), 3 * random.normal(size=(4000, 5))
        )
        targets = (random.random(logits.shape) < expit(logits)).astype(np.int8)
        probabilities = fit_calibration(logits, targets).probabilities(logits)
        assert log_loss(probabilities, targets) < log_loss(expit(logits), targets) + 0.002

    def test_no_probability_is_1(self):
        fitted = fit_calibration([[-40.0], [60.0], [70.0]], [[0], [1], [1]])
        assert (fitted.probabilities([[500.0]]) < 1).all()


class TestProperties:
    @settings(max_examples=30, deadline=None)
    @given(
        seed=st.integers(0, 99), shift=st.floats(-20, 20), scale=st.floats(0.05, 20),
        kind=st.sampled_from(KINDS),
    )  # fmt: skip
    def test_it_never_raises_the_log_loss_nor_changes_the_order(self, seed, shift, scale, kind):
        random = np.random.default_rng(seed)
        logits = scale * random.normal(size=(60, 3)) + shift
        targets = random.integers(-1, 2, size=logits.shape).astype(np.int8)
        targets[0], targets[1] = 0, 1
        probabilities = fit_calibration(logits, targets, kind=kind).probabilities(logits)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert log_loss(probabilities, targets) <= log_loss(expit(logits), targets) + 0.02
        order = np.argsort(logits, axis=0)
        assert (np.diff(np.take_along_axis(probabilities, order, axis=0), axis=0) >= 0).all()

    def test_isotonic_curves_rise_everywhere(self):
        logits, targets, _ = planted(7, 0.5, 0.0, classes=1)
        fitted = fit_calibration(logits, targets, kind="isotonic")
        assert fitted.steps[0] is not None
        assert (np.diff(fitted.probabilities(np.sort(logits, axis=0)[:, :1]), axis=0) > 0).all()

    def test_unknown_labels_count_nowhere(self):
        logits, targets, _ = planted(8, 0.5, 0.0, images=500)
        targets[::3] = -1
        others = np.where(targets == -1, -logits, logits)
        assert fit_calibration(logits, targets) == fit_calibration(others, targets)

    def test_it_is_plain_json(self):
        logits, targets, _ = planted(9, 0.5, 0.0, images=4000)
        fitted = fit_calibration(logits, targets, kind="isotonic")
        again = Calibration.model_validate(json.loads(json.dumps(fitted.model_dump(mode="json"))))
        assert (again.probabilities(logits) == fitted.probabilities(logits)).all()


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        ([[np.nan, 0.0]], [[1, 0]], "the logit of image 0, class 0 is nan"),
        ([[logit(0.5), np.inf]], [[1, 0]], "the logit of image 0, class 1 is inf"),
        ([["a"]], [[1]], "logits must be numbers"),
        ([1.0], [1], "logits must have shape"),
        ([[1.0]], [[2]], "targets must be 1"),
        ([[1.0, 2.0]], [[0, -1]], "no label is present in any of the 1 images"),
    ],
)
def test_bad_input_is_refused(logits, targets, message):
    with pytest.raises(DataError, match=message):
        fit_calibration(logits, targets)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"no calibration 'plat': did you mean 'platt'"):
        fit_calibration([[1.0]], [[1]], kind="plat")


def test_logits_of_another_model_are_refused():
    fitted = Calibration(kind="platt", slopes=(1.0, 1.0), intercepts=(0.0, 0.0))
    with pytest.raises(DataError, match="of 2 classes, the logits have 3"):
        fitted.probabilities(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "parts",
    [
        {"logits": (0.0, 1.0), "probabilities": (0.5,)},
        {"logits": (1.0, 0.0), "probabilities": (0.5, 0.6)},
        {"logits": (0.0, 1.0), "probabilities": (0.6, 0.5)},
        {"logits": (0.0, 1.0), "probabilities": (0.6, 1.5)},
    ],
)
def test_corners_that_do_not_rise_are_refused(parts):
    with pytest.raises(ValueError, match=r"rise|probabilities"):
        Steps(**parts)
