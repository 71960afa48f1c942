"""Every limit on what comes from outside: its number, why it is there, and how to lift it.

A limit that a user may have to lift names the setting that does so; the others stand far above
anything honest.
"""

from __future__ import annotations

MAX_PIXELS = 89_478_485
"""Width times height above which nothing is decoded, unless the user admits it with
``data.max_pixels``: 256 MiB as RGB.

It is where Pillow starts to warn of files that claim to be huge. A file of a few kilobytes can
claim billions of pixels, and filling them exhausts the memory of the machine.
"""

MAX_SIDE = 300_000
"""Longest side in pixels. Resizing needs memory in proportion to it: 200 MiB at this length."""

MAX_BYTES = 2 * 2**30
"""Largest file that is read into memory as a whole, which DICOM files and suspicious ones are."""

MAX_BATCH_BYTES = 2 * 2**30
"""Pixels of the images that ``predict`` holds as one batch; a smaller ``--batch`` lowers it. The
model takes many times as much, and no machine gains speed from batches anywhere near it."""

MAX_SEEDS = 1_000
"""Seeds of an ablation, which are as many trainings of each value; ``--seeds`` asks for fewer."""

MAX_JSON_DEPTH = 200
"""Levels of lists and objects in each other. Ours have ten, annotations of images below twenty;
a parser that calls itself once a level ends the process where a file has a hundred thousand."""

MAX_DESCRIPTION_BYTES = 64 * 2**20
"""Largest JSON or YAML file of a run. The names of ten thousand classes take one megabyte."""
