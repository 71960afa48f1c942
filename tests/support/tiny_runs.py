"""A table of tiny images, a recipe that trains on it in a second, and ways to start colabel."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from fakes import write_image

CLASSES = ("cat", "dog", "owl")
IMAGES = 39  # of which neither two processes nor batches make equal parts
RECIPE = """\
method: {name: kmcl}
data: {image_size: 32, cache_mb: 1}
encoder: {name: test_efficientnet}
augmentation: {operations: 1, cutout: 0.25}
training: {epochs: 2, batch_size: 8, learning_rate: 1.0e-3, ema_decay: 0.5, workers: 0}
evaluation: {batch_size: 4}
"""
TESTS = Path(__file__).parent
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "CUDA_VISIBLE_DEVICES": "",
}


def write_tiny_table(folder, *, images=IMAGES, classes=CLASSES):
    """Write images and a table that lists their labels, undivided; return the table's path."""
    generator = np.random.default_rng(0)
    lines = ["path,labels"]
    for number in range(images):
        write_image(folder / "images" / f"{number:02}.png", size=(40, 36), seed=number)
        labels = [name for name in classes if generator.random() < 0.5] or [
            classes[number % len(classes)]
        ]
        lines.append(f"images/{number:02}.png,{';'.join(labels)}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def write_recipe(folder):
    """Write the tiny recipe; return its path."""
    recipe = folder / "tiny.yaml"
    recipe.write_text(RECIPE)
    return recipe


def change_predictions(folder, **changed):
    """Change what a run has said of its test split."""
    from colabel.runs.folder import RunFolder
    from colabel.runs.predictions import Predictions

    path = RunFolder(folder).predictions_file("test")
    replace(Predictions.load(path), **changed).save(path)


def command(*arguments):
    """Run the command line in this process; return its exit status."""
    from colabel import cli

    with patch.object(sys, "argv", ["colabel", *map(str, arguments)]):
        try:
            cli.main()
        except SystemExit as ended:
            return ended.code or 0
    raise AssertionError("the command line must end with a status")


def launch(*arguments, processes=1):
    """Return the words that start Python with some arguments on some processes."""
    launcher = []
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [sys.executable, *launcher, *map(str, arguments)]


def program(*arguments, processes=1):
    """Return the words that start colabel as a program of its own."""
    return launch("-m", "colabel", *arguments, processes=processes)


def run_python(*arguments, processes=1):
    """Run Python on some processes; return what it printed, with its status."""
    return subprocess.run(
        launch(*arguments, processes=processes),
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_program(*arguments, processes=1):
    """Run colabel as a program of its own; return what it printed, with its status."""
    return run_python("-m", "colabel", *arguments, processes=processes)
