"""A training step compiled by ``torch.compile``, beside the same step as it is, on a processor.

``waited`` is the time until the first compiled step has ended; the last column is after how many
steps that is won back. Rounds alternate, and the fastest of each counts.

python benchmarks/compiled_training.py [ENCODER ...] [--size 192] [--threads 1]
"""

import time
from collections.abc import Callable

import torch
from measuring import encoder_options
from torch import Tensor

from colabel.models import build_encoder

BATCH, ROUNDS = 32, 10
ENCODERS = ("mobilenetv2_100", "resnet50")


def seconds(forward: Callable[[Tensor], Tensor], images: Tensor) -> float:
    began = time.perf_counter()
    forward(images).square().mean().backward()
    return time.perf_counter() - began


def main() -> None:
    options = encoder_options(__doc__.splitlines()[0], ENCODERS).parse_args()
    torch.set_num_threads(options.threads)
    print(f"{BATCH} images of {options.size} pixels, milliseconds a step")
    print("| encoder | stages frozen | as it is | compiled | ratio | waited | steps to win back |")
    print("|---|---|---|---|---|---|---|")
    images = torch.randint(256, (BATCH, 3, options.size, options.size), dtype=torch.uint8)
    for name in options.encoders:
        for frozen in (0, 0.65):
            torch.compiler.reset()
            encoder = build_encoder(name, freeze_batch_norm=True, freeze_stages=frozen).train()

            def forward(pixels: Tensor, encoder: torch.nn.Module = encoder) -> Tensor:
                vector: Tensor = encoder(pixels).vector
                return vector

            compiled = torch.compile(forward)
            waited = seconds(compiled, images)
            each = [(seconds(forward, images), seconds(compiled, images)) for _ in range(ROUNDS)]
            plain, quick = (min(times) for times in zip(*each, strict=True))
            won = f"{waited / (plain - quick):,.0f}" if quick < plain else "never"
            print(
                f"| {name} | {frozen:g} | {1000 * plain:.0f} | {1000 * quick:.0f} "
                f"| {quick / plain:.2f} | {waited:.0f} s | {won} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
