"""The numbers of a comparison against loops over the drawn images; no model is trained."""

from pathlib import Path

import numpy as np
import pytest
from reference import bootstrap as reference

from colabel.config import load_config
from colabel.metrics import Resamples
from colabel.runs.measured import measure
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions
from colabel.workflows.comparison.aligned import align
from colabel.workflows.comparison.entries import Entry, Group
from colabel.workflows.comparison.statistics import METRICS, compare_answers

IMAGES, CLASSES, DRAWS = 40, ("cat", "dog", "owl"), 60
POINT = OperatingPoint(thresholds=(0.3, 0.5, 0.7))
STRENGTHS = {"a-0": 3.0, "a-1": 2.5, "b-0": 1.0, "b-1": 1.5, "c-5": 2.0}
GROUPS = {"a": (0, 1), "b": (2, 3), "c": (4,)}


@pytest.fixture(scope="module")
def predictions():
    generator = np.random.default_rng(0)
    targets = generator.choice([1, 0, -1], (IMAGES, 3), p=[0.2, 0.7, 0.1]).astype(np.int8)
    patients = tuple(f"p{number // 2}" for number in range(IMAGES))
    return {
        name: Predictions(
            tuple(map(str, range(IMAGES))),
            CLASSES,
            (strength * (targets == 1) - 1 + generator.normal(size=targets.shape)).astype(
                np.float32
            ),
            targets,
            "test",
            groups=patients,
        )
        for name, strength in STRENGTHS.items()
    }


def groups():
    names = list(STRENGTHS)
    config = [
        load_config("shapes-kmcl", [f"training.seed={name.partition('-')[2]}"]) for name in names
    ]
    return [
        Group(group, tuple(Entry(names[i], Path(names[i]), config[i]) for i in places), places)
        for group, places in GROUPS.items()
    ]


def value_of(metric, one, draw):
    labels, probabilities = one.targets.tolist(), one.probabilities
    if metric == "mAP":
        return reference.mean_average_precision(probabilities.tolist(), labels, draw)[0]
    cuts = POINT.thresholds if metric.startswith("operating_point.") else (0.5,) * 3
    given = (probabilities >= np.array(cuts)).tolist()
    return reference.f1_scores(given, labels, draw)[metric.endswith("OF1")]


@pytest.mark.parametrize("metric", METRICS)
def test_runs_methods_and_pairs_equal_the_loops(predictions, metric):
    resamples = Resamples(IMAGES, DRAWS, 5, np.arange(IMAGES) // 2)
    measured = [
        measure(one, POINT, threshold=0.5, protocol="noninterpolated")
        for one in predictions.values()
    ]
    compared = compare_answers(align(predictions), measured, groups(), resamples, metric)
    weights = np.concatenate(list(resamples.blocks()), axis=1).T.astype(int).tolist()
    draws = [reference.drawn_images(row) for row in weights]
    whole = list(range(IMAGES))
    values, drawn = {}, {}
    for place, (name, one) in enumerate(predictions.items()):
        values[name] = value_of(metric, one, whole)
        drawn[name] = [value_of(metric, one, draw) for draw in draws]
        score = compared.runs[metric][place]
        assert score.value == pytest.approx(values[name], abs=1e-12)
        moved = reference.centred(drawn[name], values[name])
        assert score.interval.low == pytest.approx(max(0, reference.percentile(moved, 0.025)))
    means, every = {}, {}
    for name, places in GROUPS.items():
        runs = [list(STRENGTHS)[place] for place in places]
        means[name] = sum(values[run] for run in runs) / len(runs)
        every[name] = [
            sum(column) / len(runs) for column in zip(*map(drawn.get, runs), strict=True)
        ]
    for name, score in zip(GROUPS, compared.methods, strict=True):
        assert score.value == pytest.approx(means[name], abs=1e-12)
        moved = reference.centred(every[name], means[name])
        assert score.interval.low == pytest.approx(max(0, reference.percentile(moved, 0.025)))
        assert score.interval.high == pytest.approx(min(1, reference.percentile(moved, 0.975)))
    p_values = []
    names = [("a", "b"), ("a", "c"), ("b", "c")]
    assert [(pair.first, pair.second) for pair in compared.pairs] == names
    for pair, (one, other) in zip(compared.pairs, names, strict=True):
        difference = [x - y for x, y in zip(every[one], every[other], strict=True)]
        assert pair.difference == pytest.approx(means[one] - means[other], abs=1e-12)
        difference = reference.centred(difference, means[one] - means[other])
        assert pair.interval.low == pytest.approx(reference.percentile(difference, 0.025))
        assert pair.interval.high == pytest.approx(reference.percentile(difference, 0.975))
        assert pair.interval.low < pair.difference < pair.interval.high
        p_values.append(reference.p_value(difference))
        assert pair.p == p_values[-1]
    assert [pair.p_holm for pair in compared.pairs] == pytest.approx(reference.holm(p_values))
    by_seed = compared.pairs[0].by_seed
    assert by_seed == {
        seed: pytest.approx(values[f"a-{seed}"] - values[f"b-{seed}"]) for seed in (0, 1)
    }
    assert compared.pairs[1].by_seed == {}  # of other seeds
