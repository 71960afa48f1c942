"""Paths of a configuration made absolute, so that a run finds its files from any folder."""

from __future__ import annotations

import os
from pathlib import Path

from colabel.config.schema import Config
from colabel.settings.encoder import PRETRAINED
from colabel.settings.heads import LEARNED, ONE_HOT, MLGCNSettings


def _absolute(path: str | Path) -> str:
    """Return a path from the root; one that begins with an unknown user's ``~`` stays in here."""
    return str(Path(os.path.expanduser(path)).absolute())


def absolute_source(source: str) -> str:
    """Make the path of a source absolute, so that the run finds it from any folder."""
    name, colon, folder = source.partition(":")
    if colon and not os.path.exists(source):
        return f"{name}:{_absolute(folder)}"
    return source if source == "shapes" else _absolute(source)


def is_own_source(config: Config, source: str) -> bool:
    """Tell whether a source is that of the configuration, however its path is written."""
    return absolute_source(source) == absolute_source(config.data.source)


def with_absolute_paths(config: Config, source: str | None) -> Config:
    """Return the configuration with its source, or another one, and all paths absolute."""
    data, encoder = config.data, config.encoder
    path = absolute_source(data.source if source is None else source)
    options = {
        key: _absolute(value)
        if key in ("images", "splits") and isinstance(value, (str, Path)) and path != "shapes"
        else value
        for key, value in data.options.items()
    }
    weights = encoder.weights
    if weights is not None and weights != PRETRAINED:
        weights = _absolute(weights)
    head = config.head
    if isinstance(head, MLGCNSettings) and head.vectors not in (LEARNED, ONE_HOT):
        head = head.model_copy(update={"vectors": _absolute(head.vectors)})
    return config.model_copy(
        update={
            "head": head,
            "data": data.model_copy(update={"source": path, "options": options}),
            "encoder": encoder.model_copy(update={"weights": weights}),
        }
    )
