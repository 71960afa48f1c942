"""What pydantic found wrong, in sentences that name the key and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from reprlib import Repr
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from colabel.errors import nearest

MOST_PROBLEMS = 20
"""Lines of :func:`explain_problems`, of which a damaged file could have a million."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 8


def explain_problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return a line for each problem: the key, what is wrong, what was expected.

    Args:
        error: raised by ``model``.
        model: whose keys are offered where one is unknown.
    """
    problems = error.errors()
    lines = [_explain(problem, model) for problem in problems[:MOST_PROBLEMS]]
    more = len(problems) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


def _explain(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return one line."""
    keys, group = _follow(model, problem["loc"])
    key, value, kind = ".".join(keys), problem["input"], problem["type"]
    if kind == "extra_forbidden":
        known = group.model_fields if group is not None else ()
        return f"unknown key {key!r}; {nearest(keys[-1], known)}"
    if kind.startswith("union_tag"):
        tag = problem["ctx"]["discriminator"].strip("'")
        choices = ", ".join(sorted(_tags(model, problem["loc"], tag)))
        got = value.get(tag, "none") if isinstance(value, Mapping) else value
        return f"{key}.{tag} must be one of {choices}, got {_SHORT.repr(got)}"
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if kind == "missing":
        return f"{key}: is missing"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return (
            f"{key or 'the file'}: expected a group of keys with values, got {_SHORT.repr(value)}"
        )
    message = message[:1].lower() + message[1:]
    return (
        f"{key}: {message}"
        if isinstance(value, Mapping)
        else f"{key}: {message}, got {_SHORT.repr(value)}"
    )


def _follow(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[list[str], type[BaseModel] | None]:
    """Return the keys of a location without the tags of unions, and the group of the last key."""
    keys: list[str] = []
    group: type[BaseModel] | None = model
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            group = current
            keys.append(str(part))
            field = current.model_fields.get(str(part))
            current = None if field is None else field.annotation
            continue
        options = list(_groups(current))
        tagged = [option for option in options if part in _values(option)]
        if tagged:
            current = tagged[0]
        elif get_origin(current) is dict:
            keys.append(str(part))
            current = get_args(current)[1]
        elif len(options) == 1 and isinstance(part, str):
            group = options[0]
            keys.append(part)
            field = group.model_fields.get(part)
            current = None if field is None else field.annotation
        elif isinstance(part, int) or not options:
            if isinstance(part, int):
                keys.append(str(part))
            current = None
    return keys, group


def _groups(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the groups of settings among the alternatives of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not dict:
        for part in get_args(annotation):
            yield from _groups(part)


def _values(group: type[BaseModel]) -> set[Any]:
    """Return the words that may name a group in a union: its default of ``name`` or ``loss``."""
    fields = group.model_fields
    return {fields[tag].default for tag in ("name", "loss") if tag in fields}


def _tags(model: type[BaseModel], location: Sequence[int | str], tag: str) -> set[str]:
    """Return the words that a union at this place knows."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[str(part)].annotation
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        else:
            current = next(group for group in _groups(current) if part in _values(group))
    return {str(group.model_fields[tag].default) for group in _groups(current)}
