"""A run folder with any file damaged is used, or refused in a sentence: nothing else happens."""

import contextlib
import json
import shutil

import pytest
from damaged_files import damaged, edits
from damaged_json import damaged_json
from fuzzing import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colabel.errors import ColabelError
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.training.checkpoint import load_state
from colabel.training.facts import check_facts
from colabel.training.log import check_log, read_log
from colabel.workflows.evaluate import evaluate
from colabel.workflows.predict import load_predictor
from colabel.workflows.train import train

pytestmark = pytest.mark.fuzz
TREES = ("model.json", "data.json", "result.json", "last/state.json")


def read_state(run):
    state = load_state(run / "last")
    if state is not None:
        check_facts(state.facts, run / "last", epochs=[2])
        check_log(run / "log.jsonl", state.facts["log_bytes"])


def read_predictions(run):
    Predictions.load(run / "predictions-val.npz")


READ = {
    "model.json": load_predictor,
    "model.safetensors": load_predictor,
    "config.yaml": lambda run: RunFolder(run).config(),
    "data.json": lambda run: RunFolder(run).read_json("data.json"),
    "result.json": lambda run: RunFolder(run).result(),
    "log.jsonl": lambda run: read_log(run / "log.jsonl"),
    "last/state.json": read_state,
    "predictions-val.npz": read_predictions,
}


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """Return a copy of a run whose files may be damaged in turn."""
    copy = tmp_path_factory.mktemp("fuzzed") / "run"
    shutil.copytree(tiny_run, copy)
    return copy


@contextlib.contextmanager
def replaced(path, content):
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", [*READ, "last/tensors"])
@given(changes=edits)
@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_bytes_are_used_or_refused(folder, name, changes):
    if name == "last/tensors":
        (path,) = (folder / "last").glob("state-*.safetensors")
        read = read_state
    else:
        path, read = folder / name, READ[name]
    with (
        replaced(path, damaged(path.read_bytes(), changes)),
        contextlib.suppress(ColabelError),
    ):
        read(folder)


@pytest.mark.parametrize("name", TREES)
@given(data=st.data())
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_changed_value_is_used_or_refused(folder, name, data):
    path = folder / name
    content = data.draw(damaged_json(json.loads(path.read_bytes())))
    with replaced(path, content), contextlib.suppress(ColabelError):
        READ[name](folder)


@pytest.mark.slow
@given(name=st.sampled_from([*READ, *TREES]), data=st.data())
@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_damaged_run_is_resumed_and_evaluated_or_refused(folder, tiny_run, name, data):
    path = folder / name
    content = path.read_bytes()
    if name in TREES:
        content = data.draw(damaged_json(json.loads(content)))
    else:
        content = damaged(content, data.draw(edits))
    recipe, table = tiny_run.parent / "tiny.yaml", str(tiny_run.parent / "labels.csv")
    before = {other: other.read_bytes() for other in folder.rglob("*") if other.is_file()}
    try:
        path.write_bytes(content)
        with contextlib.suppress(ColabelError):
            train(recipe, data=table, out=folder, resume=True, cpu=True)
        with contextlib.suppress(ColabelError):
            evaluate(folder, cpu=True)
    finally:
        for other, kept in before.items():
            other.write_bytes(kept)
