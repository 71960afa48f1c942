"""A recipe is completed from its method's defaults, and says everything when it is written."""

import pytest
import yaml
from pydantic import ValidationError

from colabel.config import change_config, check_config, load_config
from colabel.errors import ConfigError
from colabel.methods import METHODS
from colabel.settings import (
    AsymmetricTerm,
    BinaryCrossEntropyTerm,
    ClassAttention,
    KernelContrastiveTerm,
    KernelMixtureSettings,
    LinearSettings,
    ReconstructionTerm,
)


def plan(values):
    """Return the only stage of a recipe."""
    (stage,) = check_config(values).stages()
    return stage


def test_defaults_are_the_papers():
    config = check_config({})
    assert config.method.model_dump() == {"name": "kmcl"}
    assert config.head.model_dump() == {
        "name": "kernel_mixture", "pooling": {"name": "encoder"}, "covariance": "isotropic",
        "initialisation": "linear", "feature_length": 8, "logit_feature_length": None,
    }  # fmt: skip
    assert {name: term.model_dump() for name, term in config.terms.items()} == {
        "classification": {
            "loss": "asymmetric", "weight": 0.1, "reduction": "sum", "detach_focusing": True,
            "gamma_positive": 0, "gamma_negative": 4, "margin": 0.05, "label_smoothing": 0,
        },
        "contrastive": {
            "loss": "kernel_contrastive", "weight": 0.3, "reduction": "mean", "temperature": 0.2,
            "similarity": None, "effective_dim": None,
        },
        "reconstruction": {
            "loss": "reconstruction", "weight": 1.0, "reduction": "mean", "per_dimension": True,
        },
    }  # fmt: skip
    training = config.training
    assert (training.epochs, training.learning_rate, training.weight_decay) == (40, 2e-4, 1e-4)
    assert (training.warm_up, training.ema_decay) == (0.2, 0.9997)
    assert (training.warm_start.epochs, training.freeze_encoder) == (0, False)
    assert training.head_learning_rate == "x1"
    assert (config.augmentation.operations, config.augmentation.cutout) == (2, 0.5)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_may_be_a_word(name):
    assert check_config({"method": name}) == check_config({"method": {"name": name}})
    assert check_config({"method": name}).method.name == name


def test_what_a_recipe_says_of_a_head_and_a_term_is_laid_over_the_defaults():
    config = check_config(
        {
            "method": "kmcl",
            "head": {"covariance": "diagonal"},
            "terms": {"contrastive": {"temperature": 0.7}, "classification": {"weight": 2}},
        }
    )
    assert config.head == KernelMixtureSettings(covariance="diagonal")
    assert config.terms == {
        "classification": AsymmetricTerm(weight=2),
        "contrastive": KernelContrastiveTerm(weight=0.3, temperature=0.7),
        "reconstruction": ReconstructionTerm(weight=1.0),
    }


def test_a_part_of_a_head_is_laid_over_the_defaults_too():
    config = check_config({"head": {"pooling": {"name": "class_attention"}}})
    assert config.head == KernelMixtureSettings(pooling=ClassAttention())


def test_another_head_replaces_the_default():
    terms = {"contrastive": None, "reconstruction": None}
    config = check_config({"head": {"name": "linear"}, "terms": terms})
    assert config.head == LinearSettings()
    config = check_config({"method": "bce", "head": {"name": "kernel_mixture"}})
    assert config.head == KernelMixtureSettings()
    assert config.terms == {"classification": BinaryCrossEntropyTerm()}


def test_another_loss_replaces_the_default_term():
    loss = {"loss": "binary_cross_entropy"}
    assert plan({"terms": {"classification": loss}}).terms["classification"] == (
        BinaryCrossEntropyTerm(weight=1.0)
    )
    same = {"loss": "asymmetric", "margin": 0.2}
    assert plan({"terms": {"classification": same}}).terms["classification"] == (
        AsymmetricTerm(weight=0.1, margin=0.2)
    )


def test_null_takes_a_term_away_and_a_weight_of_0_does_not():
    assert list(plan({"terms": {"contrastive": None}}).terms) == [
        "classification",
        "reconstruction",
    ]
    stage = plan({"terms": {"contrastive": {"weight": 0}}})
    assert list(stage.terms) == ["classification", "contrastive", "reconstruction"]
    assert stage.terms["contrastive"].weight == 0


def test_a_recipe_may_add_a_term():
    config = check_config({"method": "asl", "terms": {"even": {"loss": "binary_cross_entropy"}}})
    assert config.terms == {"classification": AsymmetricTerm(), "even": BinaryCrossEntropyTerm()}


def test_the_second_stage_of_probmcl_has_a_head_and_terms_of_its_own():
    second = {
        "epochs": 3,
        "head": {"feature_length": 8},
        "terms": {"classification": {"margin": 0.1}},
    }
    config = check_config({"method": {"name": "probmcl", "classification": second}})
    first, last = config.stages()
    assert last.head == LinearSettings(feature_length=8)
    assert last.terms == {"classification": AsymmetricTerm(margin=0.1)}
    assert (last.epochs, last.augmented) == (3, True)
    assert list(first.terms) == ["likelihood", "contrastive"]
    second = {
        "head": {"name": "kernel_mixture"},
        "terms": {"classification": None, "all": {"loss": "binary_cross_entropy"}},
    }
    config = check_config({"method": {"name": "probmcl", "classification": second}})
    assert config.stages()[1].head == KernelMixtureSettings()
    assert config.stages()[1].terms == {"all": BinaryCrossEntropyTerm()}


def test_a_configuration_never_changes():
    config = check_config({})
    with pytest.raises(ValidationError, match="frozen"):
        config.training.epochs = 3


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (
            "voc2007-kmcl-tresnet-m",
            [
                "description='Zähne: yes, \"no\"'",
                "data.options={difficult: absent}",
                "terms.classification.margin=0",
            ],
        ),
        ("shapes-kmcl", ["terms.contrastive=null"]),
        ("shapes-kmcl", ["terms.contrastive.weight=0"]),
        ("shapes-kmcl", ["terms.classification={loss: binary_cross_entropy}"]),
        ("shapes-kmcl", ["terms={contrastive: null, reconstruction: null}", "head.name=linear"]),
        ("shapes-kmcl", ["method=bce", "terms.more.loss=asymmetric"]),
        ("shapes-kmcl", ["head.pooling.name=class_attention", "training.head_learning_rate=x10"]),
        ("shapes-kmcl", ["training.head_learning_rate=0.01", "training.warm_start.epochs=2"]),
        (
            "shapes-probmcl",
            [
                "terms.likelihood=null",
                "method.classification.head.name=kernel_mixture",
                "method.classification.terms.classification=null",
                "method.classification.terms.all.loss=binary_cross_entropy",
            ],
        ),
    ],
)
def test_yaml_of_a_configuration_gives_it_back(recipe, changes):
    config = load_config(recipe, changes)
    text = config.to_yaml()
    assert check_config(yaml.safe_load(text)) == config
    assert check_config(yaml.safe_load(text)).to_yaml() == text
    assert change_config(config, []) == config


def test_a_change_does_not_bring_back_what_was_taken_away():
    config = load_config("shapes-kmcl", ["terms.contrastive=null"])
    changed = change_config(config, ["training.epochs=3"])
    assert list(changed.terms) == ["classification", "reconstruction"]
    assert changed.training.epochs == 3


def test_a_method_written_as_a_word_can_be_changed_further():
    changes = ["method=probmcl", "method.classification.epochs=2"]
    method = load_config("shapes-bce", changes).method
    assert (method.name, method.classification.epochs) == ("probmcl", 2)


def test_yaml_says_what_the_recipe_leaves_to_the_defaults():
    text = load_config("shapes-kmcl").to_yaml()
    assert "gamma_negative: 4" in text
    assert "null" not in yaml.safe_dump(yaml.safe_load(text)["terms"]["classification"])


def refused(*changes):
    """Return the message about a recipe with these changes."""
    with pytest.raises(ConfigError) as caught:
        load_config("shapes-kmcl", changes)
    return str(caught.value)


def test_the_gradient_is_clipped_by_the_name_the_message_gives():
    assert load_config("shapes-kmcl", ["training.clip_gradient=0.5"]).training.clip_gradient == 0.5
    assert check_config({}).training.clip_gradient is None
    assert "unknown key 'training.clip'" in refused("training.clip=0.5")
    assert "greater than 0" in refused("training.clip_gradient=0")


def test_what_a_group_in_two_splits_does_is_stop_or_allow():
    assert check_config({}).data.shared_groups == "stop"
    assert "'stop' or 'allow'" in refused("data.shared_groups=skip")


def test_frozen_stages_without_weights_are_refused():
    changes = ["encoder.weights=null", "encoder.freeze_stages=2"]
    with pytest.raises(ConfigError, match=r"freeze_stages is 2 and encoder.weights null"):
        load_config("laptop-bce", changes)
    assert load_config("laptop-bce", [*changes[:1], "encoder.freeze_stages=0"])
