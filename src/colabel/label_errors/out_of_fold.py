"""Probabilities from classifiers that have not seen the label they judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from colabel.errors import DataError
from colabel.label_errors.folds import has_enough
from colabel.metrics.decisions import UNKNOWN

PENALTIES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
"""Strengths of the penalty on the weights that are tried, until one is worse than the last."""

_ITERATIONS = 50
_HISTORY = 10


@dataclass(frozen=True)
class OutOfFold:
    """What classifiers say of images that they have not seen.

    Args:
        logits: float32, shape (images, classes); NaN for a label with too few images.
        penalty: strength of the penalty that the images left out chose, the same for all labels.
        loss: mean log loss of the known labels, out of fold.
    """

    logits: npt.NDArray[np.float32]
    penalty: float
    loss: float


def out_of_fold_logits(
    features: Tensor, targets: npt.NDArray[np.int8], folds: npt.NDArray[np.int64]
) -> OutOfFold:
    r"""Train a linear classifier per fold on the images outside it, and apply it to those in it.

    .. math::
        \min_{W, b} \frac{1}{N} \sum_i \sum_{k\ \text{known}} \ell(y_{ik}, x_i W_k + b_k)
        + \frac{\lambda}{2} \lVert W \rVert^2

    with the log loss and features of mean 0, each of variance 1 / width over the images trained
    on. All labels are trained at once by L-BFGS on all images. The penalties are tried from the
    strongest on, each from the solution of the one before, until the log loss out of fold rises.
    One for each label was tried and found a little fewer planted errors in every case.

    Args:
        features: float32, shape (images, width); trained on the device where they are.
        targets: 1 present, 0 absent, -1 unknown.
        folds: of each image, from :func:`colabel.label_errors.assign_folds`.

    Returns:
        One logit per image and label; the same input gives the same on a processor.

    Raises:
        DataError: if features are not finite, or no label has images enough.

    Example:
        >>> targets = np.eye(2, dtype=np.int8)[np.arange(40) % 2]
        >>> features = torch.from_numpy(targets).float()
        >>> result = out_of_fold_logits(features, targets, np.arange(40) // 2 % 4)
        >>> bool(((result.logits > 0) == (targets == 1)).all())
        True
    """
    if not bool(torch.isfinite(features).all()):
        raise DataError(
            "the encoder gives features that are no finite numbers, so its weights are of no use; "
            "take others."
        )
    enough = has_enough(targets, folds)
    if not enough.any():
        raise DataError(
            f"no label has {int(folds.max()) + 1} images with it and as many without, spread over "
            "the folds; ask for fewer folds (--folds), or add images."
        )
    chosen = targets[:, enough]
    parts = [_Fold(features, chosen, folds == number) for number in range(int(folds.max()) + 1)]
    known = chosen != UNKNOWN
    logits = np.full(targets.shape, np.nan, dtype=np.float32)
    best = OutOfFold(logits, 0.0, float("inf"))
    for penalty in PENALTIES:
        found = np.empty(chosen.shape, dtype=np.float32)
        for part in parts:
            found[part.held_out] = part.fit(penalty)
        signed = np.where(chosen == 1, -found, found).astype(np.float64)
        loss = float(np.logaddexp(0, signed)[known].mean())
        if not loss < best.loss:
            break
        logits = logits.copy()
        logits[:, enough] = found
        best = OutOfFold(logits, penalty, loss)
    return best


class _Fold:
    """The classifier of one fold."""

    def __init__(
        self, features: Tensor, targets: npt.NDArray[np.int8], held_out: npt.NDArray[np.bool_]
    ) -> None:
        self.held_out = held_out
        self._features = features
        device, width = features.device, features.shape[1]
        self._rows = torch.from_numpy(np.flatnonzero(~held_out)).to(device)
        trained = features[self._rows]
        self._mean = trained.mean(dim=0)
        spread = trained.std(dim=0, correction=0)
        # a feature that never changes tells nothing, and must not be divided by 0
        self._scale = torch.where(spread > 1e-6 * spread.max(), 1 / (spread * width**0.5), 0.0)
        self._targets = torch.from_numpy(targets[~held_out]).to(device)
        self._known = self._targets != UNKNOWN
        present = (self._targets == 1).sum(dim=0)
        share = (present + 0.5) / (self._known.sum(dim=0) + 1)
        self._weight = torch.zeros(width, targets.shape[1], device=device)
        self._bias = torch.logit(share).float()

    def fit(self, penalty: float) -> npt.NDArray[np.float32]:
        """Train on from the last solution; return the logits of the images held out."""
        inputs = self._standardised(self._rows)
        present = (self._targets == 1).float()
        known = self._known.float()
        weight = self._weight.requires_grad_(True)
        bias = self._bias.requires_grad_(True)
        optimiser = torch.optim.LBFGS(
            [weight, bias],
            max_iter=_ITERATIONS,
            history_size=_HISTORY,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            logits = inputs @ weight + bias
            log_loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, present, known, reduction="sum"
            )
            total = log_loss / len(inputs) + penalty / 2 * weight.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        with torch.enable_grad():
            optimiser.step(loss)  # type: ignore[no-untyped-call]
        self._weight, self._bias = weight.detach(), bias.detach()
        held_out = torch.from_numpy(np.flatnonzero(self.held_out)).to(inputs.device)
        logits = self._standardised(held_out) @ self._weight + self._bias
        values: npt.NDArray[np.float32] = logits.cpu().numpy()
        return values

    def _standardised(self, rows: Tensor) -> Tensor:
        return (self._features[rows] - self._mean) * self._scale
