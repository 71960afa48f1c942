"""What building a model may take is bounded, whatever it is made with, before it is made."""

import resource

import pytest
import torch

from colabel.errors import RunError
from colabel.models import build_encoder
from colabel.models.budget import memory_budget

MANY = 10**11
WAYS = {
    "a layer": lambda: torch.nn.Linear(MANY, 1),
    "an old constructor": lambda: torch.FloatTensor(MANY),
    "one like another": lambda: torch.zeros(2).new_zeros(MANY),
    "a repetition": lambda: torch.zeros(10).repeat(MANY),
    "a view made whole": lambda: torch.zeros(1).expand(MANY).contiguous(),
    "a table of differences": lambda: torch.zeros(10**5, 1) - torch.zeros(1, 10**5),
    "a loop": lambda: [torch.nn.Linear(1000, 1000) for _ in range(10**6)],
    "windows of a transformer": lambda: build_encoder(
        "swin_tiny_patch4_window7_224",
        options={"window_size": 100, "img_size": 800, "embed_dim": 8, "num_heads": [1, 1, 1, 1]},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_before_it_is_made(way):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match="would take more than"), memory_budget(2**26):
        WAYS[way]()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kilobytes


def test_shapes_without_memory_are_free():
    with memory_budget(2**20):
        images = torch.empty(1, 3, 10**5, 10**5, device="meta")
        torch.nn.functional.pad(images, (1, 1))
        torch.empty_like(torch.zeros(10), device="meta").expand(MANY, 10).contiguous()


def test_a_model_comes_out_as_without_a_bound():
    states = []
    for limit in (2**40, 2**25):
        torch.manual_seed(0)
        with memory_budget(limit):
            states.append(build_encoder("test_vit").state_dict())
    torch.manual_seed(0)
    plain = build_encoder("test_vit").state_dict()
    for state in states:
        assert all(torch.equal(state[name], plain[name]) for name in plain)
