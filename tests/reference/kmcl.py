"""KMCL, equation by equation, as loops over Python floats.

Nothing here is fast, clever or safe against underflow: each function is the printed formula.
Vectors are lists, matrices are lists of lists; an isotropic kernel has one float for its mean and
one for its variance, a diagonal kernel has a list for each. Labels are 1 (present), 0 (absent),
-1 (unknown).

The paper has no unknown labels and no empty sums. The rules for them:

* Eq. 5: unknown classes are left out of both sums; an image without a present class adds 0.
* Eq. 6: an unknown entry adds 0.
* Eq. 7: a class is shared where both labels are 1; the Jaccard index counts the classes that are
  known in both images; the denominator of class k runs over the other images whose label k is
  known; an anchor without positives adds 0.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

Vector = Sequence[float]
Matrix = Sequence[Sequence[float]]
Labels = Sequence[int]
Kernel = float | Vector  # one number for an isotropic kernel, one per dimension for a diagonal one


def bhattacharyya_full(
    mean_p: Vector, covariance_p: Matrix, mean_q: Vector, covariance_q: Matrix
) -> float:
    """KMCL Eq. 1: rho of two kernels with any covariance."""
    p, q = np.array(covariance_p), np.array(covariance_q)
    average = (p + q) / 2
    difference = np.array(mean_p) - np.array(mean_q)
    distance = float(difference @ np.linalg.inv(average) @ difference)
    scale = np.linalg.det(p) ** 0.25 * np.linalg.det(q) ** 0.25 / np.linalg.det(average) ** 0.5
    return float(scale) * math.exp(-distance / 8)


def mahalanobis_similarity(mean_p: Vector, mean_q: Vector, covariance: Matrix) -> float:
    """KMCL Eq. 2a: rho of two kernels with the same covariance."""
    difference = np.array(mean_p) - np.array(mean_q)
    distance = float(difference @ np.linalg.inv(np.array(covariance)) @ difference)
    return math.exp(-distance / (2 * 2**2))


def gaussian_similarity(mean_p: Vector, mean_q: Vector, variance: float) -> float:
    """KMCL Eq. 2b: rho of two kernels with the same isotropic covariance."""
    distance = 0.0
    for p, q in zip(mean_p, mean_q, strict=True):
        distance += (p - q) ** 2
    return math.exp(-distance / (8 * variance))


def bhattacharyya_diagonal(
    mean_p: Vector, variance_p: Vector, mean_q: Vector, variance_q: Vector
) -> float:
    """KMCL Eq. 3a: rho of two kernels with diagonal covariances."""
    product, total = 1.0, 0.0
    for mp, vp, mq, vq in zip(mean_p, variance_p, mean_q, variance_q, strict=True):
        product *= ((vp + vq) / (2 * math.sqrt(vp) * math.sqrt(vq))) ** -0.5
        total += (mp - mq) ** 2 / (vp + vq)
    return product * math.exp(-total / 4)


def bhattacharyya_isotropic(
    mean_p: float, variance_p: float, mean_q: float, variance_q: float, *, dim: float
) -> float:
    """KMCL Eq. 3b: rho of two kernels with one mean and one variance for all dimensions."""
    ratio = (variance_p + variance_q) / (2 * math.sqrt(variance_p) * math.sqrt(variance_q))
    exponent = -dim / 4 * (mean_p - mean_q) ** 2 / (variance_p + variance_q)
    return ratio ** (-dim / 2) * math.exp(exponent)


def kernel_value(
    feature: Vector, mean: Kernel, variance: Kernel, *, per_dimension: bool = False
) -> float:
    """KMCL below Eq. 4: one kernel at the feature; per_dimension divides the exponent by M."""
    exponent = 0.0
    for j, f in enumerate(feature):
        m = mean if isinstance(mean, float) else mean[j]
        v = variance if isinstance(variance, float) else variance[j]
        exponent -= (f - m) ** 2 / (2 * v)
    return math.exp(exponent / len(feature) if per_dimension else exponent)


def mixture_value(
    feature: Vector,
    weights: Vector,
    means: Sequence[Kernel],
    variances: Sequence[Kernel],
    classes: Sequence[int],
    *,
    per_dimension: bool = False,
) -> float:
    """KMCL Eq. 4: the mixture of the given classes at the feature."""
    total = 0.0
    for k in classes:
        kernel = kernel_value(feature, means[k], variances[k], per_dimension=per_dimension)
        total += weights[k] * kernel
    return total


def reconstruction(
    feature: Vector,
    weights: Vector,
    means: Sequence[Kernel],
    variances: Sequence[Kernel],
    labels: Labels,
    *,
    per_dimension: bool = False,
) -> float:
    """KMCL Eq. 5 for one image, before the mean over the batch."""
    present = [k for k, y in enumerate(labels) if y == 1]
    known = [k for k, y in enumerate(labels) if y != -1]
    if not present:
        return 0.0
    numerator = mixture_value(
        feature, weights, means, variances, present, per_dimension=per_dimension
    )
    denominator = mixture_value(
        feature, weights, means, variances, known, per_dimension=per_dimension
    )
    return -math.log(numerator / denominator)


def asymmetric(
    probabilities: Vector,
    labels: Labels,
    *,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
) -> float:
    """KMCL Eq. 6 for one image, before the mean over the batch."""
    total = 0.0
    for p, y in zip(probabilities, labels, strict=True):
        shifted = max(p - margin, 0.0)
        if y == 1:
            total -= (1 - p) ** gamma_positive * math.log(p)
        elif y == 0:
            total -= shifted**gamma_negative * math.log(1 - shifted)
    return total


def jaccard_index(first: Labels, second: Labels) -> float:
    """KMCL below Eq. 7: shared classes over classes present in either image."""
    shared = either = 0
    for a, b in zip(first, second, strict=True):
        if a == -1 or b == -1:
            continue
        shared += a * b
        either += a + b - a * b
    return shared / either if either else 0.0


def kernel_contrastive(
    anchor: int,
    labels: Sequence[Labels],
    similarity: Callable[[int, int, int], float],
    *,
    temperature: float,
) -> float:
    """KMCL Eq. 7 for one anchor, before the mean over the batch.

    ``similarity(k, n, i)`` is the similarity of the kernels of class k in the images n and i.
    """
    others = [i for i in range(len(labels)) if i != anchor]
    positives = []
    for m in others:
        shared = [k for k, y in enumerate(labels[anchor]) if y == 1 and labels[m][k] == 1]
        if shared:
            positives.append((m, shared))
    if not positives:
        return 0.0
    total = 0.0
    for m, shared in positives:
        inner = 0.0
        for k in shared:
            denominator = 0.0
            for i in others:
                if labels[i][k] != -1:
                    denominator += math.exp(similarity(k, anchor, i) / temperature)
            numerator = math.exp(similarity(k, anchor, m) / temperature)
            inner += math.log(numerator / denominator)
        total += jaccard_index(labels[anchor], labels[m]) * inner
    return -total / len(positives)


def objective(
    reconstruction_value: float,
    asymmetric_value: float,
    contrastive_value: float,
    *,
    asymmetric_weight: float = 0.1,
    contrastive_weight: float = 0.3,
) -> float:
    """KMCL Eq. 8: the training loss, each weight named after the loss it weighs."""
    return (
        reconstruction_value
        + asymmetric_weight * asymmetric_value
        + contrastive_weight * contrastive_value
    )
