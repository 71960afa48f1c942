"""ProbMCL's literal objective and its cure, trained on the drawn scenes, as one picture.

    python benchmarks/collapse.py FOLDER

Trains every variant below for a few epochs of the contrastive stage (runs that are there already
are kept) and draws ``FOLDER/collapse.png``: mean similarity of an anchor with its positives and
with all others, and the share of the contrastive term in the gradient at the features. The
table says what a linear classifier on the frozen encoder then reaches on validation.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from matplotlib.figure import Figure

import colabel
from colabel.training import make_display, read_log

VARIANTS = {
    "literal": ["terms.likelihood.per_dimension=false"],
    "literal, weight 30": ["terms.likelihood.per_dimension=false", "terms.contrastive.weight=30"],
    "divided by n": [],
}
SETTINGS = [
    "training.learning_rate=2e-3",
    "method.classification.learning_rate=2e-2",
    "method.classification.epochs=10",
    "method.classification.head.feature_length=1",
]
COLOURS = ("#D55E00", "#E69F00", "#0072B2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=6, help="of the contrastive stage")
    parser.add_argument("--recipe", default="shapes-probmcl")
    arguments = parser.parse_args()
    print("| variant | positives | negatives | contrastive share | mAP (val) |")
    print("|---|---|---|---|---|")
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    for colour, (name, changes) in zip(COLOURS, VARIANTS.items(), strict=True):
        run = arguments.folder / name.replace(", ", "-").replace(" ", "_")
        trained = colabel.train(
            arguments.recipe,
            changes=[f"training.epochs={arguments.epochs}", *SETTINGS, *changes],
            out=run,
            resume=run.exists(),
            display=make_display(),
        )
        steps = [
            record
            for record in read_log(run / "log.jsonl")
            if record["kind"] == "step" and record["stage"] == "contrastive"
        ]
        at = [record["step"] for record in steps]
        curves = [
            *(
                [record["diagnostics"].get(key, math.nan) for record in steps]
                for key in ("similarity_positive", "similarity_negative")
            ),
            [record["terms"]["contrastive"]["gradient_share"] for record in steps],
        ]
        for axes, values in zip(panels, curves, strict=True):
            axes.plot(at, values, color=colour, label=name if axes is panels[0] else None)
        last = " | ".join(f"{values[-1]:.3f}" for values in curves)
        print(f"| {name} | {last} | {100 * trained.report.mean_average_precision:.1f} |")
    titles = ("mean similarity, positives", "mean similarity, negatives", "contrastive share")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("training step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(arguments.folder / "collapse.png", dpi=130)


if __name__ == "__main__":
    main()
