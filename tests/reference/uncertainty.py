"""Uncertainty and calibration as loops over Python floats.

Each function is the printed definition. Labels are 1 (present), 0 (absent), -1 (unknown), lists
of lists are images by classes.
"""

import itertools
import math
from collections.abc import Sequence

Vector = Sequence[float]
Labels = Sequence[int]


def curve_of_order(errors: Vector) -> tuple[list[float], list[float]]:
    """Coverage and selective risk of answers that are accepted in this order."""
    coverage, risk = [], []
    for accepted in range(1, len(errors) + 1):
        coverage.append(accepted / len(errors))
        risk.append(sum(errors[:accepted]) / accepted)
    return coverage, risk


def expected_curve(scores: Vector, errors: Vector) -> tuple[list[float], list[float]]:
    """Coverage and risk, the risk averaged over every order that sorts the scores."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] <= scores[b] for a, b in itertools.pairwise(order))
    ]
    curves = [curve_of_order([errors[i] for i in order]) for order in orders]
    risks = [sum(risk[i] for _, risk in curves) / len(curves) for i in range(len(scores))]
    return curves[0][0], risks


def area(coverage: Vector, risk: Vector) -> float:
    """AURC: the mean of the risk over the coverages."""
    return sum(risk) / len(coverage)


def generalised_area(coverage: Vector, risk: Vector) -> float:
    """AUGRC: the mean of coverage times risk."""
    return sum(c * r for c, r in zip(coverage, risk, strict=True)) / len(coverage)


def chance_of_order(lower: Vector, higher: Vector) -> float:
    """Chance that one of the higher scores is above one of the lower, ties counting half."""
    wins = sum((h > low) + (h == low) / 2 for h in higher for low in lower)
    return wins / (len(lower) * len(higher))


def accepted_at_95(inside: Vector, outside: Vector) -> float:
    """Share of outside at or below the first score that 95 of 100 inside are at or below."""
    for threshold in sorted(inside):
        if 100 * sum(s <= threshold for s in inside) >= 95 * len(inside):
            return sum(s <= threshold for s in outside) / len(outside)
    raise AssertionError("all of inside are at or below the highest of their scores")


def bins_of(probabilities: Vector, labels: Labels, bins: int) -> list[list[tuple[float, int]]]:
    """Known labels of one class by bins of equal mass; equal probabilities stay together."""
    known = [(p, y) for p, y in zip(probabilities, labels, strict=True) if y != -1]
    filled: list[list[tuple[float, int]]] = [[] for _ in range(bins)]
    for p, y in known:
        below = sum(q < p for q, _ in known)
        up_to = sum(q <= p for q, _ in known)
        filled[(below + up_to) * bins // (2 * len(known))].append((p, y))
    return filled


def calibration_error(probabilities: Vector, labels: Labels, bins: int) -> float:
    """Expected calibration error of one class; NaN where no label is known."""
    filled = bins_of(probabilities, labels, bins)
    total = sum(map(len, filled))
    if not total:
        return math.nan
    error = 0.0
    for one in filled:
        if one:
            mean = sum(p for p, _ in one) / len(one)
            share = sum(y for _, y in one) / len(one)
            error += len(one) / total * abs(mean - share)
    return error


def brier(probabilities: Vector, labels: Labels) -> float:
    """Brier score of one class; NaN where no label is known."""
    squares = [(p - y) ** 2 for p, y in zip(probabilities, labels, strict=True) if y != -1]
    return sum(squares) / len(squares) if squares else math.nan


def entropy(p: float) -> float:
    """Entropy of a label in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def logit(p: float) -> float:
    """Log-odds, infinite at 0 and 1."""
    if p <= 0:
        return -math.inf
    return math.inf if p >= 1 else math.log(p / (1 - p))


def margin(p: float, threshold: float) -> float:
    """Minus the distance of the log-odds from the threshold's."""
    if p == threshold:
        return 0.0
    first, second = logit(p), logit(threshold)
    return -math.inf if first == second else -abs(first - second)


def mutual_information(samples: Vector) -> float:
    """Entropy of the mean less the mean entropy."""
    mean = sum(samples) / len(samples)
    return entropy(mean) - sum(entropy(p) for p in samples) / len(samples)


def joint_energy(logits: Vector) -> float:
    """Minus the sum over the labels of log(1 + exp(s))."""
    return -sum(math.log(1 + math.exp(s)) for s in logits)


def centres(
    features: Sequence[Vector], targets: Sequence[Labels]
) -> tuple[list[list[float]], list[float]]:
    """Mean features of each class and the variance of each feature around them."""
    width, classes = len(features[0]), len(targets[0])
    members = [[i for i, row in enumerate(targets) if row[k] == 1] for k in range(classes)]
    means = [
        [sum(features[i][j] for i in one) / len(one) if one else math.nan for j in range(width)]
        for one in members
    ]
    total = sum(map(len, members))
    variances = [
        sum((features[i][j] - means[k][j]) ** 2 for k, one in enumerate(members) for i in one)
        / total
        for j in range(width)
    ]
    return means, variances


def distance_to_centres(feature: Vector, means: Sequence[Vector], variances: Vector) -> float:
    """Mean over the features of the squared distance in variances, to the nearest centre."""
    return min(
        sum((f - m) ** 2 / v for f, m, v in zip(feature, mean, variances, strict=True))
        / len(feature)
        for mean in means
        if not math.isnan(mean[0])
    )
