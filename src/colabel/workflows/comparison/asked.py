"""What may be asked of a comparison; importing it imports nothing that is slow."""

from __future__ import annotations

from pathlib import Path

from colabel.errors import ConfigError, nearest

AT_POINT = "operating_point."
METRICS = ("mAP", "CF1", "OF1", f"{AT_POINT}CF1", f"{AT_POINT}OF1")
"""What is resampled; the prefix as the metrics of a run have it."""


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
