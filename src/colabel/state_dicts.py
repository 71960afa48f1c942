"""What differs between the tensors that are there and those that are expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colabel.errors import listed

Form = tuple[Sequence[int], str]
"""Shape of a tensor, and a word for its type."""


def differences(
    found: Mapping[str, Form], expected: Mapping[str, Form], *, optional: str = "\0"
) -> list[str]:
    """Return a clause for each kind of difference; none where all fits.

    Args:
        found: forms by name.
        expected: forms by name.
        optional: ending of names that may be missing.

    Example:
        >>> expected = {"weight": ((2, 3), "F32"), "bias": ((2,), "F32")}
        >>> for clause in differences({"weight": ((2, 4), "F32")}, expected): print(clause)
        1 missing: bias
        1 of another shape: weight (expected (2, 3), got (2, 4))
    """
    both = sorted(found.keys() & expected.keys())
    kinds = {
        "missing": [
            name for name in sorted(expected.keys() - found.keys()) if not name.endswith(optional)
        ],
        "left over": sorted(found.keys() - expected.keys()),
        "of another shape": [
            f"{name} (expected {tuple(expected[name][0])}, got {tuple(found[name][0])})"
            for name in both
            if tuple(found[name][0]) != tuple(expected[name][0])
        ],
        "of another type": [
            f"{name} (expected {expected[name][1]}, got {found[name][1]})"
            for name in both
            if found[name][1] != expected[name][1]
        ],
    }
    return [f"{len(names)} {kind}: {listed(names)}" for kind, names in kinds.items() if names]
