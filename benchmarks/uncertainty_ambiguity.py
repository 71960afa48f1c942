"""Whether scores of uncertainty follow an ambiguity that is known: drawn scenes, ever harder.

For finished runs on drawn scenes: the same test scenes at growing ambiguity (colours blend, things
fade, shrink and are hidden). Prints, over all of these images together, how a score goes with the
ambiguity of its image (Spearman's rank correlation) and its area under the risk-coverage curve, in
per cent, means and standard deviations over the runs; and the share of wrong labels at each level.

    colabel train shapes-kmcl --set training.seed=0 --out runs/shapes-0
    python benchmarks/uncertainty_ambiguity.py runs/shapes-0 runs/shapes-1 runs/shapes-2
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from colabel.uncertainty import (
    SCORES,
    aurc,
    compute_score,
    image_errors,
    why_unavailable,
)
from colabel.workflows.predicted_split import predict_split
from colabel.workflows.uncertainty import outputs_of, references

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    given = parser.parse_args()
    found, wrong = defaultdict(list), []
    for run in given.runs:
        compared = references(predict_split(run, split="val", everything=True).collected)
        outputs, errors = [], []
        for level in LEVELS:
            side = predict_split(run, options={"ambiguity": str(level)}, everything=True)
            point = side.description.operating_point
            outputs.append(outputs_of(side.collected, point, *compared))
            errors.append(image_errors(outputs[-1].given, side.collected.targets))
        wrong.append([100 * each.mean() for each in errors])
        levels = np.repeat(LEVELS, [len(each) for each in errors])
        found["chance"].append((0.0, 100 * np.concatenate(errors).mean()))
        for name, score in SCORES.items():
            if score.per == "image" and why_unavailable(name, outputs[0]) is None:
                values = np.concatenate([compute_score(name, output) for output in outputs])
                area = 100 * aurc(values, np.concatenate(errors))
                found[name].append((100 * spearmanr(values, levels).statistic, area))
    means = np.mean(wrong, axis=0)
    told = (f"{level:g}: {mean:.1f}" for level, mean in zip(LEVELS, means, strict=True))
    print("wrong labels at each ambiguity, %:", *told)
    print(f"{'':24}{'correlation':>16}{'AURC':>16}")
    for name, values in sorted(found.items(), key=lambda item: np.mean(item[1], axis=0)[1]):
        means, spreads = np.mean(values, axis=0), np.std(values, axis=0, ddof=len(values) > 1)
        cells = (f"{m:.1f} ± {s:.1f}" for m, s in zip(means, spreads, strict=True))
        print(f"{name:24}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
