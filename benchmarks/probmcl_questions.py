"""What may be done with ProbMCL beside its recipe (frozen_features.py has the way of training).

Longer contrastive training, a projection, the encoder as a start for cross-entropy and for the
asymmetric loss, each beside cross-entropy alone with as many passes over the images. A pass of
the contrastive stage sees two views of every image and counts as two.

    python benchmarks/probmcl_questions.py labels.csv --weights FILE --out probmcl.jsonl
    python benchmarks/probmcl_questions.py labels.csv --out probmcl.jsonl --table

The weights of the last step are scored, on the test split; nothing is chosen by it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from frozen_features import add_line, encode, prepare, read_lines, study_options, train
from rivals import classifier_first, load_rival

from colabel.metrics import evaluate_scores
from colabel.models import Features
from colabel.workflows.candidates import with_values

Step = tuple[str, Mapping[str, Any]]
"""A recipe of the laptop family and what is changed in it."""


def for_epochs(method: str, epochs: int, **changes: Any) -> Step:
    return method, {"training.epochs": epochs, **changes}


PROBMCL = for_epochs("probmcl", 1)
FIRST = classifier_first(6000, rate=1e-3) | {"terms.classification.label_smoothing": 0.1}
RECIPES: Mapping[str, tuple[int, tuple[Step, ...]]] = {
    "ProbMCL as its recipe is": (2, (PROBMCL,)),
    "ProbMCL, three times as long": (6, (for_epochs("probmcl", 3),)),
    "ProbMCL, projection to 128": (2, (for_epochs("probmcl", 1, **{"head.projection": 128}),)),
    "ProbMCL's encoder, then cross-entropy": (4, (PROBMCL, for_epochs("bce", 2))),
    "ProbMCL's encoder, then the asymmetric loss": (4, (PROBMCL, for_epochs("asl", 2))),
    "ProbMCL, whose second stage goes on with the encoder": (
        4,
        (PROBMCL, for_epochs("bce", 2, **FIRST)),
    ),
    "cross-entropy": (2, (for_epochs("bce", 2),)),
    "cross-entropy, twice as long": (4, (for_epochs("bce", 4),)),
    "cross-entropy, three times as long": (6, (for_epochs("bce", 6),)),
    "cross-entropy, classifier first": (2, (for_epochs("bce", 2, **FIRST),)),
    "cross-entropy, classifier first, twice as long": (4, (for_epochs("bce", 4, **FIRST),)),
}
"""Passes over the images in all, and what is trained one after the other on the same encoder.

A second stage that goes on with the encoder has the classifier alone first, as ProbMCL's is, and
then all that follows the frozen stages.
"""


def run(steps: tuple[Step, ...], seed: int, data: Mapping[str, Any]) -> float:
    """Train one step after the other and return the mAP on the test split, in per cent."""
    model = None
    for method, changes in steps:
        config = with_values(load_rival(method), changes)
        encoder = None if model is None else model.encoder
        model = train(
            config,
            data["train_maps"],
            data["train_targets"],
            new_tail=data["new_tail"],
            seed=seed,
            encoder=encoder,
        )
    assert model is not None
    with torch.no_grad():
        logits = model(Features(encode(model.encoder, data["test_maps"]))).logits
    report = evaluate_scores(logits.double().sigmoid().numpy(), data["test_targets"].numpy())
    return 100 * report.mean_average_precision


def table(lines: list[dict[str, Any]]) -> None:
    """Print the mean over seeds and their standard deviation."""
    print("| what | passes | test mAP |\n|---|---|---|")
    for name, (passes, _) in RECIPES.items():
        scores = [line["mAP"] for line in lines if line["name"] == name]
        if scores:
            spread = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
            print(f"| {name} | {passes} | {np.mean(scores):.1f}{spread} |")


def main() -> None:
    options = study_options(__doc__.splitlines()[0], seeds=3).parse_args()
    lines = read_lines(options.out)
    if options.table:
        table(lines)
        return
    done = {(line["name"], line["seed"]) for line in lines}
    data = prepare(options)
    for seed in range(options.seeds):
        for name, (_, steps) in RECIPES.items():
            if (name, seed) in done:
                continue
            began = time.monotonic()
            score = run(steps, seed, data)
            seconds = round(time.monotonic() - began, 1)
            add_line(options.out, {"name": name, "seed": seed, "mAP": score, "seconds": seconds})
            print(f"{name}, seed {seed}: mAP {score:.1f}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
