"""The run folder says where its files are, whether the run is complete, and what came of it."""

import json

import numpy as np
import pytest

from colabel.config import check_config
from colabel.errors import RunError
from colabel.runs.folder import RunFolder
from colabel.runs.measured import measure
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions

PREDICTIONS = Predictions(
    ("a", "b"),
    ("cat",),
    np.array([[2.0], [-1.0]], dtype=np.float32),
    np.array([[1], [0]], dtype=np.int8),
    "test",
)
MEASURED = measure(
    PREDICTIONS, OperatingPoint.plain(1, 0.9), threshold=0.5, protocol="noninterpolated"
)


def test_a_run_has_begun_with_its_settings_and_is_finished_with_its_result(tmp_path):
    run = RunFolder(tmp_path)
    assert (run.has_begun, run.is_finished) == (False, False)
    config = check_config({"method": "bce"})
    run.write_config(config)
    assert (run.has_begun, run.is_finished) == (True, False)
    assert run.config() == config
    run.write_result(MEASURED, {"best": {"epoch": 3}})
    assert run.is_finished
    assert run.result()["mAP"] == 1
    assert run.result()["best"] == {"epoch": 3}


def test_a_picture_more_or_less_makes_no_run_complete(tiny_run):
    run = RunFolder(tiny_run)
    assert run.is_finished
    assert run.result()["finished"] is True
    assert run.result()["mAP"] == run.read_json("metrics-val.json")["mAP"]
    assert run.curves.is_file()


def test_what_was_measured_lies_where_the_folder_says(tmp_path):
    run = RunFolder(tmp_path)
    path = run.write_measured(PREDICTIONS, MEASURED, {"source": "x.csv"}, suffix="-x")
    assert path == run.metrics_file("test", "-x") == tmp_path / "metrics-test-x.json"
    written = json.loads(path.read_text("utf-8"))
    assert (written["split"], written["data"]) == ("test", {"source": "x.csv"})
    assert (written["thresholds"], written["OF1"]) == ([0.5], 1)
    there = written["operating_point"]
    assert (there["thresholds"], there["OF1"], there["target"]) == ([0.9], 0, "none")
    assert (there["mAP"], there["same_images"], there["calibration"]) == (1, False, None)
    assert Predictions.load(run.predictions_file("test", "-x")).ids == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "copy the whole"), ("{", "is damaged"), ("[1]", "holds no JSON object")],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(RunError, match=f"result.json.*{message}"):
        RunFolder(tmp_path).result()


def test_settings_that_cannot_be_read_are_named(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(RunError, match=r"there is no .*config\.yaml"):
        run.config()
    (tmp_path / "config.yaml").write_text("method: {name: nothing}")
    with pytest.raises(RunError, match=r"config.yaml: (?s:.*)method.name must be one of"):
        run.config()
