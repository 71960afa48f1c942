"""Where the kernels' overlaps start, by initialisation and by length of the features.

    python benchmarks/initial_overlaps.py labels.csv mobilenetv2_100 --weights FILE \
        --options pad_type=same --image-size 128

Encodes 256 images of the table with the weights training starts from, and prints quantiles of
rho (KMCL, Eq. 3b) between kernels of one label, for images of which the first has it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from colabel.data import read_table_splits
from colabel.data.dataset import EvaluationImages
from colabel.mixtures import log_similarity_of_rows
from colabel.models import KernelMixtureHead, build_encoder

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CASES = (
    ("linear", None),
    ("linear", 32),
    ("linear", 16),
    ("linear", 8),
    ("linear", 4),
    ("linear", 1),
    ("paper_mean_variance", None),
    ("paper_mean_variance", 1),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--image-size", type=int, default=128)
    arguments = parser.parse_args()
    options = dict(option.split("=", 1) for option in arguments.options)
    encoder = build_encoder(arguments.encoder, weights=arguments.weights, options=options).eval()
    splits = read_table_splits(arguments.table)
    records = next(iter(splits.values())).subset(range(256))
    dataset = EvaluationImages(records, size=arguments.image_size)
    with torch.no_grad():
        images = torch.stack([dataset[index][0] for index in range(len(dataset))])
        features = torch.cat([encoder(part).vector for part in images.split(64)])
        targets = torch.from_numpy(records.targets)
        anchors, labels = (targets == 1).nonzero(as_tuple=True)
        others = torch.arange(len(records)) != anchors[:, None]
        print(f"features: width {encoder.width}, mean length {features.norm(dim=1).mean():.1f}")
        print(f"{'initialisation':22} {'length':>6}  quantiles {QUANTILES} of rho")
        for init, length in CASES:
            torch.manual_seed(0)
            head = KernelMixtureHead(
                encoder.width, targets.shape[1], init=init, feature_length=length
            )
            overlap = log_similarity_of_rows(head(features), anchors, labels).exp()[others]
            quantiles = overlap.quantile(torch.tensor(QUANTILES)).tolist()
            cells = "  ".join(f"{value:.3f}" for value in quantiles)
            print(f"{init:22} {length or 'raw':>6}  {cells}")


if __name__ == "__main__":
    main()
