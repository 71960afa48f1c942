"""Training what is planned and not finished, one run after the other.

What is finished is skipped and what was interrupted goes on, so the same command continues
wherever it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from colabel.build.shared import Shared
from colabel.build.stages import build_model, build_stages
from colabel.errors import ConfigError, NonFiniteLossError, WeightsError
from colabel.training import Display, make_accelerator
from colabel.workflows.grid.planning import Planned
from colabel.workflows.train import train


@dataclass(frozen=True)
class Interruption:
    """That a user, or the system, stopped the work.

    Args:
        signal: its name, where this process got one.
    """

    signal: str | None


def rehearse(planned: Sequence[Planned], blamed: Callable[[Planned], str]) -> None:
    """Build what each value trains, so that one that cannot be built is known at once.

    Args:
        planned: the runs; one of each value is built.
        blamed: what a value is called in messages.

    Raises:
        ConfigError: naming the value.
    """
    seen: set[tuple[str, int]] = set()
    for one in planned:
        if (one.recipe, one.index) in seen or one.run.is_finished:
            continue
        seen.add((one.recipe, one.index))
        try:
            with torch.random.fork_rng(devices=[]):  # a caller's random numbers stay as they are
                model = build_model(one.config, 2)
                build_stages(model, one.config)
        except (ConfigError, WeightsError) as error:
            raise ConfigError(f"{blamed(one)}: {error}") from error


def train_planned(
    planned: Sequence[Planned],
    called: Callable[[Planned], str],
    *,
    problems: dict[Path, str],
    ended: Callable[[], None],
    cpu: bool,
    display: Display | None,
) -> Interruption | None:
    """Train the runs in their order.

    A run whose settings cannot be trained with this data, such as a batch that a part of the
    images cannot fill, hinders no other; it is an error where none can be trained.

    Args:
        planned: the runs.
        called: what a run is called while it is trained.
        problems: gets the reason of each run whose loss diverges or whose settings cannot be
            trained, by its folder.
        ended: called whenever a run has ended, and once more when all have.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        What stopped the work, ``None`` if it came to its end.

    Raises:
        ConfigError: if the settings of no run can be trained.
        ColabelError: as :func:`colabel.workflows.train.train` raises it; finished runs are kept.
    """
    main = make_accelerator(cpu=cpu).is_main_process
    shared = Shared()
    refused: list[ConfigError] = []
    for number, one in enumerate(planned, start=1):
        text = f"{number} of {len(planned)}: {called(one)}"
        if one.run.is_finished:
            _tell(display, main, f"{text}, finished before")
            continue
        resume = one.run.has_begun
        _tell(display, main, f"{text}, going on" if resume else text)
        try:
            trained = train(
                one.config, out=one.folder, resume=resume, cpu=cpu, display=display,
                shared=shared,
            )  # fmt: skip
        except (NonFiniteLossError, ConfigError) as error:
            refused += [error] if isinstance(error, ConfigError) else []
            problems[one.folder] = str(error)
            _tell(display, main, f"failed: {error}")
        else:
            if trained.report is None:
                return Interruption(trained.history.signal)
        ended()
    if len(refused) == len(planned):
        raise refused[0]
    ended()
    return None


def _tell(display: Display | None, main: bool, text: str) -> None:
    if display is not None and main:
        display.note(text)
