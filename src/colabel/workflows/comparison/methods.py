"""The runs of a comparison of methods, planned and checked before any is trained."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from colabel.build.source import open_source
from colabel.config import Config, load_config, recipe_names
from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError, DataError, nearest
from colabel.limits import MAX_SEEDS
from colabel.workflows.ablation.file import SEED, folder_name
from colabel.workflows.grid.planning import Planned, check_is_free, check_runs, with_seed

FROZEN = (
    "training.freeze_encoder=true", "augmentation.operations=0", "augmentation.cutout=0",
    "augmentation.horizontal_flip=false",
)  # fmt: skip
"""Settings with which an encoder that stays as it is encodes every image once."""


_STRANGER = "no run of this comparison"
_LEARNED_FROM = ("train", "val")
"""Splits that every run has."""


def recipe_of(method: str) -> str:
    """Return the recipe that a method is trained by.

    Args:
        method: what follows ``laptop-`` in the name of a recipe, the whole name, or a YAML file;
            hyphens may be underscores.

    Example:
        >>> recipe_of("kmcl"), recipe_of("shapes_kmcl"), recipe_of("mine.yaml")
        ('laptop-kmcl', 'shapes-kmcl', 'mine.yaml')
    """
    known = recipe_names()
    for name in (method, method.replace("_", "-")):
        for candidate in (f"laptop-{name}", name):
            if candidate in known:
                return candidate
    return method


def configure_methods(
    methods: Sequence[str],
    *,
    data: str | None = None,
    changes: Iterable[str] = (),
    encoder: str | None = None,
    epochs: int | None = None,
    frozen: bool = False,
) -> dict[str, Config]:
    """Return the recipe of each method of a comparison, by the name that it has there.

    All seeds see the same division of the data: that of seed 0, where it is divided here.

    Args:
        methods: names for :func:`recipe_of`.
        data: source of the images, instead of the recipes'.
        changes: ``key.path=value`` for settings of all recipes.
        encoder: name of the backbone, instead of the recipes'.
        epochs: of the first stage, instead of the recipes'.
        frozen: train heads on an encoder that stays as it is, without augmentation.

    Raises:
        ConfigError: if a method is unknown, listed twice or does not take a setting.
    """
    common = [*FROZEN] if frozen else []
    if encoder is not None:
        common.append(f"encoder.name={encoder}")
    if epochs is not None:
        common.append(f"training.epochs={epochs}")
    common += changes
    for change in common:
        if change.partition("=")[0] == SEED:
            raise ConfigError(f"--set {change}: a comparison sets {SEED} itself; use --seeds.")
    configs: dict[str, Config] = {}
    for method in methods:
        recipe = recipe_of(method)
        if recipe not in recipe_names() and not os.path.lexists(recipe):
            short = {name.removeprefix("laptop-") for name in recipe_names()}
            raise ConfigError(
                f"the method {method}: there is no recipe and no file called {recipe!r}; "
                f"{nearest(method, short)} colabel recipes describes them."
            )
        name = folder_name(Path(recipe).stem.removeprefix("laptop-"))
        if name in configs:
            raise ConfigError(
                f"{method}: there is a method {name} in this comparison already; list each once, "
                "and give files names of their own."
            )
        try:
            config = load_config(recipe, common)
        except ConfigError as error:
            if frozen and load_config(recipe).stages()[1:]:
                raise ConfigError(
                    f"the method {method} trains its encoder in a stage of its own, and --frozen "
                    "leaves it as it came; leave out one of the two."
                ) from error
            raise ConfigError(f"the method {method}: {error}") from error
        if frozen and config.encoder.weights is None:
            raise ConfigError(
                f"the method {method}: --frozen leaves the encoder as it came, and with "
                "encoder.weights null it would stay as it is drawn; give --set "
                "encoder.weights=FILE, or pretrained to fetch some once."
            )
        configs[name] = with_absolute_paths(_divided_alike(config), data)
    return configs


def check_folders(configs: Mapping[str, Config], *, out: Path, seeds: int, first: int = 0) -> None:
    """Refuse what hinders the runs of a comparison whatever their settings, before any trial.

    Args:
        configs: from :func:`configure_methods`.
        out: folder of the comparison.
        seeds: how many.
        first: of the seeds.

    Raises:
        ConfigError: if there is nothing to compare, or there are too many seeds.
        RunError: if a folder of a run holds something else.
    """
    if seeds > MAX_SEEDS:
        raise ConfigError(f"{seeds:,} seeds, expected at most {MAX_SEEDS:,}; give fewer.")
    if len(configs) + seeds <= 2:
        raise ConfigError("a comparison needs two methods, or one with two seeds.")
    for one in _plan(configs, out, range(first, first + seeds)):
        check_is_free(one, _STRANGER)


def check_split(
    configs: Mapping[str, Config], split: str, *, out: Path, seeds: int, first: int = 0
) -> None:
    """Refuse a split that the images do not have, where anything is left to be trained.

    Args:
        configs: from :func:`configure_methods`.
        split: that is to be compared on.
        out: folder of the comparison.
        seeds: how many.
        first: of the seeds.

    Raises:
        DataError: naming the splits that there are; or if the images cannot be read.
    """
    planned = _plan(configs, out, range(first, first + seeds))
    unfinished = [one.config.data for one in planned if not one.run.is_finished]
    for data in {each.model_dump_json(): each for each in unfinished}.values():
        name = data.name_of(split)
        if name in _LEARNED_FROM:
            continue
        opened = open_source(data, (name,))
        if name not in opened and not ("all" in opened and split == "test"):
            offered = nearest(name, opened)
            stop = "" if offered.endswith("?") else "."
            raise DataError(
                f"{data.source} has no split {name!r} to compare on; {offered}{stop} Name another "
                "with --split; nothing was trained."
            )


def plan_methods(
    configs: Mapping[str, Config], *, out: Path, seeds: int, first: int = 0
) -> tuple[Planned, ...]:
    """Return the runs of a comparison: every method with one seed before the next seed.

    Args:
        configs: from :func:`configure_methods`.
        out: folder of the comparison.
        seeds: how many.
        first: of the seeds; 1 after trials, which had the seed 0 and chose what does well with it.

    Raises:
        ConfigError: if there is nothing to compare, or a run in the folder was started with other
            settings.
        RunError: if the folder holds something else.
    """
    check_folders(configs, out=out, seeds=seeds, first=first)
    planned = _plan(configs, out, range(first, first + seeds))
    check_runs(planned, _STRANGER)
    return planned


def _plan(configs: Mapping[str, Config], out: Path, seeds: range) -> tuple[Planned, ...]:
    return tuple(
        Planned(index, name, seed, with_seed(config, seed), out / f"{name}-{seed}")
        for seed in seeds
        for index, (name, config) in enumerate(configs.items())
    )


def _divided_alike(config: Config) -> Config:
    """Return a configuration whose division of the data does not depend on the seed."""
    if config.data.division_seed is not None:
        return config
    data = config.data.model_copy(update={"division_seed": 0})
    return config.model_copy(update={"data": data})
