"""What a model says of a batch of images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from colabel.mixtures import GaussianMixture


@dataclass(frozen=True)
class Output:
    """What a model says of a batch of images.

    Args:
        features: what the head read its answer off, float32: shape (batch, width), or (batch,
            classes, width) where each class has features of its own.
        logits: shape (batch, classes), log-odds of each label; ``None`` without a classifier.
        mixture: the kernels or densities of the head; ``None`` for a plain linear head.
        auxiliary: further logits that are trained and not used, shape (batch, branches, classes);
            ``None`` for a head of one branch.
        embeddings: what contrastive terms compare, shape (batch, width), of any length; ``None``
            outside of training with such a term.
    """

    features: Tensor
    logits: Tensor | None
    mixture: GaussianMixture | None = None
    auxiliary: Tensor | None = None
    embeddings: Tensor | None = None
