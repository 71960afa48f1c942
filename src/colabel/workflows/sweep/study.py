"""What Optuna keeps of a sweep: the trials, in a journal that a killed process can go on with.

What a trial tries is a function of the sweep's seed, of the trial's number and of the trials that
ended before it: a generator of its own draws each setting. So a sweep that was interrupted, in the
middle of a trial or between two, goes on with the trials of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from colabel.errors import RunError, remedy
from colabel.workflows.sweep.space import Choice, Range, Space

RANDOM = 8
"""Trials that are drawn at random, the recipe itself among them, before the others guide."""
JUDGES = 5
"""Whole trials that there must be before one is cut short."""

_NAME = "sweep"


@contextmanager
def open_study(
    journal: Path, *, epochs: int, first: Mapping[str, Any] | None
) -> Iterator[optuna.Study]:
    """Open the journal of a sweep, making it if there is none.

    Args:
        journal: the file. Its folder belongs to this process.
        epochs: of a trial that are validated; no trial is cut short in their first quarter.
        first: what the first trial tries, a number or label by key; ``None`` leaves it to chance.

    Yields:
        The study.

    Raises:
        RunError: if the journal cannot be read or is damaged.
    """
    as_before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        _cut_half_line(journal)
        lock: Any = _Held()
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal), lock_obj=lock)),
            study_name=_NAME,
            direction="maximize",
            load_if_exists=True,
            pruner=MedianPruner(n_startup_trials=JUDGES, n_warmup_steps=max(1, epochs // 4)),
        )
        if first is not None and not study.get_trials(deepcopy=False):
            study.enqueue_trial(dict(first))
    except OSError as error:
        raise RunError(
            f"{journal} cannot be used: {error.strerror or error}; {remedy(error)}."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{journal} is damaged ({error!r}); copy the whole folder again, or begin a new sweep "
            "in another one."
        ) from error
    else:
        yield study
    finally:
        optuna.logging.set_verbosity(as_before)


def next_trial(study: optuna.Study, space: Space, seed: int) -> Trial:
    """Return the trial that was interrupted, or a new one, with all that it tries.

    Args:
        study: the trials so far.
        space: what may be tried.
        seed: of the sweep.
    """
    begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    _reseed(study, seed, 0, 0)  # a generator of some kind is wanted before there is a number
    trial = Trial(study, begun[0]._trial_id) if begun else study.ask()
    for place, (key, dimension) in enumerate(space.items()):
        _reseed(study, seed, trial.number, place)
        _draw(trial, key, dimension)
    return trial


def _draw(trial: Trial, key: str, dimension: Range | Choice) -> None:
    """Draw one setting; where it was drawn before an interruption, nothing happens."""
    if isinstance(dimension, Choice):
        trial.suggest_categorical(key, dimension.labels)
    elif dimension.whole:
        trial.suggest_int(key, int(dimension.low), int(dimension.high), log=dimension.logarithmic)
    else:
        trial.suggest_float(key, dimension.low, dimension.high, log=dimension.logarithmic)


def _reseed(study: optuna.Study, seed: int, number: int, place: int) -> None:
    drawn = np.random.SeedSequence([seed, number, place]).generate_state(1)[0]
    study.sampler = TPESampler(seed=int(drawn), n_startup_trials=RANDOM)


def _cut_half_line(journal: Path) -> None:
    """Remove a last line that a killed process left unfinished."""
    if not journal.is_file():
        return
    with open(journal, "rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


class _Held:
    """No lock: the folder of the sweep is locked already, and Optuna's would outlive a kill."""

    def acquire(self) -> bool:
        """Say that it is held."""
        return True

    def release(self) -> None:
        """Do nothing."""
