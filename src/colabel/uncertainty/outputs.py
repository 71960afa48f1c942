"""What a run says of a set of images, as far as scores of uncertainty can use it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from colabel.errors import DataError
from colabel.metrics.decisions import above_threshold
from colabel.uncertainty.centres import FeatureCentres
from colabel.uncertainty.prototypes import Prototypes


@dataclass(frozen=True)
class Outputs:
    """The answers of a model to a set of images; what a run does not have stays ``None``.

    Args:
        logits: log-odds as the head gives them, before any calibration.
        probabilities: calibrated, in [0, 1].
        thresholds: one per class, >= 0: a label is given out where its calibrated probability
            reaches it. Above 1, also infinite, it is never given out.
        kernel_mean: means of isotropic kernels, each that of all M features.
        kernel_variance: variances of the kernels, positive; for diagonal kernels, whose means
            have no place here, a mean over the features may be given.
        log_weights: logs of the mixture coefficients, at most 0.
        features: what the head read its answers off, one vector of M numbers per image.
        prototypes: the mean kernel of every class, see :func:`kernel_prototypes`.
        centres: the mean features of every class, see :func:`feature_centres`.
        samples: probabilities of several passes with dropout, or of several runs, at least two.

    Raises:
        DataError: if the shapes disagree or a value is out of its range.

    Example:
        >>> half = np.full((2, 3), 0.5)
        >>> outputs = Outputs(np.zeros((2, 3)), half, thresholds=np.array([0.5, 0.4, np.inf]))
        >>> outputs.given.tolist()
        [[True, True, False], [True, True, False]]
    """

    logits: Float[np.ndarray, "images classes"]
    probabilities: Float[np.ndarray, "images classes"]
    thresholds: Float[np.ndarray, " classes"]
    kernel_mean: Float[np.ndarray, "images classes"] | None = None
    kernel_variance: Float[np.ndarray, "images classes"] | None = None
    log_weights: Float[np.ndarray, "images classes"] | None = None
    features: Float[np.ndarray, "images width"] | None = None
    prototypes: Prototypes | None = None
    centres: FeatureCentres | None = None
    samples: Float[np.ndarray, "samples images classes"] | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        shape = self.logits.shape
        if len(shape) != 2 or 0 in shape:
            raise DataError(
                f"logits must have shape (images, classes) with at least one of each, got {shape}."
            )
        _check("logits", self.logits, shape)
        _check("probabilities", self.probabilities, shape, low=0, high=1)
        _check("thresholds", self.thresholds, shape[1:], low=0, infinite=True)
        for name in ("kernel_mean", "kernel_variance", "log_weights"):
            values = getattr(self, name)
            if values is not None:
                _check(name, values, shape, high=0 if name == "log_weights" else np.inf)
        if self.kernel_variance is not None and not self.kernel_variance.min() > 0:
            raise DataError(
                f"kernel_variance must be positive, got {self.kernel_variance.min()}; "
                "give variances, not their logs."
            )
        if self.features is not None:
            if self.features.ndim != 2:
                raise DataError(
                    "features must have shape (images, width), one vector per image, got "
                    f"{self.features.shape}; leave them out where each class has its own."
                )
            _check("features", self.features, (shape[0], self.features.shape[1]))
        if self.samples is not None:
            passes = max(len(self.samples), 2)
            _check("samples", self.samples, (passes, *shape), low=0, high=1)
        self._check_references()

    def _check_references(self) -> None:
        classes = self.logits.shape[1]
        if self.prototypes is not None and len(self.prototypes.mean) != classes:
            raise DataError(
                f"there are prototypes of {len(self.prototypes.mean)} classes for outputs of "
                f"{classes}; make them from the same run."
            )
        if self.centres is not None and self.features is not None:
            width, expected = self.features.shape[1], self.centres.mean.shape[1]
            if width != expected:
                raise DataError(
                    f"the centres are of {expected} features, the images have {width}; make them "
                    "from the same run."
                )

    @property
    def given(self) -> Bool[np.ndarray, "images classes"]:
        """True where the label is given out: the probability reaches its threshold."""
        return above_threshold(self.probabilities, self.thresholds)


def _check(
    name: str,
    values: Float[np.ndarray, "..."],
    shape: tuple[int, ...],
    *,
    low: float = -np.inf,
    high: float = np.inf,
    infinite: bool = False,
) -> None:
    if values.shape != shape or 0 in shape:
        raise DataError(
            f"{name} must have shape {shape} to go with the logits, got {values.shape}."
        )
    lowest, highest = values.min(), values.max()
    if np.isnan(lowest) or (not infinite and np.isinf([lowest, highest]).any()):
        wrong = np.isnan(values) if infinite else ~np.isfinite(values)
        place = ", ".join(map(str, np.argwhere(wrong)[0]))
        raise DataError(
            f"{name} must be finite numbers, got {values[wrong][0]} at [{place}]; look for a "
            "division by zero or an overflow where they were made."
        )
    if lowest < low or highest > high:
        raise DataError(
            f"{name} must lie in [{low:g}, {high:g}], got values from {lowest} to {highest}."
        )
