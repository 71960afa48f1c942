"""From configuration to objects: the only place where a name becomes a class or a function."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError

from colabel.config import Config, Data, EncoderSettings, check_config
from colabel.data import (
    Records,
    TableOptions,
    read_adp,
    read_chestxray14,
    read_coco2014,
    read_coco2017,
    read_table_splits,
    read_voc2007,
    read_voc2012,
)
from colabel.data.shapes import read_shapes
from colabel.data.split import divide, hold_out, read_split_table, stratified_split
from colabel.errors import ConfigError, DataError, nearest
from colabel.methods import kmcl, linear, probmcl
from colabel.models import Classifier, build_encoder
from colabel.predict import Predictor
from colabel.run import Description, load_description, load_weights
from colabel.settings import Settings
from colabel.training import Stage

READERS: Mapping[str, Callable[..., Records]] = {
    "voc2007": read_voc2007,
    "voc2012": read_voc2012,
    "coco2014": read_coco2014,
    "coco2017": read_coco2017,
    "chestxray14": read_chestxray14,
    "adp": read_adp,
}
"""Readers of ``name:FOLDER``."""

WITHOUT_VALIDATION = frozenset({"coco2014", "coco2017"})
"""Readers whose published splits are train and test only."""

WITHOUT_TEST = frozenset({"voc2012"})
"""Readers whose test labels were never published."""

PRETRAINED = "pretrained"
"""Value of ``encoder.weights`` that asks for timm's published weights."""

TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class Method:
    """What a file in ``methods/`` offers.

    Args:
        classifier: (encoder, number of classes, settings) to the model that is deployed.
        stages: (model, settings, epochs=, learning_rate=) to what is trained, in order.
    """

    classifier: Callable[..., Classifier]
    stages: Callable[..., tuple[Stage, ...]]


METHODS: Mapping[str, Method] = {
    "kmcl": Method(kmcl.classifier, kmcl.stages),
    "probmcl": Method(probmcl.classifier, probmcl.stages),
    "asl": Method(linear.classifier, linear.stages),
    "bce": Method(linear.classifier, linear.stages),
}
"""A method per ``method.name``; its settings are checked by :mod:`colabel.config`."""


def open_source(data: Data, names: tuple[str | None, ...] | None = None) -> dict[str, Records]:
    """Read the splits of a source as it divides itself.

    Args:
        data: source and options.
        names: the splits wanted; default: train, validation and test.

    Returns:
        Records by split name, those that exist; a table without splits comes back as ``all``.

    Raises:
        ConfigError: if the source or an option of its reader is unknown.
        DataError: if the source cannot be read.
    """
    asked = names or (data.train, data.validation, data.test)
    wanted = [split for split in asked if split is not None]
    name, colon, folder = data.source.partition(":")
    if data.source == "shapes":
        return {
            split: read_shapes(split, **_options_of(data, read_shapes, split)) for split in wanted
        }
    if colon and name in READERS:
        reader = READERS[name]
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise DataError(f"{data.source}: there is no folder {root}.")
        return {
            split: reader(root, split, **_options_of(data, reader, split))
            for split in wanted
            if not (split == "val" and name in WITHOUT_VALIDATION)
            and not (split == "test" and name in WITHOUT_TEST and names is None)
        }
    path = Path(data.source).expanduser()
    if path.suffix.lower() in TABLES:
        if data.train_options:
            raise ConfigError("data.train_options: a table is read at once; use data.options.")
        return read_table_splits(path, _table_options(data))
    known = ", ".join((*(f"{reader}:FOLDER" for reader in READERS), "shapes"))
    hint = f" {nearest(name, READERS)}" if colon else ""
    raise ConfigError(
        f"the data source {data.source!r} is not understood;{hint} expected a "
        f"{', '.join(TABLES)} file of paths and labels, or one of: {known}."
    )


def open_training_data(
    data: Data, *, seed: int, split_file: Path | None = None
) -> dict[str, Records]:
    """Read what training needs, dividing what the source leaves undivided.

    A source without a validation split gives up a share of its training images; a table without
    any split is divided in three. Both are stratified by label, keep groups together and depend on
    the seed alone.

    Args:
        data: source, options and names of splits.
        seed: of the division.
        split_file: the division of an earlier start of the same run, which is then used again.

    Returns:
        Records under ``train`` and ``val``, and under ``test`` if this function made that split.

    Raises:
        ConfigError: if the source or an option is unknown.
        DataError: if it cannot be read, or the splits do not fit each other.
    """
    opened = open_source(data, (data.train, data.validation))
    if data.shared_groups == "stop":
        _check_groups(data, opened)
    if "all" in opened:
        whole = opened["all"]
        if split_file is not None and split_file.is_file():
            saved = read_split_table(split_file)
            strangers = [one for one in whole.ids if one not in saved]
            if strangers or len(saved) != len(whole):
                raise DataError(
                    f"{data.source} does not list the images that {split_file} divides; first "
                    f"unknown: {strangers[0] if strangers else 'none, but some are missing'}. "
                    "Start a new run for new data, or measure on its split all."
                )
            division = [saved[one] for one in whole.ids]
        else:
            division = [
                str(one) for one in stratified_split(whole.targets, groups=whole.groups, seed=seed)
            ]
        return divide(whole, division)
    if data.train not in opened:
        raise DataError(
            f"{data.source} has no split {data.train!r}; {nearest(data.train, opened)} "
            "Name it in data.train."
        )
    train = opened[data.train]
    if data.validation is None or data.validation not in opened:
        train, validation = hold_out(train, data.validation_fraction, seed=seed)
        return {"train": train, "val": validation}
    validation = opened[data.validation]
    if train.classes != validation.classes:
        raise DataError(
            f"the splits of {data.source} have different classes: train has "
            f"{', '.join(train.classes)}; {data.validation} has {', '.join(validation.classes)}. "
            "Give every split the same classes in the same order."
        )
    return {"train": train, "val": validation}


def _check_groups(data: Data, opened: Mapping[str, Records]) -> None:
    """Refuse splits that share a group: the model would be measured on what it has seen."""
    for first, second in itertools.combinations(opened, 2):
        groups, others = opened[first].groups, opened[second].groups
        if groups is None or others is None:
            continue
        shared = sorted(set(groups) & set(others))
        if shared:
            raise DataError(
                f"{data.source}: {len(shared)} groups have images in both {first} and {second}, "
                f"first {shared[0]!r}, so the scores would be too high. Keep each group in one "
                "split, or set data.shared_groups: allow if that is meant."
            )


def build_classifier(
    method: Settings, encoder: EncoderSettings, classes: int, *, image_size: int
) -> Classifier:
    """Return an initialised model.

    Args:
        method: settings of the method.
        encoder: the backbone and its weights.
        classes: number of labels.
        image_size: side of the images it will see, in pixels.

    Raises:
        ConfigError: if the backbone or an option of it is unknown, or it takes no such images.
        WeightsError: if the weights do not fit.
    """
    built = build_encoder(
        encoder.name,
        pretrained=encoder.weights == PRETRAINED,
        weights=None
        if encoder.weights in (None, PRETRAINED)
        else Path(encoder.weights).expanduser(),
        options=encoder.options,
        freeze_batch_norm=encoder.freeze_batch_norm,
        channels_last=encoder.channels_last,
    )
    built.check_image_size(image_size)
    return METHODS[_name(method)].classifier(built, classes, method)


def build_stages(model: Classifier, config: Config) -> tuple[Stage, ...]:
    """Return what is trained, in order."""
    training = config.training
    return METHODS[config.method.name].stages(
        model, config.method, epochs=training.epochs, learning_rate=training.learning_rate
    )


def load_predictor(folder: Path, device: str | torch.device = "cpu") -> Predictor:
    """Return the model of a run, ready to be used.

    Args:
        folder: of the run.
        device: where it is to run.

    Raises:
        RunError: if the folder holds no usable model.
        ConfigError: if there is no such device.
    """
    description = load_description(folder)
    model = build_described(description)
    load_weights(folder, model)
    try:
        return Predictor(model, description, torch.device(device))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"the device {str(device)!r} cannot be used: {reason} Expected cpu, cuda, cuda:1, "
            "mps or another device of this machine."
        ) from error


def build_described(description: Description) -> Classifier:
    """Rebuild the model that a run describes, without its weights.

    Args:
        description: the content of ``model.json``.

    Returns:
        The model that is deployed: what a method trains and then drops is not part of it.

    Raises:
        ConfigError: if this version does not know the method, the backbone or an option.
    """
    config = check_config({"method": description.method, "encoder": description.encoder})
    return build_classifier(
        config.method,
        config.encoder,
        len(description.classes),
        image_size=description.image_size,
    )


def _name(method: Settings) -> str:
    name: str = method.model_dump()["name"]
    return name


def _options_of(data: Data, reader: Callable[..., Any], split: str) -> dict[str, Any]:
    """Return the reader's options for a split, checked against its signature."""
    known = [
        name
        for name, parameter in inspect.signature(reader).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    kinds = get_type_hints(reader)
    options = _checked("data.options", data.options, data.source, known, kinds)
    for_train = _checked("data.train_options", data.train_options, data.source, known, kinds)
    return {**options, **(for_train if split == data.train else {})}


def _table_options(data: Data) -> TableOptions:
    """Return the options of a table."""
    if data.train_options:
        raise ConfigError(
            "data.train_options: a table is read once for all splits; use data.options instead."
        )
    known = [field.name for field in fields(TableOptions)]
    kinds = get_type_hints(TableOptions)
    options = _checked("data.options", data.options, data.source, known, kinds)
    for option, value in options.items():
        if isinstance(value, Path):
            options[option] = value.expanduser()
    return TableOptions(**options)


def _checked(
    key: str,
    options: Mapping[str, Any],
    source: str,
    known: Sequence[str],
    kinds: Mapping[str, Any],
) -> dict[str, Any]:
    """Return options as the types they must have.

    Raises:
        ConfigError: for an option that is not known or of another type.
    """
    answer = {}
    for option, value in options.items():
        if option not in known:
            raise ConfigError(
                f"{key}.{option}: {source} has no such option; {nearest(option, known)}"
            )
        try:
            answer[option] = TypeAdapter(kinds[option]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            raise ConfigError(f"{key}.{option}: {reason}, got {value!r}.") from error
    return answer
