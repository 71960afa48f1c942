"""The parts of what an encoder gives, by which a head says what it reads."""

from __future__ import annotations

from typing import Literal

Part = Literal["vector", "map", "maps"]
"""The pooled vector, the map of the last stage, or the maps of the last two stages."""
