"""What ``compare.json`` says. It is the same whenever the same runs are compared.

So what differs from machine to machine, such as seconds, is in ``timings.json``.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colabel.files import read_json
from colabel.metrics.bootstrap import Resamples
from colabel.metrics.significance import ALPHA, Interval, draws_needed
from colabel.runs.folder import DATA, RunFolder
from colabel.runs.measured import Measured
from colabel.version import VERSION
from colabel.workflows.comparison.asked import AT_POINT, METRICS
from colabel.workflows.comparison.entries import Entry, Group, differing_settings
from colabel.workflows.comparison.statistics import Compared, Pair, Score

RESULTS, PICTURE, TIMINGS = "compare.json", "compare.png", "timings.json"
CHOSEN_ON = "val"
FEW_UNITS = 30
"""Images or groups below which intervals of resamples are too narrow to be relied on."""


@dataclass(frozen=True)
class Setting:
    """How runs are compared.

    Args:
        split: of the images.
        metric: of the pairs.
        resamples: of the images.
        classes: in the order of the first run.
    """

    split: str
    metric: str
    resamples: Resamples
    classes: tuple[str, ...]


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
        "notes": _notes(setting, groups, compared, measured, different),
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


def _notes(
    setting: Setting,
    groups: Sequence[Group],
    compared: Compared,
    measured: Sequence[Measured],
    different: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return what somebody should know who reads the numbers."""
    resamples, notes = setting.resamples, []
    unit = "image" if resamples.groups is None else "group"
    if setting.split in (CHOSEN_ON, "train"):
        notes.append(
            f"the split {setting.split} has trained or chosen the weights, so its scores flatter; "
            "compare on test"
        )
    if resamples.units == 1:
        notes.append(f"one {unit} alone: resampling says nothing, and no difference can be found")
    elif resamples.units < FEW_UNITS:
        notes.append(
            f"{resamples.units} {unit}s are few: intervals are narrower than they should be"
        )
    needed = draws_needed(len(compared.pairs))
    if compared.pairs and resamples.draws < needed:
        notes.append(
            f"with {resamples.draws} draws no difference can be found among {len(compared.pairs)} "
            f"pairs; take --draws {needed} or more"
        )
    lacking = int((compared.skipped > measured[0].report.classes_without_positives).sum())
    if lacking:
        notes.append(
            f"{lacking} of {resamples.draws} draws lack every positive of some class; its average "
            "precision is left out of their means, for all runs alike"
        )
    if any(score.interval.method == "wilson" for one in compared.runs.values() for score in one):
        notes.append("a score of 0 or 100 in every draw has Wilson's interval (docs/comparing.md)")
    if any(pair.different and pair.seeds_disagree for pair in compared.pairs):
        notes.append("a difference was found whose sign is not the same with every seed")
    if all(len(group.entries) == 1 for group in groups):
        notes.append(
            "one seed of each method: that another seed would give the same order is not shown"
        )
    if different:
        notes.append(f"not the same for all: {', '.join(different)}")
    for entry in (entry for group in groups for entry in group.entries):
        if not RunFolder(entry.folder).is_finished:
            notes.append(
                f"{entry.name} is not trained to its end; go on with colabel train --resume"
            )
    if len(_trained_on([entry for group in groups for entry in group.entries])) > 1:
        notes.append("the runs were not all trained on the same images and labels")
    return notes


def _trained_on(entries: Sequence[Entry]) -> set[str]:
    """Return what tells the training images of the runs apart, as far as they say."""
    files = [entry.folder / DATA for entry in entries]
    facts = [read_json(path) for path in files if path.is_file()]
    return {str(one["train"]["fingerprint"]) for one in facts if "train" in one}
