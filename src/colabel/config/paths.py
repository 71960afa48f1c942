"""Paths of a configuration made absolute, so that a run finds its files from any folder."""

from __future__ import annotations

from os.path import expanduser
from pathlib import Path

from colabel.config.schema import Config
from colabel.settings.encoder import PRETRAINED


def absolute_source(source: str) -> str:
    """Make the path of a source absolute, so that the run finds it from any folder."""
    name, colon, folder = source.partition(":")
    if colon and not Path(source).exists():
        return f"{name}:{Path(expanduser(folder)).absolute()}"
    return source if source == "shapes" else str(Path(expanduser(source)).absolute())


def with_absolute_paths(config: Config, source: str | None) -> Config:
    """Return the configuration with its source, or another one, and all paths absolute."""
    data, encoder = config.data, config.encoder
    path = absolute_source(data.source if source is None else source)
    options = {
        key: str(Path(expanduser(value)).absolute())
        if key in ("images", "splits") and isinstance(value, (str, Path)) and path != "shapes"
        else value
        for key, value in data.options.items()
    }
    weights = encoder.weights
    if weights is not None and weights != PRETRAINED:
        weights = str(Path(expanduser(weights)).absolute())
    return config.model_copy(
        update={
            "data": data.model_copy(update={"source": path, "options": options}),
            "encoder": encoder.model_copy(update={"weights": weights}),
        }
    )
