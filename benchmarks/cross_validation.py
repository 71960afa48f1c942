"""Methods compared on all images: each is trained on two thirds and scored on the last, in turn.

All images of all splits are divided into three parts by chance, the same for every method; a
training of two passes has the parts but one, and the one is its test (frozen_features.py). So each
image decides once, which tells smaller differences than a test split does. Settings are those of
the recipes; nothing is chosen here. Restartable: a line of FILE is a training.

    python benchmarks/cross_validation.py labels.csv --weights FILE --out cross.jsonl
    python benchmarks/cross_validation.py labels.csv --out cross.jsonl --table

The interval of a difference is that of the paired bootstrap over the images of each part, its p
value that of all comparisons together (Holm).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frozen_features import add_line, prepare, read_lines, study_options
from regimes import CONDITIONS, METHODS, SPLITS, train_under
from rivals import predict, score
from torch import Tensor

from colabel.metrics.bootstrap import Answers, Resamples, paired_bootstrap
from colabel.metrics.significance import bootstrap_p_value, centred_interval, holm

PARTS = 3
DRAWS = 4000
"""Enough for p values below 0.01 of twenty comparisons after Holm's correction."""


def parts(images: int) -> tuple[Tensor, ...]:
    """Return the positions of the images of each part."""
    return torch.randperm(images, generator=torch.Generator().manual_seed(0)).chunk(PARTS)


def kept(options: argparse.Namespace, condition: str, method: str, part: int) -> Path:
    """Return the file of what a model says of the images of its part, and what is right."""
    about = "-".join("".join(filter(str.isalnum, name)) for name in (condition, method))
    return Path(options.out.with_suffix(f".{about}-{part}.npz"))


def measure(
    options: argparse.Namespace, condition: str, method: str, part: int, data: Any
) -> None:
    """Train on the other parts, and keep what the model says of its own."""
    maps, targets = data
    tested = parts(len(maps))[part]
    learned = torch.cat([each for index, each in enumerate(parts(len(maps))) if index != part])
    began = time.monotonic()
    model = train_under(
        CONDITIONS[condition],
        method,
        maps[learned],
        targets[learned],
        new_tail=options.new_tail,
        seed=part,
    )
    seconds = time.monotonic() - began
    logits, right = predict(model, maps[tested]), targets[tested]
    np.savez(
        kept(options, condition, method, part),
        logits=logits.numpy(),
        targets=right.numpy().astype(np.int8),
    )
    line = {"condition": condition, "method": method, "part": part, "seconds": seconds}
    line["mAP"] = score(logits, right)
    add_line(options.out, line)
    print(f"{condition}, {method}, part {part}: mAP {line['mAP']:.1f}", flush=True)


def difference(options: argparse.Namespace, condition: str, methods: tuple[str, str]) -> Any:
    """Return the differences of two methods by part, and those of the draws, meaned over parts."""
    found, drawn = [], []
    for part in range(PARTS):
        files = [np.load(kept(options, condition, method, part)) for method in methods]
        targets = files[0]["targets"]
        assert (targets == files[1]["targets"]).all()
        first, second = (file["logits"] for file in files)
        right = torch.from_numpy(targets)
        values_of = [score(torch.from_numpy(logits), right) for logits in (first, second)]
        found.append(values_of[0] - values_of[1])
        resamples = Resamples(len(targets), DRAWS, seed=part)
        values = paired_bootstrap([Answers(first), Answers(second)], targets, resamples).values
        drawn.append(100 * (values["mAP"][0] - values["mAP"][1]))
    return found, np.mean(drawn, axis=0)


def table(options: argparse.Namespace) -> None:
    """Print every method's mAP, and how far it is from another, part by part and over all."""
    lines = read_lines(options.out)
    for condition in dict.fromkeys(line["condition"] for line in lines):
        values: dict[str, list[float]] = {}
        for line in lines:
            if line["condition"] == condition:
                values.setdefault(line["method"], []).append(line["mAP"])
        whole = [name for name in METHODS if len(values.get(name, ())) == PARTS]
        others = [name for name in whole if name != options.against]
        told = {
            name: difference(options, condition, (name, options.against))
            for name in (others if options.against in whole else ())
        }
        print_rows(condition, whole, values, told, options.against)


def print_rows(
    condition: str,
    methods: list[str],
    values: Mapping[str, list[float]],
    differences: Mapping[str, tuple[list[float], np.ndarray]],
    against: str,
) -> None:
    names = list(differences)
    observed = {name: float(np.mean(differences[name][0])) for name in names}
    units = 2 * PARTS  # more than one: of each part many images are drawn
    p_values = holm(
        [bootstrap_p_value(differences[name][1], observed[name], units=units) for name in names]
    )
    print(f"\n{condition}\n| method | mAP | against {against} | by part | 95 % | p |")
    print("|" + "---|" * 6)
    for name in methods:
        row = f"| {name} | {np.mean(values[name]):.1f} ± {np.std(values[name], ddof=1):.1f} |"
        if name in names:
            by_part, draws = differences[name]
            interval = centred_interval(draws, observed[name], units=units)
            row += f" {observed[name]:+.1f} | {', '.join(f'{each:+.1f}' for each in by_part)} |"
            row += f" {interval.low:+.1f} to {interval.high:+.1f} |"
            row += f" {p_values[names.index(name)]:.3f} |"
        else:
            row += " |" * 4
        print(row)


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=PARTS)
    parser.add_argument("--against", choices=METHODS, default="bce")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=["100 %"])
    options = parser.parse_args()
    if options.table:
        table(options)
        return
    done = {(line["condition"], line["method"], line["part"]) for line in read_lines(options.out)}
    data = prepare(options)
    options.new_tail = data["new_tail"]
    together = tuple(
        torch.cat([data[f"{s}_{what}"] for s in SPLITS]) for what in ("maps", "targets")
    )
    for part in range(options.seeds):
        for condition in options.conditions:
            for method in options.methods:
                if (condition, method, part) not in done:
                    measure(options, condition, method, part, together)


if __name__ == "__main__":
    main()
