"""Time the evaluation of a test split against scikit-learn's loop over the classes.

Prints the seconds of both and their ratio, with the largest difference between their numbers:

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --images 112120 --classes 14 --dtype float64
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from colabel.metrics import average_precision, evaluate_scores, rank

THRESHOLD = 0.5


def draw(images: int, classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    frequency = generator.uniform(0.005, 0.1, classes)
    targets = (generator.random((images, classes)) < frequency).astype(np.int8)
    logits = generator.normal(-3, 1.5, targets.shape) + 3 * targets
    return (1 / (1 + np.exp(-logits))).astype(dtype), targets


def scikit_learn_ap(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    columns = range(targets.shape[1])
    return np.array([average_precision_score(targets[:, c], scores[:, c]) for c in columns])


def scikit_learn(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    rows = []
    for column in range(targets.shape[1]):
        truth, score = targets[:, column], scores[:, column]
        ap, auc = average_precision_score(truth, score), roc_auc_score(truth, score)
        decisions = precision_recall_fscore_support(
            truth, score >= THRESHOLD, average="binary", zero_division=0
        )
        rows.append((ap, auc, *decisions[:3]))
    return np.array(rows)


def colabel(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    report = evaluate_scores(scores, targets, thresholds=THRESHOLD)
    return np.array(
        [(c.average_precision, c.auc, c.precision, c.recall, c.f1) for c in report.per_class]
    )


def best_of(repeats: int, function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_504, help="default: COCO 2014's val")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    scores, targets = draw(options.images, options.classes, options.dtype)
    print(f"{options.images} images x {options.classes} classes, {options.dtype}")

    pairs = {
        "every metric of the report": (
            lambda: colabel(scores, targets),
            lambda: scikit_learn(scores, targets),
        ),
        "average precision alone": (
            lambda: average_precision(rank(scores, targets)),
            lambda: scikit_learn_ap(scores, targets),
        ),
    }
    for what, (ours, theirs) in pairs.items():
        seconds, result = best_of(options.repeats, ours)
        loop_seconds, loop_result = best_of(options.repeats, theirs)
        difference = np.abs(result - loop_result).max()
        print(
            f"{what}: colabel {seconds:.3f} s, scikit-learn {loop_seconds:.3f} s, "
            f"ratio {loop_seconds / seconds:.1f}x, largest difference {difference:.1e}"
        )


if __name__ == "__main__":
    main()
