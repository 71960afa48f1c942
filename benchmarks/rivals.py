"""Every method side by side, each with the best of the same few head rates (frozen_features.py).

What follows the frozen stages is trained. For each recipe the same multiples of the encoder's rate
are tried for the head (of ProbMCL and MulSupCon: for that of the contrastive stage) with the first
seed; the one with the best validation mAP is trained with the other seeds. Two views of an image
count as two passes; the classifier of these methods has its twenty epochs beside.

Restartable: a line of FILE is a training, and what is there is not run again. Several processes
may share the work, each with methods and a FILE of its own; the table takes several.

    python benchmarks/rivals.py labels.csv --weights FILE --out a.jsonl --methods csra bce
    python benchmarks/rivals.py labels.csv --out a.jsonl --more b.jsonl --table

The weights of the last step are scored; the test split chooses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frozen_features import add_line, prepare, read_lines, study_options, train
from torch import Tensor, nn

from colabel.config import Config, change_config, load_config
from colabel.errors import NonFiniteLossError
from colabel.metrics import evaluate_scores
from colabel.workflows.candidates import PLAIN_IMAGES, head_epochs, with_values

RECIPES = {
    "bce": "laptop-bce",
    "bce-max": "laptop-bce-max",
    "ml-gcn": "laptop-ml-gcn",
    "csra": "laptop-csra",
    "tdrg": "laptop-tdrg",
    "query2label": "laptop-query2label",
    "ml-decoder": "laptop-ml-decoder",
    "asl": "laptop-asl",
    "focal": "laptop-focal",
    "zlpr": "laptop-zlpr",
    "two-way": "laptop-two-way",
    "kmcl": "laptop-kmcl",
    "kmcl-csra": "kmcl-csra",
    "kmcl-ml-decoder": "kmcl-ml-decoder",
    "probmcl": "laptop-probmcl",
    "mulsupcon": "laptop-mulsupcon",
}
"""In the order of the papers' tables, then the losses, then the methods of two terms or stages."""
AT_ONCE: Mapping[str, Any] = {
    "training.warm_start": {"epochs": 0},
    "training.head_learning_rate": "x30",
    "augmentation.operations": 1,
}
"""Settings with which the classifier does not learn alone before."""
AT_ONCE_OF: Mapping[str, Mapping[str, Any]] = {
    "bce": {"terms.classification.label_smoothing": 0},
    "focal": {"training.head_learning_rate": "x100"},
}
"""What some methods have beside it then."""
AS_THEY_COME = {"linear": "head.feature_length", "kernel_mixture": "head.logit_feature_length"}
"""By the head, the length of the features that a classifier reads; null: as they come."""
MULTIPLES = (3, 10, 30, 100)
"""Of the encoder's learning rate, for the head."""


def load_rival(method: str) -> Config:
    """Return the recipe of a method, without the warm start that some have."""
    config = load_config(RECIPES[method])
    if not config.training.warm_start.epochs:
        return config
    lengths = {AS_THEY_COME[config.head.name]: None}
    return with_values(config, {**AT_ONCE, **AT_ONCE_OF.get(method, {}), **lengths})


def classifier_first(
    images: int, *, mirrored: bool = True, rate: float = 3e-3, epochs: int | None = None
) -> dict[str, Any]:
    """Return settings with which the classifier learns alone before, on features of one length."""
    return {
        **PLAIN_IMAGES,
        "augmentation.horizontal_flip": mirrored,
        "training.warm_start.epochs": epochs or head_epochs(images),
        "training.warm_start.learning_rate": rate,
        "training.head_learning_rate": "x10",
        "head.feature_length": 8,
    }


def predict(model: nn.Module, maps: Tensor) -> Tensor:
    """Return the logits of the images as they are, not mirrored or changed."""
    with torch.no_grad():
        return torch.cat([model(rows[:, 0].float()).logits for rows in maps.split(128)])


def score(logits: Tensor, targets: Tensor) -> float:
    """Return the mAP of logits, in per cent."""
    exact = logits.double()
    report = evaluate_scores(exact.sigmoid().numpy(), targets.numpy(), logits=exact.numpy())
    return 100 * report.mean_average_precision


def mean_average_precision(model: nn.Module, data: Mapping[str, Any], split: str) -> float:
    """Return the mAP of a model on a split, in per cent."""
    return score(predict(model, data[f"{split}_maps"]), data[f"{split}_targets"])


def run(
    method: str, multiple: int, seed: int, data: Mapping[str, Any], passes: int
) -> dict[str, Any]:
    """Train a recipe and return its mAP on validation and test, in per cent; none if it fails."""
    rival = load_rival(method)
    views = rival.stages()[0].views
    changes = [f"training.epochs={passes // views}", f"training.head_learning_rate=x{multiple}"]
    config = change_config(rival, changes)
    line: dict[str, Any] = {"method": method, "multiple": multiple, "seed": seed}
    began = time.monotonic()
    maps, targets, records = (data[key] for key in ("train_maps", "train_targets", "train"))
    try:
        model = train(config, maps, targets, new_tail=data["new_tail"], seed=seed, records=records)
    except NonFiniteLossError:
        return {**line, "val": None, "test": None}
    line["seconds"] = round(time.monotonic() - began, 1)
    line["head parameters"] = sum(p.numel() for p in model.head.parameters())
    for split in ("val", "test"):
        line[split] = mean_average_precision(model, data, split)
    return line


def tried_first(lines: list[dict[str, Any]], method: str) -> dict[int, float]:
    """Return the validation mAP of the first seed by multiple, of those that ended."""
    return {
        line["multiple"]: line["val"]
        for line in lines
        if (line["method"], line["seed"]) == (method, 0) and line["val"] is not None
    }


def table(lines: list[dict[str, Any]]) -> None:
    """Print each recipe at its best multiple: mean over seeds, its spread, differences to bce."""
    print(
        "| method | validation by multiple, first seed | seeds | test mAP | against bce | head |"
    )
    print("|---|---|---|---|---|---|")
    reference: dict[int, float] = {}
    for method in RECIPES:
        tried = tried_first(lines, method)
        if not tried:
            continue
        best = max(tried, key=tried.__getitem__)
        mine = {
            line["seed"]: line
            for line in lines
            if (line["method"], line["multiple"]) == (method, best) and line["test"] is not None
        }
        scores = {seed: mine[seed]["test"] for seed in sorted(mine)}
        reference = reference or scores
        told = ", ".join(
            f"**{score:.1f}**" if multiple == best else f"{score:.1f}"
            for multiple, score in sorted(tried.items())
        )
        spread = f" ± {np.std(list(scores.values()), ddof=1):.1f}" if len(scores) > 1 else ""
        against = ", ".join(
            f"{score - reference[seed]:+.1f}"
            for seed, score in scores.items()
            if seed in reference
        )
        parameters = mine[0]["head parameters"] / 1e6
        print(
            f"| {method} | {told} | {len(scores)} | {np.mean(list(scores.values())):.1f}{spread} "
            f"| {against} | {parameters:.2f} M |"
        )


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=3)
    parser.add_argument("--passes", type=int, default=2, help="over the training images")
    parser.add_argument("--multiples", type=int, nargs="+", default=list(MULTIPLES))
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="lines for the table")
    parser.set_defaults(methods=list(RECIPES))
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        table([line for path in (options.out, *options.more) for line in read_lines(path)])
        return
    data = prepare(options)

    def once(method: str, multiple: int, seed: int) -> None:
        key = {"method": method, "multiple": multiple, "seed": seed}
        if any(key.items() <= line.items() for line in lines):
            return
        lines.append(run(**key, data=data, passes=options.passes))
        add_line(options.out, lines[-1])
        print(lines[-1], flush=True)

    for method in options.methods:
        for multiple in options.multiples:
            once(method, multiple, 0)
        tried = tried_first(lines, method)
        for seed in range(1, options.seeds):
            once(method, max(tried, key=tried.__getitem__), seed)


if __name__ == "__main__":
    main()
