"""Two processes on the CPU, started as a user would, against one process."""

import json
import os
import signal
import subprocess
import time

import pytest
import torch
import training_runs
from gathered_runs import CASES, model_with_map
from safetensors.torch import load_file
from tiny_runs import ENVIRONMENT, TESTS, launch, run_python
from torch import nn

from colabel.errors import ConfigError
from colabel.models import Output
from colabel.training import distributed as shared
from colabel.training import gather_output, gather_with_gradient, make_accelerator


def run(*arguments, processes=1):
    done = run_python(*arguments, processes=processes)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize(("expected", "found"), [(2, 1), (1, 2)])
def test_processes_that_do_not_find_each_other_are_an_error(monkeypatch, expected, found):
    class Alone:
        def __init__(self, **options):
            self.options = options
            self.num_processes = found

    monkeypatch.setattr(shared, "Accelerator", Alone)
    monkeypatch.setenv("WORLD_SIZE", str(expected))
    with pytest.raises(ConfigError, match=f"started {expected} processes, but {found} of them"):
        make_accelerator()


@pytest.mark.parametrize(
    ("processes", "gpu", "asked", "chosen"),
    [
        (1, False, False, False),
        (1, True, True, True),
        (2, False, False, True),  # left alone, accelerate would run two single processes
        (2, True, False, False),
        (2, True, True, True),
    ],
)
def test_several_processes_without_a_gpu_use_the_cpu(monkeypatch, processes, gpu, asked, chosen):
    class Found:
        def __init__(self, *, cpu, **_):
            self.cpu = cpu
            self.num_processes = processes

    monkeypatch.setattr(shared, "Accelerator", Found)
    monkeypatch.setattr(shared, "world_size", lambda: processes)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert make_accelerator(cpu=asked).cpu is chosen


def test_one_process_gathers_what_it_has():
    tensors = torch.ones(2), torch.zeros(2, 3)
    assert all(a is b for a, b in zip(gather_with_gradient(*tensors), tensors, strict=True))
    output = Output(torch.ones(2, 3), None)
    targets = torch.ones(2, 1)
    assert gather_output(output, targets) == (output, targets)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes, and one alone, made of the same images."""
    folder = tmp_path_factory.mktemp("gathered")
    run(TESTS / "gathered_runs.py", folder, processes=2)
    run(TESTS / "gathered_runs.py", folder)
    return {
        name: load_file(folder / f"{name}.safetensors") for name in ("0-of-1", "0-of-2", "1-of-2")
    }


def close(one, other, prefix, *, rtol):
    names = [name for name in one if name.startswith(prefix)]
    assert names
    assert names == [name for name in other if name.startswith(prefix)]
    for name in names:
        torch.testing.assert_close(
            one[name], other[name], rtol=rtol, atol=1e-7, msg=lambda text, name=name: name + text
        )


@pytest.mark.slow
def test_both_processes_see_the_global_batch(two_processes):
    for name in ("0-of-2", "1-of-2"):
        close(two_processes[name], two_processes["0-of-1"], "gathered.", rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_gradients_of_two_halves_are_those_of_the_whole(two_processes, case):
    for name in ("0-of-2", "1-of-2"):
        close(two_processes[name], two_processes["0-of-1"], f"gradient.{case}.", rtol=2e-4)
        close(two_processes[name], two_processes["0-of-1"], f"loss.{case}.", rtol=1e-5)


@pytest.mark.slow
def test_the_contrastive_stage_has_losses_to_share(two_processes):
    """The values that are compared above are those of a batch with positives and negatives."""
    alone = two_processes["0-of-1"]
    assert alone["loss.densities.likelihood"] > 0.1
    assert alone["loss.densities.contrastive"] > 0.1
    similarities = [
        alone[f"loss.densities.diagnostic.similarity_{name}"].item()
        for name in ("positive", "negative")
    ]
    assert 0.01 < min(similarities) < max(similarities) < 0.99
    slope = alone["gradient.densities.encoder.convolution.weight"]
    assert slope.abs().max() > 1e-4


@pytest.mark.slow
def test_embeddings_and_columns_have_losses_to_share(two_processes):
    alone = two_processes["0-of-1"]
    values = {
        name: alone[f"loss.embeddings.{name}"].item()
        for name in ("all", "any", "per_label", "weighted")
    }
    assert min(values.values()) > 0.1
    assert len(set(values.values())) == 4
    assert alone["loss.two_way.two_way"] > 0.1
    for case in ("embeddings", "two_way"):
        slope = alone[f"gradient.{case}.encoder.convolution.weight"]
        assert slope.abs().max() > 1e-4
    assert alone["gathered.embeddings"].shape == (8, 5)


@pytest.mark.slow
def test_every_image_is_evaluated_once(two_processes):
    alone = two_processes["0-of-1"]
    assert alone["collected.indices"].tolist() == list(range(7))
    assert len(alone["collected.features"]) == 7
    for name in ("0-of-2", "1-of-2"):
        close(two_processes[name], alone, "collected.", rtol=1e-5)


@pytest.mark.slow
def test_two_processes_train_like_one(two_processes):
    for name in ("0-of-2", "1-of-2"):
        close(two_processes[name], two_processes["0-of-1"], "trained.", rtol=5e-3)


@pytest.mark.slow
def test_a_layer_that_the_head_does_not_read_stays_as_it_is(two_processes):
    """With pooling for each class the layers after the map have no gradient on any process."""
    alone = two_processes["0-of-1"]
    for name in ("0-of-2", "1-of-2"):
        close(two_processes[name], alone, "map.", rtol=5e-3)
    torch.manual_seed(0)
    start = model_with_map().state_dict()
    for name, tensor in start.items():
        unchanged = torch.equal(alone[f"map.{name}"], tensor)
        assert unchanged == name.startswith("encoder.last."), name


def wait_for(condition, process, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < until, "the run made no progress"
        time.sleep(0.01)


def saved_step(folder):
    try:
        facts = json.loads((folder / "last" / "state.json").read_text())["facts"]
    except (OSError, ValueError):
        return 0
    return facts["position"]["step"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The final weights of an uninterrupted program."""
    folder = tmp_path_factory.mktemp("whole")
    run(TESTS / "training_runs.py", folder, "--epochs", 14)
    return load_file(folder / "final.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_program_resumes_to_the_same_bits(tmp_path, whole, number):
    process = subprocess.Popen(
        launch(TESTS / "training_runs.py", tmp_path, "--epochs", 14, "--pause", 0.3),
        env=os.environ | ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: saved_step(tmp_path) >= 5, process)
    process.send_signal(number)
    code = process.wait(timeout=60)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert not (tmp_path / "final.safetensors").exists()
    assert 5 <= saved_step(tmp_path) < 42
    run(TESTS / "training_runs.py", tmp_path, "--epochs", 14, "--resume")
    assert training_runs.same(load_file(tmp_path / "final.safetensors"), whole)


@pytest.mark.slow
def test_two_killed_processes_resume_to_the_same_bits(tmp_path):
    run(TESTS / "training_runs.py", tmp_path / "whole", "--epochs", 14, processes=2)
    process = subprocess.Popen(
        launch(TESTS / "training_runs.py", tmp_path, "--epochs", 14, "--pause", 0.3, processes=2),
        env=os.environ | ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: saved_step(tmp_path) >= 5, process)
    for number in (0, 1):
        os.kill(int((tmp_path / f"process-{number}").read_text()), signal.SIGKILL)
    assert process.wait(timeout=60)
    run(TESTS / "training_runs.py", tmp_path, "--epochs", 14, "--resume", processes=2)
    resumed = load_file(tmp_path / "final.safetensors")
    expected = load_file(tmp_path / "whole" / "final.safetensors")
    assert training_runs.same(resumed, expected)


@pytest.mark.slow
def test_two_processes_whose_time_is_over_end_together(tmp_path):
    """It was used up before a kill, and there is no model yet."""
    note = tmp_path / "last" / "spent.json"
    note.parent.mkdir()
    note.write_text('{"seconds": 90}')
    run(TESTS / "training_runs.py", tmp_path, "--minutes", 1, "--resume", processes=2)
    assert (tmp_path / "final.safetensors").is_file()
    assert len(training_runs.records_of_log(tmp_path, "step")) == 1
    assert json.loads(note.read_text())["seconds"] > 90


def test_a_model_keeps_its_buffers_where_there_is_one_process():
    from colabel.training.distributed import share_buffers

    model = nn.BatchNorm1d(2)
    share_buffers(model)
    assert model.running_var.tolist() == [1, 1]
