"""Features of timm's backbones, pooled and at each position, in every layout they come in."""

import pytest
import torch
from torch import nn

from colabel.errors import ConfigError
from colabel.models import Features, build_encoder

SMALL = {"img_size": 64}
BACKBONES = [
    ("test_byobnet", {}, 64),
    ("test_convnext", {}, 64),
    ("test_efficientnet", {}, 64),
    ("test_mambaout", {}, 64),  # channels last
    ("test_maxvit", {}, 160),
    ("test_nfnet", {}, 64),
    ("test_resnet", {}, 64),
    ("test_vit", SMALL, 64),  # a class token
    ("test_vit2", SMALL, 64),
    ("test_vit3", SMALL, 64),  # pooled by attention
    ("test_vit4", SMALL, 64),
    ("test_vit_relpos", SMALL, 64),
    ("mobilenetv3_small_050", {}, 64),
    ("resnet10t", {}, 64),
]
AVERAGED = ("test_byobnet", "test_resnet", "test_efficientnet", "resnet10t")


def pixels(height, width=None, *, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 3, height, height if width is None else width)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def encoder_of(name, **options):
    torch.manual_seed(0)
    return build_encoder(name, options=options).eval()


def normalised(encoder, images):
    shifted = images.float() - 255 * encoder.pixel_mean
    values = shifted / (255 * encoder.pixel_std)
    return values.contiguous(memory_format=encoder.memory_format)


@pytest.mark.parametrize(("name", "options", "size"), BACKBONES)
def test_the_vector_is_timms_to_the_bit_and_the_map_is_announced(name, options, size):
    encoder = encoder_of(name, **options)
    images = pixels(size)
    with torch.no_grad():
        expected = encoder.backbone(normalised(encoder, images))
        features = encoder(images)
    assert torch.equal(features.vector, expected)
    assert features.vector.shape == (2, encoder.width)
    assert features.map.shape[:2] == (2, encoder.map_channels)
    assert features.map.ndim == 4
    assert features.map.flatten(2).std(dim=2).max() > 0  # positions differ


@pytest.mark.parametrize("name", AVERAGED)
def test_the_mean_of_the_map_is_the_vector_where_averages_are_pooled(name):
    encoder = encoder_of(name)
    with torch.no_grad():
        features = encoder(pixels(96, 64))
    assert features.map.shape[2:] == (3, 2)
    torch.testing.assert_close(features.map.mean(dim=(2, 3)), features.vector)


def test_a_map_with_channels_first_is_what_the_backbone_pools():
    encoder = encoder_of("test_resnet")
    images = pixels(96, 64)
    with torch.no_grad():
        expected = encoder.backbone.forward_features(normalised(encoder, images))
        assert torch.equal(encoder(images).map, expected)


@pytest.mark.parametrize(
    ("name", "options", "sides"),
    [
        ("swin_tiny_patch4_window7_224", {"depths": (1, 1, 1, 1), "embed_dim": 24}, (224, 224)),
        ("test_mambaout", {}, (96, 64)),
    ],
)
def test_a_map_with_channels_last_is_turned(name, options, sides):
    encoder = encoder_of(name, **options)
    images = pixels(*sides, batch=1)
    with torch.no_grad():
        given = encoder.backbone.forward_features(normalised(encoder, images))
        found = encoder(images).map
    _, rows, columns, channels = given.shape
    assert (rows, columns) == tuple(side // 32 for side in sides)
    assert found.shape == (1, channels, rows, columns)
    assert channels == encoder.map_channels
    for row in range(rows):
        for column in range(columns):
            assert torch.equal(found[0, :, row, column], given[0, row, column])


def without_mixing(encoder):
    """Leave of a transformer what looks at each patch alone."""
    encoder.backbone.blocks = nn.Identity()
    with torch.no_grad():
        encoder.backbone.pos_embed.normal_()
    return encoder


@pytest.mark.parametrize(
    ("name", "prefix"), [("vit_tiny_patch16_224", 1), ("deit_tiny_distilled_patch16_224", 2)]
)
def test_a_position_of_the_map_is_the_token_of_its_patch(name, prefix):
    """Without attention a change within a patch changes that position and no other."""
    encoder = without_mixing(encoder_of(name, img_size=64))
    images = pixels(64, batch=1)
    with torch.no_grad():
        tokens = encoder.backbone.forward_features(normalised(encoder, images))
        found = encoder(images).map
        assert tokens.shape[1] == prefix + 16
        assert found.shape == (1, tokens.shape[2], 4, 4)
        for row in range(4):
            for column in range(4):
                token = tokens[0, prefix + 4 * row + column]
                assert torch.equal(found[0, :, row, column], token)
                other = images.clone()
                other[:, :, 16 * row + 5, 16 * column + 9] ^= 128
                changed = (encoder(other).map != found).any(dim=1)[0]
                assert changed.nonzero().tolist() == [[row, column]]


def test_tokens_without_any_before_them_are_all_kept():
    encoder = encoder_of("test_vit_relpos", img_size=64)
    assert encoder.backbone.num_prefix_tokens == 0
    images = pixels(64, batch=1)
    with torch.no_grad():
        tokens = encoder.backbone.forward_features(normalised(encoder, images))
        found = encoder(images).map
    assert found.shape[2:] == (4, 4)
    assert torch.equal(found.flatten(2)[0].T, tokens[0])


def test_tokens_that_make_no_square_are_in_one_row():
    encoder = encoder_of("vit_tiny_patch16_224", img_size=64, dynamic_img_size=True)
    images = pixels(32, 96, batch=1)
    with torch.no_grad():
        tokens = encoder.backbone.forward_features(normalised(encoder, images))
        found = encoder(images).map
    assert found.shape == (1, 192, 1, 12)
    assert torch.equal(found[0, :, 0].T, tokens[0, 1:])


def test_a_layer_between_map_and_vector_may_widen_it():
    encoder = encoder_of("mobilenetv3_small_100")
    assert (encoder.width, encoder.map_channels) == (1024, 576)
    with torch.no_grad():
        features = encoder(pixels(64))
        pooled = features.map.mean(dim=(2, 3), keepdim=True)
        head = encoder.backbone.conv_head
        expected = (pooled.flatten(1) @ head.weight.flatten(1).T) + head.bias
    assert features.map.shape == (2, 576, 2, 2)
    torch.testing.assert_close(features.vector, nn.functional.hardswish(expected))


@pytest.mark.parametrize(
    ("name", "options", "size", "reason"),
    [
        ("crossvit_tiny_240", {}, 240, "several sets of features"),
        ("coat_lite_tiny", SMALL, 64, "which of its 5 tokens"),
        ("volo_d1_224", SMALL, 64, "which of its 17 tokens"),
    ],
)
def test_without_a_map_there_are_vectors_and_an_error_that_says_why(name, options, size, reason):
    encoder = encoder_of(name, **options)
    images = pixels(size, batch=1)
    with torch.no_grad():
        expected = encoder.backbone(normalised(encoder, images))
        features = encoder(images)
    assert torch.equal(features.vector, expected)
    with pytest.raises(ConfigError, match=f"{name} has no feature map: .*{reason}.*Choose"):
        _ = encoder.map_channels
    with pytest.raises(ValueError, match=f"there is no feature map: .*{reason}"):
        _ = features.map


# --- the features themselves


def both():
    """Five images with a vector and three tokens of two channels each."""
    vector, tokens = torch.arange(10.0).view(5, 2), torch.arange(30.0).view(5, 3, 2)
    return Features(vector, tokens, lambda given: given.transpose(1, 2)[:, :, None], "why")


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("kept", ["both", "vector", "map"])
def test_pieces_are_those_of_the_tensors(parts, kept):
    whole = both()
    if kept == "vector":
        whole = Features(whole.vector)
    elif kept == "map":
        whole = Features(None, whole.unpooled, whole.to_map)
    pieces = whole.chunk(parts)
    assert [len(piece) for piece in pieces] == [len(row) for row in torch.zeros(5).chunk(parts)]
    if kept != "map":
        assert torch.equal(torch.cat([piece.vector for piece in pieces]), whole.vector)
    if kept != "vector":
        assert torch.equal(torch.cat([piece.map for piece in pieces]), whole.map)


def test_moving_keeps_everything():
    moved = both().to("meta")
    assert moved.vector.device.type == moved.map.device.type == "meta"
    assert moved.map.shape == (5, 2, 1, 3)
    assert moved.reason == "why"


def test_only_vectors_have_no_map():
    with pytest.raises(ValueError, match="only the pooled features are there"):
        _ = Features(torch.zeros(2, 3)).map
