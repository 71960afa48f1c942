"""The same number of trials for every method before they are compared, on validation alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colabel.build.shared import Shared
from colabel.config import Config
from colabel.training import Display
from colabel.workflows.grid.planning import with_seed
from colabel.workflows.sweep.run import tune
from colabel.workflows.sweep.space import with_settings

FOLDER = "tuning"
"""Of the sweeps, in that of the comparison."""


def tune_methods(
    configs: Mapping[str, Config],
    *,
    trials: int,
    out: Path,
    cpu: bool = False,
    display: Display | None = None,
) -> tuple[dict[str, Config], dict[str, dict[str, Any]]]:
    """Give each method the settings that a sweep found to be the best on validation.

    The spaces are those of :mod:`colabel.methods.spaces`: the rates of encoder and head for every
    method, the weights of its terms beside them. The first trial is the recipe as it is.

    Args:
        configs: of the methods, by name.
        trials: of each.
        out: folder of the comparison; sweeps that have ended there are not run again.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        The recipes with these settings, and the settings by method and dotted key.

    Raises:
        KeyboardInterrupt: if a sweep was stopped; the same call goes on with it.
        ColabelError: as :func:`colabel.workflows.sweep.run.tune` raises it.
    """
    tuned, found = {}, {}
    shared = Shared()
    for number, (name, config) in enumerate(configs.items(), start=1):
        if display is not None:
            display.note(f"{number} of {len(configs)}: {trials} trials of {name} on validation")
        found[name] = tune(
            with_seed(config, 0),
            trials=trials,
            seed=0,
            folder=out / FOLDER / name,
            cpu=cpu,
            display=display,
            shared=shared,
        )
        tuned[name] = with_settings(config, found[name], of=f"the method {name}")
    return tuned, found
