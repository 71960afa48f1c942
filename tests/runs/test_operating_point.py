"""The operating point: what it makes of logits, what it promises, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit

from colabel.calibration import (
    f1_thresholds,
    fit_calibration,
    missed_label_threshold,
    precision_thresholds,
    recall_thresholds,
)
from colabel.calibration.groups import one_of_each_group
from colabel.errors import ConfigError, DataError
from colabel.runs.choosing import _half_of, _ranks_of, choose_operating_point, fingerprint_of
from colabel.runs.measured import measure
from colabel.runs.operating_point import OperatingPoint, Rule, Selectivity
from colabel.runs.predictions import Predictions
from colabel.settings.target import parse_target

CLASSES = ("cat", "dog", "owl", "yak")


def predictions(seed=0, images=800, *, rare=4, unlabelled=0.2):
    """Return logits that are far too high, as those of an asymmetric loss; of yaks few."""
    random = np.random.default_rng(seed)
    targets = (random.random((images, 4)) < [0.5, 0.2, 0.1, 0]).astype(np.int8)
    targets[:rare, 3] = 1
    targets[random.random(images) < unlabelled] = 0
    targets[random.random(targets.shape) < 0.02] = -1
    logits = 3 * random.normal(size=targets.shape) + 6 * targets - 2
    ids = tuple(f"{number}.png" for number in random.permutation(images))
    return Predictions(ids, CLASSES, (logits / 2 + 2).astype(np.float32), targets, "val")


def choose(target, given=None, **options):
    given = given or predictions()
    options = {"source": "x.csv", "epochs": 3, **options}
    return choose_operating_point(given, parse_target(target), **options), given


class TestChoosing:
    def test_thresholds_for_f1_on_calibrated_probabilities(self):
        point, given = choose("f1")
        calibration = fit_calibration(given.logits, given.targets)
        assert point.calibration == calibration
        probabilities = calibration.probabilities(given.logits)
        assert (point.probabilities(given.logits) == probabilities).all()
        expected = f1_thresholds(probabilities, given.targets, expectation=100)
        assert point.thresholds == pytest.approx(expected.thresholds, rel=2e-6)
        given_out = probabilities >= expected.thresholds
        assert (point.decide(probabilities) == given_out).all()
        assert point.target == "f1"
        assert [rule.by for rule in point.rules] == ["f1"] * 4
        assert not any(rule.guaranteed or rule.failure for rule in point.rules)
        assert point.fitted_on.model_dump() == {
            "source": "x.csv", "split": "val", "images": 800, "epochs": 3,
            "fingerprint": fingerprint_of(given), "groups": None,
        }  # fmt: skip

    def test_it_is_better_than_a_half_on_other_images_too(self):
        point, _ = choose("f1")
        other = predictions(seed=1)
        found = measure(other, point, threshold=0.5, protocol="noninterpolated")
        assert found.at_point.decisions.class_f1 > found.report.decisions.class_f1 + 0.1
        assert found.at_point.mean_average_precision == found.report.mean_average_precision
        assert not found.same_images

    def test_the_very_same_images_are_known_again(self):
        point, given = choose("f1")
        order = np.random.default_rng(3).permutation(800)
        shuffled = Predictions(
            tuple(given.ids[i] for i in order), CLASSES, given.logits[order],
            given.targets[order], "val",
        )  # fmt: skip
        assert measure(shuffled, point, threshold=0.5, protocol="noninterpolated").same_images

    @pytest.mark.parametrize(
        ("target", "confidence", "rule"),
        [
            ("recall=0.9", None, lambda p, y: recall_thresholds(p, y, recall=0.9)),
            ("recall=0.9", 0.8, lambda p, y: recall_thresholds(p, y, recall=0.9, confidence=0.8)),
            (
                "precision=0.6", None,
                lambda p, y: precision_thresholds(p, y, precision=0.6, confidence=0.9),
            ),
        ],
    )  # fmt: skip
    def test_a_label_that_cannot_be_guaranteed_says_so(self, target, confidence, rule):
        point, given = choose(target, confidence=confidence)
        probabilities = point.probabilities(given.logits)
        asked, by_f1 = (
            rule(probabilities, given.targets),
            f1_thresholds(probabilities, given.targets),
        )
        assert asked.guaranteed.tolist() == [True, True, True, False]
        expected = (*asked.thresholds[:3], by_f1.thresholds[3])
        assert point.thresholds == pytest.approx(expected, rel=2e-6)
        assert (point.decide(probabilities) == (probabilities >= expected)).all()
        yak = point.rules[3]
        assert (yak.target, yak.by, yak.guaranteed) == (target, "f1", False)
        assert yak.failure == f"needs {asked.needed[3]} positives, has {asked.found[3]}"
        assert point.rules[0].failure == ""
        assert point.rules[0].confidence == (0.9 if target.startswith("p") else confidence)

    def test_a_precision_that_no_threshold_reaches(self):
        given = predictions()
        noise = np.random.default_rng(1).normal(size=given.logits.shape).astype(np.float32)
        point, _ = choose(
            "precision=0.9", Predictions(given.ids, CLASSES, noise, given.targets, "val")
        )
        assert point.rules[0].failure.startswith("errors among its highest images stop it")

    def test_misses_are_bounded_on_images_that_calibrated_nothing(self):
        point, given = choose("missed=0.1")
        assert len(set(point.thresholds)) == 1
        found = sum(rule.found for rule in point.rules) / 4
        with_label = (given.targets == 1).any(axis=1).sum()
        assert found == pytest.approx(with_label / 2, abs=25)
        half = [
            i for i in range(800)
            if np.isclose(
                missed_label_threshold(
                    point.probabilities(given.logits), given.targets, risk=0.1
                ).thresholds[0],
                point.thresholds[0], atol=0.05,
            )
        ][:1]  # fmt: skip
        assert half  # near that of all images, and not the same one
        order = np.random.default_rng(0).permutation(800)
        again, _ = choose(
            "missed=0.1",
            Predictions(
                tuple(given.ids[i] for i in order), CLASSES, given.logits[order],
                given.targets[order], "val",
            ),
        )  # fmt: skip
        np.testing.assert_allclose(again.thresholds, point.thresholds)

    def test_a_cost_is_a_threshold_on_calibrated_probabilities(self):
        point, _ = choose("cost=4:1")
        assert point.thresholds == (0.2,) * 4
        assert point.target == "cost=4:1"

    def test_none_is_sigmoid_and_a_half(self):
        point, given = choose("none")
        assert point == OperatingPoint.plain(4)
        np.testing.assert_allclose(
            point.probabilities(given.logits), expit(given.logits.astype(float))
        )

    def test_some_labels_alone(self):
        before, given = choose("f1")
        after, _ = choose("recall=0.9", given, labels=["dog"], former=before)
        assert after.calibration == before.calibration
        assert after.thresholds[0] == before.thresholds[0]
        assert after.thresholds[1] != before.thresholds[1]
        assert [rule.target for rule in after.rules] == ["f1", "recall=0.9", "f1", "f1"]
        assert after.target == "f1, recall=0.9"
        plain, _ = choose("recall=0.9", given, labels=["dog"], former=OperatingPoint.plain(4))
        assert plain.calibration is None
        assert plain.thresholds[0] == 0.5
        assert plain.rules[0].by == "none"

    def test_a_promise_about_all_labels_is_not_broken_for_some(self):
        before, given = choose("missed=0.1")
        with pytest.raises(ConfigError, match=r"promises missed=0.1 of all labels together"):
            choose("f1", given, labels=["dog"], former=before)
        after, _ = choose("f1", given, former=before)  # all of them may have others
        assert after.target == "f1"

    def test_a_cost_is_not_weighed_by_probabilities_that_nobody_calibrated(self):
        with pytest.raises(ConfigError, match="the run has none; calibrate it first"):
            choose("cost=5:1", labels=["dog"], former=OperatingPoint.plain(4))

    def test_labels_that_are_set_later_say_on_which_images(self):
        before, _ = choose("recall=0.9")
        other = predictions(seed=5)
        after, _ = choose(
            "precision=0.6", other, labels=["dog"], former=before, source="y.csv", epochs=0
        )
        assert after.fitted_on == before.fitted_on
        dog = after.rules[1].fitted_on
        assert (dog.source, dog.epochs, dog.fingerprint) == ("y.csv", 0, fingerprint_of(other))
        assert [rule.fitted_on for rule in after.rules] == [None, dog, None, None]
        assert after.all_fitted_on == (before.fitted_on, dog)
        for given in (predictions(), other):
            assert measure(given, after, threshold=0.5, protocol="noninterpolated").same_images
        unseen = measure(predictions(6), after, threshold=0.5, protocol="noninterpolated")
        assert not unseen.same_images
        again = OperatingPoint.model_validate(json.loads(after.model_dump_json()))
        assert again == after

    @pytest.mark.parametrize(
        ("target", "unit"),
        [("recall=0.9", "positives"), ("precision=0.6", "positives"), ("missed=0.1", "images")],
    )
    def test_a_guarantee_counts_one_image_of_each_patient(self, target, unit):
        given = predictions()
        patients = tuple(f"p{number // 8}" for number in range(800))
        plain, _ = choose(target, given)
        grouped, _ = choose(target, replace(given, groups=patients))
        assert grouped.fitted_on.groups == 100
        assert plain.fitted_on.groups is None
        assert grouped.rules[0].unit == f"{unit} of different groups"
        assert grouped.rules[0].found <= 100 < plain.rules[0].found
        if unit == "positives":
            assert grouped.calibration == plain.calibration
            assert grouped.thresholds[3] == plain.thresholds[3]  # F1 counts every image
            assert grouped.thresholds[:3] != plain.thresholds[:3]
            counted = one_of_each_group(
                given.targets,
                patients,
                _ranks_of(given.ids),
                positives=target.startswith("recall"),
            )
            assert [rule.found for rule in grouped.rules] == (counted == 1).sum(axis=0).tolist()

    def test_groups_of_one_image_are_no_groups(self):
        given = predictions()
        alone = replace(given, groups=tuple(map(str, range(800))))
        assert choose("recall=0.9", alone)[0] == choose("recall=0.9", given)[0]

    def test_neither_half_of_the_images_knows_the_patients_of_the_other(self):
        groups = [f"p{number % 37}" for number in range(500)]
        first = _half_of(groups)
        halves = {name: set(first[[g == name for g in groups]].tolist()) for name in set(groups)}
        assert all(len(sides) == 1 for sides in halves.values())
        assert sum(True in sides for sides in halves.values()) == 19

    def test_abstention_is_off_where_labels_were_set_on_other_images(self):
        before, given = choose("f1")
        assert before.selectivity is not None
        after, _ = choose("recall=0.9", predictions(5), labels=["dog"], former=before)
        assert after.selectivity is None
        with pytest.raises(ConfigError, match="set on the same images"):
            after.limit("risk=0.1")
        again, _ = choose("recall=0.9", given, labels=["dog"], former=before)
        assert again.selectivity is not None

    def test_equally_sure_images_are_decided_together(self):
        random = np.random.default_rng(0)
        logits = np.concatenate([np.linspace(8, 9, 100), np.zeros(900)])[:, None]
        targets = np.concatenate([np.ones(100), random.random(900) < 0.5])[:, None]
        ids = tuple(map(str, range(1000)))
        given = Predictions(
            ids, ("cat",), logits.astype(np.float32), targets.astype(np.int8), "val"
        )
        point, _ = choose("cost=1:1", given)
        probabilities = point.probabilities(given.logits)
        decided = point.decide(probabilities)
        doubts = np.where(decided, 1 - probabilities, probabilities)[:, 0]
        kept = doubts <= point.limit("risk=0.05")
        assert kept.sum() == 100
        assert (decided[kept] == targets[kept]).all()
        assert (doubts <= point.limit("coverage=0.5")).all()  # no more and no less can be had

    def test_rounding_does_not_reach_the_next_image(self):
        random = np.random.default_rng(1)
        logits = 1e-6 * random.normal(size=(3000, 1))
        targets = (random.random(logits.shape) < 0.5 + 0.4 * np.sign(logits)).astype(np.int8)
        given = Predictions(
            tuple(map(str, range(3000))), ("cat",), logits.astype(np.float32), targets, "val"
        )
        point, _ = choose("precision=0.7", given)
        probabilities = point.probabilities(given.logits)
        chosen = precision_thresholds(probabilities, targets, precision=0.7, confidence=0.9)
        assert point.rules[0].guaranteed
        assert (point.decide(probabilities) == (probabilities >= chosen.thresholds)).all()

    def test_what_contradicts_itself_is_refused(self):
        with pytest.raises(ValidationError, match="is called guaranteed"):
            Rule(target="recall=0.9", by="f1", guaranteed=True, found=9, needed=9, unit="x")
        with pytest.raises(ValidationError, match="is called guaranteed"):
            Rule(target="recall=0.9", by="recall=0.9", guaranteed=True, found=8, needed=9)
        grid = [place / 100 for place in range(101)]
        with pytest.raises(ValidationError, match="must rise"):
            Selectivity(scores=grid[::-1], risks=grid)

    def test_labels_that_are_set_later_on_the_same_images_say_nothing(self):
        before, given = choose("recall=0.9")
        after, _ = choose("f1", given, labels=["dog"], former=before)
        assert after.all_fitted_on == (before.fitted_on,)

    @pytest.mark.parametrize(
        "wrong", [{"thresholds": ("0.5",)}, {"thresholds": (True,)}, {"thresholds": (None,)}]
    )
    def test_what_is_no_number_is_no_threshold(self, wrong):
        with pytest.raises(ValidationError):
            OperatingPoint.model_validate(wrong)

    def test_rounding_lets_no_error_in_where_probabilities_are_near_1(self):
        random = np.random.default_rng(0)
        present = np.concatenate([30 + 2 * random.random(300), np.full(40, 20.0)])
        logits = np.concatenate([present, random.normal(-30, 5, 300)])[:, None]
        targets = np.r_[np.ones(300), np.zeros(340)].astype(np.int8)[:, None]
        both = Predictions(
            tuple(map(str, range(640))), ("cat", "dog"),
            np.repeat(logits, 2, axis=1).astype(np.float32), np.repeat(targets, 2, axis=1), "val",
        )  # fmt: skip
        point, _ = choose("precision=0.95", both, labels=["dog"], former=OperatingPoint.plain(2))
        assert point.rules[1].guaranteed
        given_out = point.decide(point.probabilities(both.logits))[:, 1]
        assert given_out[:300].all()
        assert not given_out[300:].any()

    @pytest.mark.parametrize("kind", ["temperature", "isotonic"])
    def test_other_calibrations(self, kind):
        point, given = choose("f1", kind=kind)
        assert point.calibration == fit_calibration(given.logits, given.targets, kind)

    def test_what_cannot_be(self):
        with pytest.raises(ConfigError, match="no label 'bat'; did you mean 'cat'"):
            choose("f1", labels=["bat"], former=OperatingPoint.plain(4))
        with pytest.raises(ConfigError, match="one for all labels together; leave out --labels"):
            choose("missed=0.1", labels=["cat"], former=OperatingPoint.plain(4))
        given = predictions()
        bare = Predictions(given.ids, CLASSES, given.logits, None, "val")
        with pytest.raises(DataError, match="needs images whose labels are known"):
            choose("f1", bare)
        absent = Predictions(given.ids, CLASSES, given.logits, given.targets * 0, "val")
        with pytest.raises(DataError, match="no label is present in any of the 800 images"):
            choose("f1", absent)


class TestAbstaining:
    def test_risk_and_coverage_are_those_of_the_images(self):
        point, given = choose("f1")
        probabilities = point.probabilities(given.logits)
        wrong = (point.decide(probabilities) != (given.targets == 1)) & (given.targets != -1)
        known = (given.targets != -1).sum(axis=1)
        some = known > 0
        errors = wrong.sum(axis=1)[some] / known[some]
        doubt = np.where(point.decide(probabilities), 1 - probabilities, probabilities)
        doubt = doubt.mean(axis=1)[some]
        for wish in ("coverage=0.9", "coverage=0.5", "coverage=0.33"):
            decided = doubt <= point.limit(wish)
            assert decided.mean() == pytest.approx(float(wish.partition("=")[2]), abs=0.01)
        for risk in (0.02, 0.05):
            decided = doubt <= point.limit(f"risk={risk}")
            assert errors[decided].mean() <= risk + 1e-9
        assert errors[doubt <= point.limit("coverage=0.5")].mean() < errors.mean() / 1.5
        assert point.selectivity.risks[-1] == pytest.approx(errors.mean())

    @pytest.mark.parametrize(
        "wish", ["coverage", "coverage=0", "coverage=1", "risk=2", "risk=x", "0.9", ""]
    )
    def test_wishes_that_say_nothing_are_refused(self, wish):
        point, _ = choose("f1")
        with pytest.raises(ConfigError, match=r"expected coverage=0.9, .* or risk=0.05"):
            point.limit(wish)

    def test_a_risk_that_is_never_reached(self):
        sure = Selectivity(scores=(0.5,) * 101, risks=(0.25,) * 101)
        with pytest.raises(ConfigError, match=r"even the surest have 25.0% of their labels wrong"):
            sure.limit("risk=0.1")

    def test_nothing_is_known_of_a_plain_point(self):
        with pytest.raises(ConfigError, match="find one with: colabel calibrate RUN"):
            OperatingPoint.plain(2).limit("coverage=0.9")


def test_it_is_plain_json():
    point, _ = choose("recall=0.9", confidence=0.9)
    again = OperatingPoint.model_validate(json.loads(json.dumps(point.model_dump(mode="json"))))
    assert again == point


def test_logits_of_another_model_are_refused():
    point, _ = choose("f1")
    for some in (point, OperatingPoint.plain(4)):
        with pytest.raises(DataError, match="of 4 classes, the logits have 3"):
            some.probabilities(np.zeros((2, 3)))
