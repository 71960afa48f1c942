"""How well planted label errors are found, beside cleanlab with the same probabilities.

Errors are planted in the labels of drawn scenes and, if one is given, of a table; a linear
classifier on frozen features gives probabilities out of fold; each way of ranking gets these and
the labels as planted. Printed is the average precision of finding the planted errors, of labels
and of images with at least one:

    python benchmarks/label_errors.py --work runs/label-errors
    python benchmarks/label_errors.py --work runs/label-errors --cleanlab other-venv/bin/python \
        --table coco18/labels.csv --weights mobilenetv2_100_in1k_timm.pth

The encoder of the drawn scenes is trained at the first start, on other scenes; the features are
kept in the folder ``--work``. cleanlab (2.9) needs an environment of its own, ``--cleanlab``.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from colabel import train
from colabel.build.source import open_source
from colabel.config import load_config
from colabel.data import Records
from colabel.data.dataset import EvaluationImages
from colabel.data.loader import evaluation_loader
from colabel.label_errors import assign_folds, out_of_fold_logits, suspicion
from colabel.metrics import average_precision, rank
from colabel.models import Encoder, build_encoder
from colabel.training import collect_features, make_accelerator
from colabel.workflows.predict import load_predictor

RATE = 0.05
FOLDS = 5
KINDS = {
    "alike": "every label flips with the same chance",
    "balanced": "as many labels are added to a class as are dropped from it",
    "dependent": "likewise, preferably where the companions of the label are present",
}

IN_CLEANLAB = """
import sys, numpy as np
from cleanlab.multilabel_classification import rank
from cleanlab.multilabel_classification.filter import find_label_issues
data = np.load(sys.argv[1])
probabilities = data["probabilities"]
labels = [np.flatnonzero(row).tolist() for row in data["labels"]]
scores = {}
for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
    for adjust in (False, True):
        if adjust and method == "confidence_weighted_entropy":
            continue
        name = method + (" adjusted" if adjust else "")
        how = dict(method=method, adjust_pred_probs=adjust)
        per_class = rank.get_label_quality_scores_per_class(labels, probabilities, **how)
        scores["labels " + name] = 1 - per_class
        scores["images " + name] = 1 - rank.get_label_quality_scores(labels, probabilities, **how)
np.savez(sys.argv[2], **scores)
"""


def plant(true: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """Return labels of which some are wrong."""
    if kind == "alike":
        return np.where(random.random(true.shape) < RATE, 1 - true, true)
    given = true.copy()
    companions = companionship(true) if kind == "dependent" else np.zeros(true.shape)
    for column in range(true.shape[1]):
        count = round(RATE * int(true[:, column].sum()))
        for value in (1, 0):
            rows = np.flatnonzero(true[:, column] == value)
            weight = np.exp(2 * companions[rows, column])
            chosen = random.choice(rows, count, replace=False, p=weight / weight.sum())
            given[chosen, column] = 1 - value
    return given


def companionship(true: np.ndarray) -> np.ndarray:
    """Return how many companions of each label an image has, each by its log lift; at most 3."""
    images = len(true)
    share = true.mean(axis=0)
    chance = np.outer(share, share)
    together = true.astype(float).T @ true / images
    lift = np.log((together + 0.5 / images) / (chance + 0.5 / images))
    np.fill_diagonal(lift, 0)
    return np.minimum(true @ np.maximum(lift, 0), 3)


def found(scores: np.ndarray, errors: np.ndarray) -> float:
    """Return the average precision of a ranking, in per cent."""
    ranking = rank(np.clip(scores, 0, 1).reshape(-1, 1), errors.reshape(-1, 1).astype(np.int8))
    return 100 * float(average_precision(ranking)[0])


def in_cleanlab(
    python: str, work: Path, given: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    asked, answered = work / "asked.npz", work / "answered.npz"
    np.savez(asked, labels=given, probabilities=probabilities)
    subprocess.run([python, "-c", IN_CLEANLAB, str(asked), str(answered)], check=True)
    with np.load(answered) as scores:
        return dict(scores)


def has_cleanlab(python: str) -> bool:
    done = subprocess.run(
        [python, "-c", "import cleanlab"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def features_of(
    records: Records, encoder: Encoder, size: int, cache: Path
) -> tuple[torch.Tensor, np.ndarray]:
    if not cache.exists():
        print(f"encoding {len(records)} images at {size} pixels: {cache}", flush=True)
        loader = evaluation_loader(EvaluationImages(records, size=size), batch_size=32)
        accelerator = make_accelerator(mixed_precision="no", cpu=True)
        torch.save(collect_features(encoder, loader, accelerator), cache)
    return torch.load(cache, weights_only=True), np.asarray(records.targets)


def drawn_scenes(work: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Return features of drawn scenes, by an encoder that was trained on others."""
    run = work / "encoder"
    if not (run / "result.json").exists():
        print("training an encoder on other scenes", flush=True)
        train("shapes-bce", changes=["data.options.seed=7", "training.epochs=8"], out=run)
    records = open_source(load_config("shapes-bce").data, ("train",))["train"]
    encoder = load_predictor(run).model.encoder
    return features_of(records, encoder, 64, work / "shapes.pt")


def table(source: str, weights: str, images: int, work: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Return features of some training images of a table, by MobileNetV2."""
    config = load_config("laptop-bce", [f"data.source={source}"])
    records = open_source(config.data, ("train",))["train"]
    if images < len(records):
        chosen = np.random.default_rng(0).choice(len(records), images, replace=False)
        records = records.subset(np.sort(chosen).tolist())
    encoder = build_encoder("mobilenetv2_100", weights=weights, options={"pad_type": "same"})
    return features_of(records, encoder, 128, work / f"{Path(source).parent.name}-{images}.pt")


def measure(
    features: torch.Tensor, true: np.ndarray, kind: str, seed: int, python: str | None, work: Path
) -> dict[str, float]:
    """Return the average precision of every ranking, by name."""
    given = plant(true, kind, np.random.default_rng(seed)).astype(np.int8)
    errors = given != true
    folds = assign_folds(given, FOLDS, seed=seed)
    probabilities = expit(out_of_fold_logits(features, given, folds).logits.astype(np.float64))
    ours = suspicion(probabilities, given)
    alone = suspicion(probabilities, given, dependence=False)
    scores = {
        "labels colabel": ours,
        "labels colabel, each label alone": alone,
        "images colabel": 1 - np.prod(1 - ours, axis=1),
        "images colabel, each label alone": 1 - np.prod(1 - alone, axis=1),
    }
    if python is not None:
        theirs = in_cleanlab(python, work, given, probabilities)
        scores |= {
            f"{name.partition(' ')[0]} cleanlab {name.partition(' ')[2]}": values
            for name, values in theirs.items()
        }
    measured = {"errors": float(errors.sum()), "of": float(errors.size)}
    for name, values in scores.items():
        measured[name] = found(values, errors if name.startswith("labels") else errors.any(axis=1))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for what takes long")
    parser.add_argument("--table", help="a table of paths and labels")
    parser.add_argument("--weights", help="of MobileNetV2, for the images of the table")
    parser.add_argument("--images", type=int, default=1500, help="of the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cleanlab", help="the Python of an environment with cleanlab")
    options = parser.parse_args()
    if options.table and not options.weights:
        parser.error("--table needs --weights")
    options.work.mkdir(parents=True, exist_ok=True)
    python = options.cleanlab or sys.executable
    if not has_cleanlab(python):
        print(f"cleanlab is not installed for {python}: pip install 'cleanlab==2.9.*'")
        python = None
    data = {"drawn scenes": drawn_scenes(options.work)}
    if options.table:
        name = Path(options.table).parent.name
        data[name] = table(options.table, options.weights, options.images, options.work)
    everything = []
    for name, (features, true) in data.items():
        for kind, says in KINDS.items():
            results = [
                measure(features, true, kind, seed, python, options.work)
                for seed in range(options.seeds)
            ]
            everything.append({"data": name, "errors": kind, "results": results})
            print(f"\n{name}, {kind} ({says}):")
            for key in results[0]:
                values = [result[key] for result in results]
                each = ", ".join(f"{value:.1f}" for value in values)
                print(f"  {key:48} {np.mean(values):8.2f}   ({each})", flush=True)
    (options.work / "results.json").write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
