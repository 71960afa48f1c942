"""What an ablation may say: a recipe, one of its settings, the values to try and the seeds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from colabel.config import Config, load_config, names_in, read_named, read_recipe, recipe_names
from colabel.errors import ConfigError, nearest
from colabel.settings import Settings, explain_problems

FOLDER = "recipes/ablations"
SEED = "training.seed"
METRICS = (
    "mAP", "mAUC", "CP", "CR", "CF1", "OP", "OR", "OF1",
    "top3_CP", "top3_CR", "top3_CF1", "top3_OP", "top3_OR", "top3_OF1",
)  # fmt: skip
"""What an ablation may look at: the metrics of a run that are one number, higher being better."""

_LONGEST = 60  # letters of a value in the name of a folder


class Reference(Settings):
    """What a paper says of the values in words."""

    source: str
    """Where it says so, and on what data."""
    chosen: Any = None
    """The value that it trains with; null if it names none of these."""
    scores: Mapping[Any, float] = Field(default_factory=dict)
    """Its score by value, per cent."""


class Ablation(Settings):
    """A recipe that is trained over the values of one setting and several seeds."""

    description: str = ""
    recipe: str
    """A recipe's name, or a YAML file, looked for beside the ablation's file first."""
    against: tuple[str, ...] = ()
    """Other recipes that are trained over the same values, each with a line in the picture."""
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """Settings by dotted key that every run has beside its recipe; ``--set`` goes before them."""
    key: str
    """The dotted name of the setting."""
    values: Annotated[tuple[Any, ...], Field(min_length=1)]
    """Numbers, words, true, false, null, or lists of them."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(min_length=1)]
    metric: str = "mAP"
    """What is compared, on the validation split."""
    published: Reference | None = None

    @field_validator("metric")
    @classmethod
    def _is_a_metric(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"there is no metric {metric!r}; {nearest(metric, METRICS)}")
        return metric

    @field_validator("values")
    @classmethod
    def _are_plain(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for value in values:
            if isinstance(value, Mapping):
                raise ValueError(
                    f"expected numbers, words, true, false, null or lists, got {value}; name the "
                    "setting inside the group in key"
                )
        return values

    @field_validator("seeds")
    @classmethod
    def _are_different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("each seed is to be given once")
        return seeds

    @model_validator(mode="after")
    def _recipes_are_different(self) -> Ablation:
        stems = [Path(recipe).stem for recipe in self.recipes]
        if len(set(stems)) < len(stems):
            raise ValueError(f"against: each recipe needs a name of its own, got {stems}")
        return self

    @property
    def recipes(self) -> tuple[str, ...]:
        """Every recipe, the ablation's own first."""
        return (self.recipe, *self.against)

    @model_validator(mode="after")
    def _published_values_are_tried(self) -> Ablation:
        if self.key == SEED or "." not in self.key or self.key.startswith("published."):
            raise ValueError(
                "key must be a dotted setting that changes the model, such as "
                f"method.temperature, other than {SEED}, which seeds gives; got {self.key!r}"
            )
        published = self.published
        named = [] if published is None else [*published.scores]
        if published is not None and published.chosen is not None:
            named.append(published.chosen)
        for value in named:
            if not any(_same(value, tried) for tried in self.values):
                raise ValueError(
                    f"published names the value {label_of(value)}, expected one of "
                    f"{', '.join(map(label_of, self.values))}"
                )
        return self

    def published_score(self, value: Any) -> float | None:
        """Return the paper's score of one of the values, per cent, if it gives one."""
        scores = {} if self.published is None else self.published.scores
        return next((score for known, score in scores.items() if _same(known, value)), None)

    def is_chosen(self, value: Any) -> bool:
        """Tell whether a value is the one that the paper trains with."""
        chosen = None if self.published is None else self.published.chosen
        return chosen is not None and _same(chosen, value)


def ablation_names() -> list[str]:
    """Return the names of the ablations that come with the package."""
    return names_in(FOLDER)


def load_ablation(name: str | Path) -> Ablation:
    """Read an ablation and check every key of it.

    Args:
        name: one that :func:`ablation_names` lists, or a YAML file.

    Returns:
        The ablation; its recipe is a name, or a path that can be opened from here.

    Raises:
        ConfigError: naming the key, the value and the nearest known key.

    Example:
        >>> load_ablation("probmcl-overlap").values
        ('jaccard', 'cosine')
    """
    values = read_named(
        name, FOLDER, kind="ablation", example="key: method.temperature", hint="`colabel ablate`"
    )
    try:
        ablation = Ablation.model_validate(values)
    except ValidationError as error:
        lines = explain_problems(error, Ablation)
        raise ConfigError(
            f"the ablation {name} cannot be used:\n  " + "\n  ".join(lines)
        ) from error
    if str(name) in ablation_names():
        return ablation
    recipe, *against = (_beside(name, recipe) for recipe in ablation.recipes)
    return ablation.model_copy(update={"recipe": recipe, "against": tuple(against)})


def _beside(ablation: str | Path, recipe: str) -> str:
    """Return a recipe's name, or its path from here where it stands beside the ablation's file."""
    beside = Path(ablation).parent / os.path.expanduser(recipe)
    return recipe if recipe in recipe_names() or not os.path.isfile(beside) else str(beside)


def configure(
    ablation: Ablation, recipe: str, changes: Sequence[str]
) -> tuple[tuple[Any, Config], ...]:
    """Read a recipe once for every value of an ablation.

    Args:
        ablation: what is tried.
        recipe: one of its recipes.
        changes: ``key.path=value`` for other settings of the recipe.

    Returns:
        For each value what the setting is then, and the configuration.

    Raises:
        ConfigError: if the key or a value does not fit the recipe, two values are the same one or
            cannot be told apart in the name of a folder, or a change is about the setting itself.
    """
    for change in changes:
        key = change.partition("=")[0]
        if key in (ablation.key, SEED):
            where = "seeds" if key == SEED else "values"
            raise ConfigError(
                f"--set {change}: the ablation sets {key} itself; leave it out, or start from a "
                f"file of your own with other {where}."
            )
    read_recipe(recipe)  # a wrong name is no fault of a value
    fixed = [f"{key}={json.dumps(value)}" for key, value in ablation.settings.items()]
    configured: list[tuple[Any, Config]] = []
    folders: dict[str, str] = {}
    for value in ablation.values:
        try:
            config = load_config(
                recipe, [*fixed, *changes], **{ablation.key.replace(".", "__"): value}
            )
        except ConfigError as error:
            raise ConfigError(
                f"the ablation's value {label_of(value)} of {ablation.key}: {error}"
            ) from error
        taken = _setting(config, ablation.key)
        if any(_same(taken, other) for other, _ in configured):
            raise ConfigError(
                f"the value {label_of(taken)} of {ablation.key} is listed twice; remove one."
            )
        other = folders.setdefault(folder_name(taken).casefold(), label_of(taken))
        if other != label_of(taken):
            raise ConfigError(
                f"the values {other} and {label_of(taken)} of {ablation.key} would share the "
                f"folder {folder_name(taken)}; try them in two ablations with a folder each."
            )
        configured.append((taken, config))
    return tuple(configured)


def label_of(value: Any) -> str:
    """Return a value as it is written in a recipe.

    Example:
        >>> [label_of(value) for value in (1.0, 0.05, True, None, "cosine", (8, 4))]
        ['1', '0.05', 'true', 'null', 'cosine', '[8, 4]']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value, default=str, ensure_ascii=False)


def folder_name(value: Any) -> str:
    """Return a value as a part of a folder's name.

    Example:
        >>> folder_name(0.05), folder_name("timm/resnet18"), folder_name([8, 4])
        ('0.05', 'timm_resnet18', '8_4')
    """
    return re.sub(r"[^\w.+-]+", "_", label_of(value)).strip("._")[:_LONGEST] or "empty"


def _setting(config: Config, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are one: 1 and 1.0 are, 1 and true are not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
