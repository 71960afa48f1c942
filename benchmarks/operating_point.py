"""What ways of calibrating and of choosing thresholds give on images that were not used for it.

Takes finished runs with ``predictions-val.npz`` and ``predictions-test.npz`` (``colabel evaluate
RUN``). Everything is fitted on the validation images, or on ``--images`` of them drawn several
times, and measured on the test images: means over runs and draws, in per cent.

    python benchmarks/operating_point.py runs/bce-0 runs/bce-1 runs/bce-2
    python benchmarks/operating_point.py --images 300 --draws 8 runs/kmcl-*
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from colabel.calibration import f1_thresholds, fit_calibration
from colabel.metrics import evaluate_scores
from colabel.predictions import Predictions
from colabel.uncertainty import brier, expected_calibration_error

KINDS = ("temperature", "platt", "isotonic")
EXPECTATIONS = (0, 30, 100, 300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--images", type=int, help="validation images to use (default: all)")
    parser.add_argument("--draws", type=int, default=1, help="how often they are drawn")
    given = parser.parse_args()
    found = defaultdict(list)
    for run in given.runs:
        validation = Predictions.load(run / "predictions-val.npz")
        test = Predictions.load(run / "predictions-test.npz")
        for draw in range(given.draws):
            order = np.random.default_rng(draw).permutation(len(validation.ids))
            chosen = order[: given.images]
            rows = validation.logits[chosen], validation.targets[chosen]
            for name, values in measured(*rows, test).items():
                found[name].append(values)
    print(f"{'':28}{'CF1':>14}{'OF1':>14}{'ECE':>14}{'Brier':>14}")
    for name, values in found.items():
        means, spreads = np.mean(values, axis=0), np.std(values, axis=0, ddof=len(values) > 1)
        cells = (f"{m:7.2f} ± {s:.2f}" for m, s in zip(means, spreads, strict=True))
        print(f"{name:28}" + "".join(f"{cell:>14}" for cell in cells))


def measured(logits, targets, test):
    """Return CF1, OF1, calibration error and Brier score on the test images, by name."""
    results = {"sigmoid, 0.5": score(test.probabilities, test.targets, 0.5)}
    for kind in KINDS:
        calibration = fit_calibration(logits, targets, kind)
        here, there = (calibration.probabilities(values) for values in (logits, test.logits))
        results[f"{kind}, 0.5"] = score(there, test.targets, 0.5)
        for expectation in EXPECTATIONS if kind != "temperature" else (0,):
            chosen = f1_thresholds(here, targets, expectation=expectation).thresholds
            name = f"{kind}, F1, expectation {expectation}"
            results[name] = score(there, test.targets, chosen)
    return results


def score(probabilities, targets, thresholds):
    report = evaluate_scores(probabilities, targets, thresholds=thresholds).to_dict()
    errors = expected_calibration_error(probabilities, targets), brier(probabilities, targets)
    return [100 * report["CF1"], 100 * report["OF1"], *(100 * np.nanmean(e) for e in errors)]


if __name__ == "__main__":
    main()
