"""CSRA, ML-Decoder and Query2Label against plain loops, timm's layer and their counts."""

import pytest
import torch
from reference import attention_heads as reference
from timm.layers.ml_decoder import MLDecoder
from torch import nn

from colabel.build.model import build_head
from colabel.models import (
    CSRAHead,
    CSRAPooling,
    Features,
    GeneralisedMeanPooling,
    KernelMixtureHead,
    MLDecoderPooling,
    Query2LabelPooling,
    build_encoder,
)
from colabel.models.classifier import Head
from colabel.models.heads import LinearHead
from colabel.models.pooling import AveragePooling, MaxPooling
from colabel.settings import CSRASettings, LinearSettings
from colabel.settings import MLDecoderPooling as MLDecoderSettings

CHANNELS, ROWS, COLUMNS = 6, 2, 3


def map_of(batch=2, channels=CHANNELS, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, ROWS, COLUMNS, generator=generator, dtype=dtype)


def positions_of(values):
    return values.flatten(1).T.tolist()


def drawn(module):
    """Return a module in evaluation whose every parameter is random."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def state_of(module):
    return {name: value.tolist() for name, value in module.state_dict().items()}


class TestPlainPoolings:
    def test_average_and_maximum(self):
        values = map_of()
        features = Features(None, values)
        torch.testing.assert_close(AveragePooling()(features), values.mean(dim=(2, 3)))
        torch.testing.assert_close(MaxPooling()(features), values.amax(dim=(2, 3)))

    @pytest.mark.parametrize("exponent", [1.0, 3.0, 7.5, 100.0])
    def test_generalised_mean(self, exponent):
        values = 5 * map_of()
        pooled = GeneralisedMeanPooling(exponent).double()(Features(None, values))
        for image in range(2):
            for channel in range(CHANNELS):
                cells = [max(v, 1e-6) for v in values[image, channel].flatten().tolist()]
                expected = (sum(v**exponent for v in cells) / len(cells)) ** (1 / exponent)
                assert pooled[image, channel].item() == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("start", [1.0, 0.7])
    def test_an_exponent_at_its_bound_goes_on_learning(self, start):
        """What was learned below 1 counts as 1 and comes back."""
        values = 5 * map_of()
        pooling = GeneralisedMeanPooling(start).double()
        torch.testing.assert_close(
            pooling(Features(None, values)), values.clamp(min=1e-6).mean(dim=(2, 3))
        )
        optimiser = torch.optim.SGD(pooling.parameters(), lr=0.05)
        for _ in range(40):
            optimiser.zero_grad()
            (-pooling(Features(None, values))).mean().backward()
            optimiser.step()
        assert pooling.exponent > 1.1

    def test_generalised_mean_of_large_and_vanishing_features_is_finite_with_gradient(self):
        values = torch.tensor([1e12, 0.0, -5.0, 1e-9]).view(1, 1, 2, 2).requires_grad_()
        pooling = GeneralisedMeanPooling(20.0)
        pooling(Features(None, values)).sum().backward()
        assert torch.isfinite(values.grad).all()
        assert torch.isfinite(pooling.exponent.grad)


class TestCSRA:
    @pytest.mark.parametrize("temperatures", [(1.0,), (1.0, 99.0), (1.0, 2.0, 4.0, 99.0)])
    @pytest.mark.parametrize("classes", [1, 2, 80])
    def test_logits(self, classes, temperatures):
        values = map_of()
        head = drawn(CSRAHead(CHANNELS, classes, temperatures, residual=0.4))
        output = head(Features(None, values))
        for image in range(2):
            for label in range(classes):
                expected = reference.csra_logit(
                    positions_of(values[image]),
                    head.classifiers[:, label].tolist(),
                    temperatures,
                    0.4,
                )
                assert output.logits[image, label].item() == pytest.approx(expected, rel=1e-9)

    def test_features_are_what_is_looked_at(self):
        values = map_of()
        pooling = drawn(CSRAPooling(CHANNELS, 3, temperature=2.0, residual=0.7))
        pooled = pooling(Features(None, values))
        head = CSRAHead(CHANNELS, 3, (2.0,), residual=0.7).double()
        with torch.no_grad():
            head.classifiers.copy_(pooling.directions[None])
        torch.testing.assert_close(head(Features(None, values)).features, pooled)
        for image in range(2):
            for label in range(3):
                expected = reference.csra_features(
                    positions_of(values[image]), pooling.directions[label].tolist(), 2.0, 0.7
                )
                assert pooled[image, label].tolist() == pytest.approx(expected, rel=1e-9)

    def test_parameters(self):
        head = CSRAHead(2048, 80, (1.0, 2.0, 4.0, 99.0))
        assert sum(p.numel() for p in head.parameters()) == 4 * 80 * 2048
        assert 0.0099 < head.classifiers.std().item() < 0.0101

    def test_the_papers_temperatures(self):
        encoder = build_encoder("test_efficientnet")
        head = build_head(CSRASettings(heads=6), encoder, 3)
        assert head.temperatures == (1, 2, 3, 4, 5, 99)
        head = build_head(CSRASettings(temperatures=(3.0, 99.0)), encoder, 3)
        assert head.temperatures == (3, 99)


class TestMLDecoder:
    @pytest.mark.parametrize(("classes", "queries"), [(1, 1), (2, 2), (7, 3), (5, 2), (4, None)])
    def test_features(self, classes, queries):
        values = map_of()
        pooling = MLDecoderPooling(CHANNELS, classes, queries, width=8, heads=2, hidden=5)
        pooling = drawn(pooling)
        pooled = pooling(Features(None, values))
        assert pooled.shape == (2, classes, 8)
        for image in range(2):
            expected = reference.ml_decoder(
                state_of(pooling), classes, 2, positions_of(values[image])
            )
            torch.testing.assert_close(pooled[image], torch.tensor(expected).double())

    @pytest.mark.parametrize(("classes", "groups"), [(5, 5), (80, 80), (12, 4), (600, 100)])
    def test_it_is_timms_head(self, classes, groups):
        oracle = MLDecoder(classes, groups, initial_num_features=24).eval()
        pooling = MLDecoderPooling(24, classes, groups).eval()
        head = Head(LinearHead(768, classes), pooling).eval()
        layer, own = oracle.decoder.layers[0], pooling.layer
        oracle.decoder = layer  # torch's decoder of one layer would ask it for self-attention
        with torch.no_grad():
            pooling.queries.copy_(oracle.query_embed.weight)
            for mine, theirs in (
                (pooling.tokens, oracle.embed_standart),
                (pooling.norm, layer.norm1),
                (own.norm_attended, layer.norm2),
                (own.norm_out, layer.norm3),
                (own.first, layer.linear1),
                (own.second, layer.linear2),
                (own.attention, layer.multihead_attn),
            ):
                mine.load_state_dict(theirs.state_dict())
            weights = oracle.duplicate_pooling  # groups, width, classes of a group
            head.readout.weight_layer.weight.copy_(weights.mT.flatten(0, 1)[:classes])
            head.readout.weight_layer.bias.copy_(oracle.duplicate_pooling_bias)
            values = map_of(3, 24, torch.float32)
            expected = oracle(values)
            found = head(Features(None, values)).logits
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    def test_parameters_and_fixed_queries(self):
        encoder = type("Encoder", (), {"map_channels": 2048, "width": 2048})()
        head = build_head(LinearSettings(pooling=MLDecoderSettings()), encoder, 80)
        assert 7.1e6 < sum(p.numel() for p in head.parameters()) < 7.2e6
        assert "pooling.queries" in dict(head.named_buffers())
        assert head.pooling.queries.shape == (80, 768)
        spread = head.readout.weight_layer.weight.std().item()
        assert spread == pytest.approx((2 / 848) ** 0.5, rel=0.02)

    def test_no_query_is_without_a_class(self):
        assert MLDecoderPooling(4, 101, width=8, heads=2).queries.shape == (51, 8)
        assert MLDecoderPooling(4, 3, 9, width=8, heads=2).queries.shape == (3, 8)


class TestQuery2Label:
    @pytest.mark.parametrize("among", [False, True])
    @pytest.mark.parametrize("layers", [(1, 2), (0, 1), (2, 1)])
    @pytest.mark.parametrize("classes", [1, 4])
    def test_features(self, classes, layers, among):
        values = map_of()
        pooling = Query2LabelPooling(
            CHANNELS, classes, width=8, heads=2, hidden=5, encoder_layers=layers[0],
            decoder_layers=layers[1], self_attention=among,
        )  # fmt: skip
        pooling = drawn(pooling)
        pooled = pooling(Features(None, values))
        for image in range(2):
            expected = reference.query2label(
                state_of(pooling), 2, positions_of(values[image]), ROWS, COLUMNS, layers, among
            )
            torch.testing.assert_close(
                pooled[image], torch.tensor(expected).double(), rtol=1e-6, atol=1e-6
            )

    def test_parameters_at_the_papers_width(self):
        with torch.device("meta"):
            pooling = Query2LabelPooling(2048, 80, width=2048)
        layers = sum(
            p.numel() for part in (pooling.encoder, pooling.decoder) for p in part.parameters()
        )
        assert 151e6 < layers < 151.2e6


def heads(classes=3):
    return {
        "csra": CSRAHead(CHANNELS, classes, (1.0, 99.0)),
        "kernel mixture on csra": Head(
            KernelMixtureHead(CHANNELS, classes), CSRAPooling(CHANNELS, classes)
        ),
        "ml_decoder": Head(
            LinearHead(8, classes), MLDecoderPooling(CHANNELS, classes, 2, width=8, heads=2)
        ),
        "kernel mixture on ml_decoder": Head(
            KernelMixtureHead(8, classes), MLDecoderPooling(CHANNELS, classes, width=8, heads=2)
        ),
        "query2label": Head(
            LinearHead(8, classes),
            Query2LabelPooling(CHANNELS, classes, width=8, self_attention=True),
        ),
        "generalised mean": Head(LinearHead(CHANNELS, classes), GeneralisedMeanPooling()),
    }


@pytest.mark.parametrize("name", heads())
class TestEveryHead:
    def test_gradients_reach_every_parameter(self, name):
        torch.manual_seed(0)
        head = heads()[name].train()
        output = head(Features(None, map_of(5, dtype=torch.float32)))
        output_of = output.logits if output.mixture is None else output.mixture.mean
        loss = (output_of**2).sum() + (output.logits**2).sum()
        if output.mixture is not None:
            loss = loss + output.mixture.variance.sum()
        loss.backward()
        for parameter_name, parameter in head.named_parameters():
            assert parameter.grad is not None, parameter_name
            # a key's bias adds the same to all scores of a query, which softmax takes away
            assert parameter.grad.abs().sum() > 0, parameter_name

    def test_one_image_is_as_in_a_batch(self, name):
        head = heads()[name].double().eval()
        values = map_of(4)
        whole = head(Features(None, values)).logits
        alone = head(Features(None, values[2:3])).logits
        torch.testing.assert_close(whole[2:3], alone)

    def test_it_computes_in_float32_under_autocast(self, name):
        head = heads()[name].eval()
        values = map_of(2, dtype=torch.float32)
        expected = head(Features(None, values)).logits
        with torch.autocast("cpu", torch.bfloat16):
            output = head(Features(None, values))
        assert output.logits.dtype == torch.float32
        torch.testing.assert_close(output.logits, expected)

    def test_it_can_be_exported(self, name):
        class FromMap(nn.Module):
            def __init__(self, head):
                super().__init__()
                self.head = head

            def forward(self, values):
                return self.head(Features(None, values)).logits

        module = FromMap(heads()[name]).eval()
        values = map_of(3, dtype=torch.float32)
        batch = torch.export.Dim("batch", min=1, max=64)
        exported = torch.export.export(module, (values,), dynamic_shapes=({0: batch},))
        other = map_of(2, dtype=torch.float32, seed=5)
        torch.testing.assert_close(exported.module()(other), module(other))
