"""Second derivatives are refused, never silently wrong."""

import pytest
import torch

from colabel.mixtures import (
    GaussianMixture,
    correlation_gpu,
    log_similarity_of_rows,
    pairwise_log_correlation,
)
from colabel.training import distributed as shared


def isotropic():
    mean = torch.tensor([[0.0, 1.0], [2.0, 0.5]], requires_grad=True)
    weights = torch.full((2, 2), 0.5).log()
    return mean, GaussianMixture(weights, mean, torch.ones(2, 2), dim=3)


def correlation():
    mean, mixture = isotropic()
    return mean, pairwise_log_correlation(mixture).sum()


def diagonal_rows():
    mean = torch.rand(2, 2, 3, requires_grad=True)
    mixture = GaussianMixture(torch.zeros(2, 2), mean, torch.ones(2, 2, 3), dim=3)
    rows = log_similarity_of_rows(mixture, torch.tensor([0]), torch.tensor([1]))
    return mean, rows.sum()


def fused(monkeypatch):
    """The autograd function of the GPU kernels, on the CPU: the kernels themselves do not run."""

    class Kernel:
        def __getitem__(self, _):
            return lambda *_, **__: None

    monkeypatch.setattr(correlation_gpu, "kernels", lambda: (Kernel(), Kernel()))
    mean = torch.ones(2, 2, requires_grad=True)
    return mean, correlation_gpu.fused_log_product(mean, mean, mean, 3).sum()


def gathered(monkeypatch):
    """The gathering of several processes, of which this is the only one."""
    monkeypatch.setattr(shared, "world_size", lambda: 2)
    monkeypatch.setattr(
        shared.distributed,
        "all_gather",
        lambda parts, local: [part.copy_(local) for part in parts],
    )
    monkeypatch.setattr(shared.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(shared.distributed, "all_reduce", lambda tensor: tensor.mul_(2))
    value = torch.ones(2, requires_grad=True)
    return value, shared.gather_with_gradient(value)[0].sum()


def build(name, monkeypatch):
    function = {
        "LogProduct": correlation,
        "DiagonalRows": diagonal_rows,
        "FusedLogProduct": lambda: fused(monkeypatch),
        "Gather": lambda: gathered(monkeypatch),
    }[name]
    return function()


EVERY_FUNCTION = pytest.mark.parametrize(
    "name", ["LogProduct", "DiagonalRows", "FusedLogProduct", "Gather"]
)


@EVERY_FUNCTION
def test_a_graph_of_the_gradient_is_refused_by_name(name, monkeypatch):
    leaf, value = build(name, monkeypatch)
    with pytest.raises(RuntimeError, match=f"backward pass of {name} cannot .* create_graph=True"):
        torch.autograd.grad(value, leaf, create_graph=True)


@EVERY_FUNCTION
def test_the_gradient_itself_is_given(name, monkeypatch):
    leaf, value = build(name, monkeypatch)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert gradient.shape == leaf.shape
    assert not gradient.requires_grad
