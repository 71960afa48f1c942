"""The words that both a recipe and the arguments of functions use; imports nothing."""

from __future__ import annotations

from typing import Literal

Covariance = Literal["isotropic", "diagonal", "shared_diagonal", "shared_isotropic"]
"""What the kernels' covariances may be: see :class:`colabel.models.KernelMixtureHead`."""

Initialisation = Literal["linear", "paper", "paper_mean_variance"]
"""How the output layers of a mixture head start."""

Activation = Literal["gelu", "relu", "silu", "tanh"]
"""What the hidden layers of a :class:`colabel.models.MixtureDensityHead` apply."""

GraphNorm = Literal["paper", "released"]
"""How a graph of labels is weighted: see :func:`colabel.models.heads.label_graph`."""

Similarity = Literal["bhattacharyya", "mahalanobis", "gaussian"]
"""How the kernels of one class are compared between images (KMCL, Eq. 3, 2a and 2b)."""

MixtureSimilarity = Literal["correlation", "bhattacharyya"]
"""How the mixtures of two images are compared (ProbMCL, Sec. 2.2)."""

Overlap = Literal["jaccard", "cosine"]
"""How the labels of two images are compared (D of ProbMCL, Eq. 3)."""

Reduction = Literal["sum", "mean"]
"""What a loss does with the images of a batch."""

APProtocol = Literal["noninterpolated", "voc11", "interpolated"]
"""How average precision is computed: see :func:`colabel.metrics.average_precision`."""

CalibrationKind = Literal["temperature", "platt", "isotonic"]
"""How probabilities are corrected: see :func:`colabel.calibration.fit_calibration`."""

Positives = Literal["all", "any", "per_label"]
"""Which images are alike in :class:`colabel.losses.SupervisedContrastiveLoss`."""

PairAverage = Literal["pairs", "images"]
"""Whether every (anchor, label) pair or every image weighs the same in that loss."""

ProjectionKind = Literal["linear", "mlp"]
"""What brings features to embeddings: see :class:`colabel.models.Projection`."""
