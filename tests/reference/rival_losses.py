"""The losses of other papers as loops over Python floats.

Focal (arXiv:1708.02002), ZLPR (arXiv:2208.02955), two-way (CVPR 2023), supervised contrastive with
three rules for positives (arXiv:2004.11362; AAAI 2024) and similarity-dissimilarity
(arXiv:2410.13439). Nothing here is fast, clever or safe against overflow. Labels are 1 (present),
0 (absent), -1 (unknown). The papers have no unknown labels. The rules:

* an unknown label is in no sum over labels, and makes no anchor and no positive;
* two label sets are the same if no label that both know differs, and they share a label or all
  labels of both are known;
* an anchor, row or column without a positive is left out of the mean; a mean over nothing is 0;
* a row or column of the two-way loss without an absent label is worth 0 and counts in the mean;
* the similarity-dissimilarity weight multiplies the logarithm.
"""

import math
from collections.abc import Sequence

Vector = Sequence[float]
Labels = Sequence[int]


def focal(logits: Vector, labels: Labels, *, gamma: float, alpha: float) -> float:
    """FL of one image, the sum over its labels."""
    total = 0.0
    for logit, label in zip(logits, labels, strict=True):
        if label == -1:
            continue
        probability = 1 / (1 + math.exp(-logit))
        given = probability if label == 1 else 1 - probability
        weight = alpha if label == 1 else 1 - alpha
        total -= weight * (1 - given) ** gamma * math.log(given)
    return total


def zlpr(logits: Vector, labels: Labels) -> float:
    """ZLPR of one image."""
    absent = present = 1.0
    for logit, label in zip(logits, labels, strict=True):
        if label == 0:
            absent += math.exp(logit)
        if label == 1:
            present += math.exp(-logit)
    return math.log(absent) + math.log(present)


def one_way(
    logits: Vector, labels: Labels, *, temperature_positive: float, temperature_negative: float
) -> float:
    """The term of one row or column of the two-way loss that has a present label."""
    absent = present = 0.0
    for logit, label in zip(logits, labels, strict=True):
        if label == 0:
            absent += math.exp(logit / temperature_negative)
        if label == 1:
            present += math.exp(-logit / temperature_positive)
    if absent == 0:
        return 0.0
    margin = temperature_negative * math.log(absent) + temperature_positive * math.log(present)
    return math.log(1 + math.exp(margin))


def two_way(
    logits: Sequence[Vector], labels: Sequence[Labels], *, positive: float, negative: float
) -> float:
    """The two-way loss of a batch; ``positive`` and ``negative`` are the temperatures."""
    total = 0.0
    columns = list(zip(*logits, strict=True)), list(zip(*labels, strict=True))
    for values, targets in ((logits, labels), columns):
        terms = []
        for row, given in zip(values, targets, strict=True):
            if 1 in given:
                terms.append(
                    one_way(
                        row, given, temperature_positive=positive, temperature_negative=negative
                    )
                )
        if terms:
            total += sum(terms) / len(terms)
    return total


def surprise(anchor: int, other: int, embeddings: Sequence[Vector], temperature: float) -> float:
    """-log softmax of the cosine over all other images of the batch."""

    def cosine(i: int, j: int) -> float:
        product = sum(a * b for a, b in zip(embeddings[i], embeddings[j], strict=True))
        lengths = [math.sqrt(sum(a * a for a in embeddings[k])) for k in (i, j)]
        return product / (lengths[0] * lengths[1])

    total = 0.0
    for image in range(len(embeddings)):
        if image != anchor:
            total += math.exp(cosine(anchor, image) / temperature)
    return -math.log(math.exp(cosine(anchor, other) / temperature) / total)


def same_set(first: Labels, second: Labels) -> bool:
    """Whether two label sets are the same, as far as both are known."""
    shared = False
    for a, b in zip(first, second, strict=True):
        if a == -1 or b == -1:
            continue
        if a != b:
            return False
        shared = shared or a == 1
    return shared or (-1 not in first and -1 not in second)


def share_a_label(first: Labels, second: Labels) -> bool:
    """Whether a label is present in both."""
    return any(a == b == 1 for a, b in zip(first, second, strict=True))


def supervised_contrastive(
    embeddings: Sequence[Vector], labels: Sequence[Labels], *, positives: str, temperature: float
) -> float:
    """SupCon with positives "all" or "any": the mean over anchors that have one."""
    rule = same_set if positives == "all" else share_a_label
    terms = []
    for i in range(len(labels)):
        found = [p for p in range(len(labels)) if p != i and rule(labels[i], labels[p])]
        if found:
            values = [surprise(i, p, embeddings, temperature) for p in found]
            terms.append(sum(values) / len(values))
    return sum(terms) / len(terms) if terms else 0.0


def mulsupcon(
    embeddings: Sequence[Vector],
    labels: Sequence[Labels],
    *,
    temperature: float,
    average: str = "pairs",
) -> float:
    """MulSupCon: the positives of each label of an anchor; "images" weighs pairs 1 / (|y_i| B)."""
    total, pairs = 0.0, 0
    for i in range(len(labels)):
        own = [k for k, label in enumerate(labels[i]) if label == 1]
        for k in own:
            found = [p for p in range(len(labels)) if p != i and labels[p][k] == 1]
            if not found:
                continue
            value = sum(surprise(i, p, embeddings, temperature) for p in found) / len(found)
            pairs += 1
            total += value if average == "pairs" else value / (len(own) * len(labels))
    if average == "images":
        return total
    return total / pairs if pairs else 0.0


def similarity_dissimilarity(
    embeddings: Sequence[Vector], labels: Sequence[Labels], *, temperature: float
) -> float:
    """The mean over anchors of the weighted mean over the images that share a label."""
    terms = []
    for i, anchor in enumerate(labels):
        values = []
        for p, sample in enumerate(labels):
            if p == i or not share_a_label(anchor, sample):
                continue
            known = [
                k for k in range(len(anchor)) if anchor[k] != -1 and sample[k] != -1
            ]  # of both
            own = {k for k in known if anchor[k] == 1}
            other = {k for k in known if sample[k] == 1}
            similarity = len(own & other) / len(own)
            dissimilarity = 1 / (1 + len(other - own))
            weight = similarity * dissimilarity
            values.append(weight * surprise(i, p, embeddings, temperature))
        if values:
            terms.append(sum(values) / len(values))
    return sum(terms) / len(terms) if terms else 0.0
