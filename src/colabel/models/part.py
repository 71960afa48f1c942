"""The parts of what an encoder gives: which a head reads, and which is kept between epochs."""

from __future__ import annotations

from typing import Literal

Part = Literal["vector", "map", "maps"]
"""The pooled vector, the map of the last stage, or the maps of the last two stages."""

Kept = Literal["vector", "map", "halfway", "halfway mirrored"]
"""What is computed once of an image: the vector, the map, or what the frozen first stages give of
it or of its mirror image."""
