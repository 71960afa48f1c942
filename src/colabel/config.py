"""What a recipe may say: a strict schema, read from YAML, changed by ``--set key.path=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from colabel.errors import ConfigError, nearest
from colabel.methods.kmcl import KMCL
from colabel.methods.linear import ASL, BCE
from colabel.methods.probmcl import ProbMCL
from colabel.settings import Settings

Method = Annotated[KMCL | ProbMCL | ASL | BCE, Field(discriminator="name")]

METHODS: Mapping[str, type[Settings]] = {
    "kmcl": KMCL,
    "probmcl": ProbMCL,
    "asl": ASL,
    "bce": BCE,
}
"""Settings of each ``method.name``."""


class Published(Settings):
    """The number a recipe is meant to reproduce, and whether anybody has tried."""

    metric: str
    value: float
    """In the unit of the source, per cent."""
    source: str
    run: Literal["no", "yes"]
    """Whether this recipe has been run to its end on that data with this software."""
    note: str = ""


class Data(Settings):
    """Which images, and how they are read."""

    source: str = "shapes"
    """A table of paths and labels, ``reader:FOLDER`` or ``shapes``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the reader, such as ``difficult`` for VOC."""
    train_options: dict[str, Any] = Field(default_factory=dict)
    """Options for the training split alone, over ``options``."""
    train: str = "train"
    """Name of the split to train on."""
    validation: str | None = "val"
    """Name of the split that chooses the checkpoint; null, or a split that the source lacks: a
    share of train is held out."""
    test: str = "test"
    """Name of the split that is reported on."""
    validation_fraction: float = Field(0.15, gt=0, lt=1)
    """Share of train that is held out where the data has no validation split."""
    image_size: int = Field(224, ge=16)
    """Side of the square the images are resized to, in pixels."""
    shared_groups: Literal["stop", "allow"] = "stop"
    """What a group does, such as a patient, whose images are in more than one split."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    """What an image that cannot be decoded does before the first epoch."""
    verify: bool = True
    """Decode every image once before training."""
    cache_mb: int = Field(1024, ge=0)
    """Memory for decoded and resized images."""


class Augmentation(Settings):
    """Random changes of the training images (KMCL, Table 6)."""

    operations: int = Field(2, ge=0)
    """RandAugment operations an image."""
    magnitude: float | None = Field(None, gt=0, le=1)
    """Share of each operation's range; drawn anew each time if null."""
    cutout: float = Field(0.5, ge=0, le=1)
    """Side of the square that is painted over, as a share of the image's; 0 for none."""
    horizontal_flip: bool = False
    """Mirror every other image; not in the paper."""


class EncoderSettings(Settings):
    """The backbone and where its weights come from."""

    name: str = "resnet18"
    """Any timm model."""
    weights: str | None = None
    """A local weight file (safetensors, or a torch file of plain tensors), or ``pretrained``: the
    weights that timm publishes, fetched on first use; the only setting that uses the network."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Passed to timm, such as ``pad_type: same``."""
    freeze_batch_norm: bool = False
    """Keep the running statistics of batch norm as they came."""
    channels_last: bool | None = None
    """Memory format; default: what is faster and safe on the device."""


class Training(Settings):
    """The schedule (KMCL, Table 6)."""

    epochs: int = Field(40, ge=1)
    batch_size: int = Field(128, ge=1)
    """Images in a batch over all processes together."""
    learning_rate: float = Field(2e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    """On matrices only, as part of Adam's gradient."""
    warm_up: float = Field(0.2, gt=0, lt=1)
    """Share of the steps in which the one-cycle learning rate rises (pct_start)."""
    ema_decay: float = Field(0.9997, ge=0, lt=1)
    """Of the averaged weights that are validated and kept; 0 keeps the raw ones."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Automatic mixed precision of the encoder."""
    accumulation: int = Field(1, ge=1)
    """Parts a batch is computed in; only for losses that look at each image alone."""
    clip_gradient: float | None = Field(None, gt=0)
    """Largest norm of the gradient; not in the paper."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; default: the cores of this process less one, at most 8."""
    seed: int = Field(0, ge=0, lt=2**63)
    save_minutes: float = Field(15, gt=0)
    """Longest time between two saves of the state to resume from."""


class Evaluation(Settings):
    """How a model is scored."""

    protocol: Literal["noninterpolated", "voc11", "interpolated"] = "noninterpolated"
    """Of average precision."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Probability from which a label counts as predicted."""
    batch_size: int = Field(128, ge=1)


class Config(Settings):
    """A complete recipe."""

    description: str = ""
    published: Published | None = None
    method: Method = KMCL()
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    encoder: EncoderSettings = EncoderSettings()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    def to_yaml(self) -> str:
        """Return every setting, defaults included, as YAML that :func:`load_config` reads."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=99)
        return text


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return names_in("recipes")


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """Read a recipe by name, or a YAML file.

    Args:
        recipe: a name that :func:`recipe_names` lists, or the path of a YAML file.

    Returns:
        The mapping as it stands in the file.

    Raises:
        ConfigError: if there is no such recipe, or it is no YAML mapping.
    """
    return read_named(
        recipe, "recipes", kind="recipe", example="method: {name: kmcl}", hint="`colabel recipes`"
    )


def names_in(folder: str) -> list[str]:
    """Return the names of the YAML files in a folder of the package, without their ending."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("colabel").joinpath(folder).iterdir()
        if entry.name.endswith(".yaml")
    )


def read_named(
    name: str | Path, folder: str, *, kind: str, example: str, hint: str
) -> dict[str, Any]:
    """Read a YAML mapping that comes with the package, or one of the user's.

    Args:
        name: one that :func:`names_in` lists of the folder, or the path of a YAML file.
        folder: in the package.
        kind: what such a file is called.
        example: of an entry of the mapping.
        hint: the command that describes those that there are.

    Returns:
        The mapping as it stands in the file.

    Raises:
        ConfigError: if there is no such file, or it is no YAML mapping.
    """
    known = names_in(folder)
    if str(name) in known:
        source = f"{kind} {name}"
        text = resources.files("colabel").joinpath(folder, f"{name}.yaml").read_text("utf-8")
    else:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(
                f"there is no {kind} and no file called {str(name)!r}; "
                f"{nearest(str(name), known)} {hint} describes them."
            )
        source = str(path)
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{source} is not a UTF-8 text file: {error}.") from error
    answer = _parse(text, source)
    if not isinstance(answer, dict):
        raise ConfigError(f"{source} must be a YAML mapping such as {example!r}.")
    return answer


def load_config(recipe: str | Path, changes: Iterable[str] = (), **replaced: Any) -> Config:
    """Read a recipe, apply changes, and check every key and value.

    Args:
        recipe: a recipe's name or a YAML file.
        changes: ``key.path=value``, each value read as YAML.
        **replaced: values for dotted keys, with ``__`` for the dot (``data__source=...``).

    Returns:
        The checked configuration.

    Raises:
        ConfigError: naming the key, the value and the nearest known key.

    Example:
        >>> load_config("shapes-kmcl", ["training.epochs=2"]).training.epochs
        2
    """
    values = read_recipe(recipe)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected key.path=value, got {change!r}.")
        _put(values, key, _parse(text, f"the value of {change!r}"))
    for key, value in replaced.items():
        _put(values, key.replace("__", "."), value)
    return check_config(values)


def check_config(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a :class:`Config`.

    Raises:
        ConfigError: with a line for each key that is unknown or has a wrong value.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError("the recipe cannot be used:\n  " + "\n  ".join(lines)) from error


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that occurs twice instead of taking the last."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} occurs twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


def _parse(text: str, source: str) -> Any:
    """Return what a YAML text says."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{source} is not valid YAML: {error}") from error


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the groups on its way."""
    *groups, last = key.split(".")
    for depth, group in enumerate(groups):
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key}: {'.'.join(groups[: depth + 1])} is a value, not a group.")
    values[last] = value


def _explain(problem: Mapping[str, Any]) -> str:
    """Say of one problem of pydantic's which key it is about and what to write instead."""
    parts = [str(part) for part in problem["loc"]]
    if parts[:1] == ["method"] and len(parts) > 1:
        del parts[1]  # the name of the method, which is no key
    key = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        known = _fields(problem["loc"][:-1])
        return f"unknown key {key!r}; {nearest(parts[-1], known)}"
    if problem["type"].startswith("union_tag"):
        value = problem["input"]
        got = value.get("name", "none") if isinstance(value, Mapping) else value
        return f"method.name must be one of {', '.join(METHODS)}, got {got!r}"
    message = problem["msg"].removeprefix("Value error, ").lower().rstrip(".")
    if isinstance(problem["input"], Mapping):
        return f"{key}: {message}"
    return f"{key}: {message}, got {problem['input']!r}"


def _fields(location: Iterable[int | str]) -> list[str]:
    """Return the keys that the group at this place knows."""
    model: type[Settings] = Config
    for part in location:
        if part == "method":
            continue
        if model is Config and part in METHODS:
            model = METHODS[str(part)]
            continue
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            model = annotation
        elif part == "published":
            model = Published
    return list(model.model_fields)
