"""CSRA, ML-Decoder and Query2Label as plain loops over lists of floats."""

import math


def dot(first, second):
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


def softmax(values):
    largest = max(values)
    exponentials = [math.exp(value - largest) for value in values]
    return [value / math.fsum(exponentials) for value in exponentials]


def weighted(weights, rows):
    return [
        math.fsum(w * row[d] for w, row in zip(weights, rows, strict=True))
        for d in range(len(rows[0]))
    ]


def linear(weight, bias, row):
    return [dot(w, row) + b for w, b in zip(weight, bias, strict=True)]


def layer_norm(row, gain, shift):
    mean = math.fsum(row) / len(row)
    variance = math.fsum((value - mean) ** 2 for value in row) / len(row)
    return [
        (value - mean) / math.sqrt(variance + 1e-5) * g + s
        for value, g, s in zip(row, gain, shift, strict=True)
    ]


def add(first, second):
    return [a + b for a, b in zip(first, second, strict=True)]


def csra_logit(positions, classifiers, temperatures, residual):
    """Return the logit of one class: a vector and a temperature per head."""
    logit = 0.0
    for vector, temperature in zip(classifiers, temperatures, strict=True):
        length = math.sqrt(dot(vector, vector))
        scores = [dot(vector, position) / length for position in positions]
        base = math.fsum(scores) / len(scores)
        if temperature == 99:
            attended = max(scores)
        else:
            weights = softmax([temperature * score for score in scores])
            attended = dot(weights, scores)
        logit += base + residual * attended
    return logit


def csra_features(positions, vector, temperature, residual):
    """Return the features of one class: the average and what it attends to."""
    length = math.sqrt(dot(vector, vector))
    weights = softmax([temperature * dot(vector, position) / length for position in positions])
    share = [1 / len(positions)] * len(positions)
    attended = weighted(weights, positions)
    return add(weighted(share, positions), [residual * value for value in attended])


def attention(state, heads, queries, keys, values):
    """Return what each query sees; ``state`` has torch's names of a multi-head attention."""
    width = len(queries[0])
    size = width // heads
    weight, bias = state["in_proj_weight"], state["in_proj_bias"]
    parts = [
        (weight[first : first + width], bias[first : first + width])
        for first in (0, width, 2 * width)
    ]
    asked, known, told = (
        [linear(*part, row) for row in rows]
        for part, rows in zip(parts, (queries, keys, values), strict=True)
    )
    seen = []
    for query in asked:
        row = []
        for head in range(heads):
            place = slice(head * size, (head + 1) * size)
            scores = [dot(query[place], key[place]) / math.sqrt(size) for key in known]
            row += weighted(softmax(scores), [value[place] for value in told])
        seen.append(linear(state["out_proj.weight"], state["out_proj.bias"], row))
    return seen


def layer(state, heads, queries, keys, values, looking=None):
    """Return the queries after attention and the two layers."""
    inner = {
        name.removeprefix("attention."): value
        for name, value in state.items()
        if name.startswith("attention.")
    }
    seen = attention(inner, heads, looking or queries, keys, values)
    out = []
    for query, row in zip(queries, seen, strict=True):
        row = layer_norm(
            add(query, row), state["norm_attended.weight"], state["norm_attended.bias"]
        )
        between = [max(0.0, v) for v in linear(state["first.weight"], state["first.bias"], row)]
        after = linear(state["second.weight"], state["second.bias"], between)
        out.append(layer_norm(add(row, after), state["norm_out.weight"], state["norm_out.bias"]))
    return out


def below(state, prefix):
    """Return what a state has under a name."""
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }


def ml_decoder(state, classes, heads, positions):
    """Return the features of each class of one image."""
    tokens = [
        [max(0.0, value) for value in linear(state["tokens.weight"], state["tokens.bias"], row)]
        for row in positions
    ]
    queries = [
        layer_norm([2 * value for value in query], state["norm.weight"], state["norm.bias"])
        for query in state["queries"]
    ]
    groups = layer(below(state, "layer."), heads, queries, tokens, tokens)
    size = math.ceil(classes / len(queries))
    return [groups[label // size] for label in range(classes)]


def places(rows, columns, width):
    """Return the code of each position, row by row."""
    half = width // 2

    def code(place, count):
        angle = 2 * math.pi * (place + 1) / count
        values = []
        for i in range(half):
            rate = 10_000 ** (-2 * (i // 2) / half)
            values.append(math.sin(angle * rate) if i % 2 == 0 else math.cos(angle * rate))
        return values

    return [code(r, rows) + code(c, columns) for r in range(rows) for c in range(columns)]


def query2label(state, heads, positions, rows, columns, layers, among):
    """Return the features of each class of one image."""
    tokens = [linear(state["tokens.weight"], state["tokens.bias"], row) for row in positions]
    code = places(rows, columns, len(tokens[0]))
    encoder, decoder = layers
    for number in range(encoder):
        placed = [add(token, place) for token, place in zip(tokens, code, strict=True)]
        tokens = layer(below(state, f"encoder.{number}."), heads, tokens, placed, tokens, placed)
    placed = [add(token, place) for token, place in zip(tokens, code, strict=True)]
    queries = state["queries"]
    for number in range(decoder):
        if among:
            seen = attention(below(state, f"among.{number}."), heads, queries, queries, queries)
            queries = [
                layer_norm(
                    add(query, row),
                    state[f"norms.{number}.weight"],
                    state[f"norms.{number}.bias"],
                )
                for query, row in zip(queries, seen, strict=True)
            ]
        queries = layer(below(state, f"decoder.{number}."), heads, queries, placed, tokens)
    return queries
