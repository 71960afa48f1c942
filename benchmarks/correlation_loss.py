"""Speed and memory of ProbMCL's contrastive loss against the tensor of all pairs of components.

The materialised version holds ``batch x batch x classes x classes`` exponents, as the closed form
suggests, and leaves the gradient to autograd; ``compiled`` is the same through ``torch.compile``.
Values and gradients of all versions are compared first, in float64. Printed: median milliseconds
of a forward and backward pass, and the extra memory at its peak. The materialised version
is left out where it would need more than ``--limit-gb``.

    python benchmarks/correlation_loss.py [--device cpu] [--threads 1] [--compiled]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import torch
from measuring import median_seconds, peak_bytes
from torch import Tensor

from colabel.losses import mixture_contrastive_loss
from colabel.mixtures import GaussianMixture, jaccard

TEMPERATURE, THRESHOLD = 0.2, 0.6
WIDTH = 2048
SPREAD = 0.05  # standard deviation of means and variances
CASES = {"64": (64, 80), "256": (256, 80), "1024": (1024, 80)}
CASES_BY_DEVICE = {"cpu": ("64", "256"), "cuda": ("64", "256", "1024")}
LABELS_PER_IMAGE = 2.9  # of MS-COCO
TENSORS_HELD = 10  # of the materialised version, for the estimate of what it would need


def draw(
    case: str, device: str, spread: float = SPREAD, dtype: torch.dtype = torch.float32
) -> tuple[list[Tensor], Tensor]:
    """Return log weights, means and variances as a head gives them, and targets of two views."""
    batch, classes = CASES[case]
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(3, batch, classes, generator=generator, dtype=torch.float64)
    leaves = [normal[0].log_softmax(dim=1), spread * normal[1], 2 + spread * normal[2]]
    one_view = torch.rand(batch // 2, classes, generator=generator) < LABELS_PER_IMAGE / classes
    targets = one_view.repeat_interleave(2, dim=0).int()
    return [leaf.to(device, dtype).requires_grad_() for leaf in leaves], targets.to(device)


def ours(leaves: list[Tensor], targets: Tensor) -> Tensor:
    """The loss as the package computes it."""
    mixture = GaussianMixture(*leaves, WIDTH)
    return mixture_contrastive_loss(
        mixture, targets, temperature=TEMPERATURE, threshold=THRESHOLD
    ).mean()


def materialised(leaves: list[Tensor], targets: Tensor) -> Tensor:
    """The loss with every pair of components of every pair of images."""
    log_weights, mean, variance = leaves
    total = variance[:, None, :, None] + variance[None, :, None, :]
    difference = mean[:, None, :, None] - mean[None, :, None, :]
    exponent = -WIDTH / 2 * (total.log() + difference.square() / total)
    exponent = exponent + log_weights[:, None, :, None] + log_weights[None, :, None, :]
    log_product = exponent.flatten(2).logsumexp(dim=2)
    own = log_product.diagonal()
    scores = (log_product - (own[:, None] + own) / 2).exp() / TEMPERATURE
    itself = torch.eye(len(mean), dtype=torch.bool, device=mean.device)
    log_denominator = scores.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    overlap = jaccard(targets.to(mean.dtype))
    positive = ((overlap >= THRESHOLD) & ~itself).to(mean.dtype)
    weights = overlap * positive / positive.sum(dim=1, keepdim=True).clamp(min=1)
    return (weights * (log_denominator - scores)).sum(dim=1).mean()


VERSIONS = {"materialised": materialised, "ours": ours}


def check(device: str) -> None:
    """Stop unless the versions agree in float64, values and gradients."""
    torch.manual_seed(0)
    leaves, targets = draw("64", device, dtype=torch.float64)
    leaves = [leaf[:12].detach().requires_grad_() for leaf in leaves]
    results = []
    for version in VERSIONS.values():
        loss = version(leaves, targets[:12])
        results.append((loss, *torch.autograd.grad(loss, leaves)))
    for first, second in zip(*results[:2], strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def measure_time(version: str, case: str, device: str, repeats: int, spread: float) -> float:
    """Return median seconds of forward and backward."""
    leaves, targets = draw(case, device, spread)
    return median_seconds(lambda: VERSIONS[version](leaves, targets), device, repeats)


def measure_memory(version: str, case: str, device: str) -> float:
    """Return the extra bytes at the peak, in a process of its own."""
    command = [sys.executable, __file__, "--device", device, "--memory-of", version, case]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory(version: str, case: str, device: str) -> None:
    """Print the bytes that one forward and backward pass adds at its peak."""
    leaves, targets = draw(case, device)
    print(peak_bytes(lambda: VERSIONS[version](leaves, targets), device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit-gb", type=float, default=4)
    parser.add_argument("--spread", type=float, default=SPREAD, help="of means and variances")
    parser.add_argument("--compiled", action="store_true", help="also torch.compile")
    parser.add_argument("--memory-of", nargs=2, metavar=("VERSION", "CASE"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print_memory(*arguments.memory_of, arguments.device)
        return
    check(arguments.device)
    if arguments.compiled:
        VERSIONS["compiled"] = torch.compile(materialised, dynamic=False)
    print(
        f"torch {torch.__version__}, {arguments.threads} threads, {arguments.device}, "
        f"width {WIDTH}"
    )
    print(f"{'views':>6} {'classes':>8} {'version':>13} {'ms':>9} {'ratio':>7} {'MB':>9}")
    for case in CASES_BY_DEVICE[arguments.device]:
        batch, classes = CASES[case]
        needed = TENSORS_HELD * 4 * (batch * classes) ** 2 / 1e9
        seconds = {}
        for version in ("ours", *(name for name in VERSIONS if name != "ours")):
            if version != "ours" and needed > arguments.limit_gb:
                print(f"{batch:6} {classes:8} {version:>13}  left out: about {needed:.0f} GB")
                continue
            taken = measure_time(
                version, case, arguments.device, arguments.repeats, arguments.spread
            )
            seconds[version] = taken
            memory = ""
            if version != "compiled":
                memory = f"{measure_memory(version, case, arguments.device) / 1e6:9.1f}"
            ratio = taken / seconds.get("ours", taken)
            print(f"{batch:6} {classes:8} {version:>13} {1e3 * taken:9.1f} {ratio:7.1f} {memory}")


if __name__ == "__main__":
    main()
