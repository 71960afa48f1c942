"""Tune every method with the same effort: the same random draws, chosen on validation.

Trial ``i`` draws the settings that methods share from a generator seeded with ``i``, so every
method meets the same ones; what only one method has is drawn after them. Trial 0 is the recipe as
it is. What follows the frozen stages is trained (frozen_features.py), two passes over the images
for every method. Restartable: a line of FILE is a training, and what is there is not run again.

    python benchmarks/tuning.py labels.csv --weights FILE --out tuning.jsonl --trials 12
    python benchmarks/tuning.py labels.csv --weights FILE --out tuning.jsonl --best 2 --seeds 3
    python benchmarks/tuning.py labels.csv --out tuning.jsonl --table
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from frozen_features import (
    METHODS,
    add_line,
    encode,
    prepare,
    read_lines,
    study_options,
    train,
)

from colabel.config import load_config
from colabel.metrics import evaluate_scores
from colabel.models import Features


def log_uniform(generator: random.Random, low: float, high: float) -> float:
    return float(f"{math.exp(generator.uniform(math.log(low), math.log(high))):.3g}")


def draw(method: str, trial: int) -> dict[str, Any]:
    """Return the settings of a trial."""
    passes = 1 if method == "probmcl" else 2  # of which one of ProbMCL's sees two views
    fixed = {"training.epochs": passes}
    if not trial:
        return fixed
    generator = random.Random(trial)
    drawn: dict[str, Any] = {
        "training.learning_rate": log_uniform(generator, 2e-5, 4e-4),
        "training.head_learning_rate": f"x{log_uniform(generator, 5, 100)}",
        "training.batch_size": generator.choice([16, 32, 64]),
        "training.weight_decay": generator.choice([0, 1e-5, 1e-4, 1e-3]),
        "training.warm_up": generator.choice([0.1, 0.2, 0.4]),
        "training.ema_decay": generator.choice([0, 0.99, 0.9997]),
    }
    warm = generator.choice([0, 1, 3])
    smoothing = generator.choice([0, 0, 0.05, 0.1])
    weight = log_uniform(generator, 0.01, 0.5)
    temperature = generator.choice([0.07, 0.1, 0.2, 0.4])
    rate = log_uniform(generator, 1e-3, 1e-2)
    if method == "probmcl":
        drawn["terms.contrastive.temperature"] = temperature
        drawn["method.classification.learning_rate"] = rate
        drawn["method.classification.terms.classification.label_smoothing"] = smoothing
    else:
        drawn["training.warm_start.epochs"] = warm
        drawn["terms.classification.label_smoothing"] = smoothing
    if method == "kmcl":
        drawn["terms.contrastive.weight"] = weight
        drawn["terms.contrastive.temperature"] = temperature
    return fixed | drawn


def run(method: str, trial: int, seed: int, data: dict[str, Any]) -> dict[str, Any]:
    """Train one trial and score it on the validation split."""
    changes = [f"{key}={value}" for key, value in draw(method, trial).items()]
    config = load_config(f"laptop-{method}", changes)
    began = time.monotonic()
    line = {"method": method, "trial": trial, "seed": seed, "settings": draw(method, trial)}
    try:
        model = train(
            config,
            data["train_maps"],
            data["train_targets"],
            new_tail=data["new_tail"],
            seed=seed,
        )
    except RuntimeError as error:
        return {**line, "mAP": 0.0, "error": str(error)}
    with torch.no_grad():
        logits = model(Features(encode(model.encoder, data["val_maps"]))).logits
    report = evaluate_scores(logits.double().sigmoid().numpy(), data["val_targets"].numpy())
    seconds = round(time.monotonic() - began, 1)
    return {**line, "mAP": 100 * report.mean_average_precision, "seconds": seconds}


def best_trials(lines: list[dict[str, Any]], method: str, count: int) -> list[int]:
    """Return the trials that scored highest with the first seed."""
    first = [line for line in lines if line["method"] == method and line["seed"] == 0]
    ranked = sorted(first, key=lambda line: -line["mAP"])
    return [line["trial"] for line in ranked[:count]]


def table(lines: list[dict[str, Any]]) -> None:
    """Print the trials of every method, best first, and what each choice came to on average."""
    for method in METHODS:
        scores = defaultdict(list)
        for line in lines:
            if line["method"] == method:
                scores[line["trial"]].append(line["mAP"])
        print(f"\n{method}")
        for trial, values in sorted(scores.items(), key=lambda item: -np.mean(item[1])):
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            told = {key.split(".", 1)[1]: value for key, value in draw(method, trial).items()}
            told.pop("epochs")
            print(f"  {np.mean(values):.1f}{spread}  {trial:>2}  {told or 'as the recipe is'}")


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=1)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--best", type=int, help="only the best trials so far of each method")
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        table(lines)
        return
    done = {(line["method"], line["trial"], line["seed"]) for line in lines}
    data = prepare(options)
    for seed in range(options.seeds):
        for rank in range(options.best or options.trials):
            for method in options.methods:
                trial = rank if options.best is None else best_trials(lines, method, rank + 1)[-1]
                if (method, trial, seed) in done:
                    continue
                line = run(method, trial, seed, data)
                add_line(options.out, line)
                print(f"{method}, trial {trial}, seed {seed}: mAP {line['mAP']:.1f}", flush=True)


if __name__ == "__main__":
    main()
