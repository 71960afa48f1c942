"""How often intervals of resampled images hold what they should, on drawn scores.

Two models of which one is a little better answer drawn images whose labels are known. The truth is
their mean mAP over many other samples of the same size, and that of the difference. Beside the
interval of the package stands the one whose percentiles are not moved.

    python benchmarks/interval_coverage.py

Takes three minutes on one core.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from colabel.metrics import (
    Answers,
    Resamples,
    centred_interval,
    evaluate_scores,
    paired_bootstrap,
)

SAMPLES = (
    (128, (0.03, 0.05, 0.1, 0.3)),
    (128, (0.02,) * 8),
    (400, (0.02, 0.05, 0.1, 0.3)),
    (2000, (0.01, 0.05, 0.1, 0.3)),
)
"""Images, and the share of them that carries each label."""
NOISES = (1.0, 1.15)
"""Of the two models; the labels lift their scores by 1.5."""
MANY = 200_000  # images that stand for all

Values = npt.NDArray[np.float64]


def sample(
    generator: np.random.Generator, images: int, shares: Values
) -> tuple[npt.NDArray[np.int8], list[Values]]:
    """Draw images: their labels, and the probabilities that each model gives them."""
    present = generator.random((images, len(shares))) < shares
    shared = 1.5 * present + generator.normal(size=present.shape)
    noises = [noise * generator.normal(size=present.shape) for noise in NOISES]
    return present.astype(np.int8), [1 / (1 + np.exp(1 - shared - noise)) for noise in noises]


def with_difference(values: Values) -> Values:
    """Return the values of the first model and their difference to the second's."""
    return np.stack([values[0], values[0] - values[1]])


def measured(targets: npt.NDArray[np.int8], scores: list[Values]) -> Values:
    """Return mAP and difference on the images as they are."""
    return with_difference(
        np.array([evaluate_scores(one, targets).mean_average_precision for one in scores])
    )


def coverage(
    images: int, shares: Values, *, trials: int, draws: int
) -> tuple[npt.NDArray[np.int64], Values]:
    """Return how many intervals held the truth, moved and not, and the truth."""
    generator = np.random.default_rng(1)
    others = [measured(*sample(generator, images, shares)) for _ in range(1500)]
    truth = np.mean(others, axis=0)
    held = np.zeros((2, 2), dtype=np.int64)
    for trial in range(trials):
        targets, scores = sample(np.random.default_rng(100 + trial), images, shares)
        drawn = paired_bootstrap(
            [Answers(one) for one in scores], targets, Resamples(images, draws, trial)
        )
        pairs = zip(
            with_difference(drawn.values["mAP"]), measured(targets, scores), truth, strict=True
        )
        for row, (values, observed, true) in enumerate(pairs):
            for column, centre in enumerate((observed, float(np.nanmean(values)))):
                interval = centred_interval(values, centre, units=images)
                held[row, column] += interval.low <= true <= interval.high
    return held, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=250)
    parser.add_argument("--draws", type=int, default=400)
    options = parser.parse_args()
    print("| images, positives a label | mAP, moved | not moved | difference, moved | not moved |")
    print("|---|---|---|---|---|")
    for images, given in SAMPLES:
        shares = np.array(given)
        held, truth = coverage(images, shares, trials=options.trials, draws=options.draws)
        told = " | ".join(f"{100 * count / options.trials:.1f} %" for count in held.flat)
        low, high = images * shares.min(), images * shares.max()
        print(f"| {images:,}, {low:.1f} to {high:.1f} | {told} |", flush=True)
        many = measured(*sample(np.random.default_rng(2), MANY, shares))
        print(
            f"  mAP of such samples {100 * truth[0]:.1f}, of {MANY:,} images {100 * many[0]:.1f}"
        )


if __name__ == "__main__":
    main()
