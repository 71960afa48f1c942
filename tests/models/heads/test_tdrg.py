"""TDRG's head against plain loops, whole and in its parts."""

import pytest
import torch
from graph_cases import map_of
from reference import graphs
from torch import nn

from colabel.errors import ConfigError
from colabel.models import Classifier, Features, GraphHead, TransformerGraphHead, build_encoder
from colabel.models.heads.scale_transformer import ScaleTransformer
from colabel.models.heads.tdrg import attend_across_scales, mean_of_highest

FINE, COARSE, WIDTH = 3, 4, 8
CLASSES = [1, 2, 80]


def head_of(classes, *, dropout=0.0):
    torch.manual_seed(0)
    head = TransformerGraphHead(FINE, COARSE, classes, width=WIDTH, dropout=dropout).double()
    with torch.no_grad():  # nothing at its start of 0 or 1, where it might not count
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        head.context_norm.running_mean.normal_()
        head.context_norm.running_var.uniform_(0.5, 2)
    return head


def maps_of(batch, side=3):
    return map_of(batch, FINE, 2 * side, 2 * side, seed=1), map_of(batch, COARSE, side, side)


def plain(head):
    given = {}
    for name, tensor in head.state_dict().items():
        one = tensor.ndim > 2 and set(tensor.shape[2:]) == {1}
        given[name] = (tensor.flatten(1) if one else tensor).tolist()
    return given


def by_loops(head, previous, last, *, running):
    answers = graphs.tdrg(previous.tolist(), last.tolist(), plain(head), running=running)
    return tuple(
        torch.tensor([answer[part] for answer in answers], dtype=torch.float64) for part in (0, 1)
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("classes", CLASSES)
def test_every_logit_equals_the_loops(classes, training):
    head, maps = head_of(classes).train(training), maps_of(2)
    expected, branches = by_loops(head, *maps, running=not training)
    vectors, logits, auxiliary = head(*maps)
    assert vectors.shape == (2, 3 * WIDTH)
    torch.testing.assert_close(auxiliary, branches, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


def test_a_larger_map_and_six_hundred_classes():
    head, maps = head_of(600).eval(), maps_of(1, side=5)
    expected, branches = by_loops(head, *maps, running=True)
    _, logits, auxiliary = head(*maps)
    torch.testing.assert_close(auxiliary, branches, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


def test_an_image_alone_in_a_batch_is_normalised_by_the_running_statistics():
    head, maps = head_of(3), maps_of(1)
    expected, _ = by_loops(head, *maps, running=True)
    before = head.context_norm.running_mean.clone()
    logits = head.train()(*maps)[1]
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(head.context_norm.running_mean, before)
    torch.testing.assert_close(head.eval()(*maps)[1], expected, rtol=1e-9, atol=1e-9)
    logits.sum().backward()
    assert head.context_norm.weight.grad.abs().max() > 0


def test_gradients_reach_every_parameter():
    head, maps = head_of(4, dropout=0.1).train(), maps_of(3)
    _, logits, auxiliary = head(*maps)
    (logits.square().sum() + auxiliary.square().sum()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_gradient_is_that_of_finite_differences_and_stops_where_the_paper_says():
    head = head_of(2).eval()
    previous, last = maps_of(1)
    previous.requires_grad_()
    of_graph = head(previous, last)[2][:, 1]
    # the fine stage reaches the graph through detached scales alone
    (gradient,) = torch.autograd.grad(of_graph.sum(), previous, allow_unused=True)
    assert not gradient.any()
    assert torch.autograd.gradcheck(lambda given: head(given, last)[2][:, 0], previous)
    frozen = last.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: head(previous.detach(), given)[2][:, 2], frozen)
    (gradient,) = torch.autograd.grad(head(previous, frozen)[2][:, 1].sum(), frozen)
    assert gradient.abs().max() > 0


def test_the_transformer_is_torchs_own_layer_with_other_names():
    torch.manual_seed(0)
    ours = ScaleTransformer(WIDTH, dropout=0.1).double().eval()
    features = map_of(2, WIDTH, 3, 4)
    rows, columns = ours.row_positions[:3, None], ours.column_positions[None, :4]
    places = torch.cat([rows.expand(3, 4, -1), columns.expand(3, 4, -1)], dim=2)
    tokens = features.permute(0, 2, 3, 1).add(places).flatten(1, 2)
    for layer in ours.layers:
        theirs = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, batch_first=True, dtype=torch.float64
        ).eval()
        names = {
            "self_attn.in_proj_weight": "inputs.weight",
            "self_attn.in_proj_bias": "inputs.bias",
            "self_attn.out_proj.weight": "outputs.weight",
            "self_attn.out_proj.bias": "outputs.bias",
        }
        for part, own in (
            ("linear1", "first"),
            ("linear2", "second"),
            ("norm1", "attention_norm"),
            ("norm2", "network_norm"),
        ):
            names |= {f"{part}.{kind}": f"{own}.{kind}" for kind in ("weight", "bias")}
        state = layer.state_dict()
        theirs.load_state_dict({name: state[own] for name, own in names.items()})
        tokens = theirs(tokens)
    expected = tokens.transpose(1, 2).reshape(features.shape)
    torch.testing.assert_close(ours(features), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sides", [((6, 6), (3, 3), (1, 1)), ((5, 8), (3, 4), (2, 1))])
def test_scales_of_any_size_look_at_each_other(sides):
    scales = [map_of(1, 2, *side, seed=seed) for seed, side in enumerate(sides)]
    expected = graphs.across_scales([scale[0].tolist() for scale in scales])
    for found, own in zip(attend_across_scales(scales), expected, strict=True):
        torch.testing.assert_close(
            found[0], torch.tensor(own, dtype=torch.float64), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("positions", [1, 9, 39, 40, 196])
def test_the_highest_twentieth_and_one_position_at_least(positions):
    values = map_of(1, 3, 1, positions)[0, :, 0][None]
    expected = [graphs.mean_of_highest(row) for row in values[0].tolist()]
    torch.testing.assert_close(mean_of_highest(values)[0], torch.tensor(expected).double())


def test_it_computes_in_float32_under_autocast():
    head = head_of(3).float().eval()
    maps = [given.float() for given in maps_of(2)]
    expected = head(*maps)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(*maps)[1], expected)
        assert head(*(given.bfloat16() for given in maps))[1].dtype == torch.float32


def test_dropout_is_for_training_alone():
    head, maps = head_of(3, dropout=0.5), maps_of(2)
    assert not torch.equal(head(*maps)[1], head(*maps)[1])
    head.eval()
    assert torch.equal(head(*maps)[1], head(*maps)[1])


def test_the_published_size():
    with torch.device("meta"):
        head = TransformerGraphHead(1024, 2048, 80)
    assert sum(parameter.numel() for parameter in head.parameters()) == 25_800_432


def test_a_classifier_can_be_exported():
    torch.manual_seed(0)
    encoder = build_encoder("test_resnet")
    channels = encoder.give_previous_stage()
    head = TransformerGraphHead(channels, encoder.map_channels, 3, width=8)
    model = Classifier(encoder, GraphHead(head)).eval()
    images = torch.randint(256, (2, 3, 96, 96), dtype=torch.uint8)
    exported = torch.export.export(_Logits(model), (images,))
    torch.testing.assert_close(exported.module()(images), model(images).logits)
    assert model.folded()(images).logits.shape == (2, 3)


class _Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images).logits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 6}, "width must be a positive multiple of 4, got 6"),
        ({"width": 0}, "width must be a positive multiple of 4, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"classes": 0}, "classes must be at least 1"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TransformerGraphHead(FINE, COARSE, **({"classes": 2} | changes))


def test_maps_that_do_not_fit_are_refused(unchecked_shapes):
    head = head_of(2)
    previous, last = maps_of(1)
    with pytest.raises(ConfigError, match=r"needs 3 x 3 positions of the last stage .* got 2 x 2"):
        head(previous, last[:, :, :2, :2])
    with pytest.raises(ValueError, match=r"= \(batch, 3, height, width\), got \(1, 4, 3, 3\)"):
        head(last, last)
    with pytest.raises(ConfigError, match="has 64 positions a side, got a map of 65 x 1"):
        ScaleTransformer(4)(torch.zeros(1, 4, 65, 1))
    with pytest.raises(ValueError, match="no map of the stage before the last"):
        GraphHead(head)(Features(None, last))
