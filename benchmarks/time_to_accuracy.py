"""Seconds of wall time to a given mAP: every method's recipe, train auto, and fastai.

Each line is a whole command with all that it takes from its start on: reading the table, decoding,
training, validation. A schedule that is planned for less time is another schedule, so every method
is trained anew for one epoch, for two, and so on, until it reaches the target; train auto gets
growing budgets. The mAP that decides is that of the test split.

    python benchmarks/time_to_accuracy.py labels.csv --weights FILE --target 56 --out DIR

``--fastai PYTHON`` names the interpreter of an environment that has fastai and timm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METHODS = ("bce", "asl", "kmcl", "probmcl")
BUDGETS = (60, 90, 120, 180, 240)


def colabel(*arguments: str) -> None:
    command = [sys.executable, "-m", "colabel", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(answer.stderr)


def train(out: Path, data: str, weights: str, recipe: str, *settings: str) -> dict[str, Any]:
    """Train, take the time of the whole command, and score on the test split."""
    given = ["--set", f"encoder.weights={weights}", "--set", "encoder.options={pad_type: same}"]
    if recipe != "auto":
        given += ["--set", "training.workers=0"]
    began = time.monotonic()
    colabel("train", recipe, "--data", data, "--out", str(out), *given, *settings)
    seconds = time.monotonic() - began
    colabel("evaluate", str(out))
    result = json.loads((out / "result.json").read_text())
    test = json.loads((out / "metrics-test.json").read_text())
    return {"seconds": seconds, "val": 100 * result["mAP"], "test": 100 * test["mAP"]}


def attempts(options: argparse.Namespace, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what was tried and what came of it, from the shortest on."""
    place = options.out / name
    if name == "fastai":
        for epochs in range(1, options.most + 1):
            script = Path(__file__).with_name("fastai_fine_tune.py")
            command = [options.fastai, str(script), options.data, options.weights]
            answer = subprocess.run(
                [*command, "--epochs", str(epochs)], check=True, capture_output=True, text=True
            )
            yield f"fine_tune({epochs})", json.loads(answer.stdout.splitlines()[-1])
    elif name == "auto":
        for seconds in options.budgets:
            budget = f"{seconds}s"
            run = train(
                Path(f"{place}-{budget}"),
                options.data,
                options.weights,
                "auto",
                "--budget",
                budget,
            )
            yield f"--budget {budget}", run
    else:
        for epochs in range(1, options.most + 1):
            yield (
                f"{epochs} epochs",
                train(
                    Path(f"{place}-{epochs}"), options.data, options.weights, f"laptop-{name}",
                    "--set", f"training.epochs={epochs}",
                ),
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--target", type=float, required=True, help="test mAP, in per cent")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=5, help="epochs after which to give up")
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS))
    parser.add_argument("--methods", nargs="+", default=["auto", *METHODS])
    parser.add_argument("--fastai", help="interpreter of an environment that has fastai")
    options = parser.parse_args()
    print("| what | seconds | val mAP | test mAP | reached |\n|---|---|---|---|---|")
    for name in [*options.methods, *(["fastai"] if options.fastai else [])]:
        for told, came in attempts(options, name):
            reached = came["test"] >= options.target
            print(
                f"| {name}, {told} | {came['seconds']:.0f} | {came['val']:.1f} | "
                f"{came['test']:.1f} | {'yes' if reached else 'no'} |",
                flush=True,
            )
            if reached:
                break


if __name__ == "__main__":
    main()
