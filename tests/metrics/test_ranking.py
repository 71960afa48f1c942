"""Average precision and AUC against scikit-learn, and against definitions written as loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from colabel.metrics import PROTOCOLS, average_precision, rank, roc_auc
from colabel.metrics import ranking as ranking_module


def column(scores, targets, dtype=np.float64):
    return np.array(scores, dtype=dtype)[:, None], np.array(targets, dtype=np.int8)[:, None]


def draw(seed, *, images=200, classes=7, levels=None, unknown=0.0, dtype=np.float64):
    """Scores, tied where `levels` is small, and targets of frequencies from rare to common."""
    generator = np.random.default_rng(seed)
    scores = generator.random((images, classes))
    if levels is not None:
        scores = np.round(scores * levels) / levels
    frequency = np.linspace(0.02, 0.9, classes)
    targets = (generator.random((images, classes)) < frequency).astype(np.int8)
    targets[generator.random((images, classes)) < unknown] = -1
    return scores.astype(dtype), targets


def loop_precisions_and_recalls(scores, targets):
    """Precision and recall at every distinct score, by counting, unknown labels left out."""
    known = [(s, t) for s, t in zip(scores, targets, strict=True) if t != -1]
    total = sum(t == 1 for _, t in known)
    points = []
    for cut in sorted({s for s, _ in known}, reverse=True):
        above = [t for s, t in known if s >= cut]
        points.append((sum(t == 1 for t in above) / len(above), sum(t == 1 for t in above), total))
    return points


def loop_average_precision(scores, targets, protocol):
    points = loop_precisions_and_recalls(scores, targets)
    if not points or points[0][2] == 0:
        return float("nan")
    total = points[0][2]
    if protocol == "voc11":
        best = [max(p for p, hits, _ in points if 10 * hits >= r * total) for r in range(11)]
        return sum(best) / 11
    area, before = 0.0, 0
    for place, (precision, hits, _) in enumerate(points):
        if protocol == "interpolated":
            precision = max(p for p, _, _ in points[place:])
        area += precision * (hits - before) / total
        before = hits
    return area


def loop_auc(scores, targets):
    positives = [s for s, t in zip(scores, targets, strict=True) if t == 1]
    negatives = [s for s, t in zip(scores, targets, strict=True) if t == 0]
    if not positives or not negatives:
        return float("nan")
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [None, 40, 3])
def test_equals_scikit_learn(levels, dtype):
    scores, targets = draw(0, levels=levels, dtype=dtype)
    ranking = rank(scores, targets)
    pairs = list(zip(targets.T, scores.T, strict=True))
    np.testing.assert_allclose(
        average_precision(ranking), [average_precision_score(t, s) for t, s in pairs], atol=1e-12
    )
    np.testing.assert_allclose(
        roc_auc(ranking), [roc_auc_score(t, s) for t, s in pairs], atol=1e-12
    )


def test_leaving_unknown_labels_out_equals_scikit_learn_on_the_known_ones():
    scores, targets = draw(1, levels=20, unknown=0.3)
    ranking = rank(scores, targets)
    for index, (truth, score) in enumerate(zip(targets.T, scores.T, strict=True)):
        known = truth != -1
        expected = average_precision_score(truth[known], score[known])
        assert average_precision(ranking)[index] == pytest.approx(expected, abs=1e-12)
        expected = roc_auc_score(truth[known], score[known])
        assert roc_auc(ranking)[index] == pytest.approx(expected, abs=1e-12)


cells = st.tuples(st.integers(0, 6).map(lambda level: level / 6), st.sampled_from([1, 0, -1]))


@given(rows=st.lists(cells, min_size=1, max_size=25))
def test_equals_the_loops(rows):
    scores, targets = zip(*rows, strict=True)
    ranking = rank(*column(scores, targets))
    for protocol in PROTOCOLS:
        np.testing.assert_allclose(
            average_precision(ranking, protocol=protocol)[0],
            loop_average_precision(scores, targets, protocol),
            atol=1e-12,
        )
    np.testing.assert_allclose(roc_auc(ranking)[0], loop_auc(scores, targets), atol=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_classes_at_once_equal_the_loops(protocol):
    scores, targets = draw(2, images=60, levels=15, unknown=0.2)
    targets[:, 2] = 0
    targets[:, 4] = -1
    targets[:, 6] = 1
    values = average_precision(rank(scores, targets), protocol=protocol)
    expected = [
        loop_average_precision(s, t, protocol) for s, t in zip(scores.T, targets.T, strict=True)
    ]
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert np.isnan(values[[2, 4]]).all()
    assert values[6] == 1


def test_worked_example_of_the_three_protocols():
    # ranks of the positives: 1, 3, 4; precision there: 1, 2/3, 3/4
    ranking = rank(*column([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0]))
    by_name = {p: average_precision(ranking, protocol=p)[0] for p in PROTOCOLS}
    assert by_name["noninterpolated"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert by_name["interpolated"] == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)
    assert by_name["voc11"] == pytest.approx((4 * 1 + 7 * 3 / 4) / 11)


def test_voc11_reaches_a_recall_that_is_exactly_a_tenth():
    # 10 positives, 3 of them before the only negative: recall 0.3 is reached with precision 1
    targets = [1] * 3 + [0] + [1] * 7
    ranking = rank(*column(np.linspace(0.9, 0.1, 11), targets))
    assert average_precision(ranking, protocol="voc11")[0] == pytest.approx((4 + 7 * 10 / 11) / 11)


def test_all_scores_equal_gives_the_frequency_and_half():
    ranking = rank(*column([0.4] * 8, [1, 0, 0, 0, 0, 0, 1, 0]))
    for protocol in PROTOCOLS:
        assert average_precision(ranking, protocol=protocol)[0] == pytest.approx(0.25)
    assert roc_auc(ranking)[0] == 0.5


def test_unknown_labels_on_top_do_not_divide_by_zero():
    ranking = rank(*column([0.9, 0.8, 0.7], [-1, -1, 1]))
    assert average_precision(ranking)[0] == 1
    assert np.isnan(roc_auc(ranking)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbouring_and_extreme_floats_keep_their_order(dtype):
    one, zero = dtype(1), dtype(0)
    scores = [one, np.nextafter(one, zero), np.nextafter(zero, one), zero, -zero]
    scores, targets = column(scores, [0, 1, 0, 0, 1], dtype)
    # 0 and -0 are one score
    assert rank(scores, targets).known.tolist() == [2, 5]
    assert roc_auc(rank(scores, targets))[0] == pytest.approx((2 + 0.5) / 6)


def test_blocks_of_classes_change_nothing(monkeypatch):
    scores, targets = draw(3, classes=11, levels=30, unknown=0.1)
    targets[:, 5] = 0
    whole = rank(scores, targets)
    for elements in (1, 400, 1000):
        monkeypatch.setattr(ranking_module, "_BLOCK_ELEMENTS", elements)
        parts = rank(scores, targets)
        for name, values in vars(whole).items():
            np.testing.assert_array_equal(getattr(parts, name), values)


def test_a_large_set_does_not_overflow():
    images = 140_000
    scores = np.linspace(0, 1, images)[:, None]
    targets = (np.arange(images) % 2).astype(np.int8)[:, None]
    pairs = (images // 2) ** 2
    exact = (pairs / 2 + images / 4) / pairs  # the i-th positive beats i of n negatives
    assert roc_auc(rank(scores, targets))[0] == pytest.approx(exact, abs=1e-12)


@given(
    st.lists(st.floats(-(2.0**99), 2.0**99, width=32) | st.sampled_from([0.0, -0.0]), min_size=1),
    st.booleans(),
)
def test_numbers_in_order_compare_as_logits_do(values, finer):
    logits = np.array(values, dtype=np.float64)[:, None]
    if finer:  # by less than float32 can tell
        logits = logits + 1e-9 * np.arange(len(values))[:, None]
    found = ranking_module.in_order(logits)[:, 0]
    assert ((found >= 0) & (found < 1)).all()
    for sign in (np.less, np.equal):
        expected = sign(logits[:, 0][:, None], logits[:, 0])
        assert (sign(found[:, None], found) == expected).all()
