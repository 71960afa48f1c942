"""The mean features of every class, and how far an image's features are from them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from colabel.errors import DataError

_BLOCK_ELEMENTS = 1 << 20  # features that are taken to float64 together; bounds the memory


@dataclass(frozen=True)
class FeatureCentres:
    """A centre per class and the variance around the centres, which all classes share.

    Args:
        mean: mean features of each class; NaN for a class of which no image was seen.
        variance: of each feature around the centres, >= 0.
    """

    mean: Float[np.ndarray, "classes width"]
    variance: Float[np.ndarray, " width"]


def feature_centres(
    features: Float[np.ndarray, "images width"], targets: Shaped[np.ndarray, "images classes"]
) -> FeatureCentres:
    r"""Mean features of the images that carry each label, and the variance around them.

    .. math:: m_k = \frac1{n_k}\sum_{n: y_{nk}=1} f_n, \qquad
              v_i = \frac{\sum_k \sum_{n: y_{nk}=1} (f_{ni} - m_{ki})^2}{\sum_k n_k}

    Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks (2018).

    Deviation: an image counts once for each of its labels, where the paper has one label per
    image, and the shared covariance is diagonal.

    Args:
        features: of training or validation images.
        targets: 1 present, 0 absent, -1 unknown; only present labels count.

    Returns:
        Centres and variances.

    Raises:
        DataError: if no label is present at all.

    Example:
        >>> features = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> centres = feature_centres(features, np.array([[1, 0], [1, 0], [0, 0]]))
        >>> centres.mean.tolist(), centres.variance.tolist()
        ([[1.0, 1.0], [nan, nan]], [1.0, 0.0])
    """
    present = (targets == 1).astype(np.float64)
    total = present.sum(axis=0)
    if not total.sum():
        raise DataError(
            "no label is present in the targets, so no class has a centre; give images that "
            "carry labels."
        )
    origin = features.mean(axis=0, dtype=np.float64)  # keeps the sums of squares small
    labels = present.sum(axis=1)
    sums = np.zeros((len(total), features.shape[1]))
    squares = np.zeros(features.shape[1])
    for block in _blocks(features):
        moved = features[block] - origin
        sums += present[block].T @ moved
        squares += labels[block] @ np.square(moved)
    mean = np.divide(
        sums, total[:, None], out=np.full(sums.shape, np.nan), where=total[:, None] > 0
    )
    between = total @ np.square(np.where(total[:, None] > 0, mean, 0.0))
    variance = np.maximum(squares - between, 0.0) / total.sum()
    rounding = np.finfo(np.float64).eps * squares / total.sum() * len(features)
    return FeatureCentres(mean + origin, np.where(variance > rounding, variance, 0.0))


def distance_to_centres(
    features: Float[np.ndarray, "images width"], centres: FeatureCentres
) -> Float[np.ndarray, " images"]:
    r"""Mean squared distance to the nearest centre, in variances of each feature.

    .. math:: \min_k \frac1M \sum_i \frac{(f_i - m_{ki})^2}{v_i}

    Source: Lee et al. (2018), Eq. 2, the Mahalanobis distance, with a diagonal covariance and
    divided by the number of features.

    Deviation: a feature that does not vary around the centres has no unit to measure with and is
    left out.

    Args:
        features: what the centres were made of, of other images.
        centres: of at least one class.

    Returns:
        One value >= 0 per image, about 1 for images like those of the centres.

    Example:
        >>> centres = FeatureCentres(np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([4.0, 1.0]))
        >>> distance_to_centres(np.array([[2.0, 1.0], [4.0, 0.0]]), centres)
        array([1., 0.])
    """
    seen = ~np.isnan(centres.mean).any(axis=1)
    varies = centres.variance > 0
    weight = np.divide(1.0, centres.variance, out=np.zeros(varies.shape), where=varies)
    weight /= max(np.count_nonzero(varies), 1)
    origin = centres.mean[seen].mean(axis=0)
    scale = np.sqrt(weight)
    scaled = (centres.mean[seen] - origin) * scale

    def nearest(block: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, " rows"]:
        moved = (block - origin) * scale
        cross = moved @ scaled.T
        to_centres = np.square(scaled).sum(axis=1) - 2 * cross
        return np.asarray(np.square(moved).sum(axis=1) + to_centres.min(axis=1))

    return np.asarray(np.maximum(by_blocks(nearest, features), 0.0))


def by_blocks(
    function: Callable[[Float[np.ndarray, "rows width"]], Float[np.ndarray, "rows ..."]],
    features: Float[np.ndarray, "images width"],
) -> Float[np.ndarray, "images ..."]:
    """Apply a function of rows to blocks of images, in float64, and put the answers together.

    Example:
        >>> by_blocks(lambda block: block.sum(axis=1), np.ones((3, 2), dtype=np.float32))
        array([2., 2., 2.])
    """
    return np.concatenate(
        [function(features[block].astype(np.float64)) for block in _blocks(features)]
    )


def _blocks(features: Float[np.ndarray, "images width"]) -> list[slice]:
    rows = max(1, _BLOCK_ELEMENTS // max(features.shape[1], 1))
    return [slice(start, start + rows) for start in range(0, len(features), rows)]
