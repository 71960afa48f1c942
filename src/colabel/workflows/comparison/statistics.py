"""What the resamples say of each run, each method and each pair of methods."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from colabel.metrics.bootstrap import Answers, Resampled, Resamples, paired_bootstrap
from colabel.metrics.significance import (
    ALPHA,
    Interval,
    bootstrap_p_value,
    centred_interval,
    holm,
    score_interval,
)
from colabel.runs.measured import Measured
from colabel.workflows.comparison.aligned import Aligned
from colabel.workflows.comparison.asked import AT_POINT, METRICS
from colabel.workflows.comparison.entries import Group


@dataclass(frozen=True)
class Score:
    """A metric of one model, or the mean of several.

    Args:
        value: on the images as they are; NaN where no class has a positive.
        interval: of resampled images.
    """

    value: float
    interval: Interval


@dataclass(frozen=True)
class Pair:
    """Two methods compared.

    Args:
        first: name of the one.
        second: name of the other.
        difference: the first's metric less the second's, means over seeds.
        interval: of the difference, of resampled images.
        p: of no difference.
        p_holm: the same, with all pairs in mind.
        by_seed: the difference of the runs with each seed, where both methods have the same ones.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    p: float
    p_holm: float
    by_seed: Mapping[int, float]

    @property
    def different(self) -> bool:
        """Whether a difference was found."""
        return self.p_holm <= ALPHA and not math.isnan(self.difference)

    @property
    def verdict(self) -> str:
        """The answer in words."""
        if not self.different:
            return "no difference"
        return f"{self.first if self.difference > 0 else self.second} is higher"

    @property
    def seeds_disagree(self) -> bool:
        """Whether the sign is not the same with every seed."""
        return len({value > 0 for value in self.by_seed.values() if value}) > 1


@dataclass(frozen=True)
class Compared:
    """All numbers that resampling gives.

    Args:
        runs: by metric, a score per run.
        methods: the chosen metric of every group: the mean over its seeds.
        pairs: of the groups.
        skipped: how many classes had no positive in each draw.
    """

    runs: Mapping[str, tuple[Score, ...]]
    methods: tuple[Score, ...]
    pairs: tuple[Pair, ...]
    skipped: npt.NDArray[np.int64]


def compare_answers(
    aligned: Sequence[Aligned],
    measured: Sequence[Measured],
    groups: Sequence[Group],
    resamples: Resamples,
    metric: str,
) -> Compared:
    """Resample the images once for all models, and compare the groups.

    Args:
        aligned: the predictions of the runs.
        measured: the metrics of each on the images as they are.
        groups: which of them are one method.
        resamples: the draws.
        metric: of the pairs, one of :data:`colabel.workflows.comparison.asked.METRICS`.
    """
    targets = aligned[0].targets
    drawn = paired_bootstrap(
        [_answers(*one) for one in zip(aligned, measured, strict=True)], targets, resamples
    )
    units, positives = resamples.units, _positives(targets == 1, resamples.groups)
    observed = {name: [_value(one, name) for one in measured] for name in METRICS}
    runs = {
        name: tuple(
            Score(value, score_interval(draws, value, units=units, positives=positives))
            for value, draws in zip(observed[name], drawn.values[name], strict=True)
        )
        for name in METRICS
    }
    means = [_mean_of(group, drawn, metric) for group in groups]
    values = [statistics.fmean(observed[metric][i] for i in group.places) for group in groups]
    methods = tuple(
        Score(value, score_interval(draws, value, units=units, positives=positives))
        for value, draws in zip(values, means, strict=True)
    )
    chosen = list(combinations(range(len(groups)), 2))
    differences = [means[i] - means[j] for i, j in chosen]
    observed_differences = [values[i] - values[j] for i, j in chosen]
    p_values = [
        bootstrap_p_value(draws, value, units=units)
        for draws, value in zip(differences, observed_differences, strict=True)
    ]
    pairs = tuple(
        Pair(
            groups[i].name,
            groups[j].name,
            value,
            centred_interval(draws, value, units=units),
            p,
            adjusted,
            _by_seed(groups[i], groups[j], observed[metric]),
        )
        for (i, j), value, draws, p, adjusted in zip(
            chosen, observed_differences, differences, p_values, holm(p_values), strict=True
        )
    )
    return Compared(runs, methods, pairs, drawn.skipped)


def _positives(
    present: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    """Count the images of every class, or the groups with one: those of a group are one trial."""
    if groups is None:
        return np.asarray(present.sum(axis=0))
    return np.array([len(np.unique(groups[column])) for column in present.T])


def _answers(aligned: Aligned, measured: Measured) -> Answers:
    """Return scores, and labels by the papers' protocol and at the operating point.

    Logits rank the images, as they do for the metrics of a run: far ones have one probability.
    """
    probabilities = aligned.predictions.probabilities
    point = measured.point
    at_point = point.decide(point.probabilities(aligned.predictions.logits))
    return Answers(
        aligned.place(aligned.predictions.logits),
        {
            "": aligned.place(probabilities >= np.array(measured.report.thresholds)),
            AT_POINT: aligned.place(at_point),
        },
    )


def _value(measured: Measured, name: str) -> float:
    report = measured.at_point if name.startswith(AT_POINT) else measured.report
    return float(report.to_dict()[name.removeprefix(AT_POINT)])


def _mean_of(group: Group, drawn: Resampled, metric: str) -> npt.NDArray[np.float64]:
    """Return the mean over the seeds in every draw."""
    return np.asarray(drawn.values[metric][list(group.places)].mean(axis=0))


def _by_seed(first: Group, second: Group, values: Sequence[float]) -> dict[int, float]:
    """Return the difference with each seed, where both have the same several seeds."""
    places = [dict(zip(group.seeds, group.places, strict=True)) for group in (first, second)]
    if places[0].keys() != places[1].keys() or len(places[0]) < 2:
        return {}
    return {seed: values[places[0][seed]] - values[places[1][seed]] for seed in sorted(places[0])}
