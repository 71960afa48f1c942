"""Images per second and core from file to tensor, against plain Pillow and torchvision.

Both sides decode, resize to a square, apply the same augmentation with the same random numbers,
and end in a uint8 tensor. The plain side is ``Image.open``, ``v2.Resize``, ``v2.PILToTensor``.
The two are timed in turns, image by image, in processor time, and the best of several passes
counts, so that other work on the machine favours neither.

Run: ``python benchmarks/input_pipeline.py [--images FOLDER] [--size 224] [--count 48]``
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from colabel.data.cache import PixelCache
from colabel.data.dataset import EvaluationImages, TrainingImages
from colabel.data.images import IMAGE_SUFFIXES, FileImages
from colabel.data.records import Records
from colabel.data.transforms import Augment

SEED = 0
EPOCHS = 3  # augmentations of each image


def draw(width, height, seed):
    """Return colour fields with detail at several scales, an edge and camera noise."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height))
    for cells in (3, 12, 48, 160):
        coarse = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layer = coarse.resize((width, height), Image.Resampling.BICUBIC)
        image = Image.blend(image, layer, 0.4)
    image.paste((30, 90, 160), (width // 3, height // 3, width // 2, height // 2))
    noise = generator.normal(0, 3, (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def generate(folder, width, height, count):
    """Write photographs of one size and return their paths."""
    paths = [folder / f"{width}x{height}-{index}.jpg" for index in range(count)]
    for seed, path in enumerate(paths):
        draw(width, height, seed).save(path, quality=90)
    return paths


class Plain:
    """What a tutorial would do."""

    def __init__(self, paths, size, augment):
        self.paths = paths
        self.resize = v2.Resize((size, size), antialias=True)
        self.augment = augment
        self.to_tensor = v2.PILToTensor()

    def __getitem__(self, key):
        index, epoch = key
        with Image.open(self.paths[index]) as image:
            squashed = self.resize(image.convert("RGB"))
        if self.augment is not None:
            generator = random.Random(f"{SEED}/{epoch}/{index}/0")
            squashed = self.augment(squashed, generator)
        return self.to_tensor(squashed).contiguous()


class Evaluation:
    """Addresses evaluation images as the others are addressed."""

    def __init__(self, records, size):
        self.dataset = EvaluationImages(records, size=size)

    def __getitem__(self, key):
        return self.dataset[key[0]][0]


class Training:
    """Pixels of the training images alone."""

    def __init__(self, records, size, augment, cache=None):
        self.dataset = TrainingImages(records, size=size, augment=augment, seed=SEED, cache=cache)

    def __getitem__(self, key):
        return self.dataset[key][0]


def rates(pipelines, count, passes):
    """Return images per second of processor time, from the best time of each request."""
    keys = [(index, epoch) for index in range(count) for epoch in range(EPOCHS)]
    best = np.full((len(pipelines), len(keys)), np.inf)
    for _ in range(passes):
        for position, key in enumerate(keys):
            for which, pipeline in enumerate(pipelines):
                start = time.process_time()
                _ = pipeline[key]
                seconds = time.process_time() - start
                best[which, position] = min(best[which, position], seconds)
    return len(keys) / best.sum(axis=1)


def report(title, paths, size, passes):
    """Print the comparison for one set of files."""
    count = len(paths)
    names = tuple(str(path) for path in paths)
    records = Records(names, FileImages(paths), np.zeros((count, 1), dtype=np.int8), ("class",))
    augment = Augment()
    cache = PixelCache(images=count, size=size, limit=count * size * size * 3)

    plain, ours = Plain(paths, size, None), Evaluation(records, size)
    differences = [
        np.abs(plain[index, 0].numpy().astype(int) - ours[index, 0].numpy().astype(int))
        for index in range(count)
    ]
    largest = max(int(difference.max()) for difference in differences)
    mean = float(np.mean([difference.mean() for difference in differences]))

    squash = rates([plain, ours], count, passes)
    chain = rates(
        [
            Plain(paths, size, augment),
            Training(records, size, augment),
            Training(records, size, augment, cache),
        ],
        count,
        passes,
    )
    print(f"\n{title}, to {size} x {size}; images/s per core")
    print(f"  {'':34}{'plain':>8}{'colabel':>9}{'ratio':>7}")
    for label, before, after in (
        ("decode + squash", squash[0], squash[1]),
        ("decode + squash + augment", chain[0], chain[1]),
        ("the same from the pixel cache", chain[0], chain[2]),
    ):
        print(f"  {label:34}{before:8.0f}{after:9.0f}{after / before:7.2f}")
    print(f"  pixels differ by {mean:.3f} on average and {largest} at most, of 255")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of real images instead of drawn ones")
    parser.add_argument("--size", type=int, default=224, help="side of the square, in pixels")
    parser.add_argument("--count", type=int, default=48, help="images in the set")
    parser.add_argument(
        "--passes", type=int, default=5, help="repetitions, of which the best counts"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.images is not None:
        found = sorted(
            path for path in arguments.images.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES
        )
        paths = found[:: max(1, len(found) // arguments.count)][: arguments.count]
        if not paths:
            parser.error(f"no images in {arguments.images}")
        report(
            f"{len(paths)} images of {arguments.images}", paths, arguments.size, arguments.passes
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        for width, height, count in ((500, 375, arguments.count), (4000, 3000, 4)):
            paths = generate(Path(folder), width, height, count)
            kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1000
            title = f"{count} drawn JPEGs of {width} x {height}, {kilobytes:.0f} kB each"
            report(title, paths, arguments.size, arguments.passes)


if __name__ == "__main__":
    main()
