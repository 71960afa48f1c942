"""The run folder: where a model, its description and its numbers live.

``config.yaml`` is what was asked for, ``log.jsonl`` what happened, ``model.safetensors`` and
``model.json`` the model that validation chose, ``last/`` the state to resume from, ``result.json``
what came of it. Nothing in it is pickled and no file needs one outside, so a folder can be moved
to another machine without the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabel.config import Config, load_config
from colabel.errors import ConfigError, RunError
from colabel.files import read_file, read_json, replace_file

if TYPE_CHECKING:
    from colabel.runs.measured import Measured
    from colabel.runs.predictions import Predictions

CONFIG, LOG, WEIGHTS, DESCRIPTION = "config.yaml", "log.jsonl", "model.safetensors", "model.json"
SPLIT = "split.csv"
"""The split of each image, columns id and split: what was divided here is divided so again."""
DATA = "data.json"
"""Number and fingerprint of the images of each split, so that a run goes on with the same ones."""
LAST, LOCK = "last", ".lock"
STATE = f"{LAST}/state.json"
"""The file that names the rest of the state to go on from."""
CURVES = "curves.png"
RESULT = "result.json"
"""What came of a training run; written last, so a run that has it is complete."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run: where each is, and whether the run is complete.

    Args:
        path: of the folder.

    Example:
        >>> run = RunFolder(Path("runs/none"))
        >>> run.has_begun, run.is_finished, run.metrics_file("test").name
        (False, False, 'metrics-test.json')
    """

    path: Path

    @property
    def log(self) -> Path:
        """What happened, a line of JSON each."""
        return self.path / LOG

    @property
    def curves(self) -> Path:
        """The picture of the log."""
        return self.path / CURVES

    @property
    def division(self) -> Path:
        """The split of each image."""
        return self.path / SPLIT

    def read_division(self) -> dict[str, str]:
        """Return the split of each image that training saw, by its name; empty if nothing says.

        Raises:
            DataError: if the file is damaged.
        """
        from colabel.data.split import read_split_table  # needs numpy, and is seldom asked for

        if self.division.is_symlink() or not self.division.is_file():
            return {}
        return read_split_table(self.division)

    @property
    def data(self) -> Path:
        """Which images the run began with."""
        return self.path / DATA

    @property
    def has_begun(self) -> bool:
        """Whether there is a run to go on with."""
        return (self.path / CONFIG).is_file()

    @property
    def has_state(self) -> bool:
        """Whether training saved a state to go on from."""
        return (self.path / STATE).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether training wrote its result."""
        return (self.path / RESULT).is_file()

    def metrics_file(self, split: str, suffix: str = "") -> Path:
        """Return where the metrics of a split are; the suffix names another source."""
        return self.path / f"metrics-{split}{suffix}.json"

    def predictions_file(self, split: str, suffix: str = "") -> Path:
        """Return where the predictions of a split are; the suffix names another source."""
        return self.path / f"predictions-{split}{suffix}.npz"

    def chart_file(self, split: str, suffix: str = "") -> Path:
        """Return where the picture of a split's classes is; the suffix names another source."""
        return self.path / f"per-class-{split}{suffix}.png"

    def write_config(self, config: Config) -> None:
        """Write what the run is started with."""
        text = config.to_yaml().encode()
        replace_file(self.path / CONFIG, lambda file: file.write(text))

    def config(self) -> Config:
        """Return what the run was started with.

        Raises:
            RunError: if the file is missing or damaged.
        """
        path = self.path / CONFIG
        read_file(path)  # says in words of a run what is wrong with the file itself
        try:
            return load_config(path)
        except ConfigError as error:
            raise RunError(f"{path}: {error}\nCopy the run again.") from error

    def write_measured(
        self,
        predictions: Predictions,
        measured: Measured,
        data: Mapping[str, Any],
        *,
        suffix: str = "",
    ) -> Path:
        """Write predictions of a split and their metrics, and return the path of the metrics.

        Raises:
            RunError: if a logit or a variance is no finite number, or the disk refuses.
        """
        from colabel.runs.predictions import check_finite, write_metrics

        check_finite(predictions.logits, *predictions.extra.values())

        split = predictions.split
        predictions.save(self.predictions_file(split, suffix))
        path = self.metrics_file(split, suffix)
        write_metrics(measured.to_dict(), path, {"split": split, "data": data})
        return path

    def write_result(self, measured: Measured, facts: Mapping[str, Any]) -> None:
        """Write what came of training: the metrics on validation, and other facts.

        Args:
            measured: the weights that were kept.
            facts: plain values.
        """
        from colabel.runs.predictions import write_metrics

        write_metrics(
            measured.to_dict(), self.path / RESULT, {"finished": True, "split": "val", **facts}
        )

    def result(self) -> dict[str, Any]:
        """Return what came of training.

        Raises:
            RunError: if training is not complete, or the file is damaged.
        """
        return self.read_json(RESULT)

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the run.

        Raises:
            RunError: if it is missing or damaged.
        """
        path = self.path / name
        content = read_json(path)
        if not isinstance(content, dict):
            raise RunError(f"{path} holds no JSON object; copy the whole run folder.")
        return content
