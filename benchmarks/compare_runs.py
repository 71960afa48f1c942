"""Mean and spread of runs that differ by their seed alone, as a Markdown table.

    python benchmarks/compare_runs.py --split test runs/coco18-*

Runs are grouped by everything before the last ``-`` of their folder's name; what follows is the
seed. The spread is the sample standard deviation over seeds. Seconds per epoch are those of the
fastest epoch of the first stage, of training alone; memory is the largest of the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

MEASURES = ("mAP", "CF1", "OF1", "mAUC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    groups: dict[str, list[Path]] = defaultdict(list)
    for run in sorted(arguments.runs):
        groups[run.name.rpartition("-")[0]].append(run)
    print(f"| runs ({arguments.split}) | seeds | {' | '.join(MEASURES)} | s/epoch | peak MB |")
    print(f"|---|---|{'---|' * (len(MEASURES) + 2)}")
    for name, runs in groups.items():
        metrics = [
            json.loads((run / f"metrics-{arguments.split}.json").read_text()) for run in runs
        ]
        epochs = [
            record
            for run in runs
            for record in map(json.loads, (run / "log.jsonl").read_text().splitlines())
            if record["kind"] == "epoch"
        ]
        cells = []
        for measure in MEASURES:
            values = [100 * one[measure] for one in metrics]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        first = epochs[0]["stage"]
        seconds = min(record["seconds"] for record in epochs if record["stage"] == first)
        memory = max(record["peak_memory_mb"] for record in epochs)
        print(f"| {name} | {len(runs)} | {' | '.join(cells)} | {seconds:.0f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
