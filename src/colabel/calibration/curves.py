"""The curves from logits to probabilities, as they are kept with a model.

Importing it imports nothing that is slow.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from colabel.choices import CalibrationKind
from colabel.errors import DataError
from colabel.limits import MAX_CLASSES, MAX_CORNERS
from colabel.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

STEP_SHARE = 0.99
"""Share of the isotonic curve in a probability; the rest is Platt's, which always rises."""

Number = Annotated[float, Field(strict=True)]

Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]


class Steps(Settings):
    """The corners of a label's isotonic curve.

    Args:
        logits: increasing.
        probabilities: at these logits, not decreasing.
    """

    logits: Annotated[tuple[Number, ...], Field(min_length=1, max_length=MAX_CORNERS)]
    probabilities: tuple[Fraction, ...]

    @model_validator(mode="after")
    def _rises(self) -> Steps:
        if len(self.logits) != len(self.probabilities):
            raise ValueError(f"{len(self.probabilities)} probabilities for {len(self.logits)}")
        if any(a >= b for a, b in pairwise(self.logits)) or any(
            a > b for a, b in pairwise(self.probabilities)
        ):
            raise ValueError("the corners must rise")
        return self


class Calibration(Settings):
    r"""A map from logits to probabilities, one rising curve per label.

    .. math:: p_k = \operatorname{sigmoid}(a_k s_k + b_k)

    where ``a`` are the slopes and ``b`` the intercepts; with isotonic curves, 0.99 of the curve
    and 0.01 of the above. Every curve rises everywhere, so the order of images is never changed.

    Args:
        kind: how it was fitted.
        slopes: positive, one per label.
        intercepts: in log-odds, one per label.
        steps: the isotonic curve of each label that has one; empty if none has.

    Example:
        >>> halved = Calibration(kind="temperature", slopes=(0.5,), intercepts=(0.0,))
        >>> halved.probabilities([[0.0], [2.0]]).round(3).tolist()
        [[0.5], [0.731]]
    """

    kind: CalibrationKind
    slopes: Annotated[
        tuple[Annotated[float, Field(gt=0, strict=True)], ...], Field(max_length=MAX_CLASSES)
    ]
    intercepts: tuple[Number, ...]
    steps: tuple[Steps | None, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Calibration:
        classes = len(self.slopes)
        if len(self.intercepts) != classes or (self.steps and len(self.steps) != classes):
            raise ValueError(
                f"{classes} slopes, {len(self.intercepts)} intercepts and {len(self.steps)} curves"
            )
        return self

    def probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities.

        Args:
            logits: log-odds of the model, shape (images, classes).

        Returns:
            In [0, 1), the shape of ``logits``.

        Raises:
            DataError: on logits of another number of classes.
        """
        import numpy as np

        from colabel.metrics.inputs import check_logits

        given = check_logits(logits)
        if given.shape[1] != len(self.slopes):
            raise DataError(
                f"the calibration is one of {len(self.slopes)} classes, the logits have "
                f"{given.shape[1]}; use that of the same model."
            )
        values = sigmoid(given * np.array(self.slopes) + np.array(self.intercepts))
        for column, steps in enumerate(self.steps):
            if steps is not None:
                curve = np.interp(given[:, column], steps.logits, steps.probabilities)
                values[:, column] += STEP_SHARE * (curve - values[:, column])
        # so that a threshold of 1 gives nothing out
        return np.minimum(values, np.nextafter(1.0, 0.0))


def sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities of log-odds, in float64.

    Example:
        >>> import numpy as np
        >>> sigmoid(np.array([-1000.0, 0.0])).tolist()
        [0.0, 0.5]
    """
    import numpy as np

    decay = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + decay), decay / (1 + decay))
