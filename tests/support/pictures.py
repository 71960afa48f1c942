"""Pictures with the statistics of photographs, drawn from a seed, in memory or as files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from colabel.data.records import Records
from colabel.errors import ImageError


def picture(width, height, seed=0):
    """Return smooth colour fields with edges and a little noise."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height))
    for cells in (4, 16, 64):
        coarse = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layer = coarse.resize((width, height), Image.Resampling.BICUBIC)
        image = Image.blend(image, layer, 0.5)
    left, top = generator.integers(0, (width, height)) // 2
    image.paste(tuple(generator.integers(0, 256, 3).tolist()), (left, top, left * 2, top * 2))
    noise = generator.normal(0, 4, (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


class Pictures:
    """An image source in memory that counts what is opened."""

    def __init__(self, images, broken=()):
        self.images = list(images)
        self.broken = set(broken)
        self.opened = []

    def __len__(self):
        return len(self.images)

    def open(self, index):
        self.opened.append(index)
        if index in self.broken:
            raise ImageError(f"{self.locate(index)}: broken")
        return self.images[index].copy()

    def locate(self, index):
        return f"picture-{index}.png"

    def select(self, indices):
        return Pictures([self.images[index] for index in indices])


def records_of(source, classes=3):
    """Return records with one id and some labels per image of the source."""
    targets = np.random.default_rng(0).integers(0, 2, (len(source), classes)).astype(np.int8)
    names = tuple(f"class {index}" for index in range(classes))
    return Records(tuple(f"id {index}" for index in range(len(source))), source, targets, names)


def some_records(count, width=40, height=30):
    """Return records over in-memory pictures."""
    return records_of(Pictures(picture(width, height, seed) for seed in range(count)))


def encoded(image, kind="JPEG", **options):
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write(folder: Path, name, content):
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content)
    return path
