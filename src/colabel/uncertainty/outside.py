"""Whether a score tells images of another kind from those that a model was made for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from colabel.uncertainty.risk import check_vector


@dataclass(frozen=True)
class OutOfDistribution:
    """How well a score separates outside images from inside ones.

    Args:
        auroc: chance that a random outside image has a higher score than a random inside one,
            ties counting half; 1 is perfect, 0.5 tells nothing.
        fpr95: share of the outside images that are accepted with 95 % of the inside ones.
        threshold: the highest score that is accepted then.
    """

    auroc: float
    fpr95: float
    threshold: float


def out_of_distribution(inside: npt.ArrayLike, outside: npt.ArrayLike) -> OutOfDistribution:
    r"""Area under the ROC curve, and false positive rate at 95 % true positives.

    .. math:: t = \min\{s : \#\{x \in \text{inside}: x \le s\} \ge 0.95\, n\}, \qquad
              \mathrm{FPR95} = \frac{\#\{x \in \text{outside}: x \le t\}}{m}

    Inside is the positive class, as in the literature: an image is accepted as one of the n
    inside images if its score is at most t. A score on the threshold is accepted.

    Source: Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples (2017), and Liang et al., ODIN (2018). The numbers are those of scikit-learn's
    ``roc_auc_score`` and ``roc_curve`` for inside as 1, with the negative scores: FPR95 at the
    first threshold that reaches 0.95, without interpolation.

    Args:
        inside: scores of images like those that the model was trained on, shape (n,); higher is
            less sure. Infinite scores are allowed.
        outside: scores of images of another kind, shape (m,).

    Returns:
        Both fractions in [0, 1], and the threshold.

    Raises:
        DataError: unless both are vectors with at least one value and without NaN.

    Example:
        >>> out_of_distribution([0.1, 0.2, 0.3, 0.4], [0.3, 0.5])
        OutOfDistribution(auroc=0.8125, fpr95=0.5, threshold=0.4)
    """
    accepted = np.sort(check_vector(inside, "inside"))
    others = np.sort(check_vector(outside, "outside"))
    below = np.searchsorted(accepted, others, side="left").sum()
    up_to = np.searchsorted(accepted, others, side="right").sum()
    needed = -(-19 * len(accepted) // 20)  # 95 %, rounded up, in whole numbers
    threshold = accepted[needed - 1]
    return OutOfDistribution(
        auroc=float((below + up_to) / (2 * len(accepted) * len(others))),
        fpr95=float(np.mean(others <= threshold)),
        threshold=float(threshold),
    )
