"""The papers' ablations on photographs: what follows frozen stages is trained.

The ablations that come with the package, with the laptop recipe in place of that for drawn scenes,
three seeds, the mAP on validation of the weights of the last step. Recipes and seeds that two
ablations share are trained once. Restartable: a line of FILE is a training.

    python benchmarks/paper_ablations.py labels.csv --weights WEIGHTS --out FILE
    python benchmarks/paper_ablations.py labels.csv --out FILE --table

KMCL and the asymmetric loss see the images twice, ProbMCL two views of them once and then its
classifier; where the batch varies, the rates stay.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from frozen_features import add_line, prepare, read_lines, study_options, train
from rivals import load_rival, mean_average_precision

from colabel.config import Config, change_config
from colabel.errors import NonFiniteLossError
from colabel.workflows.ablation.file import Ablation, load_ablation

ABLATIONS = (
    "kmcl-similarity", "probmcl-overlap", "kmcl-reduction", "asl-reduction", "probmcl-likelihood",
    "probmcl-temperature", "probmcl-weight", "probmcl-threshold", "kmcl-batch-size",
)  # fmt: skip
PASSES = {"kmcl": 2, "asl": 2, "probmcl": 1}


def configured(ablation: Ablation) -> Iterator[tuple[str, Any, Config]]:
    """Yield method, value and recipe of everything that an ablation compares."""
    for recipe in ablation.recipes:
        method = Path(recipe).stem.removeprefix("shapes-")
        for value in ablation.values:
            told = str(value).lower() if isinstance(value, bool) else value
            changes = [f"training.epochs={PASSES[method]}", f"{ablation.key}={told}"]
            yield method, value, change_config(load_rival(method), changes)


def key_of(config: Config) -> str:
    """Return what two equal recipes have in common."""
    settings = config.model_dump_json(exclude={"description", "data"})
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def score(config: Config, seed: int, data: dict[str, Any]) -> float | None:
    """Train a recipe and return its mAP on validation, in per cent; none if it fails."""
    try:
        model = train(
            config,
            data["train_maps"],
            data["train_targets"],
            new_tail=data["new_tail"],
            seed=seed,
        )
    except NonFiniteLossError:
        return None
    return mean_average_precision(model, data, "val")


def table(name: str, lines: list[dict[str, Any]]) -> None:
    """Print one ablation: a line per value, with the differences to the paper's choice."""
    ablation = load_ablation(name)
    rows = []
    for method, value, config in configured(ablation):
        mine = [line for line in lines if line["recipe"] == key_of(config)]
        scores = {line["seed"]: line["val"] for line in mine if line["val"] is not None}
        if scores:
            rows.append((method, value, dict(sorted(scores.items()))))
    print(f"\n{name}: {ablation.key}")
    for method, value, scores in rows:
        chosen = [
            other for same, tried, other in rows if same == method and ablation.is_chosen(tried)
        ]
        against = ", ".join(
            f"{found - chosen[0][seed]:+.1f}"
            for seed, found in scores.items()
            if chosen and chosen[0] is not scores and seed in chosen[0]
        )
        found = list(scores.values())
        spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
        published = ablation.published_score(value)
        print(
            f"| {method} | {value}{' (paper)' if ablation.is_chosen(value) else ''} "
            f"| {np.mean(found):.1f}{spread} ({len(found)}) | {against} | {published or ''} |"
        )


def main() -> None:
    parser = study_options(__doc__.splitlines()[0], seeds=3)
    parser.add_argument("--ablations", nargs="+", default=list(ABLATIONS), choices=ABLATIONS)
    options = parser.parse_args()
    lines = read_lines(options.out)
    if options.table:
        for name in options.ablations:
            table(name, lines)
        return
    data = prepare(options)
    for name in options.ablations:
        for seed in range(options.seeds):
            for method, value, config in configured(load_ablation(name)):
                key = {"recipe": key_of(config), "seed": seed}
                if any(key.items() <= line.items() for line in lines):
                    continue
                began = time.monotonic()
                found = score(config, seed, data)
                seconds = round(time.monotonic() - began, 1)
                lines.append(
                    {
                        **key,
                        "method": method,
                        "value": str(value),
                        "val": found,
                        "seconds": seconds,
                    }
                )
                add_line(options.out, lines[-1])
                print(name, lines[-1], flush=True)


if __name__ == "__main__":
    main()
