"""Records to check, with images or with labels alone, and the problems that a check found."""

import numpy as np
from PIL import Image

from colabel.data.images import FileImages
from colabel.data.records import Records

CLASSES = ("cat", "dog")


def picture(seed, size=(48, 40)):
    """A smooth random colour image, unlike any other."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def save(folder, names, first_seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names, start=first_seed):
        picture(seed).save(folder / name)


def table(folder, names, targets=None, *, classes=CLASSES, groups=None):
    if targets is None:
        targets = [[index % 2, (index // 2) % 2] for index in range(len(names))]
    return Records(
        ids=tuple(names),
        images=FileImages([str(name) for name in names], folder),
        targets=np.array(targets, dtype=np.int8).reshape(len(names), len(classes)),
        classes=tuple(classes),
        groups=groups,
    )


def labels_only(targets, classes=CLASSES, prefix="", **options):
    """Records whose images cannot be opened, for checks that look at labels."""
    targets = np.array(targets, dtype=np.int8)

    class Nowhere:
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def open(self, index):
            raise AssertionError(f"must not be opened: {index}")

        def locate(self, index):
            return f"nowhere {index}"

    ids = tuple(f"{prefix}{index}" for index in range(len(targets)))
    return Records(ids, Nowhere(len(targets)), targets, tuple(classes), **options)


def problems(report, words):
    return [problem for problem in report.problems if words in problem.what]


def only(report, words):
    (problem,) = problems(report, words)
    assert problem.cost.endswith(".")
    assert problem.remedy.endswith(".")
    return problem
