"""How long a training may take, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from colabel.errors import ConfigError

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_MINUTES = {
    **dict.fromkeys(("h", "hour", "hours"), 60.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 1.0),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1 / 60),
}
_EPOCHS = ("epoch", "epochs")


@dataclass(frozen=True)
class Budget:
    """A time or a number of epochs; one of the two is given.

    Args:
        minutes: of wall time, positive.
        epochs: passes over the training images, at least 1.
    """

    minutes: float | None = None
    epochs: int | None = None

    def __str__(self) -> str:
        """Return it in words."""
        if self.epochs is not None:
            return f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        assert self.minutes is not None
        if self.minutes < 2:
            return f"{60 * self.minutes:.3g} seconds"
        if self.minutes < 120:
            return f"{self.minutes:.3g} minutes"
        return f"{self.minutes / 60:,.4g} hours"


def parse_budget(text: str) -> Budget:
    """Read a budget.

    Args:
        text: as ``20m``, ``90s``, ``1h30m`` or ``3epochs``.

    Raises:
        ConfigError: if it is no such text, or nothing is left to train in.

    Example:
        >>> parse_budget("1h30m"), parse_budget("3 epochs")
        (Budget(minutes=90.0, epochs=None), Budget(minutes=None, epochs=3))
    """
    written = text.strip().lower()
    parts = _PART.findall(written)
    rest = _PART.sub("", written).strip()
    units = [unit for _, unit in parts]
    known = all(unit in _MINUTES or unit in _EPOCHS for unit in units)
    whole = len(parts) == 1 and units[0] in _EPOCHS
    timed = bool(parts) and not any(unit in _EPOCHS for unit in units)
    if rest or not known or not (whole or timed):
        raise ConfigError(f"expected a budget such as 20m, 1h30m, 90s or 3epochs, got {text!r}.")
    if whole:
        number = parts[0][0]
        if "." in number or not 1 <= float(number) <= 10**6:
            raise ConfigError(
                f"expected a whole number of epochs from 1 to a million, got {text[:80]!r}."
            )
        return Budget(epochs=int(number))
    minutes = sum(float(number) * _MINUTES[unit] for number, unit in parts)
    if not 0 < minutes < 10**6:
        raise ConfigError(f"expected a time above 0 and below two years, got {text[:80]!r}.")
    return Budget(minutes=minutes)
