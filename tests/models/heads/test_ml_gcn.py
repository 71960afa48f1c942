"""ML-GCN's head against plain loops, and its fold into one linear layer."""

import pytest
import torch
from graph_cases import labels_of, map_of
from reference import graphs

from colabel.errors import ConfigError
from colabel.models import Classifier, Features, GraphConvolutionHead, GraphHead, build_encoder
from colabel.models.heads import label_graph

CHANNELS, HIDDEN = 5, 4


def head_of(classes, vectors="learned"):
    """A head on the graph of sparse labels; random vectors of a file, learned ones or none."""
    torch.manual_seed(0)
    given = {"learned": 3, "one_hot": None, "file": torch.randn(classes, 3)}[vectors]
    graph = label_graph(labels_of(classes))
    return GraphConvolutionHead(CHANNELS, graph, given, hidden=HIDDEN).double()


def by_loops(head, features):
    vectors = torch.eye(head.classes) if head.vectors is None else head.vectors
    return [
        graphs.ml_gcn_logits(
            image,
            head.graph.tolist(),
            vectors.tolist(),
            head.first.weight.tolist(),
            head.second.weight.tolist(),
        )
        for image in features.tolist()
    ]


@pytest.mark.parametrize("vectors", ["learned", "one_hot", "file"])
@pytest.mark.parametrize("classes", [1, 2, 80])
def test_the_logits_equal_the_loops(classes, vectors):
    head, features = head_of(classes, vectors), map_of(3, CHANNELS, 2, 3)
    largest, logits = head(features)
    expected = torch.tensor(by_loops(head, features), dtype=torch.float64)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(largest, features.amax(dim=(2, 3)))


@pytest.mark.parametrize("vectors", ["learned", "one_hot", "file"])
@pytest.mark.parametrize("classes", [2, 80])
def test_the_classifiers_start_as_large_as_those_of_a_linear_layer(classes, vectors):
    """Whatever the size of the vectors and the graph: no large logits are to be unlearned."""
    torch.manual_seed(1)
    given = {"learned": 30, "one_hot": None, "file": 7 * torch.randn(classes, 30)}[vectors]
    head = GraphConvolutionHead(64, label_graph(labels_of(classes)), given, hidden=50)
    usual = torch.nn.Linear(64, 2000).weight.square().mean().sqrt()
    size = head.classifiers().square().mean().sqrt()
    assert size.item() == pytest.approx(usual.item(), rel=0.03)


def test_without_a_graph_yet_the_weights_are_still_to_come():
    head = GraphConvolutionHead(8, torch.eye(3), torch.zeros(3, 5), hidden=4)
    assert head.second.weight.isfinite().all()
    assert head.second.weight.abs().max() > 0


def test_six_hundred_classes():
    head, features = head_of(600), map_of(1, CHANNELS, 2, 2)
    expected = torch.tensor(by_loops(head, features), dtype=torch.float64)
    torch.testing.assert_close(head(features)[1], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("vectors", ["learned", "one_hot", "file"])
def test_gradients_reach_every_parameter_and_no_fixed_vector(vectors):
    head = head_of(4, vectors)
    features = map_of(1, CHANNELS, 2, 2).requires_grad_()  # a batch of one
    assert torch.autograd.gradcheck(lambda given: head(given)[1], features)
    head(features)[1].square().sum().backward()
    names = {name for name, _ in head.named_parameters()}
    assert names == {"first.weight", "second.weight"} | ({"vectors"} & {_learned(vectors)})
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    assert "graph" in head.state_dict()
    assert ("vectors" in head.state_dict()) == (vectors != "one_hot")


def _learned(vectors):
    return "vectors" if vectors == "learned" else ""


@pytest.mark.parametrize("vectors", ["learned", "one_hot", "file"])
def test_folded_it_answers_the_same_with_one_linear_layer(vectors):
    head, features = head_of(80, vectors).float(), map_of(3, CHANNELS, 2, 3, dtype=torch.float32)
    folded = head.folded()
    before, after = head(features), folded(features)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert {name: tuple(part.shape) for name, part in folded.state_dict().items()} == {
        "weight": (80, CHANNELS)
    }
    assert not after[1].requires_grad
    with torch.no_grad():
        head.second.weight.add_(1)
    assert torch.equal(folded(features)[1], after[1])  # what it was when it was folded
    assert not torch.allclose(head(features)[1], after[1])


def test_a_folded_classifier_keeps_encoder_and_mode():
    torch.manual_seed(0)
    encoder = build_encoder("test_efficientnet")
    head = GraphHead(GraphConvolutionHead(encoder.map_channels, torch.eye(3), 4, hidden=6))
    model = Classifier(encoder, head).eval()
    folded = model.folded()
    assert folded.encoder is model.encoder
    assert not folded.training
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(folded(images).logits, model(images).logits)
    exported = torch.export.export(_Logits(folded), (images,))
    torch.testing.assert_close(exported.module()(images), model(images).logits)
    whole = torch.export.export(_Logits(model), (images,))
    torch.testing.assert_close(whole.module()(images), model(images).logits)


class _Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images).logits


def test_it_computes_in_float32_under_autocast():
    head, features = head_of(4).float(), map_of(2, CHANNELS, 2, 2, dtype=torch.float32)
    expected = head(features)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(features)[1], expected)
        assert torch.equal(head.folded()(features)[1], expected)
        assert head(features.bfloat16())[1].dtype == torch.float32


def test_the_published_size():
    head = GraphConvolutionHead(2048, torch.eye(80), torch.zeros(80, 300))
    assert sum(parameter.numel() for parameter in head.parameters()) == 300 * 1024 + 1024 * 2048


def test_what_does_not_fit_is_refused(unchecked_shapes):
    with pytest.raises(ConfigError, match="width and classes must be at least 1"):
        GraphConvolutionHead(0, torch.eye(3), 4)
    head = GraphHead(head_of(3))
    with pytest.raises(ValueError, match=r"= \(batch, 5, height, width\), got \(2, 4, 3, 3\)"):
        head(Features(None, map_of(2, 4, 3, 3)))
    with pytest.raises(ValueError, match="there is no feature map"):
        head(Features(torch.zeros(2, CHANNELS)))
