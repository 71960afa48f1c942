"""What ``compare.json`` says. It is the same whenever the same runs are compared.

So what differs from machine to machine, such as seconds, is in ``timings.json``.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from colabel.metrics.significance import ALPHA, Interval
from colabel.runs.measured import Measured
from colabel.version import VERSION
from colabel.workflows.comparison.asked import AT_POINT, METRICS
from colabel.workflows.comparison.entries import Group, differing_settings
from colabel.workflows.comparison.notes import CHOSEN_ON, Setting, notes_of
from colabel.workflows.comparison.statistics import Compared, Pair, Score

PICTURE, TIMINGS = "compare.png", "timings.json"


def document(
    setting: Setting,
    groups: Sequence[Group],
    compared: Compared,
    measured: Sequence[Measured],
    costs: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return all that is known of a comparison as plain values, fractions in [0, 1].

    Args:
        setting: how the runs were compared.
        groups: the methods.
        compared: what resampling gave.
        measured: every run on the images as they are.
        costs: of every run's model.

    Returns:
        ``runs``, ``methods`` (runs that differ by their seed alone) and ``pairs`` of methods, and
        how they came about.
    """
    resamples, report = setting.resamples, measured[0].report
    entries = {
        place: (entry, group.name)
        for group in groups
        for place, entry in zip(group.places, group.entries, strict=True)
    }
    runs = [
        {
            "name": entries[place][0].name,
            "method": entries[place][1],
            "seed": entries[place][0].seed,
            **_scores(one, place, compared),
            "per_class": _per_class(one, setting.classes),
            **cost,
        }
        for place, (one, cost) in enumerate(zip(measured, costs, strict=True))
    ]
    different = differing_settings(groups)
    return {
        "colabel": VERSION,
        "split": setting.split,
        "chosen_on": CHOSEN_ON,
        "metric": setting.metric,
        "images": resamples.images,
        "classes": list(setting.classes),
        "protocol": report.protocol,
        "threshold": report.thresholds[0],
        "resampled": "images" if resamples.groups is None else "groups",
        "units": resamples.units,
        "draws": resamples.draws,
        "draw_seed": resamples.seed,
        "level": 1 - ALPHA,
        "classes_without_positives": report.classes_without_positives,
        "draws_without_a_class": int((compared.skipped > report.classes_without_positives).sum()),
        "correction": "Holm",
        "methods": [
            _method(*one, setting.metric, runs)
            for one in zip(groups, compared.methods, strict=True)
        ],
        "runs": runs,
        "pairs": [_pair(pair, setting.metric) for pair in compared.pairs],
        "differing_settings": different,
        "notes": notes_of(setting, groups, compared, measured, different),
    }


def _scores(measured: Measured, place: int, compared: Compared) -> dict[str, Any]:
    """Return the metrics of a run: those with intervals, and the area under the ROC curve."""
    scores = {name: compared.runs[name][place] for name in METRICS}
    at_point = {name: score for name, score in scores.items() if name.startswith(AT_POINT)}
    return {
        **{name: score.value for name, score in scores.items() if name not in at_point},
        "mAUC": measured.report.mean_auc,
        "operating_point": {
            "target": measured.point.target,
            **{name.removeprefix(AT_POINT): score.value for name, score in at_point.items()},
        },
        "intervals": {name: _interval(score.interval) for name, score in scores.items()},
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {"low": interval.low, "high": interval.high, "interval": interval.method}


def _per_class(measured: Measured, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return average precision and positives of every class, in the order of the first run."""
    rows = {row.name: row for row in measured.report.per_class}
    return [
        {"name": name, "AP": rows[name].average_precision, "support": rows[name].support}
        for name in classes
    ]


def _method(
    group: Group, score: Score, metric: str, runs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the mean over the seeds with its interval, and the spread over seeds beside it."""
    group_name, _, name = metric.rpartition(".")
    values = [(runs[i][group_name] if group_name else runs[i])[name] for i in group.places]
    return {
        "name": group.name,
        "runs": [entry.name for entry in group.entries],
        "metric": metric,
        "mean": score.value,
        **_interval(score.interval),
        "seeds": {
            "seeds": list(group.seeds),
            "values": values,
            "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
        },
    }


def _pair(pair: Pair, metric: str) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "metric": metric,
        "difference": pair.difference,
        **_interval(pair.interval),
        "p": pair.p,
        "p_holm": pair.p_holm,
        "different": pair.different,
        "verdict": pair.verdict,
        "seeds": [{"seed": seed, "difference": one} for seed, one in pair.by_seed.items()],
    }
