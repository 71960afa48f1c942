"""The fused kernels: in Triton's interpreter, compiled without a GPU, and on one if there is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from correlation_cases import density, leaves, naive_log_correlation, slopes
from mixture_cases import draw

from colabel.mixtures import (
    GaussianMixture,
    correlation,
    correlation_gpu,
    pairwise_log_correlation,
)

DIM = 2048

# batch, classes, share of weights that are exactly 0, spread of means, greatest variance
CASES = {
    "one component of one image": (1, 1, 0.0, 0.05, 1.1),
    "one image": (1, 5, 0.0, 0.05, 1.1),
    "one component": (6, 1, 0.0, 0.05, 1.1),
    "less than a tile": (5, 7, 0.0, 0.05, 1.1),
    "a tile": (4, 16, 0.0, 0.05, 1.1),
    "tiles and a rest": (3, 37, 0.0, 0.05, 1.1),
    "transposed": (5, 7, 0.0, 0.05, 1.1),
    "weights of zero": (4, 19, 0.6, 0.05, 1.1),
    "means apart": (5, 3, 0.0, 3.0, 1.1),  # exponents below -1000, which no exp can represent
    "variances apart": (4, 9, 0.2, 0.05, 30.0),  # float32 loses more: 2e-4
}

# Run where Triton interprets its kernels on the CPU, which it must know before they are defined.
SCRIPT = """
import sys, torch
from colabel.mixtures import GaussianMixture, correlation, correlation_gpu
from colabel.mixtures import pairwise_log_correlation

for context in (torch.no_grad, torch.inference_mode):
    with context():
        assert correlation_gpu.usable.__wrapped__(torch.device("cpu"))
correlation._has_kernels = lambda tensor: True
found = {}
for name, (parts, weight) in torch.load(sys.argv[1]).items():
    inputs = [part.requires_grad_() for part in parts]
    inside, keep = correlation_gpu.fused_log_product, []
    correlation_gpu.fused_log_product = lambda *parts: keep.append(inside(*parts)) or keep[0]
    values = pairwise_log_correlation(GaussianMixture(*inputs, dim=2048))
    correlation_gpu.fused_log_product = inside
    again = pairwise_log_correlation(GaussianMixture(*inputs, dim=2048))
    assert torch.equal(again, values)
    (values * weight).sum().backward()
    found[name] = [keep[0].detach(), values.detach(), *(part.grad for part in inputs)]
torch.save(found, sys.argv[2])
"""


def case(name):
    """Log weights, means and variances, and a factor for each cell of the result."""
    batch, classes, absent, spread, highest = CASES[name]
    parts = leaves(batch, classes, seed=3, spread=spread, variances=(1.0, highest))
    gone = torch.rand(batch, classes, generator=torch.Generator().manual_seed(1)) < absent
    gone[:, 0] = False
    log_weights = parts["logits"].masked_fill(gone, -torch.inf).log_softmax(dim=1)
    inputs = [part.float() for part in (log_weights, parts["mean"], parts["variance"])]
    if name == "transposed":
        inputs = [part.T.contiguous().T for part in inputs]
    return inputs, draw(batch, batch, seed=4).float()


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    pytest.importorskip("triton", reason="PyTorch brings Triton with CUDA only")
    folder = tmp_path_factory.mktemp("interpreter")
    torch.save({name: case(name) for name in CASES}, folder / "cases.pt")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, folder / "cases.pt", folder / "found.pt"],
        check=True,
        env=os.environ | {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(folder)},
    )
    return torch.load(folder / "found.pt")


def wide(name):
    """Values and gradients of the plain blocks in float64."""
    inputs, weight = case(name)
    inputs = [part.double().requires_grad_() for part in inputs]
    made = GaussianMixture(*inputs, dim=DIM)
    values = pairwise_log_correlation(made, block_elements=2**17)
    (values * weight).sum().backward()
    return [values.detach(), *(part.grad for part in inputs)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_blocks(interpreted, name):
    product, got, *_ = interpreted[name]
    expected, *_ = wide(name)
    assert got.dtype is torch.float32
    assert (got.diagonal() == 0).all()
    assert torch.equal(product, product.T)
    torch.testing.assert_close(
        got.double(), expected, rtol=2e-6, atol=1e-3 if name == "variances apart" else 3e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_blocks(interpreted, name):
    _, _, *found = interpreted[name]
    _, *expected = wide(name)
    for got, slope in zip(found, expected, strict=True):
        allowed = 1e-4 * max(1.0, slope.abs().max().item())
        torch.testing.assert_close(got.double(), slope, rtol=0, atol=allowed)


@pytest.mark.slow
def test_a_weight_of_zero_gets_no_gradient(interpreted):
    (log_weights, _, _), _ = case("weights of zero")
    gone = log_weights.isinf()
    assert gone.sum() > 20
    for slope in interpreted["weights of zero"][2:]:
        assert slope.isfinite().all()
        assert (slope[~gone] != 0).any()
    assert (interpreted["weights of zero"][2][gone] == 0).all()


# --- without a GPU and without the interpreter


def test_the_package_does_not_import_triton():
    command = "import sys, colabel.mixtures; sys.exit('triton' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)


def ptxas():
    triton = pytest.importorskip("triton", reason="PyTorch brings Triton with CUDA only")
    bundled = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    return bundled.exists() or shutil.which("ptxas")


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile(capability, tmp_path, monkeypatch):
    if not ptxas():
        pytest.skip("NVIDIA's assembler ptxas is missing")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = {"side": correlation_gpu.SIDE, "across": correlation_gpu.ACROSS}
    types = dict.fromkeys(constants, "constexpr") | {"half_dim": "fp32"}
    types |= {"batch": "i32", "classes": "i32"}
    for kernel, warps in zip(correlation_gpu.kernels(), (1, 4), strict=True):
        source = ASTSource(
            fn=kernel,
            signature={name: types.get(name, "*fp32") for name in kernel.arg_names},
            constexprs={name: constants[name] for name in kernel.arg_names if name in constants},
        )
        options = {"num_warps": warps, "enable_fp_fusion": True}
        made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        assert len(made.asm["cubin"]) > 1000
        assert "atom" not in made.asm["ptx"], "an atomic sum has another order each time"
        assert "lg2.approx" not in made.asm["ptx"], "near 1 this logarithm has few right digits"
        assert ".f64" not in made.asm["ptx"]


def test_sizes_are_no_reason_to_compile_again():
    pytest.importorskip("triton", reason="PyTorch brings Triton with CUDA only")
    for kernel in correlation_gpu.kernels():
        plain = {one.name for one in kernel.params if one.do_not_specialize}
        assert plain == {"batch", "classes"}


@pytest.mark.parametrize(
    ("is_cuda", "dtype", "usable", "expected"),
    [
        (True, torch.float32, True, True),
        (True, torch.float32, False, False),
        (True, torch.float64, True, False),
        (False, torch.float32, True, False),
    ],
)
def test_when_the_kernels_are_taken(
    monkeypatch, unchecked_shapes, is_cuda, dtype, usable, expected
):
    monkeypatch.setattr(correlation_gpu, "usable", lambda _: usable)
    tensor = SimpleNamespace(is_cuda=is_cuda, dtype=dtype, device=None)
    assert correlation._has_kernels(tensor) is expected


def test_blocks_asked_for_are_taken(monkeypatch):
    """The size of a temporary has a meaning for the blocks only."""
    monkeypatch.setattr(correlation, "_has_kernels", lambda _: True)
    monkeypatch.setattr(correlation_gpu, "fused_log_product", lambda *_: 1 / 0)
    made = density(leaves(3, 2), 4)
    assert pairwise_log_correlation(made, block_elements=8).shape == (3, 3)
    with pytest.raises(ZeroDivisionError):
        pairwise_log_correlation(made)


def test_not_usable_without_triton(monkeypatch):
    monkeypatch.setattr(correlation_gpu.importlib.util, "find_spec", lambda _: None)
    assert not correlation_gpu.usable.__wrapped__(torch.device("cpu"))


def test_not_usable_where_nothing_compiles(monkeypatch):
    def broken():
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(correlation_gpu, "kernels", broken)
    monkeypatch.setattr(correlation_gpu.importlib.util, "find_spec", lambda name: name)
    with pytest.warns(RuntimeWarning, match="slower way .* RuntimeError: Failed to find C comp"):
        assert not correlation_gpu.usable.__wrapped__(torch.device("cpu"))


# --- on a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("batch", "classes"), [(1, 1), (5, 20), (64, 80), (33, 17)])
def test_on_a_gpu(batch, classes):
    if not correlation_gpu.usable(torch.device("cuda", torch.cuda.current_device())):
        pytest.skip("Triton does not compile for this GPU")
    kernels = correlation_gpu.kernels()
    parts = leaves(batch, classes, seed=5, spread=0.05, variances=(1.0, 1.1))
    narrow = {name: part.float().cuda() for name, part in parts.items()}
    exact = {name: part.cpu().double() for name, part in narrow.items()}
    weight = draw(batch, batch, seed=6)
    got = pairwise_log_correlation(density(narrow, DIM))
    expected = naive_log_correlation(density(exact, DIM))
    torch.testing.assert_close(got.cpu().double(), expected, rtol=1e-5, atol=1e-4)
    found, again = (
        slopes(pairwise_log_correlation, narrow, DIM, weight.float().cuda()) for _ in range(2)
    )
    for ours, twice, theirs in zip(
        found, again, slopes(naive_log_correlation, exact, DIM, weight), strict=True
    ):
        assert torch.equal(ours, twice)
        allowed = 3e-4 * max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(ours.cpu().double(), theirs, rtol=0, atol=allowed)
    assert correlation_gpu.kernels() is kernels
