"""What is worth tuning of each method, and between which values, as ``colabel sweep`` reads it."""

from __future__ import annotations

from collections.abc import Mapping

COMMON: Mapping[str, str] = {
    "training.learning_rate": "1e-5..1e-2",
    "training.head_learning_rate": "x1..x100",
}
"""What every method has: the rate of the encoder, and how many times it that of the head is."""

OWN: Mapping[str, Mapping[str, str]] = {
    "kmcl": {
        "terms.classification.weight": "0.01..1",
        "terms.contrastive.weight": "0.01..1",
    },
    "probmcl": {
        "terms.contrastive.weight": "0.01..1",
        "method.classification.learning_rate": "1e-4..1e-1",
    },
}
"""What a method has beside them: the weights of its terms but one, which their common factor makes
redundant (KMCL, Table 6, gives (0, 1] for its two), and the rate of a stage of its own."""


def default_space(method: str) -> dict[str, str]:
    """Return the space a method is tuned in where none is given.

    Args:
        method: its name, as in ``method.name``.

    Returns:
        A range by dotted key of the recipe; all of them are logarithmic.

    Example:
        >>> default_space("asl")
        {'training.learning_rate': '1e-5..1e-2', 'training.head_learning_rate': 'x1..x100'}
        >>> default_space("kmcl")["terms.contrastive.weight"]
        '0.01..1'
    """
    return {**COMMON, **OWN.get(method, {})}
