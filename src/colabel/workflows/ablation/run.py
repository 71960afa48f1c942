"""An ablation: a recipe trained over the values of one setting and several seeds.

Every run has a folder of its own. What is finished is skipped and what was interrupted goes on, so
the same command continues an ablation wherever it stopped. Scores are those of the validation
split; the test split is not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from colabel.training import Display, make_accelerator
from colabel.workflows.ablation.file import Ablation, label_of
from colabel.workflows.ablation.planning import Work, plan_ablation
from colabel.workflows.ablation.results import Tried, collect, write_results
from colabel.workflows.grid.planning import Planned
from colabel.workflows.grid.training import rehearse, train_planned


@dataclass(frozen=True)
class Ablated:
    """An ablation as far as it got.

    Args:
        folder: where the runs, the scores and the picture are.
        name: of the ablation.
        ablation: what was tried.
        tried: what came of every value.
        interrupted: whether it was stopped.
        signal: name of the signal that stopped it, where this process got one.
    """

    folder: Path
    name: str
    ablation: Ablation
    tried: tuple[Tried, ...]
    interrupted: bool = False
    signal: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, a sentence for each run that failed."""
        outcomes = (outcome for tried in self.tried for outcome in tried.outcomes)
        return tuple(f"{end.folder}: {end.problem}" for end in outcomes if end.problem)

    @property
    def best(self) -> Tried | None:
        """The value with the highest mean, among those with a score for every seed."""
        complete = [tried for tried in self.tried if tried.complete]
        return max(complete, key=lambda tried: tried.point.mean, default=None)


def ablate(
    source: str | Path,
    *,
    recipe: str | Path | None = None,
    against: Iterable[str | Path] = (),
    data: str | None = None,
    changes: Iterable[str] = (),
    out: Path | str | None = None,
    seeds: int | None = None,
    cpu: bool = False,
    display: Display | None = None,
) -> Ablated:
    """Train a recipe over the values of one setting and several seeds, and compare on validation.

    The folder gets a run for each value and seed, ``ablation.json`` and ``ablation.png``, which
    are written anew after every run. All values are tried with one seed before the next seed.

    Args:
        source: name of an ablation, or a YAML file.
        recipe: name of a recipe, or a YAML file, instead of the ablation's.
        against: others instead of those that the ablation compares with; with ``recipe`` alone
            there are none.
        data: source of the images, instead of the recipe's.
        changes: ``key.path=value`` for other settings of the recipe.
        out: folder of the ablation; default: ``ablations/<name>``.
        seeds: how many, from 0 on; default: those of the ablation.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        What came of every value. A run whose loss diverges counts as one that failed.

    Raises:
        ConfigError: before the first training, if a key or a value does not fit the recipe, or a
            run in the folder was started with other settings.
        RunError: if the folder holds something else.
        ColabelError: as :func:`colabel.workflows.train.train` raises them; finished runs are kept.
    """
    work = plan_ablation(
        source, recipe=recipe, against=against, data=data, changes=changes, out=out, seeds=seeds
    )
    return run_ablation(work, cpu=cpu, display=display)


def run_ablation(work: Work, *, cpu: bool = False, display: Display | None = None) -> Ablated:
    """Train what is planned and not finished, and compare on validation.

    Args:
        work: from :func:`plan_ablation`.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        What came of every value, as :func:`ablate` says.

    Raises:
        ConfigError: before the first training, if a value's model cannot be built.
        ColabelError: as :func:`ablate` raises it.
    """
    ablation = work.ablation
    setting = ablation.key.rpartition(".")[2]
    main = make_accelerator(cpu=cpu).is_main_process

    def called(one: Planned) -> str:
        tried = f"{setting} {label_of(one.value)}, seed {one.seed}"
        return f"{Path(one.recipe).stem}, {tried}" if ablation.against else tried

    def ended() -> None:
        if main:
            write_results(work)

    rehearse(
        work.planned,
        lambda one: f"the ablation's value {label_of(one.value)} of {ablation.key}",
    )
    interruption = train_planned(
        work.planned,
        called,
        problems=work.problems,
        ended=ended,
        cpu=cpu,
        display=display,
    )
    return Ablated(
        work.folder,
        work.name,
        ablation,
        collect(work),
        interruption is not None,
        None if interruption is None else interruption.signal,
    )
