"""How large a picture may be, and why there."""

from __future__ import annotations

MAX_PIXELS = 89_478_485
"""Width times height above which nothing is decoded, unless the user admits it: 256 MiB as RGB.

It is where Pillow starts to warn of files that claim to be huge. A file of a few kilobytes can
claim billions of pixels, and filling them exhausts the memory of the machine.
"""

MAX_SIDE = 300_000
"""Longest side in pixels. Resizing needs memory in proportion to it: 200 MiB at this length."""

MAX_BYTES = 2 * 2**30
"""Largest file that is read into memory as a whole, which DICOM files and suspicious ones are."""
