"""A training step and scoring in bfloat16, beside float32, on a processor.

The third time of a step is that of bfloat16 throughout, with strided depthwise convolutions in it,
whose backward pass has no quick kernel; it is timed by itself at the end. Rounds
alternate, and the fastest of each counts.

python benchmarks/bf16_on_processors.py [ENCODER ...] [--size 192] [--threads 1]
"""

import contextlib
import time

import torch
from measuring import encoder_options
from torch import nn

from colabel.models import build_encoder
from colabel.models.encoders import Encoder

BATCH, ROUNDS = 32, 10
ENCODERS = ("mobilenetv2_100", "resnet50")


def everything_in_bfloat16(name: str) -> Encoder:
    encoder = build_encoder(name, freeze_batch_norm=True, freeze_stages=0.65)
    for module in encoder.modules():
        kind = type(module)
        if isinstance(module, nn.Conv2d) and kind.__name__.endswith("InFloat32"):
            module.__class__ = kind.__bases__[1]
    return encoder


def seconds(encoder: Encoder, images: torch.Tensor, *, half: bool, learn: bool) -> float:
    began = time.perf_counter()
    precision = torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()
    with precision, torch.set_grad_enabled(learn):
        vector = encoder(images).vector
    if learn:
        encoder.zero_grad()
        vector.float().square().mean().backward()
    return time.perf_counter() - began


def backward_seconds(precision: torch.dtype) -> float:
    """Return the time of the backward pass of MobileNetV2's last strided depthwise layer."""
    layer = nn.Conv2d(576, 576, 3, stride=2, groups=576).to(precision)
    layer = layer.to(memory_format=torch.channels_last)
    maps = torch.randn(BATCH, 576, 13, 13, dtype=precision, requires_grad=True)
    output = layer(maps.to(memory_format=torch.channels_last))
    began = time.perf_counter()
    output.backward(torch.ones_like(output))
    return time.perf_counter() - began


def main() -> None:
    options = encoder_options(__doc__.splitlines()[0], ENCODERS).parse_args()
    torch.set_num_threads(options.threads)
    print(f"{BATCH} images of {options.size} pixels, 0.65 of the stages frozen, milliseconds")
    print("| encoder | step, float32 | bf16 | ratio | bf16 throughout | scoring, float32 | bf16 |")
    print("|---|---|---|---|---|---|---|")
    for name in options.encoders:
        encoder = build_encoder(name, freeze_batch_norm=True, freeze_stages=0.65).train()
        whole = everything_in_bfloat16(name).train()
        images = torch.randint(256, (BATCH, 3, options.size, options.size), dtype=torch.uint8)
        cases = [
            (encoder, False, True), (encoder, True, True), (whole, True, True),
            (encoder, False, False), (encoder, True, False),
        ]  # fmt: skip
        fastest = [float("inf")] * len(cases)
        for _ in range(ROUNDS):
            for number, (model, half, learn) in enumerate(cases):
                taken = seconds(model, images, half=half, learn=learn)
                fastest[number] = min(fastest[number], taken)
        plain, half, through, scored, quick = (1000 * each for each in fastest)
        print(
            f"| {name} | {plain:.0f} | {half:.0f} | {half / plain:.2f} | {through:.0f} "
            f"| {scored:.0f} | {quick:.0f} |",
            flush=True,
        )
    print("\nbackward pass of a strided depthwise convolution, 576 channels of 13 x 13")
    for precision in (torch.float32, torch.bfloat16):
        taken = 1000 * min(backward_seconds(precision) for _ in range(ROUNDS))
        print(f"{str(precision).removeprefix('torch.')}: {taken:.1f} ms")


if __name__ == "__main__":
    main()
