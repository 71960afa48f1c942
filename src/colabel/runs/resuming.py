"""What must be as it was for a run to go on: its settings and its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from colabel.config import Config
from colabel.data import Records
from colabel.errors import ConfigError, DataError, RunError
from colabel.files import write_json
from colabel.runs.folder import DATA, LAST, LOG, STATE, WEIGHTS, RunFolder
from colabel.settings.flat import differences

FREE_TO_CHANGE = (
    "data.source", "data.options.images", "data.options.splits", "data.verify", "data.cache_mb",
    "data.max_pixels", "encoder.weights", "training.workers", "training.save_minutes",
    "training.log_every", "description", "published",
)  # fmt: skip
"""Settings, or groups of them, that may differ when a run is resumed: they do not change the
result. Images are compared by their fingerprint, and weights are part of the saved state."""


def check_settings(run: RunFolder, config: Config) -> None:
    """Refuse to resume a run with settings that would make it another run.

    Args:
        run: its folder.
        config: what it is to go on with.

    Raises:
        ConfigError: naming each setting that changed.
        RunError: if the state to go on from is gone.
    """
    if (run.path / WEIGHTS).is_file() and not (run.path / LAST).is_dir():
        raise RunError(
            f"{run.path} holds a model but no state to go on from ({LAST}/ is missing): "
            "resuming would train from the beginning and replace the model. Start a new run."
        )
    changed = changed_settings(run, config)
    if changed:
        raise ConfigError(
            f"the run in {run.path} was started with other settings: {'; '.join(changed)}. Resume "
            "it with the recipe and the changes it was started with, or start a new run."
        )


def is_started(run: RunFolder) -> bool:
    """Tell whether a run came as far as to note its images, which a start does last.

    One that did not was killed before its first step, and begins anew.
    """
    return any((run.path / name).exists() for name in (DATA, LOG, LAST, WEIGHTS))


def changed_settings(run: RunFolder, config: Config) -> list[str]:
    """Return what a run was started with that differs and is not free to change.

    Args:
        run: its folder.
        config: what it is compared with.

    Returns:
        A clause for each setting, with both values.
    """
    return changes_between(run.config(), config)


def changes_between(before: Config, now: Config) -> list[str]:
    """Return what differs between two configurations and is not free to change.

    Args:
        before: what was begun with.
        now: what it is compared with.

    Returns:
        A clause for each setting, with both values.
    """
    changed = differences(before.model_dump(mode="json"), now.model_dump(mode="json"))
    return [
        f"{key} was {json.dumps(old)}, is {json.dumps(new)}"
        for key, (old, new) in changed.items()
        if not is_free(key) and not (old in (None, {}) and new in (None, {}))
    ]


def is_free(key: str) -> bool:
    """Tell whether a setting changes no result.

    Example:
        >>> is_free("training.workers"), is_free("training.epochs")
        (True, False)
    """
    return any(key == free or key.startswith(f"{free}.") for free in FREE_TO_CHANGE)


def without_weights(run: RunFolder, config: Config) -> Config:
    """Return the configuration to build the model with that a run goes on with.

    Args:
        run: its folder.
        config: what it is to go on with.

    Returns:
        One without ``encoder.weights`` where the saved state holds the weights, so that a file
        that is gone by now is not missed; else the same.
    """
    if not (run.path / STATE).is_file():
        return config
    encoder = config.encoder.model_copy(update={"weights": None})
    return config.model_copy(update={"encoder": encoder})


def write_data(run: RunFolder, records: Mapping[str, Records]) -> None:
    """Note the images a run begins with, how they were read, and what the reader decided.

    Args:
        run: its folder.
        records: of each split that training sees.
    """
    facts: dict[str, Any] = dict(_facts(records))
    facts["notes"] = {split: list(part.notes) for split, part in records.items()}
    reading = next((part.reading for part in records.values() if part.reading is not None), None)
    facts["reading"] = None if reading is None else reading.to_dict()
    write_json(run.data, facts)


def check_data(run: RunFolder, records: Mapping[str, Records]) -> None:
    """Refuse to resume a run with other images or labels.

    Args:
        run: its folder.
        records: of each split that training sees.

    Raises:
        DataError: naming the split that changed.
        RunError: if the run does not say what it began with.
    """
    before = run.read_json(DATA)
    for split, facts in _facts(records).items():
        known = before.get(split)
        if known != facts:
            had = known.get("images") if isinstance(known, dict) else None
            change = f"{had} images, now it has {facts['images']}"
            if had == facts["images"]:
                change = f"{had} images with other names, classes or labels"
            raise DataError(
                f"the run in {run.path} was started with other images or labels: the split "
                f"{split} had {change}. Resume it with the data it was started with, or start a "
                "new run."
            )


def _facts(records: Mapping[str, Records]) -> dict[str, dict[str, Any]]:
    return {
        split: {"images": len(part), "fingerprint": part.fingerprint()}
        for split, part in records.items()
    }
