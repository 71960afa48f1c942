"""Thresholds by trying every one, as plain loops."""

import math


def best_f1(probabilities, targets):
    """Return the highest F1 of one label over all thresholds, and the highest such one."""
    pairs = [(p, y) for p, y in zip(probabilities, targets, strict=True) if y != -1]
    best = (-1.0, 0.0)
    for threshold in sorted({p for p, _ in pairs}):
        hits = sum(1 for p, y in pairs if p >= threshold and y == 1)
        given = sum(1 for p, _ in pairs if p >= threshold)
        total = sum(1 for _, y in pairs if y == 1)
        f1 = 2 * hits / (given + total)
        best = max(best, (f1, threshold))
    return best


def binomial_tail(count, trials, chance):
    """Return P(Binomial(trials, chance) <= count)."""
    return math.fsum(
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(count + 1)
    )


def recall_threshold(probabilities, targets, recall, confidence):
    """Return the threshold of one label, None where there is none."""
    positives = sorted(p for p, y in zip(probabilities, targets, strict=True) if y == 1)
    n, chosen = len(positives), None
    for k in range(1, n + 1):
        if confidence is None:
            holds = k <= (1 - recall) * (n + 1) + 1e-9
        else:  # at most k - 1 of n fall into the lower share: unlikely enough
            holds = binomial_tail(k - 1, n, 1 - recall) <= 1 - confidence
        if holds:
            chosen = positives[k - 1]
    return chosen


def precision_threshold(probabilities, targets, precision, confidence):
    """Return the threshold of one label, None where there is none."""
    known = sorted(
        ((p, y) for p, y in zip(probabilities, targets, strict=True) if y != -1), reverse=True
    )
    error, images = 1 - confidence, len(probabilities)

    def errorless(tests):
        return next(j for j in range(1, 10**6) if precision**j <= error / tests * (1 + 1e-12))

    tests = 1
    while 10 * errorless(tests + 1) * 2**tests <= images:
        tests += 1
    chosen = None
    for power in range(tests):
        for j in range(errorless(tests) * 2**power, len(known) + 1):
            if j < len(known) and known[j][0] == known[j - 1][0]:
                continue
            errors = sum(1 for _, y in known[:j] if y == 0)
            if binomial_tail(errors, j, 1 - precision) > error / tests:
                break
            chosen = min(known[j - 1][0], 2 if chosen is None else chosen)
    return chosen


def missed_threshold(probabilities, targets, risk):
    """Return the common threshold, None where there is none."""
    images = [
        [p for p, y in zip(ps, ys, strict=True) if y == 1]
        for ps, ys in zip(probabilities, targets, strict=True)
    ]
    images = [positives for positives in images if positives]
    n, chosen = len(images), None
    for threshold in sorted({p for positives in images for p in positives}):
        loss = sum(
            sum(1 for p in positives if p < threshold) / len(positives) for positives in images
        )
        if (loss + 1) / (n + 1) <= risk + 1e-9:
            chosen = threshold
    return chosen


def one_of_each_group(targets, groups, order, positives):
    """Return targets with -1 where a label is not counted, as lists."""
    chosen = [[-1] * len(targets[0]) for _ in targets]
    for k in range(len(targets[0])):
        for group in set(groups):
            members = [i for i, name in enumerate(groups) if name == group]
            if positives:
                members = [i for i in members if targets[i][k] == 1]
            else:
                members = [i for i in members if targets[i][k] != -1]
            if members:
                first = min(members, key=lambda i: order[i])
                chosen[first][k] = targets[first][k]
    return chosen
