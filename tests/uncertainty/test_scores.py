"""Every score against plain loops, and what it says where something is missing."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uncertainty as reference

from colabel.errors import ConfigError, DataError
from colabel.uncertainty import (
    SCORES,
    FeatureCentres,
    Outputs,
    Prototypes,
    compute_score,
    distance_to_centres,
    feature_centres,
    kernel_prototypes,
    why_unavailable,
)

IMAGES, CLASSES, WIDTH = 12, 4, 6


def draw(seed, *, images=IMAGES, classes=CLASSES, dtype=np.float64):
    """Outputs with every part, and targets in which the last of several classes is never seen."""
    generator = np.random.default_rng(seed)
    shape = (images, classes)
    targets = generator.integers(-1, 2, shape)
    targets[0] = 1
    targets[:, 1:][:, -1:] = 0
    logits = generator.normal(size=shape)
    mean, variance = generator.normal(size=shape), generator.uniform(0.5, 3, shape)
    features = generator.normal(size=(images, WIDTH)).astype(dtype)
    outputs = Outputs(
        logits=logits.astype(dtype),
        probabilities=(1 / (1 + np.exp(-0.7 * logits))).astype(dtype),
        thresholds=generator.uniform(0.3, 0.7, classes),
        kernel_mean=mean.astype(dtype),
        kernel_variance=variance.astype(dtype),
        log_weights=-np.logaddexp(0, -logits).astype(dtype),
        features=features,
        prototypes=kernel_prototypes(mean, variance, targets, dim=WIDTH),
        centres=feature_centres(features, targets),
        samples=generator.random((5, *shape)).astype(dtype),
    )
    return outputs, targets


def by_pair(function, *arrays):
    """Apply a function of floats to every cell of matrices."""
    rows = zip(*(array.tolist() for array in arrays), strict=True)
    return [[function(*cells) for cells in zip(*row, strict=True)] for row in rows]


def loops(outputs):
    """Every score of probabilities and logits by its definition."""
    cuts = outputs.thresholds.astype(outputs.probabilities.dtype)
    cuts = np.broadcast_to(cuts, outputs.logits.shape)
    entropies = by_pair(reference.entropy, outputs.probabilities)
    errors = by_pair(lambda p, t: 1 - p if p >= t else p, outputs.probabilities, cuts)
    samples = outputs.samples.astype(float)
    information = by_pair(lambda *values: reference.mutual_information(values), *samples)
    return {
        "entropy": entropies,
        "margin": by_pair(reference.margin, outputs.probabilities, cuts),
        "error_probability": errors,
        "kernel_variance": outputs.kernel_variance.tolist(),
        "predictive_entropy": by_pair(
            lambda *values: reference.entropy(sum(values) / len(values)), *samples
        ),
        "mutual_information": information,
        "entropy_sum": [sum(row) for row in entropies],
        "entropy_maximum": [max(row) for row in entropies],
        "expected_errors": [sum(row) / len(row) for row in errors],
        "largest_probability": [-max(row) for row in outputs.probabilities.tolist()],
        "joint_energy": [reference.joint_energy(row) for row in outputs.logits.tolist()],
        "mean_variance": [sum(row) / len(row) for row in outputs.kernel_variance.tolist()],
        "mutual_information_mean": [sum(row) / len(row) for row in information],
    }


@pytest.mark.parametrize("shape", [(IMAGES, CLASSES), (1, CLASSES), (IMAGES, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_probabilities_equal_the_loops(shape, dtype):
    outputs, _ = draw(0, images=shape[0], classes=shape[1], dtype=dtype)
    for name, expected in loops(outputs).items():
        np.testing.assert_allclose(
            compute_score(name, outputs), expected, rtol=1e-9, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("shape", [(IMAGES, CLASSES), (1, 1)])
@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_float64_without_nan_and_of_the_shape_it_states(name, shape):
    outputs, _ = draw(1, images=shape[0], classes=shape[1], dtype=np.float32)
    values = compute_score(name, outputs)
    assert values.shape == (shape if SCORES[name].per == "pair" else shape[:1])
    assert values.dtype == np.float64
    assert not np.isnan(values).any()


def test_permuting_images_permutes_every_score():
    outputs, _ = draw(2)
    order = np.random.default_rng(0).permutation(IMAGES)
    parts = (
        "logits",
        "probabilities",
        "kernel_mean",
        "kernel_variance",
        "log_weights",
        "features",
    )
    moved = replace(
        outputs,
        samples=outputs.samples[:, order],
        **{part: getattr(outputs, part)[order] for part in parts},
    )
    for name in SCORES:
        np.testing.assert_allclose(
            compute_score(name, moved), compute_score(name, outputs)[order], err_msg=name
        )


def certain(probabilities, thresholds):
    values = np.array(probabilities)
    return Outputs(np.zeros(values.shape), values, np.array(thresholds))


def test_probabilities_of_0_and_1_have_no_entropy():
    outputs = certain([[0.0, 1.0, 0.5]], [0.5] * 3)
    np.testing.assert_allclose(compute_score("entropy", outputs), [[0, 0, np.log(2)]])
    assert compute_score("error_probability", outputs).tolist() == [[0, 0, 0.5]]


@given(p=st.sampled_from([0, 1e-300, 0.2, 0.5, 1]), t=st.sampled_from([0, 0.2, 0.5, 1, 2, np.inf]))
def test_margins_at_the_ends_of_the_scale(p, t):
    value = compute_score("margin", certain([[float(p)]], [float(t)]))[0, 0]
    assert value == pytest.approx(reference.margin(p, t))


def test_a_float32_probability_is_on_a_threshold_of_its_own_value():
    values = np.array([[0.7]], dtype=np.float32)
    outputs = Outputs(np.zeros((1, 1)), values, np.array([0.7]))
    assert outputs.given.all()
    assert compute_score("margin", outputs)[0, 0] == 0


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_disagreement_is_between_0_and_the_predictive_entropy(values):
    outputs, _ = draw(3, images=1, classes=1)
    outputs = replace(outputs, samples=np.array(values)[:, None, None])
    information = compute_score("mutual_information", outputs)[0, 0]
    assert 0 <= information <= compute_score("predictive_entropy", outputs)[0, 0] + 1e-12


def test_passes_that_agree_have_no_mutual_information():
    outputs, _ = draw(4)
    outputs = replace(outputs, samples=np.stack([outputs.probabilities] * 3))
    assert compute_score("mutual_information", outputs).max() < 1e-12


def test_large_logits_do_not_overflow():
    outputs = Outputs(np.array([[1e4, -1e4]]), np.array([[1.0, 0.0]]), np.array([0.5, 0.5]))
    assert compute_score("joint_energy", outputs).tolist() == [-1e4]


def test_the_nearest_prototype_is_that_of_a_label_given_or_the_most_probable():
    outputs, _ = draw(5)
    distances = compute_score("prototype_distance", outputs)
    expected = [
        min(d for d, g in zip(row, given_out, strict=True) if g)
        if given_out.any()
        else row[np.argmax(p)]
        for row, given_out, p in zip(distances, outputs.given, outputs.probabilities, strict=True)
    ]
    np.testing.assert_array_equal(compute_score("nearest_prototype", outputs), expected)
    of_one_class = replace(outputs, thresholds=np.array([np.inf, np.inf, 0.0, np.inf]))
    np.testing.assert_array_equal(
        compute_score("nearest_prototype", of_one_class), distances[:, 2]
    )
    never = replace(outputs, thresholds=np.full(CLASSES, np.inf))
    expected = distances[np.arange(IMAGES), outputs.probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(compute_score("nearest_prototype", never), expected)


def test_prototypes_are_the_means_over_positives():
    outputs, targets = draw(6)
    for index in range(CLASSES):
        members = [i for i in range(IMAGES) if targets[i, index] == 1]
        for part, values in (
            (outputs.prototypes.mean, outputs.kernel_mean),
            (outputs.prototypes.variance, outputs.kernel_variance),
        ):
            if members:
                expected = sum(values[i, index] for i in members) / len(members)
                assert part[index] == pytest.approx(expected)
            else:
                assert np.isnan(part[index])
    assert np.isnan(outputs.prototypes.mean[-1])
    assert np.isinf(compute_score("prototype_distance", outputs)[:, -1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centres_and_distances_equal_the_loops(dtype):
    outputs, targets = draw(7, images=40, dtype=dtype)
    features = outputs.features.tolist()
    means, variances = reference.centres(features, targets.tolist())
    np.testing.assert_allclose(outputs.centres.mean, means, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(outputs.centres.variance, variances, rtol=1e-9)
    expected = [reference.distance_to_centres(row, means, variances) for row in features]
    np.testing.assert_allclose(compute_score("feature_distance", outputs), expected, rtol=1e-9)


def test_blocks_change_nothing(monkeypatch):
    outputs, targets = draw(8)
    names = ("feature_distance", "kernel_mixture", "mixture_likelihood")
    whole = [compute_score(name, outputs) for name in names]
    monkeypatch.setattr("colabel.uncertainty.centres._BLOCK_ELEMENTS", 5 * WIDTH)
    for name, expected in zip(names, whole, strict=True):
        np.testing.assert_allclose(compute_score(name, outputs), expected, rtol=1e-12)
    centres = feature_centres(outputs.features, targets)
    np.testing.assert_allclose(centres.mean, outputs.centres.mean, rtol=1e-12)
    np.testing.assert_allclose(centres.variance, outputs.centres.variance, rtol=1e-12)


def test_distances_far_from_the_origin_are_exact():
    features = np.array([[0.0], [0.3], [1.1]]) + 1e7
    moved = features - 1e7  # exact
    targets = np.ones((3, 1))
    centres, expected = feature_centres(features, targets), feature_centres(moved, targets)
    np.testing.assert_allclose(centres.variance, expected.variance, rtol=1e-7)
    np.testing.assert_allclose(
        distance_to_centres(features, centres), distance_to_centres(moved, expected), rtol=1e-7
    )


def test_a_feature_that_never_varies_is_left_out_of_the_distance():
    features = np.array([[0.1, 0.0], [0.1, 2.0], [0.1, 4.0]])
    centres = feature_centres(features, np.ones((3, 1)))
    assert centres.variance[0] == 0
    other = np.array([[9.0, 2.0]])
    assert distance_to_centres(other, centres)[0] == 0
    nothing = FeatureCentres(np.zeros((1, 2)), np.zeros(2))
    assert distance_to_centres(other, nothing)[0] == 0


def test_centres_need_a_label_that_is_present():
    with pytest.raises(DataError, match="no label is present"):
        feature_centres(np.zeros((2, 3)), np.zeros((2, 1)))


@pytest.mark.parametrize("name", SCORES)
def test_what_is_missing_is_said_in_a_sentence(name):
    outputs, _ = draw(9)
    bare = Outputs(outputs.logits, outputs.probabilities, outputs.thresholds)
    reason = why_unavailable(name, bare)
    assert why_unavailable(name, outputs) is None
    if not SCORES[name].needs:
        assert reason is None
        compute_score(name, bare)
        return
    assert reason.startswith(f"{name} needs ")
    assert reason.endswith(".")
    with pytest.raises(DataError) as caught:
        compute_score(name, bare)
    assert str(caught.value) == reason


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.needs])
def test_a_score_reads_what_it_states_and_nothing_else_that_is_optional(name):
    outputs, _ = draw(10)
    bare = Outputs(outputs.logits, outputs.probabilities, outputs.thresholds)
    parts = {part: getattr(outputs, part) for part in SCORES[name].needs}
    values = compute_score(name, replace(bare, **parts))
    np.testing.assert_array_equal(values, compute_score(name, outputs))
    for part in parts:
        assert why_unavailable(name, replace(outputs, **{part: None})) is not None


def test_a_name_that_is_not_there_is_answered_with_the_nearest():
    outputs, _ = draw(11)
    for function in (compute_score, why_unavailable):
        with pytest.raises(ConfigError, match=r"no score 'entropi': did you mean 'entropy'\?"):
            function("entropi", outputs)


WRONG = [
    ({"logits": np.zeros(3)}, r"logits must have shape \(images, classes\).* got \(3,\)"),
    ({"logits": np.zeros((0, CLASSES))}, "at least one of each"),
    ({"logits": np.full((IMAGES, CLASSES), np.inf)}, r"logits must be finite.* inf at \[0, 0\]"),
    ({"probabilities": np.zeros((2, 2))}, r"probabilities must have shape \(12, 4\).* \(2, 2\)"),
    ({"probabilities": np.full((IMAGES, CLASSES), 1.5)}, r"in \[0, 1\], got values from 1\.5"),
    (
        {"probabilities": np.full((IMAGES, CLASSES), np.nan)},
        r"finite numbers, got nan at \[0, 0\]",
    ),
    ({"thresholds": np.zeros(3)}, r"thresholds must have shape \(4,\)"),
    ({"thresholds": np.full(CLASSES, np.nan)}, r"thresholds must be finite numbers, got nan"),
    ({"thresholds": np.full(CLASSES, -0.1)}, r"thresholds must lie in \[0, inf\]"),
    ({"kernel_mean": np.zeros((IMAGES, 1))}, "kernel_mean must have shape"),
    ({"kernel_variance": np.zeros((IMAGES, CLASSES))}, r"must be positive, got 0\.0"),
    ({"log_weights": np.ones((IMAGES, CLASSES))}, r"log_weights must lie in \[-inf, 0\]"),
    ({"features": np.zeros((3, WIDTH))}, r"features must have shape \(12, 6\)"),
    ({"features": np.zeros((IMAGES, CLASSES, WIDTH))}, r"features.* one vector per image.* leave"),
    ({"samples": np.zeros((1, IMAGES, CLASSES))}, r"samples must have shape \(2, 12, 4\)"),
    ({"samples": np.full((2, IMAGES, CLASSES), 2.0)}, r"samples must lie in \[0, 1\]"),
    ({"prototypes": Prototypes(np.zeros(2), np.ones(2), 3)}, "prototypes of 2 classes.* of 4"),
    ({"centres": FeatureCentres(np.zeros((2, 3)), np.ones(3))}, "of 3 features.* have 6"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_refuses_parts_that_do_not_belong_together(change, message, unchecked_shapes):
    outputs, _ = draw(12)
    with pytest.raises(DataError, match=message):
        replace(outputs, **change)


@pytest.mark.slow
def test_needs_neither_torch_nor_scipy():
    code = (
        "import sys, colabel.uncertainty\n"
        "print([name for name in ('torch', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
