"""What a method says: defaults for head and terms, and the stages they are trained in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from colabel.choices import ProjectionKind
from colabel.settings import EmbeddingTerm, HeadSettings, Settings, TermSettings, Training


@dataclass(frozen=True)
class Embeddings:
    """What the terms of a stage compare instead of the features, trained with them and dropped.

    Args:
        projection: from the features; ``None``: the features themselves.
        width: of the embeddings, where there is a projection.
    """

    projection: ProjectionKind | None
    width: int


@dataclass(frozen=True)
class StagePlan:
    """One stage of a training run, as settings.

    Args:
        name: what logs and messages call it; unique in a run.
        head: what is trained on the encoder's features. The head of the last stage is the one
            that is deployed; a stage whose head has the same settings trains that very head.
        terms: of the objective, by name.
        epochs: passes over the training images.
        learning_rate: the largest of the schedule, for the encoder.
        head_learning_rate: the same for the head.
        views: augmented versions of each image in a batch.
        frozen: whether the encoder is left as it is.
        augmented: whether images are augmented. A frozen encoder then encodes every image in
            every epoch, otherwise once.
        key: where a recipe has ``head`` and ``terms`` of this stage, with a dot at the end.
    """

    name: str
    head: HeadSettings
    terms: Mapping[str, TermSettings]
    epochs: int
    learning_rate: float
    head_learning_rate: float
    views: int = 1
    frozen: bool = False
    augmented: bool = True
    key: str = ""

    @property
    def embeddings(self) -> Embeddings | None:
        """What the first term asks for that compares embeddings; ``None`` where none does."""
        return next(
            (
                Embeddings(term.projection, term.projection_width)
                for term in self.terms.values()
                if isinstance(term, EmbeddingTerm)
            ),
            None,
        )


@dataclass(frozen=True)
class Method:
    """A method of training: defaults that a recipe may override, and its stages.

    Args:
        settings: its own settings, with ``name``.
        head: the head it trains the encoder with.
        terms: the terms it trains the encoder with.
        plan: (own settings, head, terms, schedule) to the stages, in order.
    """

    settings: type[Settings]
    head: HeadSettings
    terms: Mapping[str, TermSettings]
    plan: Callable[
        [Any, HeadSettings, Mapping[str, TermSettings], Training], tuple[StagePlan, ...]
    ]


def one_stage(
    name: str, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the stage of a method that trains encoder and head at once.

    Before it comes a warm start, if the schedule has one: the head alone, on features that the
    encoder computes once. Of an encoder that is left as it is, both train the head.

    Args:
        name: of the stage.
        head: of the model.
        terms: of the objective.
        training: the schedule.
    """
    rate = training.learning_rate
    main = StagePlan(
        name,
        head,
        terms,
        training.epochs,
        rate,
        training.rate_of_head(rate),
        frozen=training.freeze_encoder,
    )
    warm = training.warm_start
    if not warm.epochs:
        return (main,)
    return (
        StagePlan(
            "warm_start",
            head,
            terms,
            warm.epochs,
            rate,
            warm.learning_rate or main.head_learning_rate,
            frozen=True,
            augmented=False,
        ),
        main,
    )
