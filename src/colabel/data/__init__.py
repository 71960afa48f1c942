"""Images and labels: readers that return records, and what the loaders make of them."""

from colabel.data.adp import read_adp
from colabel.data.chestxray14 import read_chestxray14
from colabel.data.coco import read_coco2014, read_coco2017
from colabel.data.images import FileImages
from colabel.data.records import UNKNOWN, Records
from colabel.data.table import read_table, read_table_splits
from colabel.data.table_columns import TableOptions
from colabel.data.voc import read_voc2007, read_voc2012

__all__ = [
    "UNKNOWN",
    "FileImages",
    "Records",
    "TableOptions",
    "read_adp",
    "read_chestxray14",
    "read_coco2014",
    "read_coco2017",
    "read_table",
    "read_table_splits",
    "read_voc2007",
    "read_voc2012",
]
