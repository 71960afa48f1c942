"""The graph of labels against plain loops, on sparse labels of which some are unknown."""

import pytest
import torch
from graph_cases import labels_of
from reference import graphs

from colabel.errors import ConfigError
from colabel.models.heads import conditional_frequencies, label_graph

SIZES = (1, 2, 80)


@pytest.mark.parametrize("classes", SIZES)
def test_frequencies_equal_the_loops(classes):
    labels = labels_of(classes)
    assert (labels == -1).any()
    expected = torch.tensor(graphs.frequencies(labels.tolist()), dtype=torch.float64)
    assert torch.equal(conditional_frequencies(labels), expected)


@pytest.mark.parametrize("norm", ["paper", "released"])
@pytest.mark.parametrize("classes", SIZES)
def test_the_graph_equals_eq_7_and_8(classes, norm):
    labels = labels_of(classes)
    expected = graphs.graph(labels.tolist(), threshold=0.4, neighbours=0.2, norm=norm)
    found = label_graph(labels, norm=norm)
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), rtol=1e-6, atol=0)
    if classes > 1:
        assert (found.fill_diagonal_(0) > 0).any()


def test_every_number_counts():
    labels = labels_of(80)
    for changes in ({"threshold": 0.9}, {"neighbours": 0.5}, {"norm": "released"}):
        numbers = {"threshold": 0.4, "neighbours": 0.2, "norm": "paper"} | changes
        expected = graphs.graph(labels.tolist(), **numbers)
        found = label_graph(labels, **changes)
        torch.testing.assert_close(
            found.double(), torch.tensor(expected).double(), rtol=1e-6, atol=0
        )
        assert not torch.allclose(found, label_graph(labels))


def test_a_class_without_images_stands_alone():
    labels = labels_of(80)
    assert not (labels[:, -1] == 1).any()
    for norm in ("paper", "released"):
        row = label_graph(labels, norm=norm)[-1]
        assert row[-1] == 1
        assert not row[:-1].any()
    nothing = torch.zeros(5, 3, dtype=torch.int8)
    assert torch.equal(label_graph(nothing), torch.eye(3))


def test_a_label_that_is_unknown_beside_another_is_not_counted_as_absent():
    known = torch.tensor([[1, 1], [1, 0], [1, 0]])
    unknown = torch.tensor([[1, 1], [1, -1], [1, -1]])
    assert conditional_frequencies(known)[0, 1] == pytest.approx(1 / 3)
    assert conditional_frequencies(unknown)[0, 1] == 1


def test_it_does_not_matter_how_many_images_are_counted_at_a_time(monkeypatch):
    labels = labels_of(80)
    whole = label_graph(labels)
    monkeypatch.setattr("colabel.models.heads.graph_of_labels._ROWS", 7)
    assert torch.equal(label_graph(labels), whole)


def test_six_hundred_classes():
    labels = labels_of(600, images=40, share=0.02)
    expected = graphs.graph(labels.tolist(), threshold=0.4, neighbours=0.2, norm="paper")
    torch.testing.assert_close(
        label_graph(labels).double(), torch.tensor(expected).double(), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.1}, r"threshold must be in \[0, 1\]"),
        ({"neighbours": 1}, r"neighbours in \[0, 1\), got 0.4 and 1"),
        ({"norm": "papers"}, "there is no norm 'papers'; did you mean 'paper'"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message, unchecked_shapes):
    with pytest.raises(ConfigError, match=message):
        label_graph(labels_of(2), **changes)
