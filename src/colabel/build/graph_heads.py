"""Heads over a graph of the labels, from their settings and from what training images say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from colabel.data import Records
from colabel.data.word_vectors import read_label_vectors
from colabel.errors import ConfigError
from colabel.models import Encoder, GraphConvolutionHead, GraphHead, TransformerGraphHead
from colabel.models.heads import label_graph
from colabel.settings.heads import LEARNED, ONE_HOT, MLGCNSettings, TDRGSettings


def ml_gcn(
    settings: MLGCNSettings, encoder: Encoder, classes: int, train: Records | None
) -> GraphHead:
    """Return ML-GCN with the graph of the training labels, or with one to be filled by weights."""
    graph = torch.eye(classes)
    vectors: Tensor | int | None = None
    if settings.vectors == LEARNED:
        vectors = settings.width
    elif settings.vectors != ONE_HOT:
        vectors = torch.zeros(classes, settings.width)
    if train is not None:
        graph = label_graph(
            torch.as_tensor(train.targets),
            threshold=settings.threshold,
            neighbours=settings.neighbours,
            norm=settings.norm,
        )
        if isinstance(vectors, Tensor):
            vectors = _vectors_of_file(settings, train)
    readout = GraphConvolutionHead(encoder.map_channels, graph, vectors, hidden=settings.hidden)
    return GraphHead(readout)


def _vectors_of_file(settings: MLGCNSettings, train: Records) -> Tensor:
    read = torch.from_numpy(read_label_vectors(settings.vectors, train.classes))
    if read.shape[1] != settings.width:
        raise ConfigError(
            f"head.width is {settings.width}, and the vectors of {settings.vectors} have "
            f"{read.shape[1]} numbers; set head.width: {read.shape[1]}."
        )
    return read


def tdrg(settings: TDRGSettings, encoder: Encoder, classes: int, _: Records | None) -> GraphHead:
    """Return TDRG, and have the encoder give the map of the stage before its last."""
    channels = encoder.map_channels
    readout = TransformerGraphHead(
        encoder.give_previous_stage(),
        channels,
        classes,
        width=settings.channels,
        dropout=settings.dropout,
    )
    return GraphHead(readout)


GRAPH_HEADS: Mapping[str, Callable[[Any, Encoder, int, Records | None], GraphHead]] = {
    "ml_gcn": ml_gcn,
    "tdrg": tdrg,
}
"""(settings, encoder, classes, training images) to the head called ``head.name``."""
