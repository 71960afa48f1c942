"""What a recipe may say, with the defaults of its method filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from colabel.config.fitting import check_deployed, check_fit
from colabel.errors import nearest
from colabel.methods import (
    ASL,
    BCE,
    CSRA,
    KMCL,
    METHODS,
    MLGCN,
    TDRG,
    ZLPR,
    Focal,
    MLDecoder,
    MulSupCon,
    ProbMCL,
    Query2Label,
    StagePlan,
    TwoWay,
)
from colabel.methods import Method as MethodDefaults
from colabel.settings import (
    Augmentation,
    Data,
    EncoderSettings,
    Evaluation,
    HeadSettings,
    LinearSettings,
    Settings,
    TermSettings,
    Training,
)
from colabel.settings.target import parse_target

Method = Annotated[
    KMCL
    | ProbMCL
    | ASL
    | BCE
    | Focal
    | ZLPR
    | TwoWay
    | MulSupCon
    | CSRA
    | MLGCN
    | TDRG
    | MLDecoder
    | Query2Label,
    Field(discriminator="name"),
]


class Published(Settings):
    """The number a recipe is meant to reproduce, and whether anybody has tried."""

    metric: str
    value: float
    """In the unit of the source, per cent."""
    source: str
    run: Literal["no", "yes"]
    """Whether this recipe has been run to its end on that data with this software."""
    note: str = ""

    @field_validator("run", mode="before")
    @classmethod
    def _yes_and_no_are_words(cls, given: Any) -> Any:
        return given if not isinstance(given, bool) else "yes" if given else "no"  # as YAML reads


class Config(Settings):
    """A complete recipe. What it leaves out of ``head`` and ``terms`` comes from its method."""

    description: str = ""
    published: Published | None = None
    method: Method
    head: HeadSettings
    """What is trained on the encoder's features, by the first stage where there are several."""
    terms: dict[str, TermSettings]
    """Of the objective, by name; null takes away one that the method has."""
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    encoder: EncoderSettings = EncoderSettings()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    operating_point: str = "f1"
    """What thresholds are chosen for on the validation split, on calibrated probabilities: f1,
    recall=0.95, precision=0.9, cost=5:1 or missed=0.1; none: the sigmoid and
    ``evaluation.threshold``."""

    @field_validator("operating_point")
    @classmethod
    def _is_target(cls, text: str) -> str:
        return str(parse_target(text))

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Complete head and terms with the defaults of the method."""
        if not isinstance(values, Mapping):
            return values
        method = values.get("method", "kmcl")
        given = {"name": method} if isinstance(method, str) else method
        known = METHODS.get(str(given.get("name"))) if isinstance(given, Mapping) else None
        if known is None:
            return {**values, "method": given, "head": LinearSettings(), "terms": {}}
        _check_names(values.get("terms"), known)
        merged = _merge(
            _defaults(known),
            {"method": given, **{key: values[key] for key in ("head", "terms") if key in values}},
        )
        return {**values, **merged}

    @model_validator(mode="after")
    def _stages_fit(self) -> Config:
        if self.encoder.freeze_stages and self.encoder.weights is None:
            raise ValueError(
                f"encoder.freeze_stages is {self.encoder.freeze_stages:g} and encoder.weights "
                "null: the first stages would stay as they are drawn; give the encoder weights, "
                "or set encoder.freeze_stages: 0"
            )
        for stage in self.stages():
            check_fit(stage)
        check_deployed(self.stages()[-1])
        return self

    def stages(self) -> tuple[StagePlan, ...]:
        """Return what is trained, in order."""
        plan = METHODS[self.method.name].plan
        return plan(self.method, self.head, self.terms, self.training)

    def for_images(self, count: int) -> Config:
        """Return the configuration with as many epochs of its warm start as so many images need.

        Args:
            count: of the training images.
        """
        warm_start = self.training.warm_start.for_images(count)
        training = self.training.model_copy(update={"warm_start": warm_start})
        return self.model_copy(update={"training": training})

    def to_values(self) -> dict[str, Any]:
        """Return every setting as plain values of which the same configuration is made again.

        What the method has by default and this configuration lacks is null there.
        """
        return _mark_removed(self.model_dump(mode="json"), _defaults(METHODS[self.method.name]))

    def to_yaml(self) -> str:
        """Return every setting, defaults included, as YAML that :func:`load_config` reads."""
        text: str = yaml.safe_dump(self.to_values(), sort_keys=False, width=99)
        return text


def _defaults(method: MethodDefaults) -> dict[str, Any]:
    """Return what a recipe need not say of its method, head and terms."""
    return {
        "method": method.settings().model_dump(),
        "head": method.head.model_dump(),
        "terms": {name: term.model_dump() for name, term in method.terms.items()},
    }


def _check_names(terms: Any, method: MethodDefaults) -> None:
    """Refuse a term that the method does not have, unless it says which loss it is."""
    if not isinstance(terms, Mapping):
        return
    for name, term in terms.items():
        lacking = term is None or (isinstance(term, Mapping) and "loss" not in term)
        if lacking and name not in method.terms:
            raise ValueError(
                f"terms.{name}: the method has no such term, and one of your own needs a loss; "
                f"{nearest(str(name), method.terms)}"
            )


def _merge(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with defaults filled in.

    A group of another kind (another ``name`` or ``loss``) replaces its default; null takes away
    a group.

    Example:
        >>> _merge({"a": {"loss": "x", "weight": 2}, "b": {"loss": "y"}}, {"a": {"weight": 1}})
        {'a': {'loss': 'x', 'weight': 1}, 'b': {'loss': 'y'}}
        >>> _merge({"a": {"loss": "x", "weight": 2}}, {"a": {"loss": "z"}})
        {'a': {'loss': 'z'}}
        >>> _merge({"a": {"loss": "x"}}, {"a": None})
        {}
    """
    merged = dict(defaults)
    for key, value in given.items():
        default = defaults.get(key)
        if isinstance(default, Mapping) and value is None:
            del merged[key]
        elif isinstance(default, Mapping) and _same_kind(default, value):
            merged[key] = _merge(default, value)
        else:
            merged[key] = value
    return merged


def _mark_removed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with null for each group they lack, so that no default fills it in.

    Example:
        >>> _mark_removed({"b": {"loss": "y"}}, {"a": {"loss": "x"}, "b": {"loss": "y"}})
        {'b': {'loss': 'y'}, 'a': None}
    """
    marked = {
        key: _mark_removed(value, defaults[key]) if _same_kind(defaults.get(key), value) else value
        for key, value in values.items()
    }
    removed = (key for key, default in defaults.items() if isinstance(default, Mapping))
    return marked | {key: None for key in removed if key not in values}


def _same_kind(default: Any, given: Any) -> bool:
    """Return whether both are groups, and the given one names no other kind."""
    return (
        isinstance(default, Mapping)
        and isinstance(given, Mapping)
        and all(given.get(tag, default.get(tag)) == default.get(tag) for tag in ("name", "loss"))
    )
