"""What must be as it was for a run to go on: its settings and its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colabel.config import Config, load_config
from colabel.data import Records
from colabel.errors import ConfigError, DataError, RunError
from colabel.files import replace_file
from colabel.runs.folder import CONFIG, DATA, LAST, STATE, WEIGHTS
from colabel.settings.flat import differences

FREE_TO_CHANGE = (
    "data.source", "data.options.images", "data.options.splits", "data.verify", "data.cache_mb",
    "data.max_pixels", "encoder.weights", "training.workers", "training.save_minutes",
    "description", "published",
)  # fmt: skip
"""Settings, or groups of them, that may differ when a run is resumed: they do not change the
result. Images are compared by their fingerprint, and weights are part of the saved state."""


def check_settings(folder: Path, config: Config) -> None:
    """Refuse to resume a run with settings that would make it another run.

    Args:
        folder: of the run.
        config: what it is to go on with.

    Raises:
        ConfigError: naming each setting that changed.
        RunError: if the state to go on from is gone.
    """
    if (folder / WEIGHTS).is_file() and not (folder / LAST).is_dir():
        raise RunError(
            f"{folder} holds a model but no state to go on from ({LAST}/ is missing): "
            "resuming would train from the beginning and replace the model. Start a new run."
        )
    changed = changed_settings(folder, config)
    if changed:
        raise ConfigError(
            f"the run in {folder} was started with other settings: {'; '.join(changed)}. Resume "
            "it with the recipe and the changes it was started with, or start a new run."
        )


def read_settings(folder: Path) -> Config:
    """Read what a run was started with.

    Args:
        folder: of the run.

    Raises:
        RunError: if the file is missing or damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise RunError(f"{folder} holds no {CONFIG}; copy the whole run folder.")
    try:
        return load_config(path)
    except (ConfigError, OSError) as error:
        raise RunError(f"{path}: {error}\nCopy the run again.") from error


def changed_settings(folder: Path, config: Config) -> list[str]:
    """Return what a run was started with that differs and is not free to change.

    Args:
        folder: of the run.
        config: what it is compared with.

    Returns:
        A clause for each setting, with both values.
    """
    changed = differences(
        read_settings(folder).model_dump(mode="json"), config.model_dump(mode="json")
    )
    return [
        f"{key} was {json.dumps(before)}, is {json.dumps(now)}"
        for key, (before, now) in changed.items()
        if not _is_free(key) and not (before in (None, {}) and now in (None, {}))
    ]


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE_TO_CHANGE)


def without_weights(folder: Path, config: Config) -> Config:
    """Return the configuration to build the model with that a run goes on with.

    Args:
        folder: of the run.
        config: what it is to go on with.

    Returns:
        One without ``encoder.weights`` where the saved state holds the weights, so that a file
        that is gone by now is not missed; else the same.
    """
    if not (folder / STATE).is_file():
        return config
    encoder = config.encoder.model_copy(update={"weights": None})
    return config.model_copy(update={"encoder": encoder})


def write_data(folder: Path, records: Mapping[str, Records]) -> None:
    """Note the images a run begins with, how they were read, and what the reader decided.

    Args:
        folder: of the run.
        records: of each split that training sees.
    """
    facts: dict[str, Any] = dict(_facts(records))
    facts["notes"] = {split: list(part.notes) for split, part in records.items()}
    reading = next((part.reading for part in records.values() if part.reading is not None), None)
    facts["reading"] = None if reading is None else reading.to_dict()
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / DATA, lambda file: file.write(text.encode()))


def check_data(folder: Path, records: Mapping[str, Records]) -> None:
    """Refuse to resume a run with other images or labels.

    Args:
        folder: of the run.
        records: of each split that training sees.

    Raises:
        DataError: naming the split that changed.
        RunError: if the run does not say what it began with.
    """
    try:
        before = json.loads((folder / DATA).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder / DATA} cannot be read ({error}); copy the whole run folder, or "
            "start a new run."
        ) from error
    for split, facts in _facts(records).items():
        if before.get(split) != facts:
            raise DataError(
                f"the run in {folder} was started with other images or labels: the split {split} "
                f"had {before.get(split)}, has {facts}. Resume it with the data it was started "
                "with, or start a new run."
            )


def _facts(records: Mapping[str, Records]) -> dict[str, dict[str, Any]]:
    return {
        split: {"images": len(part), "fingerprint": part.fingerprint()}
        for split, part in records.items()
    }
