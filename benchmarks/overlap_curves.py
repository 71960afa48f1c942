"""How kernels overlap while KMCL trains, from the logs of runs, as one picture.

    python benchmarks/overlap_curves.py overlaps.png 'default=runs/a-0' 'raw features=runs/b-0'

Left: mean overlap of a label's kernels between images that share the label (solid) and others
(dashed). Middle: share of overlaps under 0.001, which no gradient reaches. Right: share of the
contrastive term in the gradient at the features.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from colabel.training import read_log

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("png", type=Path)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    arguments = parser.parse_args()
    figure = Figure(figsize=(13, 4), layout="constrained")
    overlaps, zeros, shares = figure.subplots(1, 3)
    for colour, argument in zip(COLOURS, arguments.runs, strict=False):
        name, _, folder = argument.rpartition("=")
        steps = [one for one in read_log(Path(folder) / "log.jsonl") if one["kind"] == "step"]
        at = [one["step"] for one in steps]
        for key, style in (("overlap_shared", "-"), ("overlap_unshared", "--")):
            values = [one["diagnostics"].get(key) for one in steps]
            overlaps.plot(at, values, style, color=colour, label=name if style == "-" else None)
        zeros.plot(at, [one["diagnostics"].get("overlap_zero") for one in steps], color=colour)
        terms = [one["terms"].get("contrastive", {}) for one in steps]
        shares.plot(at, [one.get("gradient_share", 0) for one in terms], color=colour)
    overlaps.set_title("mean overlap; solid: shared label", loc="left")
    zeros.set_title("share of overlaps under 0.001", loc="left")
    shares.set_title("contrastive share of the gradient", loc="left")
    for axes in (overlaps, zeros, shares):
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("training step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(arguments.png, dpi=130)


if __name__ == "__main__":
    main()
