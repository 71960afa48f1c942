"""A model measured on a split, by the papers' protocol and at its operating point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colabel.metrics import APProtocol, Report
from colabel.runs.choosing import fingerprint_of
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions, score_predictions


@dataclass(frozen=True)
class Measured:
    """Metrics of one set of predictions.

    Args:
        split: that was measured.
        report: by the protocol of the papers: the sigmoid of the logits, one threshold.
        at_point: with the calibrated probabilities and the thresholds of the operating point.
        point: the operating point.
        same_images: whether the operating point, or a threshold of it, was found on these very
            images, so that it does better on them than on others.
    """

    split: str
    report: Report
    at_point: Report
    point: OperatingPoint
    same_images: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: those of the reports, the second under ``operating_point``."""
        calibration = self.point.calibration
        return {
            "decisions": "uncalibrated",
            **self.report.to_dict(),
            "operating_point": {
                "decisions": "operating point",
                "target": self.point.target,
                "calibration": None if calibration is None else calibration.kind,
                "fitted_on": [
                    images.model_dump(mode="json") for images in self.point.all_fitted_on
                ],
                "same_images": self.same_images,
                "guaranteed": [rule.guaranteed for rule in self.point.rules],
                "rules": [rule.model_dump(mode="json") for rule in self.point.rules],
                **self.at_point.to_dict(),
            },
        }


def measure(
    predictions: Predictions, point: OperatingPoint, *, threshold: float, protocol: APProtocol
) -> Measured:
    """Measure predictions by the papers' protocol and at an operating point.

    Args:
        predictions: with targets.
        point: of the model.
        threshold: one probability for all labels, of the papers' protocol.
        protocol: how average precision is computed.

    Raises:
        DataError: if the predictions have no targets.
    """
    plain = OperatingPoint.plain(len(predictions.classes), threshold)
    fingerprint = fingerprint_of(predictions)
    report = score_predictions(predictions, plain, protocol=protocol)
    return Measured(
        split=predictions.split,
        report=report,
        at_point=score_predictions(predictions, point, protocol=protocol),
        point=point,
        same_images=any(images.fingerprint == fingerprint for images in point.all_fitted_on),
    )
