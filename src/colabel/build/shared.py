"""What the runs of one command have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from colabel.build.encoded_once import EncodedOnce


@dataclass(frozen=True)
class Shared:
    """What one run leaves for the next, so that nothing is computed or told twice.

    Args:
        encoded: features of frozen encoders.
        said: sentences about the data that the user has read.
    """

    encoded: EncodedOnce = field(default_factory=EncodedOnce)
    said: set[str] = field(default_factory=set)
