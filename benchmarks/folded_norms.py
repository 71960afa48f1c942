"""A training step with frozen batch norms folded, beside the same step layer by layer.

python benchmarks/folded_norms.py [ENCODER ...]
"""

import sys
import time

import torch

from colabel.models import build_encoder
from colabel.models.encoders import Encoder

BATCH, ROUNDS, STEPS = 32, 6, 3


def step_of(encoder: Encoder, size: int):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8)

    def step():
        encoder.zero_grad()
        encoder(images).vector.square().mean().backward()

    return step


def main():
    names = sys.argv[1:] or ["mobilenetv2_100", "resnet50", "efficientnet_b0"]
    print("| encoder, 128 pixels | one by one, ms | folded, ms | ratio | 3 stages frozen, ms |")
    print("|---|---|---|---|---|")
    for name in names:
        plain = build_encoder(name)
        plain.freeze_batch_norm = True  # after it was built: the layers are as timm has them
        encoders = (
            plain.train(),
            build_encoder(name, freeze_batch_norm=True),
            build_encoder(name, freeze_batch_norm=True, freeze_stages=3),
        )
        steps = [step_of(encoder, 128) for encoder in encoders]
        fastest = [float("inf")] * len(steps)
        for _ in range(ROUNDS):
            for index, step in enumerate(steps):
                begun = time.perf_counter()
                for _ in range(STEPS):
                    step()
                fastest[index] = min(fastest[index], (time.perf_counter() - begun) / STEPS)
        one, folded, frozen = (seconds * 1000 for seconds in fastest)
        print(f"| {name} | {one:.0f} | {folded:.0f} | {folded / one:.2f} | {frozen:.0f} |")


main()
