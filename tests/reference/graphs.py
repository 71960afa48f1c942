"""ML-GCN and TDRG, equation by equation, as loops over Python floats.

Vectors are lists, matrices are lists of lists, a map is a list of channels, each a list of rows.
Labels are 1 (present), 0 (absent), -1 (unknown). The papers have no unknown labels: an image whose
label j is unknown does not count for how often j is present beside i. A convolution with a kernel
of one position is a matrix.
"""

import math


def dot(first, second):
    """Scalar product."""
    return sum(a * b for a, b in zip(first, second, strict=True))


def apply(weight, bias, vector):
    """A linear layer on one vector; ``bias`` may be None."""
    return [
        dot(row, vector) + (0.0 if bias is None else bias[index])
        for index, row in enumerate(weight)
    ]


def leaky(value):
    """LeakyReLU with a slope of 0.2."""
    return value if value > 0 else 0.2 * value


def sigmoid(value):
    """Logistic function."""
    return 1 / (1 + math.exp(-value))


def frequencies(labels):
    """ML-GCN, Sec. 3.4: P_ij, how often j is present where i is and j is known."""
    classes = len(labels[0])
    table = [[0.0] * classes for _ in range(classes)]
    for i in range(classes):
        for j in range(classes):
            both = known = 0
            for row in labels:
                if row[i] == 1 and row[j] != -1:
                    known += 1
                    both += row[j] == 1
            table[i][j] = both / known if known else 0.0
    return table


def graph(labels, *, threshold, neighbours, norm):
    """ML-GCN, Eq. 7 and 8, or the form of the published numbers, and D^-1/2 A D^-1/2."""
    table = frequencies(labels)
    classes = len(table)
    linked = [
        [1 if i != j and table[i][j] >= threshold else 0 for j in range(classes)]
        for i in range(classes)
    ]
    weighted = [[0.0] * classes for _ in range(classes)]
    for i in range(classes):
        for j in range(classes):
            if i == j:
                weighted[i][j] = 1 - neighbours if norm == "paper" else 1.0
            elif linked[i][j] and norm == "paper":
                weighted[i][j] = neighbours / sum(linked[i])
            elif linked[i][j]:
                column = sum(linked[k][j] for k in range(classes))
                weighted[i][j] = neighbours / (1 - neighbours) / column
    degree = [sum(row) for row in weighted]
    return [
        [weighted[i][j] / math.sqrt(degree[i]) / math.sqrt(degree[j]) for j in range(classes)]
        for i in range(classes)
    ]


def graph_layer(adjacency, vectors, weight):
    """ML-GCN, Eq. 2 before the activation: A H W, with W as rows of outputs."""
    products = [apply(weight, None, vector) for vector in vectors]
    return [
        [
            sum(row[k] * products[k][d] for k in range(len(products)))
            for d in range(len(products[0]))
        ]
        for row in adjacency
    ]


def ml_gcn_logits(image, adjacency, vectors, first, second):
    """ML-GCN, Fig. 2: classifiers of the graph on the largest feature over positions."""
    hidden = [[leaky(v) for v in row] for row in graph_layer(adjacency, vectors, first)]
    classifiers = graph_layer(adjacency, hidden, second)
    largest = [max(max(row) for row in channel) for channel in image]
    return [dot(classifier, largest) for classifier in classifiers]


# --- TDRG


def positions_of(image):
    """The vectors of all positions, row by row."""
    rows, columns = len(image[0]), len(image[0][0])
    return [[channel[r][c] for channel in image] for r in range(rows) for c in range(columns)]


def to_map(vectors, rows, columns):
    """The map whose positions these vectors are."""
    return [
        [[vectors[r * columns + c][d] for c in range(columns)] for r in range(rows)]
        for d in range(len(vectors[0]))
    ]


def pointwise(image, weight, bias=None):
    """A convolution of one position."""
    rows, columns = len(image[0]), len(image[0][0])
    return to_map([apply(weight, bias, v) for v in positions_of(image)], rows, columns)


def strided(image, weight, bias):
    """A convolution of 3 x 3 positions at every second one, without padding."""
    rows = (len(image[0]) - 3) // 2 + 1
    columns = (len(image[0][0]) - 3) // 2 + 1
    made = []
    for kernel, shift in zip(weight, bias, strict=True):
        plane = []
        for r in range(rows):
            line = []
            for c in range(columns):
                total = shift
                for d, taps in enumerate(kernel):
                    for i in range(3):
                        for j in range(3):
                            total += taps[i][j] * image[d][2 * r + i][2 * c + j]
                line.append(total)
            plane.append(line)
        made.append(plane)
    return made


def resize(image, rows, columns):
    """Bilinear, with the corners of the pixels aligned and not their centres."""
    old_rows, old_columns = len(image[0]), len(image[0][0])
    if (rows, columns) == (old_rows, old_columns):
        return image

    def around(index, new, old):
        place = max((index + 0.5) * old / new - 0.5, 0.0)
        low = min(int(place), old - 1)
        return low, min(low + 1, old - 1), place - low

    made = []
    for channel in image:
        plane = []
        for r in range(rows):
            top, bottom, down = around(r, rows, old_rows)
            line = []
            for c in range(columns):
                left, right, along = around(c, columns, old_columns)
                upper = (1 - along) * channel[top][left] + along * channel[top][right]
                lower = (1 - along) * channel[bottom][left] + along * channel[bottom][right]
                line.append((1 - down) * upper + down * lower)
            plane.append(line)
        made.append(plane)
    return made


def across_scales(scales):
    """TDRG, cross-scale attention: each scale with the product of the three."""
    rows, columns = len(scales[0][0]), len(scales[0][0][0])
    large = [resize(scale, rows, columns) for scale in scales]
    made = []
    for own, scale in zip(large, scales, strict=True):
        added = [
            [
                [
                    own[d][r][c] + large[0][d][r][c] * large[1][d][r][c] * large[2][d][r][c]
                    for c in range(columns)
                ]
                for r in range(rows)
            ]
            for d in range(len(own))
        ]
        made.append(resize(added, len(scale[0]), len(scale[0][0])))
    return made


def layer_norm(vector, weight, bias):
    """Layer normalisation of one vector."""
    mean = sum(vector) / len(vector)
    variance = sum((v - mean) ** 2 for v in vector) / len(vector)
    return [
        (v - mean) / math.sqrt(variance + 1e-5) * w + b
        for v, w, b in zip(vector, weight, bias, strict=True)
    ]


def transformer_layer(tokens, layer, *, heads):
    """One layer after Vaswani et al.: attention and a network, normalised after each."""
    inputs = [apply(layer["inputs.weight"], layer["inputs.bias"], token) for token in tokens]
    width = len(tokens[0])
    size = width // heads
    attended = []
    for mine in inputs:
        whole = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query = mine[:width][part]
            scores = [
                dot(query, other[width : 2 * width][part]) / math.sqrt(size) for other in inputs
            ]
            total = sum(math.exp(score) for score in scores)
            whole += [
                sum(
                    math.exp(score) / total * other[2 * width :][part][d]
                    for score, other in zip(scores, inputs, strict=True)
                )
                for d in range(size)
            ]
        attended.append(apply(layer["outputs.weight"], layer["outputs.bias"], whole))
    made = []
    for token, more in zip(tokens, attended, strict=True):
        one = layer_norm(
            [a + b for a, b in zip(token, more, strict=True)],
            layer["attention_norm.weight"],
            layer["attention_norm.bias"],
        )
        hidden = [max(v, 0.0) for v in apply(layer["first.weight"], layer["first.bias"], one)]
        two = apply(layer["second.weight"], layer["second.bias"], hidden)
        made.append(
            layer_norm(
                [a + b for a, b in zip(one, two, strict=True)],
                layer["network_norm.weight"],
                layer["network_norm.bias"],
            )
        )
    return made


def transform(image, layers, row_positions, column_positions, *, heads=4):
    """TDRG, transformer unit on one scale, with learned positions."""
    rows, columns = len(image[0]), len(image[0][0])
    tokens = []
    for index, vector in enumerate(positions_of(image)):
        place = row_positions[index // columns] + column_positions[index % columns]
        tokens.append([v + p for v, p in zip(vector, place, strict=True)])
    for layer in layers:
        tokens = transformer_layer(tokens, layer, heads=heads)
    return to_map(tokens, rows, columns)


def mean_of_highest(values):
    """TDRG, semantic branch: the mean of the highest twentieth of the positions."""
    count = max(1, len(values) // 20)
    return sum(sorted(values)[-count:]) / count


def collect(vectors, class_map):
    """Features of the positions added up for each class, weighted by its map's sigmoid."""
    return [
        [
            sum(sigmoid(class_map[p][k]) * vectors[p][d] for p in range(len(vectors)))
            for d in range(len(vectors[0]))
        ]
        for k in range(len(class_map[0]))
    ]


def nodes_to_logits(nodes, context, given):
    """TDRG, graph branch for one image: joint graph, exchange, the class's own classifier."""
    classes, width = len(nodes), len(nodes[0])
    table = [
        [
            sigmoid(v)
            for v in apply(given["relations.weight"], given["relations.bias"], context + n)
        ]
        for n in nodes
    ]  # table[j][i] is A_ij
    logits = []
    for k in range(classes):
        told = [
            leaky(sum(nodes[i][d] * table[k][i] for i in range(classes))) for d in range(width)
        ]
        more = [leaky(v) for v in apply(given["exchange.weight"], given["exchange.bias"], told)]
        node = [a + b for a, b in zip(nodes[k], more, strict=True)]
        own = given["graph_classifier.weight"][k]
        logits.append(dot(own, node) + given["graph_classifier.bias"][k])
    return logits


def normalise_batch(rows, weight, bias, mean=None, variance=None):
    """Batch normalisation with the statistics of the rows, or with given ones."""
    size, width = len(rows), len(rows[0])
    if mean is None:
        mean = [sum(row[d] for row in rows) / size for d in range(width)]
        variance = [sum((row[d] - mean[d]) ** 2 for row in rows) / size for d in range(width)]
    return [
        [
            (row[d] - mean[d]) / math.sqrt(variance[d] + 1e-5) * weight[d] + bias[d]
            for d in range(width)
        ]
        for row in rows
    ]


def tdrg(previous, last, given, *, running):
    """TDRG, a batch of images: answer, and the logits of transformer, graph and semantics.

    ``given`` holds the weights by their names; ``running`` tells whether batch normalisation
    takes the stored statistics.
    """
    layers = [
        {
            name.removeprefix(f"transformer.layers.{number}."): value
            for name, value in given.items()
            if name.startswith(f"transformer.layers.{number}.")
        }
        for number in range(3)
    ]
    rows, columns = given["transformer.row_positions"], given["transformer.column_positions"]
    branches, contexts, all_nodes = [], [], []
    for fine, coarse in zip(previous, last, strict=True):
        scales = [
            pointwise(fine, given["scales.0.weight"], given["scales.0.bias"]),
            pointwise(coarse, given["scales.1.weight"], given["scales.1.bias"]),
            strided(coarse, given["scales.2.weight"], given["scales.2.bias"]),
        ]
        scales = [transform(scale, layers, rows, columns) for scale in across_scales(scales)]
        pooled = [max(max(row) for row in channel) for scale in scales for channel in scale]
        of_transformer = apply(
            given["transformer_classifier.weight"], given["transformer_classifier.bias"], pooled
        )
        maps = [apply(given["class_map.weight"], None, v) for v in positions_of(coarse)]
        semantics = [mean_of_highest([m[k] for m in maps]) for k in range(len(maps[0]))]
        semantic = pointwise(coarse, given["semantic_nodes.weight"], given["semantic_nodes.bias"])
        of_map = collect(positions_of(semantic), maps)
        of_scale = [
            apply(given["scale_nodes.weight"], given["scale_nodes.bias"], node)
            for node in collect(positions_of(scales[1]), maps)
        ]
        all_nodes.append([a + b for a, b in zip(of_map, of_scale, strict=True)])
        means = [
            sum(map(sum, channel)) / (len(channel) * len(channel[0]))
            for scale in scales
            for channel in scale
        ]
        contexts.append(apply(given["context.weight"], given["context.bias"], means))
        branches.append((of_transformer, semantics))
    stored = (
        (given["context_norm.running_mean"], given["context_norm.running_var"]) if running else ()
    )
    normalised = normalise_batch(
        contexts, given["context_norm.weight"], given["context_norm.bias"], *stored
    )
    answers = []
    for (of_transformer, semantics), nodes, context in zip(
        branches, all_nodes, normalised, strict=True
    ):
        of_graph = nodes_to_logits(nodes, [leaky(v) for v in context], given)
        answer = [0.7 * t + 0.3 * g for t, g in zip(of_transformer, of_graph, strict=True)]
        answers.append((answer, [of_transformer, of_graph, semantics]))
    return answers


def deep_supervision(branches, labels):
    """TDRG: the soft margin of each branch, a mean over images and labels, added up."""
    total = 0.0
    for image, row in zip(branches, labels, strict=True):
        for logits in image:
            for logit, label in zip(logits, row, strict=True):
                if label == 1:
                    total += math.log1p(math.exp(-logit))
                elif label == 0:
                    total += math.log1p(math.exp(logit))
    return total / (len(labels) * len(labels[0]))
