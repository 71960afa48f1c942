"""A sweep, planned and checked before anything is trained; imports neither torch nor optuna."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from colabel.config import Config, change_config, changed_keys, load_config
from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError, MissingExtraError, RunError
from colabel.files import read_json
from colabel.limits import MAX_TRIALS
from colabel.methods.spaces import default_space
from colabel.runs.folder import RunFolder
from colabel.runs.resuming import changes_between
from colabel.workflows.sweep.space import Space, fit_space, parse_dimension, read_space

Keep = Literal["best", "all"]
"""Which trials' run folders stay."""

RESULTS, JOURNAL, BEST, PICTURE, RECIPE = (
    "sweep.json", "journal.log", "best.yaml", "sweep.png", "recipe.yaml",
)  # fmt: skip


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep is to do.

    Args:
        folder: of the sweep.
        name: of the recipe.
        config: the recipe, with changes and absolute paths.
        space: what is tried, by dotted key.
        trials: how many, from the first on.
        seed: of what is tried; the seed of training is the recipe's.
        keep: which trials' run folders stay.
    """

    folder: Path
    name: str
    config: Config
    space: Space
    trials: int
    seed: int
    keep: Keep

    def run(self, number: int) -> RunFolder:
        """Return the run folder of a trial, counted from 0."""
        return RunFolder(self.folder / f"trial-{number:04d}")

    def space_in_words(self) -> dict[str, str]:
        """Return the space as it may be written in a file."""
        return {key: str(dimension) for key, dimension in self.space.items()}


def plan_sweep(
    recipe: str | Path | Config,
    *,
    space: Iterable[str] = (),
    data: str | None = None,
    changes: Iterable[str] = (),
    out: Path | str | None = None,
    trials: int = 15,
    seed: int = 0,
    keep: Keep = "best",
) -> SweepPlan:
    """Return what a sweep is to do, checked; nothing is written.

    Args:
        recipe: a recipe's name, a YAML file, or a configuration.
        space: what is tried, as :func:`~colabel.workflows.sweep.space.read_space` takes it;
            nothing for what :mod:`colabel.methods.spaces` has for the recipe's method.
        data: source of the images, instead of the recipe's.
        changes: ``key.path=value`` for other settings of the recipe.
        out: folder of the sweep; default: ``sweeps/<name>``.
        trials: how many in all, those of an earlier start counted.
        seed: of what is tried.
        keep: ``all``, or only the ``best`` trial's run folder.

    Raises:
        ConfigError: if a key or a value does not fit the recipe, a range is empty, or the folder
            holds a sweep of other settings.
        MissingExtraError: if Optuna is not installed.
        RunError: if the folder holds something else.
    """
    changes = tuple(changes)
    if isinstance(recipe, Config):
        config, name = change_config(recipe, changes), "recipe"
    else:
        config, name = load_config(recipe, changes), Path(recipe).stem
    if not 1 <= trials <= MAX_TRIALS:
        raise ConfigError(f"{trials:,} trials, expected 1 to {MAX_TRIALS:,}.")
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or more, got {seed}.")
    if keep not in get_args(Keep):
        raise ConfigError(f"keep must be one of best, all; got {keep!r}.")
    given = read_space(space) or {
        key: parse_dimension(key, words)
        for key, words in default_space(config.method.name).items()
    }
    fitted = fit_space(given, config, changed=changed_keys(changes))
    config = with_absolute_paths(config, data)
    folder = Path("sweeps", name) if out is None else Path(out)
    plan = SweepPlan(folder, name, config, fitted, trials, seed, keep)
    _check_folder(plan)
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("optuna", extra="sweep")
    return plan


def _check_folder(plan: SweepPlan) -> None:
    """Refuse a folder with a sweep of something else, or with anything else in the way."""
    folder = plan.folder
    if not (folder / RESULTS).is_file():
        taken = [folder / name for name in (JOURNAL, BEST, PICTURE)]
        taken += sorted(folder.glob("trial-*"))
        for path in taken:
            if path.exists():
                raise RunError(
                    f"{path} is in the way: {folder} holds no sweep ({RESULTS} is missing). Move "
                    "it, or choose another folder with --out."
                )
        return
    before = read_json(folder / RESULTS)
    if not isinstance(before, dict) or not {"space", "seed"} <= before.keys():
        raise RunError(
            f"{folder / RESULTS} is damaged; copy the whole folder again, or choose another one "
            "with --out."
        )
    now = {"space": plan.space_in_words(), "seed": plan.seed}
    changed = [
        f"{key} was {before[key]}, is {value}"
        for key, value in now.items()
        if before[key] != value
    ]
    changed += changes_between(load_config(folder / RECIPE), plan.config)
    if changed:
        raise ConfigError(
            f"the sweep in {folder} was started with other settings: {'; '.join(changed)}. Go on "
            "with the command that started it, or choose another folder with --out."
        )
