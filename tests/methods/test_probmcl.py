"""ProbMCL's two stages as a plan: defaults, schedules, and what the second may change."""

import pytest
from probmcl_cases import config_of

from colabel.config import check_config
from colabel.errors import ConfigError
from colabel.methods import METHODS, ProbMCL
from colabel.settings import (
    AsymmetricTerm,
    KernelMixtureSettings,
    LinearSettings,
    MixtureContrastiveTerm,
    MixtureDensitySettings,
    MixtureLikelihoodTerm,
    Training,
)


def stages_of(training=(), **classification):
    """Return both stages of a schedule."""
    method = {"name": "probmcl", "classification": classification}
    return check_config({"method": method, "training": dict(training)}).stages()


def test_by_default_the_numbers_are_the_papers():
    config = check_config({"method": "probmcl"})
    assert config.head == MixtureDensitySettings()
    assert config.head.hidden == (2048, 128)
    assert (config.head.projection, config.head.feature_length) == (None, None)
    likelihood, contrastive = config.terms["likelihood"], config.terms["contrastive"]
    assert likelihood == MixtureLikelihoodTerm(weight=1.0)
    assert (likelihood.per_dimension, likelihood.detach_features) == (True, False)
    assert contrastive == MixtureContrastiveTerm(weight=0.3)
    assert (contrastive.temperature, contrastive.threshold) == (0.2, 0.6)
    assert (contrastive.overlap, contrastive.similarity) == ("jaccard", "correlation")
    assert contrastive.effective_dim is None
    second = config.method.classification
    assert (second.epochs, second.learning_rate, second.augmented) == (40, None, True)
    assert second.head == LinearSettings(feature_length=1)
    assert second.terms == {"classification": AsymmetricTerm()}


def test_the_second_stage_freezes_what_the_first_trains():
    first, second = stages_of({"epochs": 3, "learning_rate": 0.5})
    assert (first.name, first.epochs, first.learning_rate) == ("contrastive", 3, 0.5)
    assert (second.name, second.epochs, second.learning_rate) == ("classification", 40, 0.5)
    assert (first.views, second.views) == (2, 1)
    assert (first.frozen, second.frozen) == (False, True)
    assert (first.augmented, second.augmented) == (True, True)
    assert list(first.terms) == ["likelihood", "contrastive"]
    assert list(second.terms) == ["classification"]


def test_the_second_stage_has_a_schedule_of_its_own():
    training = {"epochs": 3, "learning_rate": 0.5}
    first, second = stages_of(training, epochs=7, learning_rate=0.02, augmented=False)
    assert (first.epochs, first.learning_rate, first.augmented) == (3, 0.5, True)
    assert (second.epochs, second.learning_rate, second.augmented) == (7, 0.02, False)


def test_the_heads_learning_rate_is_that_of_the_mixture_density_network():
    training = {"learning_rate": 0.5, "head_learning_rate": "x10"}
    first, second = stages_of(training, learning_rate=0.02)
    assert (first.learning_rate, first.head_learning_rate) == (0.5, 5.0)
    assert second.head_learning_rate == 0.02
    assert stages_of(training)[1].head_learning_rate == 0.5


def test_heads_and_terms_of_a_recipe_are_those_of_the_first_stage():
    config = config_of(
        head={"projection": 4},
        terms={"contrastive": {"weight": 4.0}, "likelihood": {"weight": 0.25}},
        classification={"head": {"name": "kernel_mixture"}},
    )
    first, second = config.stages()
    assert first.head == MixtureDensitySettings(hidden=(7, 6), projection=4)
    assert {name: term.weight for name, term in first.terms.items()} == {
        "likelihood": 0.25, "contrastive": 4.0,
    }  # fmt: skip
    assert second.head == KernelMixtureSettings()


@pytest.mark.parametrize(
    "training", [Training(warm_start={"epochs": 1}), Training(freeze_encoder=True)]
)
def test_what_a_method_of_one_stage_has_is_refused(training):
    method = METHODS["probmcl"]
    with pytest.raises(ConfigError, match="for methods of one stage; probmcl trains its classif"):
        method.plan(ProbMCL(), method.head, method.terms, training)
