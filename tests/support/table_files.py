"""A table of labels as a file, and what is read of it."""

from colabel.data import TableOptions, read_table

LABELS_ONLY = TableOptions(require_images=False)


def table(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(folder, text, split=None, *, name="labels.csv", encoding="utf-8", **options):
    path = table(folder, text, name, encoding)
    return read_table(path, split, TableOptions(**{"require_images": False, **options}))


WIDE = "path,cat,dog\na.jpg,1,0\nb.jpg,,-1\nc.jpg,0,1\n"
