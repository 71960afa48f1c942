"""A batch that cannot fit is refused before an image is decoded."""

import resource

import torch
from tiny_runs import command

from colabel.workflows import memory
from colabel.workflows.memory import memory_of


def test_a_batch_that_surely_does_not_fit_is_refused(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "memory_of", lambda _: 100_000)
    table, recipe = tiny_run.parent / "labels.csv", tiny_run.parent / "tiny.yaml"
    out = tmp_path / "run"
    assert command("train", recipe, "--data", table, "--out", out, "--cpu") == 2
    printed = capsys.readouterr().err
    assert "stage kmcl: a batch of 8 images of 32 x 32 pixels" in printed
    assert "lower training.batch_size or data.image_size" in printed
    assert "decoding" not in printed
    assert not out.exists()


def test_the_memory_is_that_of_the_machine_or_what_a_limit_leaves(monkeypatch, tmp_path):
    whole = memory_of(torch.device("cpu"))
    assert whole > 2**28
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_of(torch.device("cpu")) >= whole
    (tmp_path / "memory.max").write_text("12345678\n")
    assert memory_of(torch.device("cpu")) == 12345678
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (1234, resource.RLIM_INFINITY))
    assert memory_of(torch.device("cpu")) == 1234


def test_the_job_of_a_cluster_is_a_group_within_groups(monkeypatch, tmp_path):
    (tmp_path / "own").write_text("1:name=systemd:/x\n0::/slurm/job_7/step_0\n")
    (tmp_path / "slurm" / "job_7" / "step_0").mkdir(parents=True)
    (tmp_path / "slurm" / "job_7" / "step_0" / "memory.max").write_text("max\n")
    (tmp_path / "slurm" / "job_7" / "memory.max").write_text("7654321\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUP", tmp_path / "own")
    assert memory_of(torch.device("cpu")) == 7654321
