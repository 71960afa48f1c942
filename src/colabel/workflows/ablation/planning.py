"""The runs of an ablation, planned and checked before any is trained; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError, RunError
from colabel.foreign import parse_json, read_plain
from colabel.limits import MAX_DESCRIPTION_BYTES, MAX_SEEDS
from colabel.workflows.ablation.file import (
    Ablation,
    ablation_names,
    configure,
    folder_name,
    load_ablation,
)
from colabel.workflows.grid.planning import Planned, check_runs, with_seed

RESULTS, PICTURE = "ablation.json", "ablation.png"


@dataclass
class Work:
    """An ablation while it runs.

    Args:
        folder: of the ablation.
        name: of the ablation.
        ablation: what is tried.
        changes: of other settings.
        planned: the runs, in the order in which they are trained.
        problems: why a run failed, by its folder.
    """

    folder: Path
    name: str
    ablation: Ablation
    changes: tuple[str, ...]
    planned: tuple[Planned, ...]
    problems: dict[Path, str] = field(default_factory=dict)


def plan_ablation(
    source: str | Path,
    *,
    recipe: str | Path | None = None,
    against: Iterable[str | Path] = (),
    data: str | None = None,
    changes: Iterable[str] = (),
    out: Path | str | None = None,
    seeds: int | None = None,
) -> Work:
    """Return the runs of an ablation, none of which is trained yet.

    Args:
        source: name of an ablation, or a YAML file.
        recipe: name of a recipe, or a YAML file, instead of the ablation's.
        against: others instead of those that the ablation compares with; with ``recipe`` alone
            there are none.
        data: source of the images, instead of the recipe's.
        changes: ``key.path=value`` for other settings of the recipe.
        out: folder of the ablation; default: ``ablations/<name>``.
        seeds: how many, from 0 on; default: those of the ablation.

    Raises:
        ConfigError: if a key or a value does not fit the recipe, or a run in the folder was
            started with other settings.
        RunError: if the folder holds something else.
    """
    ablation = load_ablation(source)
    if recipe is not None:
        ablation = ablation.model_copy(update={"recipe": str(recipe), "against": ()})
    if others := tuple(map(str, against)):
        ablation = ablation.model_copy(update={"against": others})
        names = [Path(one).stem for one in ablation.recipes]
        if len(set(names)) < len(names):
            raise ConfigError(f"each recipe needs a name of its own, got {', '.join(names)}.")
    if seeds is not None:
        if seeds > MAX_SEEDS:
            raise ConfigError(f"{seeds:,} seeds, expected at most {MAX_SEEDS:,}; give fewer.")
        ablation = ablation.model_copy(update={"seeds": tuple(range(seeds))})
    name = str(source) if str(source) in ablation_names() else Path(source).stem
    folder = Path("ablations", name) if out is None else Path(out)
    changes = tuple(changes)
    work = Work(folder, name, ablation, changes, _plan(ablation, folder, data, changes))
    _check_folder(work)
    return work


def _plan(
    ablation: Ablation, folder: Path, data: str | None, changes: tuple[str, ...]
) -> tuple[Planned, ...]:
    """Return the runs in the order in which they are trained."""
    if ablation.key == "data.source" and data is not None:
        raise ConfigError("the ablation sets data.source itself; leave out --data.")
    configured = {
        recipe: [
            (value, with_absolute_paths(config, data))
            for value, config in configure(ablation, recipe, changes)
        ]
        for recipe in ablation.recipes
    }
    return tuple(
        Planned(
            index,
            value,
            seed,
            with_seed(config, seed),
            folder / f"{_prefix(ablation, recipe)}{folder_name(value)}-{seed}",
            recipe,
        )
        for seed in ablation.seeds
        for index in range(len(ablation.values))
        for recipe in ablation.recipes
        for value, config in [configured[recipe][index]]
    )


def _prefix(ablation: Ablation, recipe: str) -> str:
    """Return what the folders of a recipe's runs begin with; nothing for the ablation's own."""
    return "" if recipe == ablation.recipe else f"{folder_name(Path(recipe).stem)}-"


def _check_folder(work: Work) -> None:
    """Refuse a folder with another ablation, other runs, or anything else in the way."""
    path = work.folder / RESULTS
    if path.is_file():
        try:
            key = parse_json(read_plain(path, limit=MAX_DESCRIPTION_BYTES))["key"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({error!r}); remove it, it is made again from the runs."
            ) from error
        if key != work.ablation.key:
            raise RunError(
                f"{work.folder} holds an ablation of {key}, this one is of {work.ablation.key}; "
                "choose another folder with --out."
            )
    elif (work.folder / PICTURE).exists() and not any(one.run.has_begun for one in work.planned):
        raise RunError(
            f"{work.folder / PICTURE} is in the way: it is no picture of an ablation in this "
            "folder. Move it, or choose another folder with --out."
        )
    check_runs(work.planned, "no run of this ablation")
