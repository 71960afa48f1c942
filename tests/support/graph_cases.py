"""Sparse labels with unknown ones, and random feature maps, for the heads over a graph."""

import torch


def labels_of(classes, *, images=60, share=0.1, unknown=0.1, seed=0):
    """Sparse labels; the last class has no image where there are more than two."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(images, classes, generator=generator)
    labels = (drawn < share).to(torch.int8)
    for column in range(1, classes, 2):  # every second one goes along with its neighbour
        labels[:, column] |= labels[:, column - 1]
    labels[torch.rand(images, classes, generator=generator) < unknown] = -1
    if classes > 2:
        labels[labels[:, -1] == 1, -1] = 0
    return labels


def map_of(batch, channels, height, width, *, seed=0, dtype=torch.float64):
    """Features at each position."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=generator, dtype=dtype)
