"""Every split of a source, opened to be checked."""

from __future__ import annotations

from collections.abc import Iterable

from colabel.build.source import open_source
from colabel.config import Config, load_config
from colabel.config.paths import absolute_source
from colabel.data import Records


def open_for_check(
    source: str, options: Iterable[str] = (), changes: Iterable[str] = ()
) -> dict[str, Records]:
    """Read every split of a source, also where training would stop.

    Args:
        source: as for :func:`train`.
        options: of the reader, ``name=value``.
        changes: ``data.key=value``, as for :func:`train`.

    Returns:
        Records by split name.

    Raises:
        ColabelError: if the source cannot be read at all.
    """
    return open_source(config_for_check(source, options, changes).data)


def config_for_check(
    source: str, options: Iterable[str] = (), changes: Iterable[str] = ()
) -> Config:
    """Return the settings with which a source is checked: those of a recipe, with the changes.

    Args:
        source: as for :func:`train`.
        options: of the reader, ``name=value``.
        changes: ``key=value``, as for :func:`train`.

    Raises:
        ConfigError: if a change is not understood.
    """
    every = [*changes, *(f"data.options.{option}" for option in options)]
    return load_config("shapes-kmcl", every, data__source=absolute_source(source))
