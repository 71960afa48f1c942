"""ProbMCL's losses, Eq. 2 to 4, as loops over Python floats.

Nothing here is fast, clever or safe against underflow: each function is the printed formula for
one image; the sums over the images are the callers'. Labels are 1 (present), 0 (absent),
-1 (unknown). The densities and their similarity are beside this file.

The paper has no unknown labels, no unlabelled images and no anchor without positives. The rules:

* the overlap D counts the classes that are known in both images; it is 0 where one of the two
  has no label among them;
* cosine is the product over the lengths of the label vectors; the paper prints their squares,
  which would make two images with the same two labels half alike;
* an anchor without positives adds 0.
"""

import math
from collections.abc import Callable, Sequence

Vector = Sequence[float]
Labels = Sequence[int]
Component = float | Vector  # one number for an isotropic density, one per dimension for a diagonal
Overlap = Callable[[Labels, Labels], float]
Similarity = Callable[[int, int], float]


def normal(z: Vector, mean: Component, variance: Component) -> float:
    """N(z; mean, variance) with a diagonal covariance, the product over the dimensions."""
    value = 1.0
    for j, coordinate in enumerate(z):
        m = mean if isinstance(mean, float) else mean[j]
        v = variance if isinstance(variance, float) else variance[j]
        value *= math.exp(-((coordinate - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
    return value


def likelihood(
    z: Vector,
    weights: Vector,
    means: Sequence[Component],
    variances: Sequence[Component],
    *,
    per_dimension: bool = False,
) -> float:
    """ProbMCL Eq. 2 for one image: -log p(z | x); per_dimension divides it by n."""
    density = 0.0
    for weight, mean, variance in zip(weights, means, variances, strict=True):
        density += weight * normal(z, mean, variance)
    value = -math.log(density)
    return value / len(z) if per_dimension else value


def _products(first: Labels, second: Labels) -> tuple[float, float, float]:
    """y_i . y_j, |y_i|^2 and |y_j|^2 over the classes that both images know."""
    product = own = other = 0.0
    for a, b in zip(first, second, strict=True):
        if a == -1 or b == -1:
            continue
        product += a * b
        own += a * a
        other += b * b
    return product, own, other


def jaccard_index(first: Labels, second: Labels) -> float:
    """ProbMCL Sec. 3.2: J(y_i, y_j)."""
    product, own, other = _products(first, second)
    union = own + other - product
    return product / union if union else 0.0


def cosine_similarity(first: Labels, second: Labels) -> float:
    """ProbMCL Sec. 3.2: cos(y_i, y_j), without the printed squares of the norms."""
    product, own, other = _products(first, second)
    return product / math.sqrt(own * other) if own and other else 0.0


def positives(
    anchor: int, labels: Sequence[Labels], *, threshold: float, overlap: Overlap
) -> list[int]:
    """ProbMCL Sec. 2.2: A(i), the other images that overlap by at least alpha."""
    chosen = []
    for j, row in enumerate(labels):
        if j != anchor and overlap(labels[anchor], row) >= threshold:
            chosen.append(j)
    return chosen


def contrastive(
    anchor: int,
    labels: Sequence[Labels],
    similarity: Similarity,
    *,
    temperature: float,
    threshold: float,
    overlap: Overlap,
) -> float:
    """ProbMCL Eq. 3 for one anchor; ``similarity(i, j)`` is Sim(p_i, p_j)."""
    chosen = positives(anchor, labels, threshold=threshold, overlap=overlap)
    if not chosen:
        return 0.0
    denominator = 0.0
    for other in range(len(labels)):
        if other != anchor:
            denominator += math.exp(similarity(anchor, other) / temperature)
    total = 0.0
    for j in chosen:
        numerator = math.exp(similarity(anchor, j) / temperature)
        total += overlap(labels[anchor], labels[j]) * math.log(numerator / denominator)
    return -total / len(chosen)


def objective(
    likelihood_value: float, contrastive_value: float, *, contrastive_weight: float = 0.3
) -> float:
    """ProbMCL Eq. 4: the training loss of the contrastive stage."""
    return likelihood_value + contrastive_weight * contrastive_value
