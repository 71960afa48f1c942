"""The peak of the memory belongs to one run, not to all that a process has trained."""

import sys

import pytest
import torch

from colabel.training import peak_memory
from colabel.training.peak_memory import begin_peak_memory, peak_memory_mb

CPU = torch.device("cpu")
SIZE = 200  # MB, far more than what comes and goes beside it


def use_memory():
    return torch.ones(SIZE * 2**20, dtype=torch.uint8).sum().item()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_before_the_run_is_not_its_own():
    begin_peak_memory(CPU)
    before = peak_memory_mb(CPU)
    use_memory()
    assert peak_memory_mb(CPU) > before + 0.8 * SIZE
    begin_peak_memory(CPU)
    assert peak_memory_mb(CPU) < before + 0.5 * SIZE


def test_without_proc_the_process_is_asked(tmp_path, monkeypatch):
    known = peak_memory_mb(CPU)
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak_memory, "_RESET", tmp_path / "none" / "either")
    begin_peak_memory(CPU)
    assert peak_memory_mb(CPU) > 0.5 * known
