"""Memory that runs out is told with what to lower, and what is left."""

import pytest
import torch

from colabel.errors import NotEnoughMemoryError
from colabel.training.memory import explained_memory


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
        explained_memory(lambda: "it is kept"),
    ):
        raise error


def test_other_errors_are_left_alone():
    with (
        pytest.raises(RuntimeError, match="shapes do not fit"),
        explained_memory(lambda: pytest.fail("it was asked")),
    ):
        raise RuntimeError("shapes do not fit")
