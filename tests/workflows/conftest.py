"""What the tests of workflows share: their runs do not draw what nobody looks at."""

from types import SimpleNamespace

import pytest
from automatic_plans import HEAD_STEP, STEP_AT_96
from tiny_runs import write_recipe, write_tiny_table

from colabel.models import Classifier, Head, LinearHead, build_encoder
from colabel.training.timing import StepTime
from colabel.workflows import affordable, automatic, candidates
from colabel.workflows.reading_time import Reading


@pytest.fixture(autouse=True, scope="module")
def _blank_charts(blank_charts):
    """The figures of a workflow itself are drawn all the same."""


@pytest.fixture
def home(tmp_path):
    """A table of tiny images and the tiny recipe."""
    write_tiny_table(tmp_path)
    write_recipe(tmp_path)
    return tmp_path


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine on which a step at 96 pixels takes a tenth of a second, scoring a hundredth.

    What follows the frozen stages takes half of that.
    """

    def measure(stage, *, image_size, halfway=False, **_):
        scale = (image_size / 96) ** 2 * (0.5 if halfway else 1.0)
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    encoder = build_encoder("test_efficientnet", freeze_stages=3)
    model = Classifier(encoder, Head(LinearHead(encoder.width, 3)))
    monkeypatch.setattr(affordable, "measure_step", measure)
    monkeypatch.setattr(affordable, "measure_head", lambda *_, **__: HEAD_STEP)
    monkeypatch.setattr(affordable, "measure_score", lambda *_: 1.0)  # bfloat16 is slow on it
    monkeypatch.setattr(affordable, "build_model", lambda *_: model)
    monkeypatch.setattr(affordable, "build_stages", lambda *_: [None])
    reading = Reading(decode=0.001, augment=0.0, side=480)
    monkeypatch.setattr(automatic, "measure_reading", lambda *_: reading)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"")
    monkeypatch.setattr(candidates, "weights_at_hand", lambda _: file)
    # planning itself takes no time, however busy the machine is that runs the tests
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    for module in (affordable, automatic):
        monkeypatch.setattr(module, "time", clock)
    return monkeypatch


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A table of 600 tiny images, undivided, which stays as it is."""
    return write_tiny_table(tmp_path_factory.mktemp("table"), images=600)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """The same of 2,000."""
    return write_tiny_table(tmp_path_factory.mktemp("many"), images=2000)
