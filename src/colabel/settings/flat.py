"""Nested settings as one level of dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings with dotted keys.

    Example:
        >>> flatten({"data": {"source": "shapes", "options": {}}, "seed": 0})
        {'data.source': 'shapes', 'data.options': {}, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ, with both; ``None`` where a key is absent.

    Example:
        >>> differences({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3})
        {'a.b': (1, 2), 'c': (None, 3)}
    """
    first, second = flatten(before), flatten(now)
    return {
        key: (first.get(key), second.get(key))
        for key in sorted({*first, *second})
        if first.get(key) != second.get(key)
    }
