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


def test_a_term_that_compares_embeddings_fits_any_head_with_features():
    loss = "terms.more={loss: supervised_contrastive, projection: linear}"
    for recipe in ("shapes-kmcl", "shapes-probmcl", "shapes-bce"):
        (stage, *_) = load_config(recipe, [loss]).stages()
        assert (stage.embeddings.projection, stage.embeddings.width) == ("linear", 256)


def test_the_terms_of_a_stage_have_the_same_embeddings():
    one = "terms.one={loss: supervised_contrastive, projection_width: 8}"
    other = "terms.other={loss: similarity_dissimilarity, %s}"
    message = (
        "terms.one and terms.other ask for different embeddings; the terms of a stage share one "
        "projection, give them the same projection and projection_width"
    )
    for changed in ("projection_width: 9", "projection_width: 8, projection: linear"):
        assert refused(one, other % changed) == message
    load_config("shapes-kmcl", [one, other % "projection_width: 8"])
    nothing = [f"terms.{name}.projection=null" for name in ("one", "other")]
    load_config("shapes-kmcl", [one, other % "projection_width: 9", *nothing])


@pytest.mark.parametrize(
    ("recipe", "key", "name"),
    [
        ("laptop-bce", "", "features"),
        ("laptop-mulsupcon", "method.classification.", "features"),
        ("laptop-probmcl", "method.classification.", "mixture_density"),
    ],
)
def test_a_deployed_head_without_logits_is_refused(recipe, key, name):
    gives = {"features": "features", "mixture_density": "features, mixture"}[name]
    term = "{loss: %s}" % (
        "mixture_likelihood" if name == "mixture_density" else "supervised_contrastive"
    )
    changes = [f"{key}head.name={name}", f"{key}terms.classification={term}"]
    assert refused(*changes, recipe=recipe) == (
        f"{key}head.name {name} gives no logits ({gives}), and the head of the last stage is the "
        f"one that is deployed; choose another {key}head.name"
    )


def test_a_classifier_that_no_term_trains_is_refused():
    message = (
        "terms: every term compares embeddings, so that the classifier would stay as it is drawn; "
        "give the stage a term for classification, or take method mulsupcon, which trains its "
        "classifier afterwards"
    )
    contrastive = "terms.contrastive={loss: supervised_contrastive}"
    for change in ("terms.classification=null", "terms.classification.weight=0"):
        assert refused(contrastive, change, recipe="laptop-bce") == message


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
