import os
import subprocess
import sys

import pytest
from tiny_runs import ENVIRONMENT

import colabel


def test_what_is_not_there_is_named():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        colabel.trian  # noqa: B018


@pytest.mark.slow
def test_the_functions_stay_functions_after_the_first_was_used():
    script = """
import sys, types, colabel
assert "torch" not in sys.modules
for name in ("load", "train", "evaluate", "load", "train", "evaluate"):
    assert isinstance(getattr(colabel, name), types.FunctionType), name
from colabel import evaluate
assert isinstance(evaluate, types.FunctionType)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
