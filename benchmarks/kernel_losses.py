"""Speed and memory of KMCL's contrastive and reconstruction losses against naive tensors.

The naive versions are Eq. 5 and 7 written with the tensors they suggest: batch x batch x classes
overlaps (x width for diagonal kernels) and a batch x width x classes distance. Both compute the
same numbers, which is checked first, in float64. Printed: median seconds of a forward and
backward pass, and the extra memory at its peak, and their ratios.

    python benchmarks/kernel_losses.py [--device cpu] [--repeats 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import torch
from measuring import median_seconds, peak_bytes
from torch import Tensor

from colabel.losses import kernel_contrastive_loss, reconstruction_loss
from colabel.mixtures import GaussianMixture, jaccard

CASES = {
    "isotropic": {"batch": 128, "classes": 80, "width": 2048, "labels": 2.9},
    "diagonal": {"batch": 32, "classes": 20, "width": 512, "labels": 1.5},
}


def draw(
    case: dict[str, float], kind: str, device: str, dtype: torch.dtype = torch.float32
) -> tuple[list[Tensor], Tensor]:
    """Return features, log weights, means and variances with gradients, and sparse targets."""
    generator = torch.Generator().manual_seed(0)
    batch, classes, width = (int(case[key]) for key in ("batch", "classes", "width"))
    shape = (batch, classes, width) if kind == "diagonal" else (batch, classes)
    leaves = [
        torch.rand(batch, width, generator=generator),
        torch.rand(batch, classes, generator=generator).log(),
        torch.randn(shape, generator=generator) * 0.02,
        1 + torch.rand(shape, generator=generator) * 0.05,
    ]
    targets = (torch.rand(batch, classes, generator=generator) < case["labels"] / classes).int()
    return [leaf.to(device, dtype).requires_grad_() for leaf in leaves], targets.to(device)


def ours(leaves: list[Tensor], targets: Tensor) -> Tensor:
    """Both losses as the package computes them."""
    features, log_weights, mean, variance = leaves
    mixture = GaussianMixture(log_weights, mean, variance, features.shape[1])
    return (
        kernel_contrastive_loss(mixture, targets).mean()
        + reconstruction_loss(mixture, features, targets).mean()
    )


def naive(leaves: list[Tensor], targets: Tensor) -> Tensor:
    """Both losses with every pair of images for every class, and every feature for every class."""
    features, log_weights, mean, variance = leaves
    batch, width = features.shape
    present = targets == 1
    p_mean, p_variance = mean[:, None], variance[:, None]
    q_mean, q_variance = mean[None], variance[None]
    total = p_variance + q_variance
    log_rho = -0.5 * (total / (2 * (p_variance * q_variance).sqrt())).log()
    log_rho = log_rho - (p_mean - q_mean).square() / total / 4
    log_rho = log_rho.sum(dim=-1) if mean.ndim == 3 else width * log_rho
    scores = log_rho.exp() / 0.2
    itself = torch.eye(batch, dtype=torch.bool, device=features.device)
    denominator = scores.masked_fill(itself[..., None], -torch.inf).logsumexp(dim=1, keepdim=True)
    overlap = jaccard(targets.to(mean.dtype)).masked_fill(itself, 0)
    shared = present[:, None] & present[None]
    inner = torch.where(shared, scores - denominator, 0.0).sum(dim=-1)
    positives = (overlap > 0).sum(dim=1).clamp(min=1)
    contrastive = -((overlap * inner).sum(dim=1) / positives).mean()
    means = mean if mean.ndim == 3 else mean[..., None]
    variances = variance if mean.ndim == 3 else variance[..., None]
    distance = ((features[:, None] - means).square() / variances).sum(dim=-1)
    log_components = log_weights - distance / (2 * width)
    everything = log_components.logsumexp(dim=1)
    of_present = log_components.masked_fill(~present, -torch.inf)
    labelled = present.any(dim=1)
    difference = everything[labelled] - of_present[labelled].logsumexp(dim=1)
    return contrastive + difference.sum() / batch


def measure_time(version: str, kind: str, device: str, repeats: int) -> float:
    """Return median seconds of forward and backward."""
    leaves, targets = draw(CASES[kind], kind, device)
    return median_seconds(lambda: VERSIONS[version](leaves, targets), device, repeats)


def measure_memory(version: str, kind: str, device: str) -> float:
    """Return the extra bytes at the peak, in a process of its own."""
    command = [sys.executable, __file__, "--device", device, "--memory-of", version, kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory(version: str, kind: str, device: str) -> None:
    """Print the bytes that one forward and backward pass adds at its peak."""
    leaves, targets = draw(CASES[kind], kind, device)
    print(peak_bytes(lambda: VERSIONS[version](leaves, targets), device))


VERSIONS = {"ours": ours, "naive": naive}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-of", nargs=2, metavar=("VERSION", "KIND"))
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory(*arguments.memory_of, arguments.device)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.device}")
    print(
        f"{'kernels':10} {'batch':>6} {'classes':>8} {'width':>6} {'naive ms':>9} {'ours ms':>8} "
        f"{'times faster':>13} {'naive MB':>9} {'ours MB':>8} {'times less':>11}"
    )
    for kind, case in CASES.items():
        results = []
        for version in (naive, ours):
            leaves, targets = draw(case, kind, arguments.device, torch.float64)
            loss = version(leaves, targets)
            loss.backward()
            results.append([loss.detach(), *(leaf.grad for leaf in leaves)])
        for expected, got in zip(*results, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-12)
        slow, fast = (
            measure_time(version, kind, arguments.device, arguments.repeats)
            for version in ("naive", "ours")
        )
        large, small = (
            measure_memory(version, kind, arguments.device) for version in ("naive", "ours")
        )
        print(
            f"{kind:10} {case['batch']:6} {case['classes']:8} {case['width']:6} {1e3 * slow:9.1f} "
            f"{1e3 * fast:8.2f} {slow / fast:13.1f} {large / 1e6:9.1f} {small / 1e6:8.2f} "
            f"{large / small:11.1f}"
        )


if __name__ == "__main__":
    main()
