"""The plans of KMCL and the baselines: one stage, and the warm start that may come before it."""

import pytest

from colabel.config import check_config
from colabel.methods import METHODS
from colabel.settings import (
    AsymmetricTerm,
    BinaryCrossEntropyTerm,
    CSRASettings,
    FocalTerm,
    KernelContrastiveTerm,
    KernelMixtureSettings,
    LinearSettings,
    MLDecoderPooling,
    Query2LabelPooling,
    ReconstructionTerm,
    TwoWayTerm,
    ZLPRTerm,
)

ONE_STAGE = [
    "kmcl", "asl", "bce", "focal", "zlpr", "two_way", "csra", "ml_gcn", "tdrg", "ml_decoder",
    "query2label",
]  # fmt: skip
METHODS_OF_ONE_STAGE = pytest.mark.parametrize("name", ONE_STAGE)


def stages_of(name, **training):
    return check_config({"method": name, "training": training}).stages()


def test_these_are_the_methods():
    assert set(METHODS) == {*ONE_STAGE, "probmcl", "mulsupcon"}


@pytest.mark.parametrize(
    ("name", "head", "terms"),
    [
        (
            "kmcl",
            KernelMixtureSettings(feature_length=8),
            {
                "classification": AsymmetricTerm(weight=0.1),
                "contrastive": KernelContrastiveTerm(weight=0.3),
                "reconstruction": ReconstructionTerm(weight=1),
            },
        ),
        ("asl", LinearSettings(), {"classification": AsymmetricTerm(weight=1)}),
        ("bce", LinearSettings(), {"classification": BinaryCrossEntropyTerm(weight=1)}),
        ("focal", LinearSettings(), {"classification": FocalTerm(gamma=2, alpha=0.25)}),
        ("zlpr", LinearSettings(), {"classification": ZLPRTerm(weight=1)}),
        (
            "two_way",
            LinearSettings(),
            {"classification": TwoWayTerm(temperature_positive=4, temperature_negative=1)},
        ),
        ("csra", CSRASettings(), {"classification": BinaryCrossEntropyTerm(weight=1)}),
        (
            "ml_decoder",
            LinearSettings(pooling=MLDecoderPooling()),
            {"classification": AsymmetricTerm(weight=1)},
        ),
        (
            "query2label",
            LinearSettings(pooling=Query2LabelPooling()),
            {"classification": AsymmetricTerm(gamma_negative=2, margin=0)},
        ),
    ],
)
def test_heads_and_terms_are_those_of_the_method(name, head, terms):
    (stage,) = stages_of(name)
    assert stage.head == head
    assert stage.terms == terms


@METHODS_OF_ONE_STAGE
def test_one_stage_carries_the_schedule(name):
    (stage,) = stages_of(name, epochs=7, learning_rate=0.25)
    assert (stage.name, stage.epochs, stage.views) == (name, 7, 1)
    assert (stage.learning_rate, stage.head_learning_rate) == (0.25, 0.25)
    assert (stage.frozen, stage.augmented) == (False, True)


@METHODS_OF_ONE_STAGE
@pytest.mark.parametrize(("given", "rate"), [("x10", 2.5), (0.01, 0.01), ("x1", 0.25)])
def test_the_head_may_learn_at_another_rate(name, given, rate):
    (stage,) = stages_of(name, learning_rate=0.25, head_learning_rate=given)
    assert stage.learning_rate == 0.25
    assert stage.head_learning_rate == pytest.approx(rate)


@METHODS_OF_ONE_STAGE
def test_a_frozen_encoder_is_left_as_it_is(name):
    (stage,) = stages_of(name, freeze_encoder=True)
    assert (stage.frozen, stage.augmented) == (True, True)


@METHODS_OF_ONE_STAGE
def test_a_warm_start_trains_the_same_head_first_on_images_as_they_are(name):
    warm, main = stages_of(
        name,
        epochs=7,
        learning_rate=0.25,
        head_learning_rate="x10",
        warm_start={"epochs": 3},
    )
    assert (warm.name, warm.epochs, warm.head_learning_rate) == ("warm_start", 3, 2.5)
    assert (warm.frozen, warm.augmented) == (True, False)
    assert (warm.head, warm.terms) == (main.head, main.terms)
    assert (main.name, main.epochs, main.frozen, main.augmented) == (name, 7, False, True)
    assert (main.learning_rate, main.head_learning_rate) == (0.25, 2.5)


def test_a_warm_start_may_have_a_learning_rate_of_its_own():
    warm, main = stages_of("bce", warm_start={"epochs": 3, "learning_rate": 0.125})
    assert warm.head_learning_rate == 0.125
    assert main.head_learning_rate == 2e-4


def test_a_small_set_has_a_longer_warm_start():
    training = {"warm_start": {"epochs": 3, "images": 500, "learning_rate": 0.125}}
    config = check_config({"method": "bce", "training": training})
    for count, epochs in ((10_000, 3), (100, 5), (99, 6), (1, 100)):
        warm, main = config.for_images(count).stages()
        assert (warm.epochs, warm.head_learning_rate) == (epochs, 0.125)
        assert main.epochs == config.training.epochs
    assert config.stages()[0].epochs == 3
    as_it_is = check_config({"method": "bce", "training": {"warm_start": {"epochs": 3}}})
    assert as_it_is.for_images(1) == as_it_is


@pytest.mark.parametrize("method", ONE_STAGE)
def test_a_warm_start_of_a_head_that_is_trained_alone_is_a_schedule_before(method):
    warm, main = stages_of(method, freeze_encoder=True, warm_start={"epochs": 2})
    assert (warm.frozen, main.frozen) == (True, True)
    assert (warm.epochs, warm.head) == (2, main.head)
