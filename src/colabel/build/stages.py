"""From a configuration to the stages that train its model."""

from __future__ import annotations

from colabel.build.model import build_classifier, build_head
from colabel.build.objective import build_objective
from colabel.config import Config
from colabel.data import Records
from colabel.methods import StagePlan
from colabel.models import Classifier, Encoder
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
    return tuple(_build_stage(plan, plans[-1], model, train) for plan in plans)


def _build_stage(
    plan: StagePlan, last: StagePlan, model: Classifier, train: Records | None
) -> Stage:
    """Return one stage, with the deployed model or with another head on its encoder."""
    encoder = model.encoder
    if plan.head != last.head:
        assert isinstance(encoder, Encoder)
        head = build_head(plan.head, encoder, model.head.classes, train=train)
        model = Classifier(encoder, head)
    return Stage(
        plan.name,
        model,
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
