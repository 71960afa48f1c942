"""Options of a reader: of the types it declares, and for the source they were given for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from os.path import expanduser
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from colabel.errors import ConfigError, nearest
from colabel.settings.data import Data

MEANING = frozenset(
    {
        "annotators", "blank", "difficult", "keep_labels", "level", "minimum_confidence",
        "minus_one",
        "no_finding", "soft_threshold", "unannotated", "unlabelled", "unlisted", "untagged",
    }
)  # fmt: skip
"""Options that say what labels mean, not where things are or what columns are called."""


def known_options(reader: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of a reader with the type of each.

    Args:
        reader: a function, whose keyword-only arguments are meant, or a dataclass of options.

    Example:
        >>> def read(root, *, blank: Literal["absent", "unknown"] = "absent"): ...
        >>> list(known_options(read))
        ['blank']
    """
    if is_dataclass(reader):
        names = [field.name for field in fields(reader)]
    else:
        names = [
            name
            for name, parameter in inspect.signature(reader).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        ]
    kinds = get_type_hints(reader)
    return {name: kinds[name] for name in names}


def checked_options(
    options: Mapping[str, Any], known: Mapping[str, Any], *, key: str, source: str
) -> dict[str, Any]:
    """Return options as the types they must have.

    Args:
        options: values by name; a text is converted as :func:`from_text` does.
        known: from :func:`known_options`.
        key: the setting that holds the options, for messages.
        source: for messages.

    Raises:
        ConfigError: for an option that is not known or of another type.
    """
    answer = {}
    for option, value in options.items():
        if option not in known:
            if not known:
                raise ConfigError(f"{key}.{option}: {source} has no options.")
            if option in Data.model_fields:
                raise ConfigError(
                    f"{key}.{option}: {option} is no option of a reader but a "
                    f"setting of the data; give it as data.{option} (in train and check: "
                    f"--set data.{option}={value})."
                )
            raise ConfigError(
                f"{key}.{option}: {source} has no such option; {nearest(option, known)}"
            )
        kind = known[option]
        try:
            converted = from_text(value, kind) if isinstance(value, str) else value
            adapter = TypeAdapter(kind, config=ConfigDict(coerce_numbers_to_str=True))
            answer[option] = adapter.validate_python(converted)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            raise ConfigError(f"{key}.{option}: {reason}, got {value!r}.") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{key}.{option}: {value!r} is not valid YAML: {error}.") from error
        if isinstance(answer[option], Path):
            path = Path(expanduser(answer[option]))
            unknown = str(path).startswith("~")  # nobody of that name: a folder called so
            answer[option] = path.absolute() if unknown else path
    return answer


def from_text(text: str, kind: Any) -> Any:
    """Return what a text means for an option of a type, to be validated as that type.

    Text, paths, words, numbers and true or false are taken as they stand. Several values are
    separated by commas; a text in brackets is a YAML list, for names that hold a comma. Other
    types, such as mappings, are written as YAML.

    Example:
        >>> from_text("007", str | None), from_text("sex, Unnamed: 0", tuple[str, ...])
        ('007', ['sex', 'Unnamed: 0'])
        >>> from_text("['a, b', c]", tuple[str, ...] | None), from_text("", tuple[str, ...])
        (['a, b', 'c'], [])
        >>> from_text("{train: 5}", dict[str, int])
        {'train': 5}
    """
    kinds = [member for member in _members(kind) if member is not NoneType]
    several = any(_is_collection(member) for member in kinds)
    if any(member in (str, Path, bool, int, float, Any) for member in kinds) and not (
        several and "," in text
    ):
        return text
    for member in kinds:
        if get_origin(member) is Literal:
            return next((value for value in get_args(member) if str(value) == text), text)
    if several:
        if text.startswith("[") and text.endswith("]"):
            return yaml.safe_load(text)
        return [item.strip() for item in text.split(",") if item.strip()]
    return yaml.safe_load(text)


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the types that a type allows: several where it is a union."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_collection(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return (
        isinstance(origin, type)
        and origin is not str
        and issubclass(origin, Collection)
        and not issubclass(origin, Mapping)
    )


def options_of_another(
    trained: Mapping[str, Any],
    known: Mapping[str, Any],
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of a source that a model was not trained on, and what to say of them.

    Only what labels mean is carried over (:data:`MEANING`): folders and columns belong to the
    source they were given for.

    Args:
        trained: options of the source that the model was trained on.
        known: options of the other source's reader.
        given: options that were asked for; they come first.

    Example:
        >>> trained = {"blank": "unknown", "images": "/a/pictures"}
        >>> options, notes = options_of_another(trained, {"blank": str, "images": Path}, {})
        >>> options
        {'blank': 'unknown'}
        >>> for note in notes: print(note)
        option blank=unknown is carried over from training
        not used here, since they are options of the training data: images=/a/pictures (--option)
    """
    left = {name: value for name, value in trained.items() if name not in given}
    carried = {name: left.pop(name) for name in sorted(MEANING & left.keys() & known.keys())}
    notes = [f"option {name}={carried[name]} is carried over from training" for name in carried]
    if left:
        values = ", ".join(f"{name}={value}" for name, value in left.items())
        notes.append(
            f"not used here, since they are options of the training data: {values} (--option)"
        )
    return {**carried, **given}, tuple(notes)
