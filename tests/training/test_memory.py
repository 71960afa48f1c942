"""Memory that runs out is told with what to lower, and what is left."""

import pytest
import torch
from tiny_runs import command

from colabel.errors import NotEnoughMemoryError
from colabel.training.memory import TO_EVALUATE, TO_TRAIN, explained_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_step_without_memory_says_what_to_lower(error):
    with (
        pytest.raises(NotEnoughMemoryError, match=r"lower training.batch_size .* it is kept\."),
        explained_memory(TO_TRAIN, lambda: "it is kept"),
    ):
        raise error


def test_other_errors_are_left_alone():
    with (
        pytest.raises(RuntimeError, match="shapes do not fit"),
        explained_memory(TO_TRAIN, lambda: pytest.fail("it was asked")),
    ):
        raise RuntimeError("shapes do not fit")


def test_validation_and_prediction_name_what_they_can_lower(tiny_run, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr("colabel.models.Classifier.forward", fail)
    assert command("evaluate", tiny_run, "--cpu") == 2
    assert "lower evaluation.batch_size" in capsys.readouterr().err
    assert command("predict", tiny_run, tiny_run.parent / "images" / "00.png") == 2
    assert "lower --batch" in capsys.readouterr().err


def test_what_says_already_what_to_lower_is_left_as_it_is():
    with pytest.raises(NotEnoughMemoryError, match=r"^an image"), explained_memory(TO_EVALUATE):
        raise NotEnoughMemoryError("an image")
