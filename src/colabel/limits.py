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
"""Parts of a JPEG before its pixels, and blocks of comments in a GIF, which are read one by one.
Colour profiles and the longest notes of cameras take some hundreds."""

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

MAX_BATCH_BYTES = 2 * 2**30
"""Pixels of the images that ``predict`` holds as one batch; a smaller ``--batch`` lowers it. The
model takes many times as much, and no machine gains speed from batches anywhere near it."""

MAX_SEEDS = 1_000
"""Seeds of an ablation, which are as many trainings of each value; ``--seeds`` asks for fewer."""

MAX_TRIALS = 10_000
"""Trials of a sweep, each of which is a training; a smaller ``--trials`` asks for fewer."""

MAX_JSON_DEPTH = 200
"""Levels of lists and objects in each other. Ours have ten, annotations of images below twenty;
a parser that calls itself once a level ends the process where a file has a hundred thousand."""

MAX_DESCRIPTION_BYTES = 64 * 2**20
"""Largest JSON or YAML file of a run. The names of ten thousand classes take one megabyte."""

OPEN_FILES, OPEN_FILES_PER_WORKER = 48, 16
"""Open files that a process and each of its workers need. Two workers were seen to work with 64
and to wait for ever with 32; lifted with ``ulimit -n`` or ``training.workers: 0``."""

ADDRESS_SPACE = 3_500_000_000
"""Bytes of address space (``ulimit -v``) below which loading torch was seen to end the process."""

MAX_LOG_BYTES = 2 * 2**30
"""Largest log of a run that is read: four million steps of 500 bytes."""

MAX_CLASSES = 100_000
"""Most classes. ImageNet in full has 21,841; a head on 2,048 features takes 0.8 GB at this number,
and its metrics a column each."""

MAX_NAME_LENGTH = 1_000
"""Longest name of a class in characters. The longest of published sets have about 150; what is
longer is prose, or a whole file taken for a name."""

MAX_TARGETS = 2**32
"""Most images times classes that become a matrix of targets, of one byte each: 4 GiB."""

MAX_COLUMNS = 200_000
"""Most columns of a table: every class its own, and as many again for other things."""

MAX_CELLS = 2**28
"""Most cells of a table whose size does not show how many it has, which is the case for JSON,
Parquet and workbooks: 2 GiB of references. Saved as text the same table is read."""

MAX_CELL_LENGTH = 64 * 2**20
"""Longest cell of a text table, in characters."""

MAX_LABELS_LENGTH = 2**20
"""Longest cell that lists labels, in characters: 0 and 1 for each of a hundred thousand classes
take a third of it."""

MAX_FILE_BYTES = 2**40
"""Largest table of any kind. Parquet with images in it may fill a disk and is read in parts; each
other kind has its own limit."""

MAX_TABLE_BYTES = 2 * 2**30
"""Largest text table, and largest Parquet table unpacked, without its images: it is held in
memory once. Divide a larger one by split."""

MAX_GROUP_BYTES = 4 * 2**30
"""Largest group of rows of images in Parquet, which are read together: write smaller groups."""

MAX_JSON_TABLE_BYTES = 2**30
"""Largest table in JSON, whose values take several times their size in memory."""

MAX_JSON_BYTES = 16 * 2**30
"""Largest annotation file in JSON. It is mapped and not read, but what is kept of it grows with
it; the instances of COCO take 0.5 GB."""

MAX_WORKBOOK_BYTES = 2**30
"""Largest workbook, unpacked."""

MAX_SHEET_CELLS = 2**26
"""Most rows times columns of a sheet, blank ones between the others included: 1.5 GiB. A sheet may
claim 17 billion with a cell in its last corner."""

MAX_XML_BYTES = 16 * 2**20
"""Largest annotation of one image in XML; outlines of a thousand objects take a tenth of it."""

MAX_TAGS_BYTES = 2**20
"""Largest text file of the tags of one image."""

MAX_LIST_BYTES = 2**30
"""Largest list of image names, one per line: ten million names."""

MAX_CSV_BYTES = 64 * 2**30
"""Largest table of Open Images, which is read line by line; the largest published has 3 GB."""

MAX_LINE_LENGTH = 2**20
"""Longest line of a table that is read line by line, in characters."""

MAX_WORDS_BYTES = 64 * 2**30
"""Largest text file of word vectors, which is read line by line; three million words of 300
numbers take an eighth of it."""

MAX_VECTORS_BYTES = 2**30
"""Largest matrix of vectors of labels: 300 numbers of 800,000 labels."""

MAX_ROW_NUMBERS_BYTES = 2**30
"""Largest array of the row numbers of a split: a hundred million."""

MAX_RECIPE_BYTES = 2**20
"""Largest recipe or ablation. Those that come along have four kilobytes, one with the names of ten
thousand classes 200; reading YAML takes ten seconds a megabyte."""

MAX_YAML_NODES = 100_000
"""Most values of a YAML text after its aliases are put in: nine lines of nine aliases each make
a billion of them."""

MAX_YAML_DEPTH = 50
"""Levels of groups and lists in each other in a YAML text; a recipe has five."""

MAX_YAML_INTEGER = 2**63 - 1
"""Largest whole number in a YAML text, and with a minus the smallest: what 64 bits hold."""

MAX_MODEL_BYTES = 16 * 2**30
"""Largest model that is built where its weights do not say how large it is: 4e9 numbers."""

MAX_HEADER_BYTES = 8 * 2**20
"""Largest list of tensors in the weights of a run: fifty thousand of them. The library itself
takes 20 seconds and 1.4 GB for one of 87 million bytes."""

SPARE_MODEL_BYTES = 64 * 2**20
"""What a model may take beside its weights while it is built, such as tables of positions."""

MAX_IMAGE_SIZE = 4096
"""Largest ``data.image_size``: a batch of one such image fills 200 MB before the first layer, and
what convolutions keep of it for the backward pass takes some ten gigabytes."""

MAX_CORNERS = 4096
"""Corners of the curve that makes probabilities of a label's logits; more are thinned out."""

MAX_PREDICTIONS_BYTES = 16 * 2**30
"""Largest file of predictions, unpacked: a hundred million images of forty labels."""
