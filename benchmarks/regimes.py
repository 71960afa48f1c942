"""Where do the papers' terms help? Every method under many conditions (frozen_features.py).

Restartable: a line of FILE is a training, and what is there is not run again.

    python benchmarks/regimes.py labels.csv --weights FILE --out regimes.jsonl
    python benchmarks/regimes.py labels.csv --out regimes.jsonl --table

The weights of the last step are scored, on the test split; nothing is chosen by it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from frozen_features import add_line, encode, prepare, read_lines, study_options, train
from rivals import RECIPES, classifier_first, load_rival, predict
from torch import Tensor, nn

from colabel.config import Config, load_config
from colabel.data.transforms import Augment
from colabel.metrics import evaluate_scores
from colabel.models import Classifier
from colabel.workflows.candidates import (
    PLAIN_IMAGES,
    frozen_changes,
    head_epochs,
    with_values,
)

LEFT = "bce, encoder left as it came"
SMOOTHED = {"terms.classification.label_smoothing": 0.1}
FIRST = {
    f"{method}, classifier first{', mirrored' if mirrored else ''}": (
        method,
        lambda images, mirrored=mirrored: classifier_first(images, mirrored=mirrored),
    )
    for method in ("bce", "asl", "kmcl")
    for mirrored in (False, True)
}
VARIANTS: Mapping[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    LEFT: ("bce", lambda _: frozen_changes(load_rival("bce"), ())),
    "bce, images as they are": ("bce", lambda _: dict(PLAIN_IMAGES)),
    **FIRST,
    "bce, classifier first and smoothed, mirrored": (
        "bce",
        lambda images: classifier_first(images, rate=1e-3) | SMOOTHED,
    ),
    "kmcl-ml-decoder, asymmetric loss alone": (
        "kmcl-ml-decoder",
        lambda _: {"terms.contrastive": None, "terms.reconstruction": None},
    ),
}
"""Rivals with changes, by the number of training images: for what an encoder knows already, for
the way of ``train auto`` between the two, and for what KMCL's two terms give."""
RECIPE = ", as its recipe is"
METHODS = (*RECIPES, *VARIANTS, *(f"{method}{RECIPE}" for method in RECIPES))
SPLITS = ("train", "val", "test")
IMAGES_SEEN = {0.01: 3600, 0.05: 6000, 0.1: 7200, 0.3: 9000, 1.0: 12000}
"""By the share of the training images: few images are seen more often."""
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "1 % of the images": {"fraction": 0.01},
    "5 %": {"fraction": 0.05},
    "10 %": {"fraction": 0.1},
    "30 %": {"fraction": 0.3},
    "100 %": {"fraction": 1.0},
    "100 %, in bfloat16": {"fraction": 1.0, "precision": "bf16"},
    "100 %, half as long": {"fraction": 1.0, "longer": 0.5},
    "100 %, twice as long": {"fraction": 1.0, "longer": 2},
    "100 %, four times as long": {"fraction": 1.0, "longer": 4},
    "100 %, batches of 128": {"fraction": 1.0, "batch": 128},
    "100 %, batches of 128, rates x2": {"fraction": 1.0, "batch": 128, "rates": 2},
    "100 %, batches of 128, rates x4": {"fraction": 1.0, "batch": 128, "rates": 4},
    "100 %, pairs of labels are labels": {"fraction": 1.0, "pairs": 10},
    "30 %, half of the labels missing": {"fraction": 0.3, "missing": 0.5},
    "30 %, labels flipped": {"fraction": 0.3, "flipped": 0.05},
}
"""``missing``: that share of present labels is listed as absent; ``flipped``: of all labels.

``pairs``: two labels that at least so many training images have are a label beside the others.
"""


def settings(method: str, condition: Mapping[str, Any], images: int) -> Config:
    """Return the laptop recipe of a method for a condition."""
    batch = condition.get("batch", 32)
    seen = IMAGES_SEEN[condition["fraction"]] * condition.get("longer", 1)
    if method.endswith(RECIPE):
        recipe = load_config(RECIPES[method.removesuffix(RECIPE)]).for_images(images)
    else:
        name, changes = VARIANTS.get(method, (method, lambda _: {}))
        recipe = with_values(load_rival(name), changes(images))
    views = recipe.stages()[0].views  # of every image in a pass
    passes = max(1, round(max(1, round(seen / images)) / views))
    if method == LEFT:
        passes = head_epochs(images)
    return with_values(
        recipe,
        {
            "training.epochs": passes,
            "training.batch_size": min(batch, images),
            "training.precision": condition.get("precision", "no"),
            "training.learning_rate": recipe.training.learning_rate * condition.get("rates", 1),
        },
    )


def corrupt(targets: Tensor, condition: Mapping[str, Any], seed: int) -> Tensor:
    """Return training targets with the faults of a condition, the same for every method."""
    generator = torch.Generator().manual_seed(1000 + seed)
    drawn = torch.rand(targets.shape, generator=generator)
    if "missing" in condition:
        return torch.where((targets == 1) & (drawn < condition["missing"]), 0, targets)
    if "flipped" in condition:
        return torch.where(drawn < condition["flipped"], 1 - targets, targets)
    return targets


def subset(targets: Tensor, fraction: float, seed: int) -> Tensor:
    """Return positions of training images; smaller shares lie within larger ones."""
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    return order[: max(32, round(fraction * len(targets)))]


def add_pairs(targets: Mapping[str, Tensor], least: int) -> dict[str, Tensor]:
    """Return targets of every split with those of pairs of labels behind them."""
    present = (targets["train"] == 1).long()
    first, second = torch.nonzero((present.T @ present).triu(1) >= least, as_tuple=True)
    return {
        split: torch.cat([each, each[:, first] * each[:, second]], dim=1)
        for split, each in targets.items()
    }


def train_under(
    condition: Mapping[str, Any],
    method: str,
    maps: Tensor,
    targets: Tensor,
    *,
    new_tail: Callable[[], nn.Module],
    seed: int,
) -> Classifier:
    """Train a method under a condition, on what the condition leaves of the training images."""
    rows = subset(targets, condition["fraction"], seed)
    config = settings(method, condition, len(rows))
    chosen = maps[rows]
    if Augment(**config.augmentation.model_dump()).idle:
        chosen = chosen[:, :1].expand(-1, 2, *chosen.shape[2:])
    given = corrupt(targets[rows], condition, seed)
    return train(config, chosen, given, new_tail=new_tail, seed=seed)


def train_and_score(
    method: str, condition: Mapping[str, Any], seed: int, data: Mapping[str, Any]
) -> dict[str, float]:
    """Train a method under a condition and score it on the test split."""
    known: dict[str, Tensor] = {split: data[f"{split}_targets"] for split in SPLITS}
    if "pairs" in condition:
        known = add_pairs(known, condition["pairs"])
    model = train_under(
        condition,
        method,
        data["train_maps"],
        known["train"],
        new_tail=data["new_tail"],
        seed=seed,
    )
    logits = {split: predict(model, data[f"{split}_maps"]) for split in ("val", "test")}
    return scores(logits, encode(model.encoder, data["test_maps"]), known)


def scores(
    logits: Mapping[str, Tensor], features: Tensor, known: Mapping[str, Tensor]
) -> dict[str, float]:
    """Return what is measured, each in per cent; ``val`` is the mAP on validation.

    ``calibration``: expected calibration error over all labels in 15 bins of equal mass, after a
    slope and an offset that validation chose. ``dependence``: mean size of the correlations
    between what two labels have left unexplained; 0 for a model that knows which labels go
    together. ``retrieval``: mean Jaccard index of the labels of the ten nearest test images.
    """
    targets = known["test"]
    chosen, report = (
        evaluate_scores(
            logits[split].double().sigmoid().numpy(),
            known[split].numpy(),
            logits=logits[split].double().numpy(),
        )
        for split in ("val", "test")
    )
    slope, offset = platt(logits["val"], known["val"])
    probabilities = (slope * logits["test"] + offset).sigmoid()
    return {
        "val": 100 * chosen.mean_average_precision,
        "mAP": 100 * report.mean_average_precision,
        "mAUC": 100 * report.mean_auc,
        "calibration": 100 * calibration_error(probabilities, targets),
        "dependence": 100 * residual_correlation(probabilities, targets),
        "retrieval": 100 * neighbours_overlap(features, targets),
    }


def platt(logits: Tensor, targets: Tensor) -> tuple[float, float]:
    values = torch.tensor([1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([values], max_iter=50)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(
            values[0] * logits + values[1], targets.float()
        )
        loss.backward()
        return loss

    optimiser.step(closure)
    slope, offset = values.tolist()
    return slope, offset


def calibration_error(probabilities: Tensor, targets: Tensor) -> float:
    flat, truth = probabilities.flatten(), targets.flatten().float()
    bins = flat.argsort().tensor_split(15)
    gaps = [len(rows) * (flat[rows].mean() - truth[rows].mean()).abs() for rows in bins]
    return float(sum(gaps)) / len(flat)


def residual_correlation(probabilities: Tensor, targets: Tensor) -> float:
    left = (targets.float() - probabilities).numpy()
    correlations = np.corrcoef(left, rowvar=False)
    pairs = np.triu_indices(len(correlations), k=1)
    return float(np.abs(correlations[pairs]).mean())


def neighbours_overlap(features: Tensor, targets: Tensor) -> float:
    directions = nn.functional.normalize(features, dim=1)
    cosines = directions @ directions.T
    cosines.fill_diagonal_(-2)
    nearest = cosines.topk(10, dim=1).indices
    present = (targets == 1).float()
    shared = (present[:, None] * present[nearest]).sum(dim=2)
    either = torch.maximum(present[:, None], present[nearest]).sum(dim=2)
    return float((shared / either.clamp(min=1)).mean())


def table(lines: list[dict[str, Any]], against: str) -> None:
    """Print the mean over seeds, their standard deviation, and the gain of each seed over one."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: line["seed"]):
        found[line["condition"], line["method"]].append(line)
    methods = [method for method in METHODS if any(key[1] == method for key in found)]
    names = [name for name in CONDITIONS if any(key[0] == name for key in found)]
    for measure in ("val", "mAP", "calibration", "dependence", "retrieval"):
        print(f"\n| {measure} | " + " | ".join(methods) + " |\n|" + "---|" * (1 + len(methods)))
        for name in names:
            base = {line["seed"]: line[measure] for line in found[name, against]}
            cells = [cell(found[name, method], measure, base) for method in methods]
            print(f"| {name} | " + " | ".join(cells) + " |")


def cell(lines: list[dict[str, Any]], measure: str, base: Mapping[int, float]) -> str:
    values = [line[measure] for line in lines]
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    gains = [line[measure] - base[line["seed"]] for line in lines if line["seed"] in base]
    gain = f" ({', '.join(f'{each:+.1f}' for each in gains)})" if any(gains) else ""
    return f"{np.mean(values):.1f}{spread}{gain}"


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=3)
    parser.add_argument("--against", choices=METHODS, default="bce")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        table(lines, options.against)
        return
    done = {(line["condition"], line["method"], line["seed"]) for line in lines}
    data = prepare(options)
    for seed in range(options.seeds):
        for name in options.conditions:
            condition = CONDITIONS[name]
            for method in options.methods:
                if (name, method, seed) in done:
                    continue
                began = time.monotonic()
                found = train_and_score(method, condition, seed, data)
                line = {"condition": name, "method": method, "seed": seed, **found}
                line["seconds"] = time.monotonic() - began
                add_line(options.out, line)
                print(f"{name}, {method}, seed {seed}: mAP {found['mAP']:.1f}", flush=True)


if __name__ == "__main__":
    main()
