"""What came of an ablation: the scores of its runs, as JSON and as a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colabel.errors import DataError
from colabel.figures import AblationPoint, ablation_figure
from colabel.files import write_json
from colabel.runs.folder import DATA
from colabel.version import VERSION
from colabel.workflows.ablation.file import SEED, label_of
from colabel.workflows.ablation.planning import PICTURE, RESULTS, Work
from colabel.workflows.grid.planning import Planned

SPLIT = "val"


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Args:
        seed: of the run.
        folder: its name, in the folder of the ablation.
        score: the metric on the validation split, in [0, 1]; ``None`` where there is none.
        problem: why the run ended without a model, or ``None``.
        images: number and fingerprint of the validation images.
    """

    seed: int
    folder: str
    score: float | None
    problem: str | None = None
    images: dict[str, Any] | None = None


@dataclass(frozen=True)
class Tried:
    """What came of one value.

    Args:
        point: value, label and scores in per cent, with their mean and deviation.
        outcomes: of the runs that ended.
        seeds: how many runs there are to be.
        recipe: that was trained.
        chosen: whether it is the value that the paper trains with.
        published: the paper's score, per cent, or ``None``.
    """

    point: AblationPoint
    outcomes: tuple[Outcome, ...]
    seeds: int
    recipe: str
    chosen: bool
    published: float | None

    @property
    def complete(self) -> bool:
        """Whether every seed has a score."""
        return len(self.point.scores) == self.seeds


def write_results(work: Work) -> None:
    """Write scores and picture as they are now.

    Args:
        work: the ablation.

    Raises:
        DataError: if runs were validated on different images.
        RunError: if a file cannot be read or written.
    """
    tried = collect(work)
    work.folder.mkdir(parents=True, exist_ok=True)  # a run that failed may have left nothing
    write_json(work.folder / RESULTS, _document(work, tried))
    if not any(value.point.scores for value in tried):
        return
    ablation = work.ablation
    names = " and ".join(Path(recipe).stem for recipe in ablation.recipes)
    hint = f"{names}, validation, best epoch of each run, test unused"
    if ablation.published is not None:
        hint += f"; paper: {ablation.published.source}"
    ablation_figure(
        [value.point for value in tried],
        work.folder / PICTURE,
        key=ablation.key,
        metric=ablation.metric,
        hint=hint,
        chosen=next((value.point.label for value in tried if value.chosen), None),
    )


def collect(work: Work) -> tuple[Tried, ...]:
    """Read what the runs scored.

    Args:
        work: the ablation.

    Returns:
        What came of every value, in the order of the ablation.

    Raises:
        DataError: if runs with one seed were validated on different images.
        RunError: if a run's file is damaged.
    """
    ablation = work.ablation
    outcomes = [_outcome(work, planned) for planned in work.planned]
    if not ablation.key.startswith("data."):
        _check_images(work, outcomes)
    answer = []
    for recipe in ablation.recipes:
        for index, written in enumerate(ablation.values):
            value = next(planned.value for planned in work.planned if planned.index == index)
            ended = [
                outcome
                for planned, outcome in zip(work.planned, outcomes, strict=True)
                if outcome is not None and (planned.recipe, planned.index) == (recipe, index)
            ]
            # what a paper says is about its own method
            published = None if recipe in ablation.against else ablation.published_score(written)
            scores = tuple(100 * outcome.score for outcome in ended if outcome.score is not None)
            note = "" if published is None else f"paper: {published:g}"
            series = Path(recipe).stem if ablation.against else ""
            answer.append(
                Tried(
                    AblationPoint(value, label_of(value), scores, note, series),
                    tuple(ended),
                    len(ablation.seeds),
                    Path(recipe).stem,
                    recipe == ablation.recipe and ablation.is_chosen(written),
                    published,
                )
            )
    return tuple(answer)


def _outcome(work: Work, planned: Planned) -> Outcome | None:
    """Return what came of a run; ``None`` while it has not ended."""
    if planned.folder in work.problems:
        return Outcome(planned.seed, planned.folder.name, None, work.problems[planned.folder])
    if not planned.run.is_finished:
        return None
    score = planned.run.result().get(work.ablation.metric)
    images = planned.run.read_json(DATA).get(SPLIT) if planned.run.data.is_file() else None
    if score is None or not math.isfinite(score):
        return Outcome(planned.seed, planned.folder.name, None, None, images)
    return Outcome(planned.seed, planned.folder.name, float(score), None, images)


def _check_images(work: Work, outcomes: Sequence[Outcome | None]) -> None:
    """Refuse to compare scores on different images."""
    first: dict[int, Outcome] = {}
    for outcome in outcomes:
        if outcome is None or outcome.images is None:
            continue
        other = first.setdefault(outcome.seed, outcome)
        if other.images != outcome.images:
            raise DataError(
                f"{work.folder / outcome.folder} was validated on {outcome.images}, "
                f"{work.folder / other.folder} on {other.images}: their scores cannot be "
                "compared. Give the data it began with, or choose another folder with --out."
            )


def _document(work: Work, tried: Sequence[Tried]) -> dict[str, Any]:
    """Return what ``ablation.json`` says."""
    ablation, config = work.ablation, work.planned[0].config
    settings = config.model_dump(mode="json", exclude={"description", "published"})
    for key in (ablation.key, SEED):
        *groups, last = key.split(".")
        group = settings
        for part in groups:
            group = group[part]
        del group[last]
    return {
        "ablation": work.name,
        "description": ablation.description,
        "recipe": ablation.recipe,
        "changes": list(work.changes),
        "key": ablation.key,
        "metric": ablation.metric,
        "split": SPLIT,
        "seeds": list(ablation.seeds),
        "colabel": VERSION,
        "data": config.data.source,
        "published": None if ablation.published is None else ablation.published.source,
        "results": [
            {
                "recipe": value.recipe,
                "value": value.point.value,
                **_summary(value),
                "published_percent": value.published,
                "chosen_by_paper": value.chosen,
                "runs": [
                    {
                        "seed": outcome.seed,
                        "folder": outcome.folder,
                        "score": outcome.score,
                        "problem": outcome.problem,
                        "images": outcome.images,
                    }
                    for outcome in value.outcomes
                ],
            }
            for value in tried
        ],
        "settings": settings,
    }


def _summary(tried: Tried) -> dict[str, float | None]:
    """Return mean and sample standard deviation over the seeds, in [0, 1]."""
    scores = [outcome.score for outcome in tried.outcomes if outcome.score is not None]
    return {
        "mean": statistics.fmean(scores) if scores else None,
        "standard_deviation": statistics.stdev(scores) if len(scores) > 1 else None,
    }
