"""Seconds and memory of the paired bootstrap, and its distance from scikit-learn.

    python benchmarks/bootstrap.py
    python benchmarks/bootstrap.py --images 40000 --classes 80 --models 2 --draws 1000 --check 3

Scores and labels are random, labels as rare as those of COCO. In some draws every class of the
first model is computed again by ``average_precision_score(sample_weight=...)``.
"""

import argparse
import resource
import time

import numpy as np
from sklearn.metrics import average_precision_score

from colabel.metrics import Answers, Resamples, paired_bootstrap, weighted_average_precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--check", type=int, default=3, help="draws to compute again")
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    shape = (given.images, given.classes)
    frequency = np.exp(generator.normal(-4, 1, given.classes)).clip(0.002, 0.5)
    targets = (generator.random(shape) < frequency).astype(np.int8)
    models = []
    for _ in range(given.models):
        scores = 1 / (1 + np.exp(2 - 2 * targets - generator.normal(size=shape)))
        models.append(Answers(scores, {"": scores >= 0.5, "operating_point.": scores >= 0.4}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    drawn = paired_bootstrap(models, targets, Resamples(given.images, given.draws, 0))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{given.draws} draws of {given.images} images, {given.classes} classes, {given.models} "
        f"models, mAP, CF1 and OF1 by two rules: {seconds:.1f} s, "
        f"of which {worked:.1f} s of one core; {grown / 1024:.0f} MB more"
    )
    print("mAP", drawn.values["mAP"].mean(axis=1).round(4).tolist())
    weights = next(Resamples(given.images, given.check, 0).blocks())[:, : given.check]
    precisions = weighted_average_precision(models[0].scores, targets, weights)
    began = time.perf_counter()
    expected = [
        [
            average_precision_score(target, score, sample_weight=weight)
            for target, score in zip(targets.T, models[0].scores.T, strict=True)
        ]
        for weight in weights.T
    ]
    one = (time.perf_counter() - began) / weights.shape[1]
    furthest = np.abs(precisions.T - expected).max()
    means = np.abs(np.mean(expected, axis=1) - drawn.values["mAP"][0, : len(expected)]).max()
    print(
        f"scikit-learn: {one:.1f} s a draw and model; largest distance of an AP {furthest:.1e}, "
        f"of a mAP {means:.1e}"
    )


if __name__ == "__main__":
    main()
