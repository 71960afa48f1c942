"""Tune every method with the same effort: the same random draws, chosen on validation.

Trial ``i`` draws the settings that methods share from a generator seeded with ``i``, so every
method meets the same ones; what only one method has is drawn after them. Augmentations and epochs
of a warm start take turns, so that each is met as often. Trial 0 learns all at once, with the
head at thirty times the rate; a few others are given. What follows the frozen stages is trained
(frozen_features.py), two passes over the images for every method. Restartable: a line of FILE is
a training, and what is there is not run again.

    python benchmarks/tuning.py labels.csv --weights FILE --out tuning.jsonl
    python benchmarks/tuning.py labels.csv --weights FILE --out tuning.jsonl --best 2 --seeds 3
    python benchmarks/tuning.py labels.csv --out tuning.jsonl --table
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from frozen_features import (
    AUGMENTATIONS,
    add_line,
    kept_maps,
    prepare,
    read_lines,
    study_options,
    train,
)
from rivals import classifier_first, load_rival, mean_average_precision
from torch import Tensor

from colabel.errors import NonFiniteLossError
from colabel.workflows.candidates import with_values


def gently(epochs: int, smoothing: float) -> dict[str, Any]:
    smoothed = {"terms.classification.label_smoothing": smoothing}
    return classifier_first(6000, rate=1e-3, epochs=epochs) | smoothed


GIVEN: Mapping[int, Mapping[str, Any]] = {
    1: classifier_first(6000),
    12: gently(3, 0),
    13: gently(3, 0.1),
    14: gently(10, 0.1),
    15: {"terms.classification.label_smoothing": 0.1, "head.feature_length": 8},
}
"""Trials that are not drawn: a classifier that learns first for long, and what is near the best.

KMCL's probabilities are read off features of the same length then. ProbMCL, which has no
classifier in its first stage, has draws in their place. Of a head that attends all rates are a
third, as those of its recipe are.
"""


def log_uniform(generator: random.Random, low: float, high: float) -> float:
    return float(f"{math.exp(generator.uniform(math.log(low), math.log(high))):.3g}")


def draw(method: str, trial: int) -> dict[str, Any]:
    """Return the settings of a trial; ``augmentation`` names maps, the others are the recipe's."""
    passes = 1 if method == "probmcl" else 2  # of which one of ProbMCL's sees two views
    fixed = {"augmentation": "mirror", "training.epochs": passes}
    if not trial:
        return fixed
    if trial in GIVEN and method != "probmcl":
        length = {"head.logit_feature_length": 8} if "kmcl" in method and trial > 11 else {}
        return fitting(method, fixed | GIVEN[trial] | length)
    generator = random.Random(trial)
    drawn: dict[str, Any] = {
        "training.learning_rate": log_uniform(generator, 4e-5, 3e-4),
        "training.head_learning_rate": f"x{log_uniform(generator, 3, 60)}",
        "training.batch_size": generator.choice([16, 32, 64]),
        "training.weight_decay": generator.choice([0, 1e-4, 1e-3]),
        "training.warm_up": generator.choice([0.1, 0.2, 0.4]),
        "training.ema_decay": generator.choice([0, 0.99, 0.9997]),
        "augmentation": ("none", *AUGMENTATIONS)[trial % 4],
    }
    warm = (0, 3, 10)[trial % 3]
    smoothing = generator.choice([0, 0, 0.05, 0.1])
    weight = log_uniform(generator, 0.01, 0.5)
    temperature = generator.choice([0.07, 0.1, 0.2, 0.4])
    rate = log_uniform(generator, 1e-3, 1e-2)
    length = generator.choice([None, 8])
    if method == "probmcl":
        drawn["terms.contrastive.temperature"] = temperature
        drawn["method.classification.learning_rate"] = rate
        drawn["method.classification.terms.classification.label_smoothing"] = smoothing
        drawn["method.classification.head.feature_length"] = length
    else:
        drawn["terms.classification.label_smoothing"] = smoothing
        drawn["head.feature_length"] = length
        drawn["training.warm_start.epochs"] = warm
        drawn |= {"training.warm_start.learning_rate": rate} if warm else {}
    if "kmcl" in method:
        drawn["terms.contrastive.weight"] = weight
        drawn["terms.contrastive.temperature"] = temperature
    return fitting(method, fixed | drawn)


def fitting(method: str, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a method has, with rates as they are fit for its head."""
    recipe = load_rival(method)
    owners = {
        "head.feature_length": recipe.head,
        "terms.classification.label_smoothing": recipe.terms.get("classification"),
    }
    told = {
        key: value
        for key, value in drawn.items()
        if key not in owners or hasattr(owners[key], key.rpartition(".")[2])
    }
    if hasattr(getattr(recipe.head, "pooling", None), "heads"):  # it attends
        multiple, rate = "training.head_learning_rate", "training.warm_start.learning_rate"
        if multiple in told:
            told[multiple] = f"x{float(told[multiple][1:]) / 3:.1g}"
        if rate in told:
            told[rate] = float(f"{told[rate] / 3:.1g}")
    return told


def run(method: str, trial: int, seed: int, data: dict[str, Any]) -> dict[str, Any]:
    """Train one trial and score it on the validation and test splits."""
    drawn = draw(method, trial)
    config = with_values(load_rival(method), settings(drawn))
    began = time.monotonic()
    line = {"method": method, "trial": trial, "seed": seed, "settings": drawn}
    try:
        model = train(
            config,
            data["maps"](drawn["augmentation"]),
            data["train_targets"],
            new_tail=data["new_tail"],
            seed=seed,
        )
    except NonFiniteLossError as error:
        return {**line, "mAP": 0.0, "test": 0.0, "error": str(error)}
    found = {split: mean_average_precision(model, data, split) for split in ("val", "test")}
    seconds = round(time.monotonic() - began, 1)
    return {**line, "mAP": found["val"], "test": found["test"], "seconds": seconds}


def settings(drawn: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in drawn.items() if key != "augmentation"}


def training_maps(
    options: argparse.Namespace, data: Mapping[str, Any], augmentation: str
) -> Tensor:
    """Return two versions of each training image as the frozen stages see them."""
    if augmentation == "none":
        plain: Tensor = data["train_maps"][:, :1]
        return plain.expand(-1, 2, *plain.shape[2:])
    return kept_maps(options, data["records"], "train", augmentation)


def best_trials(lines: list[dict[str, Any]], method: str, count: int) -> list[int]:
    """Return the trials that scored highest with the first seed."""
    first = [line for line in lines if line["method"] == method and line["seed"] == 0]
    ranked = sorted(first, key=lambda line: -line["mAP"])
    return [line["trial"] for line in ranked[:count]]


def table(lines: list[dict[str, Any]]) -> None:
    """Print the trials of every method, best on validation first, and what they drew."""
    for method in dict.fromkeys(line["method"] for line in lines):
        found = defaultdict(list)
        for line in lines:
            if line["method"] == method:
                found[line["trial"]].append((line["mAP"], line["test"]))
        print(f"\n| {method}, trial | validation | test | settings |\n|---|---|---|---|")
        for trial, values in sorted(found.items(), key=lambda item: -np.mean(item[1], axis=0)[0]):
            cells = [mean_and_spread(each) for each in zip(*values, strict=True)]
            drawn = {key: value for key, value in draw(method, trial).items() if "." in key}
            told = [f"{key.split('.', 1)[1]}: {value}" for key, value in drawn.items()]
            about = "; ".join([draw(method, trial)["augmentation"], *told[1:]])
            print(f"| {trial} | {' | '.join(cells)} | {about} |")


def mean_and_spread(values: tuple[float, ...]) -> str:
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=1)
    parser.add_argument("--trials", type=int, nargs="+", default=list(range(16)))
    parser.add_argument(
        "--best", type=int, help="only the best trials of each method, and trial 0"
    )
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        table(lines)
        return
    done = {(line["method"], line["trial"], line["seed"]) for line in lines}
    data = prepare(options)
    data["maps"] = partial(training_maps, options, data)
    for seed in range(options.seeds):
        for method in options.methods:
            best = [] if options.best is None else best_trials(lines, method, options.best)
            for trial in best or options.trials:
                if (method, trial, seed) in done:
                    continue
                line = run(method, trial, seed, data)
                add_line(options.out, line)
                print(f"{method}, trial {trial}, seed {seed}: mAP {line['mAP']:.1f}", flush=True)


if __name__ == "__main__":
    main()
