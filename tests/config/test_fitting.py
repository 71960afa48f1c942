"""Terms that a head cannot serve are refused with the reason, before anything is read."""

import pytest

from colabel.config import load_config
from colabel.config.fitting import SIMILARITY_OF
from colabel.errors import ConfigError


def refused(*changes, recipe="shapes-kmcl"):
    """Return the message about a recipe with these changes."""
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, changes)
    return str(caught.value).removeprefix("the recipe cannot be used:\n  ")


def test_each_form_of_covariance_has_the_similarity_of_table_4():
    assert SIMILARITY_OF == {
        "isotropic": "bhattacharyya",
        "diagonal": "bhattacharyya",
        "shared_diagonal": "mahalanobis",
        "shared_isotropic": "gaussian",
    }


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (
            "shapes-kmcl",
            ["head.name=linear"],
            "terms.contrastive: the loss kernel_contrastive needs mixture, which the head linear "
            "does not give (it gives features, logits); choose another head.name, or take the "
            "term away with terms.contrastive: null",
        ),
        (
            "shapes-kmcl",
            ["head.name=linear", "terms.contrastive=null"],
            "terms.reconstruction: the loss reconstruction needs mixture, which the head linear "
            "does not give (it gives features, logits); choose another head.name, or take the "
            "term away with terms.reconstruction: null",
        ),
        (
            "shapes-bce",
            ["terms.contrastive.loss=mixture_contrastive"],
            "terms.contrastive: the loss mixture_contrastive needs mixture, which the head linear "
            "does not give (it gives features, logits); choose another head.name, or take the "
            "term away with terms.contrastive: null",
        ),
        (
            "shapes-bce",
            ["head.name=mixture_density"],
            "terms.classification: the loss binary_cross_entropy needs logits, which the head "
            "mixture_density does not give (it gives features, mixture); choose another "
            "head.name, or take the term away with terms.classification: null",
        ),
        (
            "shapes-probmcl",
            ["method.classification.terms.more.loss=reconstruction"],
            "method.classification.terms.more: the loss reconstruction needs mixture, which the "
            "head linear does not give (it gives features, logits); choose another "
            "method.classification.head.name, or take the term away with "
            "method.classification.terms.more: null",
        ),
    ],
)
def test_what_the_head_does_not_give_is_named(recipe, changes, message):
    assert refused(*changes, recipe=recipe) == message


@pytest.mark.parametrize("form", ["isotropic", "shared_isotropic"])
def test_the_mahalanobis_similarity_is_for_diagonal_kernels(form):
    changes = [f"head.covariance={form}", "terms.contrastive.similarity=mahalanobis"]
    assert refused(*changes) == (
        f"terms.contrastive.similarity mahalanobis does not fit kernels that are {form}: "
        "mahalanobis needs diagonal kernels, gaussian isotropic ones"
    )


@pytest.mark.parametrize("form", ["diagonal", "shared_diagonal"])
def test_some_settings_are_for_isotropic_kernels(form):
    covariance = f"head.covariance={form}"
    assert refused(covariance, "terms.contrastive.similarity=gaussian") == (
        f"terms.contrastive.similarity gaussian does not fit kernels that are {form}: "
        "mahalanobis needs diagonal kernels, gaussian isotropic ones"
    )
    assert refused(covariance, "terms.contrastive.effective_dim=3") == (
        f"terms.contrastive.effective_dim is for isotropic kernels; those of the head are {form}"
    )
    assert refused(covariance, "terms.contrastive.loss=mixture_contrastive") == (
        "terms.contrastive: the loss mixture_contrastive is for isotropic kernels; "
        f"head.covariance is {form}"
    )


def test_the_densities_of_probmcl_are_isotropic():
    loss = "terms.contrastive={loss: kernel_contrastive, similarity: %s}"
    assert "does not fit kernels that are isotropic" in refused(
        loss % "mahalanobis", recipe="shapes-probmcl"
    )
    assert load_config("shapes-probmcl", [loss % "gaussian"]).terms["contrastive"].similarity == (
        "gaussian"
    )


@pytest.mark.parametrize(
    ("recipe", "changes", "stage"),
    [
        ("shapes-bce", ["terms.classification.weight=0"], "bce"),
        ("shapes-bce", ["terms.classification=null"], "bce"),
        (
            "shapes-kmcl",
            [f"terms.{name}.weight=0" for name in ("classification", "contrastive")]
            + ["terms.reconstruction=null"],
            "kmcl",
        ),
        ("shapes-probmcl", ["terms={likelihood: null, contrastive: null}"], "contrastive"),
        (
            "shapes-probmcl",
            ["method.classification.terms.classification.weight=0"],
            "classification",
        ),
    ],
)
def test_a_stage_that_would_learn_nothing_is_refused(recipe, changes, stage):
    assert refused(*changes, recipe=recipe) == (
        f"stage {stage}: no term has a weight above 0, so nothing would be learned; the "
        "objective needs at least one term"
    )


@pytest.mark.parametrize("change", ["training.warm_start.epochs=2", "training.freeze_encoder=yes"])
def test_what_only_a_method_of_one_stage_has_is_refused(change):
    assert refused(change, recipe="shapes-probmcl") == (
        "training.warm_start and training.freeze_encoder are for methods of one stage; "
        "probmcl trains its classifier on a frozen encoder in any case"
    )


def test_a_recipe_that_does_not_fit_is_refused_before_its_data_are_read():
    assert "needs mixture" in refused("head.name=linear", "data.source=/nowhere/labels.csv")
