"""Every score of uncertainty by its name: what it is of, what it needs, how it is computed.

A higher score is less sure, and for an image more likely of another kind than those the model was
made for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from colabel.errors import ConfigError, DataError, nearest
from colabel.uncertainty import image_scores, kernels, pair_scores
from colabel.uncertainty.centres import distance_to_centres
from colabel.uncertainty.outputs import Outputs
from colabel.uncertainty.prototypes import distance_to_prototypes

NEEDED: Mapping[str, str] = {
    "kernel_mean": "the means of isotropic kernels from a mixture head",
    "kernel_variance": "the variances of kernels from a mixture head",
    "log_weights": "the coefficients of a mixture head",
    "features": "one feature vector per image",
    "prototypes": "a mean kernel per class, made of images with known labels",
    "centres": "mean features per class, made of images with known labels",
    "samples": "the probabilities of several passes with dropout or of several runs",
}
"""What the optional parts of :class:`Outputs` are and what brings them."""

Values = Float[np.ndarray, "images classes"] | Float[np.ndarray, " images"]


@dataclass(frozen=True)
class Score:
    """A score of uncertainty.

    Args:
        per: ``"pair"``: a number per image and label; ``"image"``: one per image.
        says: what it is, as a clause.
        function: gives the scores of outputs that have what it needs.
        needs: the optional parts of :class:`Outputs` that it reads.
    """

    per: Literal["pair", "image"]
    says: str
    function: Callable[[Outputs], Values]
    needs: tuple[str, ...] = ()


def _kernel_mixture(outputs: Outputs) -> Values:
    return kernels.kernel_mixture(*_parts(outputs, _MIXTURE))


def _mixture_likelihood(outputs: Outputs) -> Values:
    return kernels.mixture_likelihood(*_parts(outputs, _MIXTURE))


def _prototype_distance(outputs: Outputs) -> Values:
    return distance_to_prototypes(*_parts(outputs, _PROTOTYPES))


def _nearest_prototype(outputs: Outputs) -> Values:
    distances = distance_to_prototypes(*_parts(outputs, _PROTOTYPES))
    return image_scores.nearest_given(distances, outputs.given, outputs.probabilities)


def _error_probability(outputs: Outputs) -> Float[np.ndarray, "images classes"]:
    return pair_scores.error_probability(outputs.probabilities, outputs.given)


def _parts(outputs: Outputs, names: tuple[str, ...]) -> list[Any]:
    return [getattr(outputs, name) for name in names]


def _part(outputs: Outputs, name: str) -> Any:
    return getattr(outputs, name)


_MIXTURE = ("features", "log_weights", "kernel_mean", "kernel_variance")
_PROTOTYPES = ("kernel_mean", "kernel_variance", "prototypes")

SCORES: Mapping[str, Score] = {
    "entropy": Score(
        "pair",
        "entropy of the calibrated probability",
        lambda o: pair_scores.entropy(o.probabilities),
    ),
    "margin": Score(
        "pair",
        "minus the distance of the calibrated log-odds from the threshold",
        lambda o: pair_scores.margin(o.probabilities, o.thresholds),
    ),
    "error_probability": Score(
        "pair",
        "chance that the answer is wrong, by the calibrated probability",
        _error_probability,
    ),
    "kernel_variance": Score(
        "pair",
        "variance of the class's kernel",
        lambda o: _part(o, "kernel_variance").astype(np.float64),
        ("kernel_variance",),
    ),
    "prototype_distance": Score(
        "pair",
        "minus the log of the overlap of the class's kernel with that of its positives",
        _prototype_distance,
        _PROTOTYPES,
    ),
    "predictive_entropy": Score(
        "pair",
        "entropy of the mean probability over the samples",
        lambda o: pair_scores.predictive_entropy(_part(o, "samples")),
        ("samples",),
    ),
    "mutual_information": Score(
        "pair",
        "disagreement of the samples",
        lambda o: pair_scores.mutual_information(_part(o, "samples")),
        ("samples",),
    ),
    "entropy_sum": Score(
        "image",
        "sum of the entropies of its labels",
        lambda o: pair_scores.entropy(o.probabilities).sum(axis=1),
    ),
    "entropy_maximum": Score(
        "image",
        "largest entropy among its labels",
        lambda o: pair_scores.entropy(o.probabilities).max(axis=1),
    ),
    "expected_errors": Score(
        "image",
        "expected share of wrong answers, by the calibrated probabilities",
        lambda o: _error_probability(o).mean(axis=1),
    ),
    "largest_probability": Score(
        "image",
        "minus its largest probability",
        lambda o: image_scores.largest_probability(o.probabilities),
    ),
    "joint_energy": Score(
        "image",
        "minus the sum of softplus over its logits",
        lambda o: image_scores.joint_energy(o.logits),
    ),
    "mean_variance": Score(
        "image",
        "mean variance of its kernels",
        lambda o: _part(o, "kernel_variance").mean(axis=1, dtype=np.float64),
        ("kernel_variance",),
    ),
    "kernel_mixture": Score(
        "image",
        "minus the log of its kernel mixture at its features",
        _kernel_mixture,
        _MIXTURE,
    ),
    "mixture_likelihood": Score(
        "image",
        "negative log density of its features under its mixture",
        _mixture_likelihood,
        _MIXTURE,
    ),
    "nearest_prototype": Score(
        "image",
        "smallest prototype distance among the labels it is given",
        _nearest_prototype,
        _PROTOTYPES,
    ),
    "feature_distance": Score(
        "image",
        "distance of its features to the nearest class centre",
        lambda o: distance_to_centres(*_parts(o, ("features", "centres"))),
        ("features", "centres"),
    ),
    "mutual_information_mean": Score(
        "image",
        "mean disagreement of the samples over its labels",
        lambda o: pair_scores.mutual_information(_part(o, "samples")).mean(axis=1),
        ("samples",),
    ),
}
"""The scores that there are."""


def why_unavailable(name: str, outputs: Outputs) -> str | None:
    """Tell in a sentence why a score cannot be computed of these outputs.

    Args:
        name: a key of :data:`SCORES`.
        outputs: of a model.

    Returns:
        ``None`` where it can be computed.

    Raises:
        ConfigError: if there is no score of this name.

    Example:
        >>> outputs = Outputs(np.zeros((1, 1)), np.full((1, 1), 0.5), np.array([0.5]))
        >>> why_unavailable("entropy", outputs)
        >>> why_unavailable("mean_variance", outputs)
        'mean_variance needs the variances of kernels from a mixture head.'
    """
    if name not in SCORES:
        raise ConfigError(f"there is no score {name!r}: {nearest(name, SCORES)}")
    missing = [part for part in SCORES[name].needs if getattr(outputs, part) is None]
    if not missing:
        return None
    return f"{name} needs {', '.join(NEEDED[part] for part in missing)}."


def compute_score(name: str, outputs: Outputs) -> Values:
    """Compute one score.

    Args:
        name: a key of :data:`SCORES`.
        outputs: of a model.

    Returns:
        float64, higher is less sure; shape (images, classes) for a score per pair and (images,)
        for one per image, as ``SCORES[name].per`` says.

    Raises:
        ConfigError: if there is no score of this name.
        DataError: if the outputs lack what it needs.

    Example:
        >>> outputs = Outputs(np.zeros((1, 2)), np.full((1, 2), 0.5), np.array([0.5, 0.5]))
        >>> compute_score("expected_errors", outputs)
        array([0.5])
    """
    reason = why_unavailable(name, outputs)
    if reason is not None:
        raise DataError(reason)
    return SCORES[name].function(outputs)
