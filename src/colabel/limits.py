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

MAX_RESIZING_BYTES = 256 * 2**20
"""Memory for the rows between the two steps of resizing, one as wide as the result for every row
of the picture; a higher picture is averaged over whole rows first."""

MAX_BYTES = 2 * 2**30
"""Largest file that is read into memory as a whole, which DICOM files and suspicious ones are."""

MAX_METADATA_BYTES = 64 * 2**20
"""What a picture may hold beside its pixels: comments, profiles, a preview. Allowed on top of
``BYTES_PER_PIXEL``."""

BYTES_PER_PIXEL = 8
"""Bytes of a file, other than TIFF, for each pixel that is admitted (``data.max_pixels``): 16 bits
in four channels without compression. WebP, AVIF and suspicious files are read whole."""

MAX_PADDING = 2**20
"""Bytes without meaning between the parts of a JPEG; Pillow reads them one by one."""

MAX_SEGMENTS = 10_000
"""Parts of a JPEG before its pixels, and blocks of comments in a GIF, whose decoder copies what it
has for every block. Colour profiles and the longest notes of cameras take some hundreds."""

MAX_PASSES = 16
"""How many times a JPEG may go over the largest picture admitted (``data.max_pixels``); smaller
ones as often as takes the same time. Encoders write ten passes, each of which costs as much as a
picture of its own."""

MAX_CHUNKS = 100_000
"""Parts of a PNG that are not its pixels; Pillow takes five microseconds for each."""

MAX_PPM_HEADER = 2**16
"""Bytes in which the header of a PPM must end, comments and all; they are read one by one."""

MAX_PPM_TEXT = 32 * 2**20
"""Largest PPM whose pixels are written as decimal numbers: they are read at 10 MB a second."""

MAX_JSON_DEPTH = 200
"""Levels of lists and objects in each other. Ours have ten, annotations of images below twenty;
a parser that calls itself once a level ends the process where a file has a hundred thousand."""

MAX_DESCRIPTION_BYTES = 64 * 2**20
"""Largest JSON or YAML file of a run. The names of ten thousand classes take one megabyte."""
