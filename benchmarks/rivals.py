"""Heads side by side, each with the best of the same few head rates (frozen_features.py).

What follows the frozen stages is trained, two passes. For each recipe the same multiples of the
encoder's rate are tried for the head with the first seed; the one with the best validation mAP is
trained with the other seeds. Restartable: a line of FILE is a training, and what is there is not
run again. Several processes may share the work, each with recipes and a FILE of its own.

    python benchmarks/rivals.py labels.csv --weights FILE --out rivals.jsonl --methods csra bce
    python benchmarks/rivals.py labels.csv --out rivals.jsonl --table

The weights of the last step are scored; the test split chooses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from frozen_features import add_line, prepare, read_lines, study_options, train
from torch import Tensor, nn

from colabel.config import load_config
from colabel.metrics import evaluate_scores

RECIPES = {
    "bce": "laptop-bce",
    "bce-max": "laptop-bce-max",
    "asl": "laptop-asl",
    "kmcl": "laptop-kmcl",
    "csra": "laptop-csra",
    "ml-decoder": "laptop-ml-decoder",
    "query2label": "laptop-query2label",
    "kmcl-csra": "kmcl-csra",
    "kmcl-ml-decoder": "kmcl-ml-decoder",
}
MULTIPLES = (3, 10, 30)
"""Of the encoder's learning rate, for the head."""


def logits_of(model: nn.Module, maps: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(rows[:, 0].float()).logits for rows in maps.split(128)])


def run(
    method: str, multiple: int, seed: int, weights: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Train a recipe and return its mAP on validation and test, in per cent."""
    changes = ["training.epochs=2", f"training.head_learning_rate=x{multiple}"]
    config = load_config(RECIPES[method], changes)
    began = time.monotonic()
    model = train(config, data["train_maps"], data["train_targets"], weights=weights, seed=seed)
    line: dict[str, Any] = {"method": method, "multiple": multiple, "seed": seed}
    line["seconds"] = round(time.monotonic() - began, 1)
    line["head parameters"] = sum(p.numel() for p in model.head.parameters())
    for split in ("val", "test"):
        scores = logits_of(model, data[f"{split}_maps"]).double().sigmoid().numpy()
        report = evaluate_scores(scores, data[f"{split}_targets"].numpy())
        line[split] = 100 * report.mean_average_precision
    return line


def best_multiple(lines: list[dict[str, Any]], method: str) -> int:
    """Return the multiple with the best validation mAP of the first seed."""
    tried = [line for line in lines if line["method"] == method and line["seed"] == 0]
    return int(max(tried, key=lambda line: line["val"])["multiple"])


def table(lines: list[dict[str, Any]]) -> None:
    """Print each recipe at its best multiple: mean over seeds and standard deviation."""
    print("| head | validation mAP by multiple, first seed | chosen | test mAP | parameters |")
    print("|---|---|---|---|---|")
    for method in RECIPES:
        mine = [line for line in lines if line["method"] == method]
        if not mine:
            continue
        tried = {line["multiple"]: line["val"] for line in mine if line["seed"] == 0}
        best = best_multiple(lines, method)
        scores = [line["test"] for line in mine if line["multiple"] == best]
        spread = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
        told = ", ".join(f"x{multiple} {score:.1f}" for multiple, score in sorted(tried.items()))
        parameters = mine[0]["head parameters"] / 1e6
        print(
            f"| {method} | {told} | x{best} | {np.mean(scores):.1f}{spread} ({len(scores)}) "
            f"| {parameters:.2f} M |"
        )


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=3)
    parser.set_defaults(methods=list(RECIPES))
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        table(lines)
        return
    data = prepare(options.data, options.weights, options.out)

    def once(method: str, multiple: int, seed: int) -> None:
        if any(
            (line["method"], line["multiple"], line["seed"]) == (method, multiple, seed)
            for line in lines
        ):
            return
        lines.append(run(method, multiple, seed, options.weights, data))
        add_line(options.out, lines[-1])
        print(lines[-1], flush=True)

    for multiple in MULTIPLES:
        for method in options.methods:
            once(method, multiple, 0)
    for seed in range(1, options.seeds):
        for method in options.methods:
            once(method, best_multiple(lines, method), seed)


if __name__ == "__main__":
    main()
