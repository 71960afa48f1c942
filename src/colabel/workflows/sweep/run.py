"""A sweep: trials of a recipe's settings, each a training run, of which validation chooses.

The test split is not read. What a trial is worth is the validation mAP of its best epoch. A trial
that is worse than most after an epoch is cut short. The same command goes on with a sweep that was
interrupted: ended trials are kept, and the run of the interrupted one is resumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import Trial, TrialState

from colabel.build.shared import Shared
from colabel.build.stages import build_model, build_stages
from colabel.config import Config
from colabel.errors import (
    ColabelError,
    ConfigError,
    DataError,
    NonFiniteLossError,
    NotEnoughMemoryError,
    RunError,
    WeightsError,
)
from colabel.files import make_folder
from colabel.runs.claim import locked_folder
from colabel.runs.folder import DATA, RunFolder
from colabel.training import Display, make_accelerator
from colabel.workflows.sweep.judge import CutShort, Judge
from colabel.workflows.sweep.planning import JOURNAL, RECIPE, RESULTS, Keep, SweepPlan, plan_sweep
from colabel.workflows.sweep.results import (
    METRIC,
    SPLIT,
    State,
    Tried,
    best_of,
    write_plan,
    write_results,
)
from colabel.workflows.sweep.space import own_settings, with_settings
from colabel.workflows.sweep.study import next_trial, open_study
from colabel.workflows.train import train

_STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "begun",
}
_FAILURES = (NonFiniteLossError, ConfigError, WeightsError, NotEnoughMemoryError)
"""What ends a trial and not the sweep: its settings are to blame."""


@dataclass(frozen=True)
class Swept:
    """A sweep as far as it got.

    Args:
        plan: what was to be done.
        tried: what came of each trial.
        interrupted: whether it was stopped.
        signal: name of the signal that stopped it, where this process got one.
    """

    plan: SweepPlan
    tried: tuple[Tried, ...]
    interrupted: bool = False
    signal: str | None = None

    @property
    def best(self) -> Tried | None:
        """The whole trial with the highest score, the first of equal ones."""
        return best_of(self.tried)

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, a sentence for each trial that failed."""
        return tuple(f"trial {one.number}: {one.problem}" for one in self.tried if one.problem)


def sweep(
    recipe: str | Path | Config,
    *,
    space: Iterable[str] = (),
    data: str | None = None,
    changes: Iterable[str] = (),
    out: Path | str | None = None,
    trials: int = 15,
    seed: int = 0,
    keep: Keep = "best",
    cpu: bool = False,
    display: Display | None = None,
) -> Swept:
    """Plan a sweep and run it: :func:`plan_sweep` says what is what, :func:`run_sweep` the rest.

    Raises:
        ColabelError: as these two raise it.
    """
    plan = plan_sweep(
        recipe, space=space, data=data, changes=changes, out=out, trials=trials, seed=seed,
        keep=keep,
    )  # fmt: skip
    return run_sweep(plan, cpu=cpu, display=display)


def tune(
    recipe: Config,
    space: Iterable[str] = (),
    *,
    trials: int,
    seed: int,
    folder: Path,
    cpu: bool = False,
    display: Display | None = None,
    shared: Shared | None = None,
) -> dict[str, Any]:
    """Return the settings of a recipe that a sweep found to be the best on validation.

    Args:
        recipe: what is tuned.
        space: what is tried; nothing for the default of the recipe's method.
        trials: how many, those of an earlier start in the folder counted.
        seed: of what is tried.
        folder: of the sweep; a sweep that has ended there is not run again.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.
        shared: as for :func:`run_sweep`.

    Returns:
        The setting by dotted key.

    Raises:
        KeyboardInterrupt: if the sweep was stopped; the same call goes on with it.
        RunError: if no trial ended with a score.
        ColabelError: as :func:`sweep` raises it.
    """
    plan = plan_sweep(recipe, space=space, out=folder, trials=trials, seed=seed)
    swept = run_sweep(plan, cpu=cpu, display=display, shared=shared)
    if swept.interrupted:
        raise KeyboardInterrupt
    if swept.best is None:
        raise RunError(
            f"no trial of the sweep in {folder} ended with a score: {'; '.join(swept.problems)}"
        )
    return dict(swept.best.settings)


def run_sweep(
    plan: SweepPlan,
    *,
    cpu: bool = False,
    display: Display | None = None,
    shared: Shared | None = None,
) -> Swept:
    """Run the trials of a plan that have not ended.

    The first trial is the recipe as it is, if the space holds it. The next seven are drawn at
    random, those after them where the better ones of the earlier were (TPE). Each setting is drawn
    from the seed, the number of the trial and the ended trials alone.

    A trial is cut short after an epoch if its best mAP so far is below the median that the whole
    trials had after that epoch; not before there are five of these, not in the first quarter of
    the epochs, and not after the last.

    Args:
        plan: from :func:`plan_sweep`.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.
        shared: what the trials have in common with other runs; ``None``: only with each other.

    Returns:
        What came of each trial. One whose loss diverges, or whose settings cannot be trained,
        counts as failed.

    Raises:
        ConfigError: before the first trial if the recipe itself cannot be trained, or with several
            processes.
        DataError: if the validation images are not those of the earlier trials.
        RunError: if another process works in the folder.
        ColabelError: as :func:`colabel.workflows.train.train` raises it; ended trials are kept.
    """
    if make_accelerator(cpu=cpu).num_processes > 1:
        raise ConfigError("a sweep runs in one process; start it without torchrun.")
    _rehearse(plan.config)
    make_folder(plan.folder)
    busy = f"another process runs trials in {plan.folder}"
    epochs = sum(stage.epochs for stage in plan.config.stages())
    with locked_folder(plan.folder, busy=busy):
        if not (plan.folder / RESULTS).is_file():
            write_plan(plan)
        first = own_settings(plan.config, plan.space)
        with open_study(plan.folder / JOURNAL, epochs=epochs, first=first) as study:
            try:
                return _run_trials(
                    plan, study, cpu=cpu, display=display, shared=shared or Shared()
                )
            except ColabelError:
                if not _ended(study) and not plan.run(0).has_state:
                    _withdraw(plan)
                raise


def _run_trials(
    plan: SweepPlan,
    study: optuna.Study,
    *,
    cpu: bool,
    display: Display | None,
    shared: Shared,
) -> Swept:
    """Run what is left to run."""
    _tidy(plan, _collect(plan, study))
    while len(_ended(study)) < plan.trials:
        trial = next_trial(study, plan.space, plan.seed)
        about = _collect(plan, study)[trial.number]
        going_on = ", going on" if plan.run(trial.number).has_begun else ""
        _tell(display, f"trial {trial.number} of {plan.trials}: {about}{going_on}")
        interrupted, signal = _run_trial(plan, study, trial, about.settings, cpu, display, shared)
        tried = _collect(plan, study)
        if interrupted:
            return Swept(plan, tried, True, signal)
        _tell(display, f"trial {trial.number} of {plan.trials}: {_outcome(tried[trial.number])}")
        write_results(plan, tried)
        _tidy(plan, tried)
    tried = _collect(plan, study)
    write_results(plan, tried)
    return Swept(plan, tried)


def _run_trial(
    plan: SweepPlan,
    study: optuna.Study,
    trial: Trial,
    settings: Mapping[str, Any],
    cpu: bool,
    display: Display | None,
    shared: Shared,
) -> tuple[bool, str | None]:
    """Train one trial and tell the study; return whether it was stopped, and by which signal."""
    run = plan.run(trial.number)
    as_it_is = trial.number == 0 and trial.params == own_settings(plan.config, plan.space)
    try:
        if not run.is_finished:
            config = with_settings(plan.config, settings, of=f"trial {trial.number}")
            judge = Judge(study, trial, config, display)
            trained = train(
                config, out=run.path, resume=run.has_begun, cpu=cpu, display=judge,
                shared=shared,
            )  # fmt: skip
            if trained.report is None:
                return True, trained.history.signal
        _check_images(study, trial, run)
        study.tell(trial, float(run.result()[METRIC]))
    except CutShort:
        study.tell(trial, state=TrialState.PRUNED)
    except _FAILURES as error:
        if as_it_is and isinstance(error, ConfigError):
            raise  # no fault of what is tried
        trial.set_user_attr("problem", str(error))
        study.tell(trial, state=TrialState.FAIL)
    return False, None


def _collect(plan: SweepPlan, study: optuna.Study) -> tuple[Tried, ...]:
    """Return what came of each trial so far."""
    answer = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state not in _STATES:  # waiting to be begun
            continue
        reported = dict(sorted(trial.intermediate_values.items()))
        score = trial.value if trial.state == TrialState.COMPLETE else None
        if trial.state == TrialState.PRUNED:
            score = max(reported.values())
        settings = {
            key: one.setting(trial.params[key])
            for key, one in plan.space.items()
            if key in trial.params
        }
        problem = trial.user_attrs.get("problem")
        answer.append(
            Tried(trial.number, settings, _STATES[trial.state], score, reported, problem)
        )
    return tuple(answer)


def _ended(study: optuna.Study) -> list[Any]:
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    return list(study.get_trials(deepcopy=False, states=states))


def _outcome(tried: Tried) -> str:
    """Return what came of a trial, in words."""
    if tried.state == "failed":
        return f"failed: {tried.problem}"
    score = f"{METRIC} {100 * (tried.score or 0):.1f} %"
    if tried.state == "pruned":
        return f"cut short after epoch {max(tried.epochs)}, {score}"
    return score


def _check_images(study: optuna.Study, trial: Trial, run: RunFolder) -> None:
    """Refuse to compare scores on different images."""
    facts = run.read_json(DATA).get(SPLIT)
    before = study.user_attrs.get("images")
    if before is None:
        study.set_user_attr("images", facts)
    elif before != facts:
        raise DataError(
            f"trial {trial.number} was validated on {facts}, the trials before it on {before}: "
            "their scores cannot be compared. Give the data the sweep began with, or choose "
            "another folder with --out."
        )


def _tidy(plan: SweepPlan, tried: Sequence[Tried]) -> None:
    """Remove the run folders of trials that have ended and are not the best, if so asked."""
    if plan.keep == "all":
        return
    best = best_of(tried)
    for trial in tried:
        path = plan.run(trial.number).path
        if (
            trial.state != "begun"
            and trial is not best
            and path.is_dir()
            and not path.is_symlink()
        ):
            shutil.rmtree(path)


def _withdraw(plan: SweepPlan) -> None:
    """Take away what a sweep wrote whose first trial could not be trained."""
    for name in (JOURNAL, RESULTS, RECIPE):
        (plan.folder / name).unlink(missing_ok=True)


def _rehearse(config: Config) -> None:
    """Build what the recipe trains, so that one that cannot be built is known at once."""
    with torch.random.fork_rng(devices=[]):  # a caller's random numbers stay as they are
        model = build_model(config, 2)
        build_stages(model, config)


def _tell(display: Display | None, text: str) -> None:
    if display is not None:
        display.note(text)
