"""What needs no model is answered, and what is wrong is told, before torch is imported."""

import os
import subprocess
import sys

import pytest
from tiny_runs import ENVIRONMENT

SCRIPT = """
import sys, time
from colabel import cli
sys.argv = ["colabel", *sys.argv[1:]]
try:
    cli.main()
    status = 0
except SystemExit as ended:
    status = ended.code or 0
slow = [name for name in ("torch", "timm", "matplotlib", "scipy") if name in sys.modules]
print("status:", status, "imported:", slow, "seconds:", time.process_time(), file=sys.stderr)
"""

ANSWERED = [
    "--help",
    "version",
    "recipes",
    "recipes shapes-kmcl",
    "ablate",
    "figure",
    "train --help",
]
REFUSED = [
    "ablate nowhere",
    "ablate probmcl-threshold --set training.epochs=x",
    "ablate probmcl-threshold --recipe nowhere",
    "check nowhere.csv",
    "check nowhere.csv --suspects 3",
    "check nowhere.csv --with nowhere",
    "compare nowhere nowhere",
    "compare --methods bce,nowhere",
    "cost nowhere/x",
    "evaluate nowhere",
    "evaluate nowhere --option name",
    "predict nowhere x.png",
    "figure nowhere",
    "figure kmcl-losses --set training.epochs=x",
    "sweep nowhere",
    "sweep shapes-kmcl --space training.learning_rat=1e-5..1e-2",
    "sweep shapes-kmcl --space training.learning_rate=2..1",
    "train nowhere",
    "train shapes-kmcl --set training.epochs=x",
    "train auto --data nowhere.csv --budget 20m --find-learning-rate",
    "train shapes-kmcl --set head.pooling=3",
]


@pytest.mark.parametrize(
    ("words", "status"), [*((words, 0) for words in ANSWERED), *((words, 2) for words in REFUSED)]
)
def test_torch_is_not_imported(tmp_path, words, status):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words.split()],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = done.stderr.splitlines()
    assert told[-1].startswith(f"status: {status} imported: []"), done.stderr
    assert bool(status) == told[0].startswith("error: ")
    assert float(told[-1].rpartition(" ")[2]) < 2  # what imports torch takes 4 s and more
    assert not any(tmp_path.iterdir())
