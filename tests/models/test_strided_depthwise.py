"""Strided depthwise convolutions compute in float32 under automatic mixed precision."""

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from colabel.models import build_encoder
from colabel.models.strided_depthwise import keep_in_float32


@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2dSame])
def test_values_and_gradients_are_those_of_float32(kind):
    torch.manual_seed(0)
    plain = kind(8, 8, 3, stride=2, groups=8)
    kept = copy.deepcopy(plain)
    assert keep_in_float32(nn.Sequential(kept)) == 1
    images = torch.rand(2, 8, 9, 9)
    expected = plain(images)
    expected.square().sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert plain(images).dtype == torch.bfloat16
        found = kept(images)
    found.square().sum().backward()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(kept.weight.grad, plain.weight.grad, rtol=0, atol=0)
    torch.testing.assert_close(kept(images), expected, rtol=0, atol=0)
    assert list(kept.state_dict()) == list(plain.state_dict())
    assert isinstance(kept, kind)


@pytest.mark.parametrize(
    "options", [{"groups": 8}, {"stride": 2}, {"stride": 2, "groups": 4}], ids=str
)
def test_other_convolutions_keep_the_precision_they_are_given(options):
    layer = nn.Conv2d(8, 8, 3, **options)
    assert keep_in_float32(nn.Sequential(layer)) == 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.rand(2, 8, 9, 9)).dtype == torch.bfloat16


@pytest.mark.parametrize("frozen", [False, True], ids=["own norms", "folded norms"])
def test_encoders_have_them_in_float32(frozen):
    encoder = build_encoder("mobilenetv2_100", freeze_batch_norm=frozen)
    strided = [
        module
        for module in encoder.backbone.modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride[0] > 1
    ]
    kinds = []
    for module in strided:
        module.register_forward_hook(lambda _, __, output: kinds.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder.eval()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert kinds == [torch.float32] * 4
