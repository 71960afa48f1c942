"""The bootstrap of several models as loops over Python floats.

A draw is a list of positions, some of them more than once: the metrics below go over it image by
image, with no weights. Labels are 1 (present), 0 (absent), -1 (unknown), lists of lists are images
by classes.
"""

import math
from collections.abc import Sequence

Vector = Sequence[float]
Labels = Sequence[int]


def drawn_images(weights: Sequence[int]) -> list[int]:
    """Positions of the images of a draw, each as often as it was taken."""
    return [image for image, weight in enumerate(weights) for _ in range(weight)]


def average_precision(scores: Vector, labels: Labels) -> float:
    """Precision at the end of each group of tied scores, weighted by the recall it adds."""
    known = [(s, y) for s, y in zip(scores, labels, strict=True) if y != -1]
    total = sum(y == 1 for _, y in known)
    if not total:
        return math.nan
    area, before = 0.0, 0
    for cut in sorted({s for s, _ in known}, reverse=True):
        above = [y for s, y in known if s >= cut]
        hits = sum(y == 1 for y in above)
        area += (hits - before) / total * hits / len(above)
        before = hits
    return area


def mean_average_precision(
    scores: Sequence[Vector], labels: Sequence[Labels], draw: Sequence[int]
) -> tuple[float, int]:
    """Mean over the classes that have a positive among the drawn images, and how many lack one."""
    values = [
        average_precision([scores[i][k] for i in draw], [labels[i][k] for i in draw])
        for k in range(len(labels[0]))
    ]
    defined = [value for value in values if not math.isnan(value)]
    mean = sum(defined) / len(defined) if defined else math.nan
    return mean, len(values) - len(defined)


def f1_scores(
    given: Sequence[Sequence[bool]], labels: Sequence[Labels], draw: Sequence[int]
) -> tuple[float, float]:
    """CF1 and OF1 of the labels given out for the drawn images."""
    precisions, recalls = [], []
    all_correct = all_chosen = all_positives = 0
    for k in range(len(labels[0])):
        known = [i for i in draw if labels[i][k] != -1]
        positives = sum(labels[i][k] == 1 for i in known)
        chosen = sum(given[i][k] for i in known)
        correct = sum(given[i][k] and labels[i][k] == 1 for i in known)
        all_correct, all_chosen = all_correct + correct, all_chosen + chosen
        all_positives += positives
        if positives:
            precisions.append(correct / chosen if chosen else 0.0)
            recalls.append(correct / positives)
    if not recalls:
        return math.nan, math.nan
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    overall_precision = all_correct / all_chosen if all_chosen else 0.0
    overall_recall = all_correct / all_positives
    return harmonic(precision, recall), harmonic(overall_precision, overall_recall)


def harmonic(first: float, second: float) -> float:
    """Harmonic mean, 0 of two zeros."""
    return 2 * first * second / (first + second) if first + second else 0.0


def percentile(values: Vector, share: float) -> float:
    """The value below which a share of the others lies, between neighbours on a straight line."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def centred(values: Vector, observed: float) -> list[float]:
    """The draws, moved so that their mean is the observed value."""
    mean = math.fsum(values) / len(values)
    return [value + (observed - mean) for value in values]


def p_value(differences: Vector) -> float:
    """Twice the smaller share of draws on one side of 0, 0 itself on both, one draw added."""
    below = 1 + sum(difference <= 0 for difference in differences)
    above = 1 + sum(difference >= 0 for difference in differences)
    return min(1.0, 2 * min(below, above) / (len(differences) + 1))


def holm(p_values: Vector) -> list[float]:
    """Adjusted p values: the largest of the multiplied ones up to its own place."""
    ordered = sorted(p_values)
    multiplied = [min(1.0, (len(ordered) - place) * p) for place, p in enumerate(ordered)]
    return [max(multiplied[: ordered.index(p) + 1]) for p in p_values]
