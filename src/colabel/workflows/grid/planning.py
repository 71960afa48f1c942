"""Runs that are planned together, checked before any is trained; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colabel.config import Config
from colabel.errors import ConfigError, RunError
from colabel.runs.folder import LOCK, RunFolder
from colabel.runs.resuming import changed_settings


@dataclass(frozen=True)
class Planned:
    """One run: where, and with what.

    Args:
        index: of the value, among those that are tried.
        value: of what is tried: a setting, or the name of a method.
        seed: of the run.
        config: all its settings.
        folder: where it is, or will be.
        recipe: that it trains, where several are compared; empty otherwise.
    """

    index: int
    value: Any
    seed: int
    config: Config
    folder: Path
    recipe: str = ""

    @property
    def run(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.folder)


def with_seed(config: Config, seed: int) -> Config:
    """Return a configuration with another seed."""
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"training": training})


def check_runs(planned: Iterable[Planned], stranger: str) -> None:
    """Refuse folders with runs of other settings, or with anything else.

    Args:
        planned: the runs.
        stranger: what a folder is that holds something else, for the message.

    Raises:
        ConfigError: if a run in a folder was started with other settings.
        RunError: if a folder holds something else.
    """
    for one in planned:
        if one.run.has_begun:
            changed = changed_settings(one.run, one.config)
            if changed:
                raise ConfigError(
                    f"the run in {one.folder} was started with other settings: "
                    f"{'; '.join(changed)}. Go on with the command that started it, or choose "
                    "another folder with --out."
                )
        check_is_free(one, stranger)


def check_is_free(one: Planned, stranger: str) -> None:
    """Refuse a folder that holds something else than the run, which may not have begun.

    Args:
        one: the run.
        stranger: what a folder is that holds something else, for the message.

    Raises:
        RunError: if it does.
    """
    if one.run.has_begun or not one.folder.exists():
        return
    if not one.folder.is_dir() or any(path.name != LOCK for path in one.folder.iterdir()):
        raise RunError(
            f"{one.folder} is in the way: it is {stranger}. Move it, or choose another folder "
            "with --out."
        )
