"""The model that is trained, saved and used: an encoder and a head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from colabel.errors import ConfigError
from colabel.mixtures import GaussianMixture
from colabel.models.features import Features
from colabel.models.heads import (
    CSRAHead,
    FeaturesHead,
    FoldedGraphHead,
    GraphConvolutionHead,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    Projection,
    TransformerGraphHead,
    bring_to_length,
)
from colabel.models.heads.projection import mean_over_classes
from colabel.models.output import Output
from colabel.models.part import Part
from colabel.models.pooling import EncoderPooling, Pooling

Readout = LinearHead | KernelMixtureHead | MixtureDensityHead | FeaturesHead
"""Vectors to logits, to a mixture, or to nothing."""


class Head(nn.Module):
    """Pooling and readout: from the encoder's features to what a model says.

    Args:
        readout: vectors of ``readout.width`` features to logits or a mixture.
        pooling: features to one vector per image, or one per class; default: the encoder's own.
        projection: a linear layer between the two; ``None`` for none.
        feature_length: length that vectors are brought to; ``None`` leaves them as they are.

    Raises:
        ConfigError: if classes have features of their own and the readout takes one vector.

    Example:
        >>> Head(LinearHead(8, 3))(Features(torch.rand(2, 8))).logits.shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        readout: Readout,
        pooling: Pooling | None = None,
        *,
        projection: nn.Linear | None = None,
        feature_length: float | None = None,
    ) -> None:
        super().__init__()
        self.pooling: Pooling = EncoderPooling() if pooling is None else pooling
        if self.pooling.per_class and isinstance(readout, MixtureDensityHead):
            raise ConfigError(
                "the mixture density network takes one feature vector per image; choose the "
                "encoder's pooling, average, max or generalised_mean."
            )
        self.projection = projection
        self.readout = readout
        self.feature_length = feature_length

    @property
    def reads(self) -> Part:
        """The part of the features that is needed."""
        return self.pooling.reads

    @property
    def per_class(self) -> bool:
        """Whether each class has features of its own."""
        return self.pooling.per_class

    @property
    def classes(self) -> int:
        """Number of labels."""
        return self.readout.classes

    @property
    def width(self) -> int:
        """Number of features that the answer is read off."""
        return self.readout.width

    def forward(self, features: Features) -> Output:
        """Pool and read, in float32 also under autocast."""
        vectors = self.pooling(features)
        vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        if self.projection is not None:
            vectors = self.projection(vectors).to(vectors.dtype)
        vectors = bring_to_length(vectors, self.feature_length)
        answer = self.readout(vectors)
        if isinstance(answer, GaussianMixture):
            return Output(vectors, answer.logits, answer)
        return Output(vectors, answer)


class GraphHead(nn.Module):
    """A head over a graph of labels, which reads feature maps itself and has no pooling to choose.

    Args:
        readout: feature maps to vectors and logits.

    Example:
        >>> head = GraphHead(GraphConvolutionHead(8, torch.eye(3), None, hidden=6))
        >>> head(Features(None, torch.rand(2, 8, 4, 4))).logits.shape
        torch.Size([2, 3])
    """

    per_class = False

    def __init__(
        self, readout: GraphConvolutionHead | FoldedGraphHead | TransformerGraphHead
    ) -> None:
        super().__init__()
        self.readout = readout

    @property
    def reads(self) -> Part:
        """The part of the features that is needed."""
        return self.readout.reads

    @property
    def classes(self) -> int:
        """Number of labels."""
        return self.readout.classes

    @property
    def width(self) -> int:
        """Number of features of an image."""
        return self.readout.width

    def forward(self, features: Features) -> Output:
        """Read the maps, in float32 also under autocast."""
        if isinstance(self.readout, TransformerGraphHead):
            vectors, logits, auxiliary = self.readout(features.previous_map, features.map)
            return Output(vectors, logits, auxiliary=auxiliary)
        vectors, logits = self.readout(features.map)
        return Output(vectors, logits)

    def folded(self) -> GraphHead:
        """Return the head for inference, with what no image changes computed once."""
        if isinstance(self.readout, GraphConvolutionHead):
            return GraphHead(self.readout.folded())
        return self


AnyHead = Head | CSRAHead | GraphHead
"""From the encoder's features to an output. CSRA and graphs read maps themselves and have no
pooling to choose."""


class HeadWithEmbeddings(nn.Module):
    """A head as it is trained by a term that compares embeddings: the projection is not deployed.

    Args:
        head: gives the features, and answers as it does alone.
        projection: features to embeddings; ``None``: the features are the embeddings.

    Example:
        >>> head = HeadWithEmbeddings(Head(LinearHead(8, 3)), Projection(8, 4))
        >>> output = head(Features(torch.rand(2, 8)))
        >>> output.logits.shape, output.embeddings.shape
        (torch.Size([2, 3]), torch.Size([2, 4]))
    """

    def __init__(self, head: AnyHead, projection: Projection | None) -> None:
        super().__init__()
        self.head = head
        self.projection = projection

    @property
    def reads(self) -> Part:
        """The part of the features that is needed."""
        return self.head.reads

    @property
    def classes(self) -> int:
        """Number of labels."""
        return self.head.classes

    def forward(self, features: Features) -> Output:
        """Return the answer of the head with embeddings."""
        output: Output = self.head(features)
        if self.projection is None:
            return replace(output, embeddings=mean_over_classes(output.features))
        return replace(output, embeddings=self.projection(output.features))


class Classifier(nn.Module):
    """Encoder and head as one module: images in, :class:`Output` out.

    Args:
        encoder: images (batch, 3, height, width) to :class:`Features`, or to plain vectors
            (batch, width).
        head: features to an output.

    Example:
        >>> model = Classifier(nn.Flatten(), Head(LinearHead(12, 3)))
        >>> model(torch.rand(2, 3, 2, 2)).logits.shape
        torch.Size([2, 3])
    """

    def __init__(self, encoder: nn.Module, head: AnyHead | HeadWithEmbeddings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, images: Tensor | Features) -> Output:
        """Encode the images and apply the head.

        Args:
            images: shape (batch, 3, height, width); or what the encoder gave for them before,
                which is not encoded again, or its frozen first stages, from which it goes on.
        """
        encoded = isinstance(images, Features) and images.halfway is None
        features = images if encoded else self.encoder(images)
        if not isinstance(features, Features):
            features = Features(features)
        output: Output = self.head(features)
        return output

    def folded(self) -> Classifier:
        """Return a model that answers the same and computes nothing twice that no image changes.

        It shares its parts with this one where they are the same, and is for inference: load
        weights, and train, before.
        """
        if not isinstance(self.head, GraphHead):
            return self
        return Classifier(self.encoder, self.head.folded()).train(self.training)


def as_deployed(model: nn.Module) -> nn.Module:
    """Return a model without what only its training needs, of the same modules.

    Example:
        >>> head = Head(LinearHead(12, 3))
        >>> model = Classifier(nn.Flatten(), HeadWithEmbeddings(head, Projection(12, 4)))
        >>> as_deployed(model).head is head
        True
    """
    if isinstance(model, Classifier) and isinstance(model.head, HeadWithEmbeddings):
        return Classifier(model.encoder, model.head.head)
    return model
