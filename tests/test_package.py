import pytest
from tiny_runs import run_python

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
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
