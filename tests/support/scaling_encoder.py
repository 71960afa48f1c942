"""An encoder of five numbers, and the images for it."""

import torch
from probmcl_cases import WIDTH
from torch import nn

from colabel.models import Encoder


class Scaling(Encoder):
    """An encoder with something to learn, for features that are nearly there."""

    def __init__(self):
        nn.Module.__init__(self)
        self.scale = nn.Parameter(torch.ones(WIDTH))

    width = WIDTH

    def forward(self, images):
        return images.flatten(1) * self.scale


def images_of(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, WIDTH, 1, 1, generator=generator)
