"""What came of a sweep: its trials, as JSON, as a picture, and the best one as a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from colabel.figures.sweep import SweepPoint, SweepScale, sweep_figure
from colabel.files import replace_file, write_json
from colabel.version import VERSION
from colabel.workflows.ablation.file import label_of
from colabel.workflows.sweep.planning import BEST, PICTURE, RECIPE, RESULTS, SweepPlan
from colabel.workflows.sweep.space import Range, brief_names, with_settings

METRIC = "mAP"
SPLIT = "val"

State = Literal["begun", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Tried:
    """What came of one trial.

    Args:
        number: from 0 on.
        settings: what it tried, by dotted key.
        state: ``begun`` while it is not over.
        score: mAP on validation of its best epoch, in [0, 1]; of a trial that was cut short the
            best until then.
        epochs: mAP after each validated epoch, by its number in the run.
        problem: why it failed, or ``None``.
    """

    number: int
    settings: Mapping[str, Any]
    state: State
    score: float | None
    epochs: Mapping[int, float]
    problem: str | None = None

    def __str__(self) -> str:
        """Return what it tried, each key as briefly as it can be."""
        names = brief_names(self.settings)
        return ", ".join(f"{names[key]} {label_of(value)}" for key, value in self.settings.items())


def best_of(tried: Sequence[Tried]) -> Tried | None:
    """Return the whole trial with the highest score, the first of equal ones."""
    complete = [trial for trial in tried if trial.state == "complete" and trial.score is not None]
    return max(complete, key=lambda trial: trial.score or 0.0, default=None)


def write_plan(plan: SweepPlan) -> None:
    """Write what a sweep begins with, so that it can go on with nothing else.

    Args:
        plan: of the sweep.

    Raises:
        RunError: if the disk refuses.
    """
    text = plan.config.to_yaml().encode()
    replace_file(plan.folder / RECIPE, lambda file: file.write(text))
    _write_json(plan, ())


def write_results(plan: SweepPlan, tried: Sequence[Tried]) -> None:
    """Write scores, best recipe and picture as they are now.

    Args:
        plan: of the sweep.
        tried: its trials so far.

    Raises:
        RunError: if the disk refuses.
    """
    _write_json(plan, tried)
    best = best_of(tried)
    if best is not None:
        config = with_settings(plan.config, best.settings, of=f"trial {best.number}")
        said = f"{config.description} " if config.description else ""
        said += f"Tuned: trial {best.number} of a sweep of {len(tried)} by validation {METRIC}."
        tuned = config.model_copy(update={"description": said, "published": None})
        text = tuned.to_yaml().encode()
        replace_file(plan.folder / BEST, lambda file: file.write(text))
    if any(trial.score is not None for trial in tried):
        sweep_figure(
            [
                SweepPoint(
                    trial.number,
                    {key: _place(plan, key, value) for key, value in trial.settings.items()},
                    None if trial.score is None else 100 * trial.score,
                    trial.state,
                )
                for trial in tried
            ],
            plan.folder / PICTURE,
            title=f"{plan.name}: {METRIC} on validation",
            scales={
                key: SweepScale(one.low, one.high, one.logarithmic)
                if isinstance(one, Range)
                else one.labels
                for key, one in plan.space.items()
            },
        )


def _place(plan: SweepPlan, key: str, value: Any) -> float | str:
    """Return where a setting stands on the axis of its key: a number, or a label."""
    dimension = plan.space[key]
    place = dimension.number_of(value)
    return label_of(value) if place is None else place


def _write_json(plan: SweepPlan, tried: Sequence[Tried]) -> None:
    best = best_of(tried)
    document = {
        "recipe": plan.name,
        "data": plan.config.data.source,
        "metric": METRIC,
        "split": SPLIT,
        "colabel": VERSION,
        "seed": plan.seed,
        "space": plan.space_in_words(),
        "best": None
        if best is None
        else {"trial": best.number, "score": best.score, "settings": dict(best.settings)},
        "trials": [
            {
                "trial": trial.number,
                "state": trial.state,
                "score": trial.score,
                "settings": dict(trial.settings),
                "epochs": {str(epoch): score for epoch, score in trial.epochs.items()},
                "problem": trial.problem,
            }
            for trial in tried
        ],
    }
    write_json(plan.folder / RESULTS, document)
