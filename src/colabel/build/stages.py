"""From a configuration to the stages that train its model."""

from __future__ import annotations

from collections.abc import Sequence

from colabel.build.model import add_embeddings, build_classifier, build_head
from colabel.build.objective import build_objective
from colabel.config import Config
from colabel.data import Records
from colabel.methods import StagePlan
from colabel.models import Classifier, Encoder, HeadWithEmbeddings
from colabel.settings import HeadSettings
from colabel.training import Stage


def build_model(config: Config, classes: int, *, train: Records | None = None) -> Classifier:
    """Return the model that is deployed: what is trained and then dropped is not part of it.

    Args:
        config: a complete recipe.
        classes: number of labels.
        train: the images it will learn from; a head that makes a graph of their labels needs them.
    """
    head = config.stages()[-1].head
    size = config.data.image_size
    return build_classifier(config.encoder, head, classes, image_size=size, train=train)


def build_stages(
    model: Classifier, config: Config, *, train: Records | None = None
) -> tuple[Stage, ...]:
    """Return what is trained, in order.

    Args:
        model: from :func:`build_model`.
        config: a complete recipe.
        train: as for :func:`build_model`.
    """
    plans = config.stages()
    built: list[tuple[StagePlan, Classifier]] = []
    for plan in plans:
        trained = _model_of(plan, plans[-1].head, model, built, train)
        built.append((plan, trained))
    return tuple(_build_stage(plan, trained, model) for plan, trained in built)


def _model_of(
    plan: StagePlan,
    deployed: HeadSettings,
    model: Classifier,
    before: Sequence[tuple[StagePlan, Classifier]],
    train: Records | None,
) -> Classifier:
    """Return what a stage trains: the deployed model, or its encoder with what the stage adds.

    Two stages of the same head and the same embeddings train one and the same.
    """
    for other, trained in before:
        if other.head == plan.head and other.embeddings == plan.embeddings:
            return trained
    if plan.head == deployed and plan.embeddings is None:
        return model
    encoder, head = model.encoder, model.head
    assert not isinstance(head, HeadWithEmbeddings)
    if plan.head != deployed:
        assert isinstance(encoder, Encoder)
        head = build_head(plan.head, encoder, head.classes, train=train)
    return Classifier(encoder, add_embeddings(head, plan.embeddings))


def _build_stage(plan: StagePlan, trained: Classifier, model: Classifier) -> Stage:
    """Return one stage."""
    encoder = model.encoder
    return Stage(
        plan.name,
        trained,
        build_objective(plan.terms, plan.head),
        plan.epochs,
        plan.learning_rate,
        plan.head_learning_rate,
        views=plan.views,
        frozen=(encoder,) if plan.frozen else (),
        augmented=plan.augmented,
        encoder=encoder if plan.frozen else None,
        validated="logits" in plan.head.gives,
    )
