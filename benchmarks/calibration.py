"""Time what ``colabel calibrate`` computes once predictions exist: 40,000 images with 80 labels.

python benchmarks/calibration.py
python benchmarks/calibration.py --images 100000 --classes 200
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.special import expit

from colabel.predictions import Predictions
from colabel.runs.choosing import choose_operating_point
from colabel.settings.target import parse_target

TARGETS = ("f1", "recall=0.95", "precision=0.9", "missed=0.1", "cost=5:1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--classes", type=int, default=80)
    given = parser.parse_args()
    random = np.random.default_rng(0)
    shape = given.images, given.classes
    logits = 2 * random.normal(size=shape) + random.uniform(-5, 0, given.classes)
    targets = (random.random(shape) < expit(0.7 * logits + 0.5)).astype(np.int8)
    predictions = Predictions(
        tuple(f"{number}.jpg" for number in range(given.images)),
        tuple(f"label {number}" for number in range(given.classes)),
        logits.astype(np.float32),
        targets,
        "val",
    )
    for target in TARGETS:
        for kind in ("platt", "isotonic") if target == "f1" else ("platt",):
            wall, processor = time.perf_counter(), time.process_time()
            choose_operating_point(
                predictions, parse_target(target), source="drawn", epochs=0, kind=kind
            )
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            print(f"{target:14} {kind:9} {wall:5.2f} s, {processor:5.2f} s of processors")


if __name__ == "__main__":
    main()
