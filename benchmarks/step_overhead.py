"""What a method adds to a training step: the whole step against the same encoder, linear head.

Both steps are complete: images of 0 to 255 in, normalisation, encoder, head, losses, backward,
Adam. The baseline has a linear head and binary cross-entropy. The steps alternate, so that a
machine that slows down slows both, and each turn gives one ratio. On a busy machine those ratios
scatter by more than the difference; therefore the part that differs, heads and losses forward and
backward, is also timed by itself and compared with the baseline's whole step.

    python benchmarks/step_overhead.py [--method probmcl]
    python benchmarks/step_overhead.py --encoder mobilenetv2_100 --size 128 --classes 18
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from colabel.losses import (
    AsymmetricLoss,
    KernelContrastiveLoss,
    MixtureContrastiveLoss,
    MixtureLikelihoodLoss,
    ReconstructionLoss,
)
from colabel.models import (
    Classifier,
    Features,
    Head,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    Output,
    build_encoder,
)

LEARNING_RATE = 2e-4
LABELS_PER_IMAGE = 2.9  # of MS-COCO
HEAD_REPEATS = 20

Loss = Callable[[Output, Tensor], Tensor]
Step = Callable[[], float]


def baseline_loss(output: Output, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(output.logits, targets.float())


def kmcl_loss(output: Output, targets: Tensor) -> Tensor:
    return (
        ReconstructionLoss()(output.mixture, output.features, targets)
        + 0.1 * AsymmetricLoss()(output.logits, targets)
        + 0.3 * KernelContrastiveLoss()(output.mixture, targets)
    )


def probmcl_loss(output: Output, targets: Tensor) -> Tensor:
    return MixtureLikelihoodLoss()(
        output.mixture, output.features
    ) + 0.3 * MixtureContrastiveLoss()(output.mixture, targets)


def mixture_model(method: str, encoder: nn.Module, width: int, classes: int, covariance: str):
    """Return the model a method trains and its loss."""
    if method == "kmcl":
        head = Head(KernelMixtureHead(width, classes, covariance))
        return Classifier(encoder, head), kmcl_loss
    head = Head(MixtureDensityHead(width, classes), feature_length=1)
    return Classifier(encoder, head), probmcl_loss


def whole_step(model: nn.Module, loss: Loss, images: Tensor, targets: Tensor) -> Step:
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step() -> float:
        value = loss(model(images), targets)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        return value.item()

    return step


def head_step(model: nn.Module, loss: Loss, features: Tensor, targets: Tensor) -> Step:
    def step() -> float:
        value = loss(model.head(Features(features)), targets)
        value.backward()
        return value.item()

    return step


def alternate(steps: dict[str, Step], repeats: int) -> dict[str, list[float]]:
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
    parser.add_argument("--method", default="kmcl", choices=("kmcl", "probmcl"))
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
    targets = (chance < LABELS_PER_IMAGE / classes).to(torch.int8).to(device)
    images = images.to(device)

    encoders = [build_encoder(arguments.encoder) for _ in range(2)]
    width = encoders[0].width
    linear = Classifier(encoders[0], Head(LinearHead(width, classes))).to(device)
    kernels, loss = mixture_model(
        arguments.method, encoders[1], width, classes, arguments.covariance
    )
    kernels = kernels.to(device)
    name = arguments.method.upper()

    features = torch.randn(batch, width, generator=generator).to(device).requires_grad_()
    heads = alternate(
        {
            "linear + BCE": head_step(linear, baseline_loss, features, targets),
            name: head_step(kernels, loss, features, targets),
        },
        HEAD_REPEATS,
    )
    whole = alternate(
        {
            "encoder + linear + BCE": whole_step(linear, baseline_loss, images, targets),
            f"encoder + {name}": whole_step(kernels, loss, images, targets),
        },
        arguments.repeats,
    )
    for part, times in [*heads.items(), *whole.items()]:
        print(
            f"{part:24s} median {statistics.median(times):9.4f} s   "
            f"from {min(times):.4f} to {max(times):.4f} s"
        )
    baseline, trained = whole.values()
    ratios = [ours / theirs for ours, theirs in zip(trained, baseline, strict=True)]
    plain, ours = (statistics.median(times) for times in heads.values())
    print(
        f"{arguments.encoder}, {side} x {side}, batch {batch}, {classes} classes, "
        f"{arguments.covariance}, {arguments.threads} threads, {device}:\n"
        f"whole step, {name} / baseline  {statistics.median(ratios):.4f} "
        f"(median over turns; from {min(ratios):.4f} to {max(ratios):.4f})\n"
        f"by the part that differs alone  {1 + (ours - plain) / statistics.median(baseline):.4f}\n"
        f"head and losses in a step       {ours / statistics.median(trained):.4f}"
    )


if __name__ == "__main__":
    main()
