"""What KMCL adds to a training step: the whole step against the same encoder with a linear head.

Both steps are complete: images of 0 to 255 in, normalisation, encoder, head, losses, backward,
Adam. The baseline has a linear head and binary cross-entropy. The steps alternate, so that a
machine that slows down slows both, and each turn gives one ratio.

    python benchmarks/step_overhead.py
    python benchmarks/step_overhead.py --encoder mobilenetv2_100 --size 128 --classes 18
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from colabel.losses import AsymmetricLoss, KernelContrastiveLoss, ReconstructionLoss
from colabel.models import Classifier, KernelMixtureHead, LinearHead, build_encoder

LEARNING_RATE = 2e-4
LABELS_PER_IMAGE = 2.9  # of MS-COCO


def baseline_step(
    encoder: str, classes: int, images: Tensor, targets: Tensor, device: torch.device
) -> Callable[[], float]:
    """Build a step of encoder, linear head and binary cross-entropy; it returns the loss."""
    backbone = build_encoder(encoder)
    model = Classifier(backbone, LinearHead(backbone.width, classes)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    truth = targets.float()

    def step() -> float:
        loss = functional.binary_cross_entropy_with_logits(model(images).logits, truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def kmcl_step(
    encoder: str,
    classes: int,
    covariance: str,
    images: Tensor,
    targets: Tensor,
    device: torch.device,
) -> Callable[[], float]:
    """Build a step of encoder, mixture head and the three losses of KMCL; it returns the loss."""
    backbone = build_encoder(encoder)
    model = Classifier(backbone, KernelMixtureHead(backbone.width, classes, covariance)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    reconstruct, classify, contrast = (
        ReconstructionLoss(),
        AsymmetricLoss(),
        KernelContrastiveLoss(),
    )

    def step() -> float:
        output = model(images)
        loss = (
            reconstruct(output.mixture, output.features, targets)
            + 0.1 * classify(output.logits, targets)
            + 0.3 * contrast(output.mixture, targets)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def alternate(steps: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run the steps in turns after one warm-up each; return the seconds of each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()  # reads the loss back, which waits for the device
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--covariance", default="isotropic")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    generator = torch.Generator().manual_seed(0)
    side, batch, classes = arguments.size, arguments.batch, arguments.classes
    images = torch.randint(256, (batch, 3, side, side), generator=generator, dtype=torch.uint8)
    chance = torch.rand(batch, classes, generator=generator)
    targets = (chance < LABELS_PER_IMAGE / classes).to(torch.int8)
    images, targets = images.to(device), targets.to(device)

    seconds = alternate(
        {
            "encoder + linear + BCE": baseline_step(
                arguments.encoder, classes, images, targets, device
            ),
            "KMCL": kmcl_step(
                arguments.encoder, classes, arguments.covariance, images, targets, device
            ),
        },
        arguments.repeats,
    )
    for name, times in seconds.items():
        print(
            f"{name:24s} median {statistics.median(times):8.3f} s   "
            f"from {min(times):.3f} to {max(times):.3f} s"
        )
    baseline, kmcl = seconds.values()
    ratios = [ours / theirs for ours, theirs in zip(kmcl, baseline, strict=True)]
    print(
        f"{arguments.encoder}, {side} x {side}, batch {batch}, {classes} classes, "
        f"{arguments.covariance}, {arguments.threads} threads, {arguments.device}: "
        f"KMCL / baseline = {statistics.median(ratios):.4f} "
        f"(median over turns; from {min(ratios):.4f} to {max(ratios):.4f})"
    )


if __name__ == "__main__":
    main()
