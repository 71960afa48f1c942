"""The public path for saved predictions: reading them back and measuring them, without a model.

Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "predictions-test.npz"
    >>> logits = np.array([[2.0], [-1.0]], dtype=np.float32)
    >>> targets = np.array([[1], [0]], dtype=np.int8)
    >>> Predictions(("a.jpg", "b.jpg"), ("cat",), logits, targets, "test").save(path)
    >>> score_predictions(Predictions.load(path)).mean_average_precision
    1.0
"""

from colabel.runs.predictions import Predictions, score_predictions

__all__ = ["Predictions", "score_predictions"]
