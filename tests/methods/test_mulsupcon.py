"""MulSupCon's two stages as a plan: defaults, and what it shares with ProbMCL."""

import pytest

from colabel.config import check_config
from colabel.errors import ConfigError
from colabel.methods.plan import Embeddings
from colabel.settings import (
    AsymmetricTerm,
    FeaturesSettings,
    LinearSettings,
    SupervisedContrastiveTerm,
)


def stages_of(**values):
    return check_config({"method": "mulsupcon", **values}).stages()


def test_the_first_stage_compares_embeddings_label_by_label():
    first, _ = stages_of()
    assert first.head == FeaturesSettings()
    assert first.terms == {
        "contrastive": SupervisedContrastiveTerm(
            weight=1, positives="per_label", temperature=0.1, average="pairs"
        )
    }
    assert first.embeddings == Embeddings("mlp", 256)
    assert (first.views, first.frozen) == (2, False)


def test_the_second_stage_is_a_linear_classifier_on_the_frozen_encoder():
    _, second = stages_of()
    assert (second.name, second.frozen, second.views) == ("classification", True, 1)
    assert second.head == LinearSettings(feature_length=1)
    assert second.terms == {"classification": AsymmetricTerm()}
    assert second.embeddings is None


def test_both_stages_follow_the_schedule_as_those_of_probmcl_do():
    values = {
        "training": {"epochs": 3, "learning_rate": 0.5, "head_learning_rate": "x10"},
        "method": {"name": "mulsupcon", "classification": {"epochs": 7, "augmented": False}},
    }
    ours = stages_of(**values)
    theirs = check_config({**values, "method": values["method"] | {"name": "probmcl"}}).stages()
    names = (
        "name", "epochs", "learning_rate", "head_learning_rate", "views", "frozen", "augmented",
        "key",
    )  # fmt: skip
    for one, other in zip(ours, theirs, strict=True):
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    assert ours[1].epochs == 7


@pytest.mark.parametrize("positives", ["all", "any", "per_label"])
@pytest.mark.parametrize("projection", [None, "linear", "mlp"])
def test_positives_and_projection_are_settings_of_the_term(positives, projection):
    term = {"positives": positives, "projection": projection, "projection_width": 7}
    first, _ = stages_of(terms={"contrastive": term})
    assert first.terms["contrastive"].positives == positives
    assert first.embeddings == Embeddings(projection, 7)


@pytest.mark.parametrize(
    "training", [{"warm_start": {"epochs": 1}}, {"freeze_encoder": True}], ids=str
)
def test_what_a_method_of_one_stage_has_is_refused(training):
    with pytest.raises(ConfigError, match="for methods of one stage; mulsupcon trains its classi"):
        stages_of(training=training)


def test_an_average_that_does_not_fit_the_positives_is_refused():
    terms = {"contrastive": {"positives": "any", "average": "images"}}
    with pytest.raises(ConfigError, match="average images is for positives per_label, and"):
        stages_of(terms=terms)
    (term,) = stages_of(terms={"contrastive": {"average": "images"}})[0].terms.values()
    assert (term.positives, term.average) == ("per_label", "images")
