"""What a sweep may try: ranges and choices of settings, read from words and checked."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from colabel.config import Config, change_config
from colabel.config.plain_yaml import parse_yaml
from colabel.errors import ConfigError
from colabel.foreign import read_plain
from colabel.limits import MAX_RECIPE_BYTES
from colabel.workflows.ablation.file import label_of

_DECADE = 10
_DIGITS = 4  # of a number that is tried
_LARGEST = 2**53  # below which every whole number is a float
_NEXT_KEY = re.compile(r",(?=\s*[A-Za-z_][\w.]*=)")
_FORBIDDEN = {
    "training.seed": "the best seed of several is luck, and no setting",
    "data.source": "scores on other images cannot be compared",
    "data.options": "scores on other images cannot be compared",
    "data.validation": "scores on other images cannot be compared",
    "data.validation_fraction": "scores on other images cannot be compared",
    "data.division_seed": "scores on other images cannot be compared",
    "data.on_corrupt": "scores on other images cannot be compared",
    "data.max_pixels": "scores on other images cannot be compared",
    "data.shared_groups": "scores on other images cannot be compared",
    "data.fraction": "more images are better; colabel ablate kmcl-data-fraction shows by how much",
    "data.verify": "it changes nothing",
    "data.cache_mb": "it changes nothing",
    "training.workers": "it changes nothing",
    "training.log_every": "it changes nothing",
    "training.save_minutes": "it changes nothing",
    "data.train": "the split that is trained on is given by the recipe",
    "data.test": "a sweep never reads the test split",
    "evaluation": "scores by other measures cannot be compared",
    "operating_point": "thresholds do not change what is learned",
    "description": "it changes nothing",
    "published": "it changes nothing",
}
"""Settings, or groups of them, that are not tuned, with the reason."""


@dataclass(frozen=True)
class Range:
    """Numbers from a lowest to a highest one, both included.

    Args:
        low: the lowest.
        high: the highest.
        logarithmic: whether their logarithm is spread evenly.
        whole: whether they are whole numbers.
        multiple: whether they are written ``x10``, as multiples of another setting.
    """

    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False
    multiple: bool = False

    def __str__(self) -> str:
        """Return the range as :func:`parse_range` reads it."""
        sign = "x" if self.multiple else ""
        scale = "log" if self.logarithmic else "linear"
        return f"{sign}{label_of(self.low)}..{sign}{label_of(self.high)} {scale}"

    def setting(self, number: float) -> Any:
        """Return what the recipe gets for a number of the range: four digits of it.

        Example:
            >>> Range(1e-5, 1e-2, logarithmic=True).setting(0.000123456)
            0.0001235
            >>> Range(1, 100, logarithmic=True, multiple=True).setting(12.34567)
            'x12.35'
        """
        if self.whole:
            return int(number)
        rounded = min(max(float(f"{number:.{_DIGITS}g}"), self.low), self.high)
        return f"x{rounded:g}" if self.multiple else rounded

    def number_of(self, setting: Any) -> float | None:
        """Return the number of the range that a setting is, ``None`` for one that is not in it."""
        text = str(setting)
        if isinstance(setting, (bool, list, dict)) or text.startswith("x") != self.multiple:
            return None
        try:
            number = float(text.removeprefix("x"))
        except ValueError:
            return None
        fits = self.low <= number <= self.high and (not self.whole or number == int(number))
        return number if fits else None

    def corners(self) -> tuple[Any, ...]:
        """Return the settings at both ends."""
        return self.setting(self.low), self.setting(self.high)


@dataclass(frozen=True)
class Choice:
    """Values without an order.

    Args:
        values: at least two, each different from the others as a recipe has it.
    """

    values: tuple[Any, ...]

    def __str__(self) -> str:
        """Return the choice as :func:`parse_dimension` reads it."""
        return "|".join(map(label_of, self.values))

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as words."""
        return tuple(map(label_of, self.values))

    def setting(self, label: str) -> Any:
        """Return the value of a label."""
        return self.values[self.labels.index(label)]

    def number_of(self, setting: Any) -> str | None:
        """Return the label of a setting, ``None`` for one that is not among the values."""
        label = label_of(setting)
        return label if label in self.labels else None

    def corners(self) -> tuple[Any, ...]:
        """Return every value."""
        return self.values


Space = Mapping[str, Range | Choice]
"""Ranges and choices by dotted key of the recipe."""


def read_space(given: Iterable[str]) -> dict[str, Range | Choice]:
    """Read a space from words and files.

    Args:
        given: ``key=low..high``, ``key=a|b|c``, several with commas between; or YAML files of such
            keys, where a choice may be a list.

    Returns:
        The ranges and choices, in the order given; of a key given twice the last holds.

    Raises:
        ConfigError: for what is neither, an empty range, or a file that cannot be read.

    Example:
        >>> space = read_space(["training.learning_rate=1e-5..1e-2,head.covariance=a|b"])
        >>> {key: str(dimension) for key, dimension in space.items()}
        {'training.learning_rate': '1e-05..0.01 log', 'head.covariance': 'a|b'}
    """
    space: dict[str, Range | Choice] = {}
    for text in given:
        if "=" not in text or os.path.isfile(text):
            space.update(_read_file(Path(text)))
            continue
        for part in _NEXT_KEY.split(text):
            key, equals, words = part.partition("=")
            if not equals:
                raise _misread(part)
            space[key.strip()] = parse_dimension(key.strip(), words)
    return space


def parse_dimension(key: str, words: Any) -> Range | Choice:
    """Read what one setting may be.

    Args:
        key: of the setting, for messages.
        words: ``low..high``, with ``log`` or ``linear`` behind it if the scale is not to be found
            out; ``a|b|c``; or a list of values.

    Returns:
        A range is logarithmic where nothing is said, it is above 0 and spans a factor of 10. One
        whose ends are written as whole numbers holds whole numbers.

    Raises:
        ConfigError: for anything else.

    Example:
        >>> parse_dimension("training.batch_size", "16..64")
        Range(low=16, high=64, logarithmic=False, whole=True, multiple=False)
        >>> parse_dimension("head.pooling.name", "encoder|class_attention").values
        ('encoder', 'class_attention')
    """
    if isinstance(words, list):
        return _choice(key, words)
    text = str(words).strip()
    if ".." in text and "|" not in text:
        return _range(key, text)
    if "|" not in text:
        raise _misread(f"{key}={text}")
    return _choice(key, [parse_yaml(one, f"a choice of {key}") for one in text.split("|")])


def fit_space(
    space: Space, config: Config, *, changed: Iterable[str] = ()
) -> dict[str, Range | Choice]:
    """Check a space against a recipe before anything is trained.

    Args:
        space: ranges and choices.
        config: the recipe, with changes.
        changed: dotted keys that are set by hand.

    Returns:
        The space; a range between whole numbers holds others too where the recipe has such, and
        words that YAML takes for truth values are words where the recipe reads them so.

    Raises:
        ConfigError: for a key that the recipe does not have, one that is not tuned, one that is
            set by hand as well, or an end or a choice that the recipe refuses.
    """
    if not space:
        raise ConfigError("the space is empty; give key=low..high or key=a|b|c with --space.")
    by_hand = set(changed)
    for key in space:
        for forbidden, reason in _FORBIDDEN.items():
            if key == forbidden or key.startswith(f"{forbidden}."):
                raise ConfigError(f"the space has {key}, which is not tuned: {reason}; remove it.")
        if key in by_hand:
            raise ConfigError(
                f"--set {key}: the space tries {key} itself; leave one of the two out."
            )
    fitted = {key: _fit(key, dimension, config) for key, dimension in space.items()}
    for key, other in itertools.permutations(space, 2):
        if other.startswith(f"{key}."):
            raise ConfigError(f"the space has {key} and {other}, which lies in it; remove one.")
    return fitted


def _fit(key: str, dimension: Range | Choice, config: Config) -> Range | Choice:
    """Check a dimension against a recipe; return it with values as the recipe reads them."""
    read = [
        _value(with_settings(config, {key: one}, of=f"the space has {key}={label_of(one)}"), key)
        for one in dimension.corners()
    ]
    if isinstance(dimension, Range):
        fractional = isinstance(_value(config, key), float)
        return replace(dimension, whole=dimension.whole and not fractional)
    pairs = zip(dimension.values, read, strict=True)
    return Choice(tuple(word if isinstance(word, str) else value for value, word in pairs))


def brief_names(keys: Iterable[str]) -> dict[str, str]:
    """Return each dotted key without the groups that it can be told from the others without.

    Example:
        >>> brief_names(["training.epochs", "terms.a.weight", "terms.b.weight"])
        {'training.epochs': 'epochs', 'terms.a.weight': 'a.weight', 'terms.b.weight': 'b.weight'}
    """
    whole = list(keys)
    answer = {}
    for key in whole:
        others = [f".{other}" for other in whole if other != key]
        parts = key.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
        answer[key] = next(
            (end for end in ends if not any(one.endswith(f".{end}") for one in others)), key
        )
    return answer


def with_settings(config: Config, settings: Mapping[str, Any], *, of: str) -> Config:
    """Return a recipe with settings by their dotted keys.

    Args:
        config: the recipe.
        settings: plain values.
        of: what asks for them, for the message.

    Raises:
        ConfigError: if it does not have them, or refuses a value.
    """
    changes = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    try:
        return change_config(config, changes)
    except ConfigError as error:
        raise ConfigError(f"{of}: {error}") from error


def own_settings(config: Config, space: Space) -> dict[str, Any] | None:
    """Return what a recipe has itself at the keys of a space; ``None`` if that is outside of it.

    Returns:
        A number or a label by key.
    """
    answer = {key: one.number_of(_value(config, key)) for key, one in space.items()}
    return None if None in answer.values() else answer


def _value(config: Config, key: str) -> Any:
    """Return what a recipe has under a dotted key, ``None`` where it has nothing."""
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _read_file(path: Path) -> dict[str, Range | Choice]:
    if not os.path.lexists(path):
        raise _misread(str(path))
    try:
        text = read_plain(path, limit=MAX_RECIPE_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); expected a YAML file.") from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(
            f"{path} must be a YAML mapping such as 'training.learning_rate: 1e-5..1e-2'."
        )
    return {key: parse_dimension(key, words) for key, words in values.items()}


def _range(key: str, text: str) -> Range:
    words, _, scale = text.partition(" ")
    first, _, last = words.partition("..")
    multiple = first.startswith("x") and last.startswith("x")
    ends = [end.removeprefix("x") if multiple else end for end in (first, last)]
    scale = scale.strip()
    try:
        low, high = map(float, ends)
    except ValueError:
        raise _misread(f"{key}={text}") from None
    if scale not in ("", "log", "linear"):
        raise _misread(f"{key}={text}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(
            f"the range {key}={text} is empty: expected a lowest and a higher number, as in "
            "1e-5..1e-2."
        )
    if scale == "log" and low <= 0:
        raise ConfigError(f"the range {key}={text} is logarithmic and must be above 0.")
    logarithmic = scale == "log" or (not scale and low > 0 and high >= _DECADE * low)
    # x1..x100 is a factor, which need not be whole
    whole = not multiple and all(re.fullmatch(r"[+-]?\d+", end) for end in ends)
    if whole and max(abs(low), abs(high)) < _LARGEST:
        return Range(int(low), int(high), logarithmic, whole=True)
    return Range(low, high, logarithmic, multiple=multiple)


def _choice(key: str, values: list[Any]) -> Choice:
    labels = [label_of(value) for value in values]
    if any(isinstance(value, Mapping) for value in values):
        raise ConfigError(
            f"the choice {key} holds a group; name the setting inside the group in the key."
        )
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ConfigError(
            f"the choice {key}={'|'.join(labels)} must have at least two values, each once; set "
            "one that is not to be tried with --set."
        )
    return Choice(tuple(tuple(one) if isinstance(one, list) else one for one in values))


def _misread(text: str) -> ConfigError:
    return ConfigError(
        f"the space {text!r} is not understood: expected key=low..high (with ' log' or ' linear' "
        "behind it if need be), key=a|b|c, or a YAML file of such keys."
    )
