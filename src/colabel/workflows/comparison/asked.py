"""What may be asked of a comparison; importing it imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from colabel.errors import ConfigError, listed, nearest
from colabel.files import read_json

AT_POINT = "operating_point."
RESULTS = "compare.json"
METRICS = ("mAP", "CF1", "OF1", f"{AT_POINT}CF1", f"{AT_POINT}OF1")
"""What is resampled; the prefix as the metrics of a run have it."""
MOST_PAIRS = 21
"""That have a line each; of more, those of the best are printed, and all become a matrix."""


def check_asked(runs: int, *, metric: str, out: Path) -> None:
    """Refuse what cannot be compared or written, before anything is read.

    Args:
        runs: how many.
        metric: of the pairs.
        out: folder of what is written.

    Raises:
        ConfigError: saying what to give instead.

    Example:
        >>> check_asked(2, metric="OF2", out=Path("comparison"))
        Traceback (most recent call last):
        colabel.errors.ConfigError: there is no metric 'OF2' to compare; did you mean 'OF1'?
    """
    if runs < 2:
        raise ConfigError(
            "a comparison needs two runs or more: colabel compare RUN RUN, or methods to train: "
            "colabel compare --methods bce,kmcl --data SPEC."
        )
    if metric not in METRICS:
        raise ConfigError(f"there is no metric {metric!r} to compare; {nearest(metric, METRICS)}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; --out names the folder of what is written.")


def check_is_the_same(runs: Sequence[Path], *, out: Path) -> None:
    """Refuse to replace a comparison of other runs.

    Args:
        runs: folders of the runs that are compared.
        out: folder of what is written.

    Raises:
        ConfigError: if there is one of other runs.
    """
    path = out / RESULTS
    if not path.is_file():
        return
    content = read_json(path)
    found = content.get("runs") if isinstance(content, dict) else None
    names = [str(run.get("name")) for run in found or () if isinstance(run, dict)]
    last = {Path(name.split(" (")[0]).name for name in names}
    if last != {folder.absolute().name for folder in runs}:
        raise ConfigError(
            f"{path} compares other runs ({listed(names, 4)}), which would be lost; choose "
            "another folder with --out, or remove it."
        )
