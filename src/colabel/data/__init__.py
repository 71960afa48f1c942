"""Images and labels: readers that return records, and what the loaders make of them."""

from colabel.data.images import FileImages, open_image
from colabel.data.pixels import PixelOptions
from colabel.data.readers.adp import read_adp
from colabel.data.readers.chestxray14 import read_chestxray14
from colabel.data.readers.coco import read_coco2014, read_coco2017
from colabel.data.readers.table import read_table, read_table_splits
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.voc import read_voc2007, read_voc2012
from colabel.data.records import UNKNOWN, Records

__all__ = [
    "UNKNOWN",
    "FileImages",
    "PixelOptions",
    "Records",
    "TableOptions",
    "open_image",
    "read_adp",
    "read_chestxray14",
    "read_coco2014",
    "read_coco2017",
    "read_table",
    "read_table_splits",
    "read_voc2007",
    "read_voc2012",
]
