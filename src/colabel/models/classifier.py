"""The model that is trained, saved and used: an encoder and a head."""

from dataclasses import dataclass

from torch import Tensor, nn

from colabel.mixtures import GaussianMixture


@dataclass(frozen=True)
class Output:
    """What a model says of a batch of images.

    Args:
        features: shape (batch, width), the encoder's pooled features, float32.
        logits: shape (batch, classes), log-odds of each label; ``None`` without a classifier.
        mixture: the kernels or densities of the head; ``None`` for a plain linear head.
    """

    features: Tensor
    logits: Tensor | None
    mixture: GaussianMixture | None = None


class Classifier(nn.Module):
    """Encoder and head as one module: images in, :class:`Output` out.

    Args:
        encoder: images (batch, 3, height, width) to features (batch, width).
        head: features to a :class:`GaussianMixture` with logits, or to logits.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, images: Tensor) -> Output:
        """Encode the images and apply the head in float32, also under autocast."""
        features = self.encoder(images).float()
        answer = self.head(features)
        if isinstance(answer, GaussianMixture):
            return Output(features, answer.logits, answer)
        return Output(features, answer)
