"""Which labels are wrong, by expectation and maximisation as plain loops over Python floats."""

import math


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def wrong(log_odds, given, dropped, added):
    """Return the chance that a given label is wrong, by Bayes' rule."""
    if given == -1:
        return 0.0
    true = sigmoid(log_odds)
    if given == 1:
        return added * (1 - true) / (added * (1 - true) + (1 - dropped) * true)
    return dropped * true / (dropped * true + (1 - added) * (1 - true))


def solve(matrix, right):
    """Return the solution of a few linear equations, by Gauss and Jordan."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(len(rows)):
            if row != column:
                factor = rows[row][column]
                rows[row] = [
                    value - factor * own
                    for value, own in zip(rows[row], rows[column], strict=True)
                ]
    return [row[-1] for row in rows]


def suspicions(logits, given, *, dependence, rounds, dependence_from=10):
    """Return the chance that each label is wrong; logits are calibrated already."""
    images, classes = len(logits), len(logits[0])
    slope, intercept = [0.0] * classes, [0.0] * classes  # of the log of the slope
    dropped, added = [0.02] * classes, [0.02] * classes
    alike = balanced = 0.02
    size = 0.3
    weights = [[0.0] * classes for _ in range(classes)]
    surplus = [
        [0.0 if y == -1 else y - sigmoid(s) for s, y in zip(*row, strict=True)]
        for row in zip(logits, given, strict=True)
    ]

    def own(i, k):
        return logits[i][k] * math.exp(slope[k]) + intercept[k]

    def others(i, k):
        return sum(surplus[i][j] * weights[j][k] for j in range(classes))

    def chances():
        return [
            [
                wrong(own(i, k) + others(i, k), given[i][k], dropped[k], added[k])
                for k in range(classes)
            ]
            for i in range(images)
        ]

    for done in range(rounds):
        now = chances()
        present_of = [
            [
                0.0 if y == -1 else 1 - chance if y == 1 else chance
                for chance, y in zip(*row, strict=True)
            ]
            for row in zip(now, given, strict=True)
        ]
        columns = [[i for i in range(images) if given[i][k] != -1] for k in range(classes)]
        present = [sum(present_of[i][k] for i in columns[k]) for k in range(classes)]
        absent = [len(columns[k]) - present[k] for k in range(classes)]
        ups = [sum(now[i][k] for i in columns[k] if given[i][k] == 1) for k in range(classes)]
        downs = [sum(now[i][k] for i in columns[k] if given[i][k] == 0) for k in range(classes)]
        shares = [
            alike * absent[k] / (alike * absent[k] + balanced * present[k]) for k in range(classes)
        ]
        alike = (sum(u * s for u, s in zip(ups, shares, strict=True)) + 0.2) / (sum(absent) + 10)
        balanced = (sum(u * (1 - s) for u, s in zip(ups, shares, strict=True)) + 0.2) / (
            sum(present) + 10
        )
        common = (sum(downs) + 0.2) / (sum(present) + 10)
        for k in range(classes):
            towards = min(0.4, alike + balanced * present[k] / absent[k])
            added[k] = min(0.4, max(1e-5, (ups[k] + 1000 * towards) / (absent[k] + 1000)))
            dropped[k] = min(
                0.4, max(1e-5, (downs[k] + 1000 * min(0.4, common)) / (present[k] + 1000))
            )
        steps = []
        for k in range(classes):
            g = [-slope[k] / 0.25**2, -intercept[k]]
            h = [[1 / 0.25**2, 0.0], [0.0, 1.0]]
            for i in columns[k]:
                chance = sigmoid(own(i, k) + others(i, k))
                x = (logits[i][k] * math.exp(slope[k]), 1.0)
                for a in range(2):
                    g[a] += (present_of[i][k] - chance) * x[a]
                    for b in range(2):
                        h[a][b] += chance * (1 - chance) * x[a] * x[b]
            steps.append([max(-0.5, min(0.5, step)) for step in solve(h, g)])
        for k in range(classes):
            slope[k] += steps[k][0]
            intercept[k] += steps[k][1]
        if dependence and done >= dependence_from:
            for _ in range(2):
                moved = {}
                for k in range(classes):
                    free = [j for j in range(classes) if j != k]
                    g = [-weights[j][k] / size**2 for j in free]
                    h = [
                        [
                            sum(surplus[i][a] * surplus[i][b] for i in range(images)) / 4
                            + (a == b) / size**2
                            for b in free
                        ]
                        for a in free
                    ]
                    for i in columns[k]:
                        rest = present_of[i][k] - sigmoid(own(i, k) + others(i, k))
                        for position, j in enumerate(free):
                            g[position] += rest * surplus[i][j]
                    for j, step in zip(free, solve(h, g), strict=True):
                        moved[j, k] = step
                for (j, k), step in moved.items():
                    weights[j][k] += step
            total = sum(weight**2 for row in weights for weight in row)
            for j in range(classes):
                for k in range(classes):
                    if j != k:
                        information = size**-2
                        for i in columns[k]:
                            chance = sigmoid(own(i, k) + others(i, k))
                            information += surplus[i][j] ** 2 * chance * (1 - chance)
                        total += 1 / information
            size = math.sqrt((total + 5 * 0.3**2) / (classes * (classes - 1) + 5))
    return chances()
