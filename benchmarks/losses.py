"""Speed and memory of the losses of other papers against loops over their formulas.

The loops are those of the formulas, written with tensors: over images, labels, columns and pairs
of an anchor and a label. Both compute the same numbers, which is checked first, in float64.
Printed: median seconds of a forward and backward pass, the extra memory at its peak, and the
ratios.

    python benchmarks/losses.py [--device cpu] [--repeats 3] [--batch 128]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from measuring import median_seconds, peak_bytes
from torch import Tensor
from torch.nn import functional

from colabel.losses import (
    FocalLoss,
    SimilarityDissimilarityLoss,
    SupervisedContrastiveLoss,
    TwoWayLoss,
    ZLPRLoss,
)

CLASSES, WIDTH, LABELS = 80, 256, 2.9
Loss = Callable[[Tensor, Tensor], Tensor]


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Image by image, label by label."""
    total = logits.new_zeros(())
    for row, labels in zip(logits, targets, strict=True):
        for logit, label in zip(row, labels, strict=True):
            given = torch.sigmoid(logit if label else -logit)
            total = total - (0.25 if label else 0.75) * (1 - given) ** 2 * given.log()
    return total / len(logits)


def zlpr(logits: Tensor, targets: Tensor) -> Tensor:
    """Image by image."""
    total = logits.new_zeros(())
    for row, labels in zip(logits, targets, strict=True):
        absent, present = row[labels == 0].exp().sum(), (-row[labels == 1]).exp().sum()
        total = total + absent.log1p() + present.log1p()
    return total / len(logits)


def two_way(logits: Tensor, targets: Tensor) -> Tensor:
    """Row by row, then column by column."""
    total = logits.new_zeros(())
    for values, labels in ((logits, targets), (logits.T, targets.T)):
        terms = [
            functional.softplus(
                row[given == 0].logsumexp(dim=0) + 4 * (-row[given == 1] / 4).logsumexp(dim=0)
            )
            for row, given in zip(values, labels, strict=True)
            if given.any()
        ]
        total = total + torch.stack(terms).mean()
    return total


def surprises(anchor: int, embeddings: Tensor, temperature: float) -> Tensor:
    """Minus the log softmax of one anchor over the others; the anchor's own place is unused."""
    unit = functional.normalize(embeddings)
    scores = unit @ unit[anchor] / temperature
    others = torch.arange(len(unit), device=unit.device) != anchor
    return scores[others].logsumexp(dim=0) - scores


def by_rule(same: bool) -> Loss:
    """Anchor by anchor, and for each the comparison of its labels with every other image's."""

    def loss(embeddings: Tensor, targets: Tensor) -> Tensor:
        terms = []
        for anchor in range(len(targets)):
            own = targets[anchor]
            found = [
                other
                for other in range(len(targets))
                if other != anchor
                and bool((own == targets[other]).all() if same else (own & targets[other]).any())
            ]
            if found:
                terms.append(surprises(anchor, embeddings, 0.1)[found].mean())
        return torch.stack(terms).mean()

    return loss


def per_label(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Pair by pair of an anchor and one of its labels."""
    terms = []
    for anchor in range(len(targets)):
        for label in targets[anchor].nonzero()[:, 0]:
            found = targets[:, label].bool()
            found[anchor] = False
            if found.any():
                terms.append(surprises(anchor, embeddings, 0.1)[found].mean())
    return torch.stack(terms).mean()


def weighted(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Anchor by anchor, positive by positive."""
    terms = []
    for anchor, own in enumerate(targets):
        values = []
        size = own.sum().to(embeddings.dtype)
        for other, labels in enumerate(targets):
            shared = (own & labels).sum()
            if other != anchor and shared:
                weight = shared / size / (1 + labels.sum() - shared)
                values.append(weight * surprises(anchor, embeddings, 0.07)[other])
        if values:
            terms.append(torch.stack(values).mean())
    return torch.stack(terms).mean()


CASES: dict[str, tuple[Loss, Loss, int]] = {
    "focal": (focal, FocalLoss(), CLASSES),
    "zlpr": (zlpr, ZLPRLoss(), CLASSES),
    "two_way": (two_way, TwoWayLoss(), CLASSES),
    "all": (by_rule(same=True), SupervisedContrastiveLoss("all"), WIDTH),
    "any": (by_rule(same=False), SupervisedContrastiveLoss("any"), WIDTH),
    "per_label": (per_label, SupervisedContrastiveLoss("per_label"), WIDTH),
    "similarity_dissimilarity": (weighted, SimilarityDissimilarityLoss(), WIDTH),
}
"""Loops, ours, and the width of what both take."""


def draw(batch: int, width: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return logits or embeddings with a gradient, and sparse targets with twins."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(batch, width, generator=generator)
    targets = (torch.rand(batch, CLASSES, generator=generator) < LABELS / CLASSES).int()
    targets[: batch // 2] = targets[batch // 2 :]
    return values.to(device, dtype).requires_grad_(), targets.to(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    arguments = parser.parse_args()
    device, batch = arguments.device, arguments.batch
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}, batch {batch}")
    print(f"{'loss':25} {'loops ms':>9} {'ours ms':>8} {'times faster':>13} {'ours MB':>8}")
    for name, (loops, ours, width) in CASES.items():
        check(loops, ours, draw(batch, width, device, torch.float64))
        drawn = draw(batch, width, device, torch.float32)
        slow = median_seconds(partial(loops, *drawn), device, arguments.repeats)
        fast = median_seconds(partial(ours, *drawn), device, 10 * arguments.repeats)
        extra = peak_bytes(partial(ours, *drawn), device)
        print(
            f"{name:25} {1e3 * slow:9.1f} {1e3 * fast:8.2f} {slow / fast:13.0f} {extra / 1e6:8.2f}"
        )


def check(loops: Loss, ours: Loss, drawn: tuple[Tensor, Tensor]) -> None:
    """Compare value and gradient of both versions."""
    values, targets = drawn
    results = []
    for version in (loops, ours):
        loss = version(values, targets)
        results.append((loss.detach(), *torch.autograd.grad(loss, values)))
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-12)


if __name__ == "__main__":
    main()
