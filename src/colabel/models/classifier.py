"""The model that is trained, saved and used: an encoder and a head."""

from dataclasses import dataclass

from torch import Tensor, nn

from colabel.mixtures import GaussianMixture
from colabel.models.heads import bring_to_length


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


def mixture_of(output: Output) -> GaussianMixture:
    """Return the mixture of a model whose head makes one.

    Raises:
        TypeError: if the head gave logits only.
    """
    if output.mixture is None:
        raise TypeError("the model's head must return a GaussianMixture, got logits only.")
    return output.mixture


class Classifier(nn.Module):
    """Encoder and head as one module: images in, :class:`Output` out.

    Args:
        encoder: images (batch, 3, height, width) to features (batch, width).
        head: features to a :class:`GaussianMixture`, with logits or without, or to logits.
        feature_length: length that the features are brought to; ``None`` leaves them as they are.
    """

    def __init__(
        self, encoder: nn.Module, head: nn.Module, feature_length: float | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.feature_length = feature_length

    def forward(self, images: Tensor) -> Output:
        """Encode the images and apply the head in float32, also under autocast.

        Args:
            images: shape (batch, 3, height, width); or what the encoder gave for them before,
                shape (batch, width), which is not encoded again.
        """
        encoded = images if images.ndim == 2 else self.encoder(images)
        features = bring_to_length(encoded.float(), self.feature_length)
        answer = self.head(features)
        if isinstance(answer, GaussianMixture):
            return Output(features, answer.logits, answer)
        return Output(features, answer)
