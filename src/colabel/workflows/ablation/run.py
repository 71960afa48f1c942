"""An ablation: a recipe trained over the values of one setting and several seeds.

Every run has a folder of its own. What is finished is skipped and what was interrupted goes on, so
the same command continues an ablation wherever it stopped. Scores are those of the validation
split; the test split is not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from colabel.build.stages import build_model, build_stages
from colabel.config import Config
from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError, NonFiniteLossError, RunError, WeightsError
from colabel.runs.folder import LOCK
from colabel.runs.resuming import changed_settings
from colabel.training import Display, make_accelerator
from colabel.workflows.ablation.file import (
    Ablation,
    ablation_names,
    configure,
    folder_name,
    label_of,
    load_ablation,
)
from colabel.workflows.ablation.results import (
    RESULTS,
    Planned,
    Tried,
    Work,
    collect,
    write_results,
)
from colabel.workflows.train import train


@dataclass(frozen=True)
class Ablated:
    """An ablation as far as it got.

    Args:
        folder: where the runs, the scores and the picture are.
        name: of the ablation.
        ablation: what was tried.
        tried: what came of every value.
        interrupted: whether the user stopped it.
    """

    folder: Path
    name: str
    ablation: Ablation
    tried: tuple[Tried, ...]
    interrupted: bool = False

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
    ablation = load_ablation(source)
    if recipe is not None:
        ablation = ablation.model_copy(update={"recipe": str(recipe)})
    if seeds is not None:
        ablation = ablation.model_copy(update={"seeds": tuple(range(seeds))})
    name = str(source) if str(source) in ablation_names() else Path(source).stem
    folder = Path("ablations", name) if out is None else Path(out)
    changes = tuple(changes)
    work = Work(folder, name, ablation, changes, _plan(ablation, folder, data, changes))
    _check_folder(work)
    _rehearse(work)
    main = make_accelerator(cpu=cpu).is_main_process
    interrupted = False
    for number, planned in enumerate(work.planned, start=1):
        word = f"{ablation.key.rpartition('.')[2]} {label_of(planned.value)}, seed {planned.seed}"
        text = f"{number} of {len(work.planned)}: {word}"
        if planned.run.is_finished:
            _tell(display, main, f"{text}, finished before")
            continue
        resume = planned.run.has_begun
        _tell(display, main, f"{text}, going on" if resume else text)
        try:
            trained = train(
                planned.config, out=planned.folder, resume=resume, cpu=cpu, display=display
            )
            interrupted = trained.report is None
        except NonFiniteLossError as error:
            work.problems[planned.folder] = str(error)
            _tell(display, main, f"failed: {error}")
        if interrupted:
            break
        if main:
            write_results(work)
    if main and not interrupted:
        write_results(work)
    return Ablated(folder, name, ablation, collect(work), interrupted)


def _plan(
    ablation: Ablation, folder: Path, data: str | None, changes: tuple[str, ...]
) -> tuple[Planned, ...]:
    """Return the runs in the order in which they are trained."""
    if ablation.key == "data.source" and data is not None:
        raise ConfigError("the ablation sets data.source itself; leave out --data.")
    configured = [
        (value, with_absolute_paths(config, data))
        for value, config in configure(ablation, changes)
    ]
    return tuple(
        Planned(
            index, value, seed, _with_seed(config, seed), folder / f"{folder_name(value)}-{seed}"
        )
        for seed in ablation.seeds
        for index, (value, config) in enumerate(configured)
    )


def _with_seed(config: Config, seed: int) -> Config:
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"training": training})


def _check_folder(work: Work) -> None:
    """Refuse a folder with another ablation, other runs, or anything else in the way."""
    path = work.folder / RESULTS
    if path.is_file():
        try:
            key = json.loads(path.read_text("utf-8"))["key"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({error!r}); remove it, it is made again from the runs."
            ) from error
        if key != work.ablation.key:
            raise RunError(
                f"{work.folder} holds an ablation of {key}, this one is of {work.ablation.key}; "
                "choose another folder with --out."
            )
    for planned in work.planned:
        if planned.run.has_begun:
            changed = changed_settings(planned.run, planned.config)
            if changed:
                raise ConfigError(
                    f"the run in {planned.folder} was started with other settings: "
                    f"{'; '.join(changed)}. Go on with the command that started it, or choose "
                    "another folder with --out."
                )
        elif planned.folder.exists() and (
            not planned.folder.is_dir() or any(p.name != LOCK for p in planned.folder.iterdir())
        ):
            raise RunError(
                f"{planned.folder} is in the way: it is no run of this ablation. Move it, or "
                "choose another folder with --out."
            )


def _rehearse(work: Work) -> None:
    """Build what each value trains, so that one that cannot be built is known at once."""
    seen: set[int] = set()
    for planned in work.planned:
        if planned.index in seen or planned.run.is_finished:
            continue
        seen.add(planned.index)
        config = planned.config
        try:
            with torch.random.fork_rng(devices=[]):  # a caller's random numbers stay as they are
                model = build_model(config, 2)
                build_stages(model, config)
        except (ConfigError, WeightsError) as error:
            raise ConfigError(
                f"the ablation's value {label_of(planned.value)} of {work.ablation.key}: {error}"
            ) from error


def _tell(display: Display | None, main: bool, text: str) -> None:
    if display is not None and main:
        display.note(text)
