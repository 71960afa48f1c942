"""Going on from what frozen first stages gave: the same as from the image, and less work."""

import pytest
import torch
from torch import nn

from colabel.models import Classifier, Features, Head, LinearHead, build_encoder
from colabel.models.halfway import find_halt

SIZE = 64
FROZEN = {
    "test_efficientnet": 3, "test_resnet": 2, "test_convnext": 2, "test_vit": 2,
    "test_mambaout": 2,
}  # fmt: skip


def frozen_encoder(name="test_efficientnet", **options):
    torch.manual_seed(0)
    return build_encoder(name, freeze_stages=FROZEN[name], **options)


def images(count=3, size=SIZE):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


def size_of(name):
    return 160 if name == "test_vit" else SIZE  # it takes no others


@pytest.mark.parametrize("name", FROZEN)
def test_going_on_is_the_same_as_from_the_image(name):
    encoder, pixels = frozen_encoder(name), images(size=size_of(name))
    numbers = encoder.find_halfway(size_of(name))
    encoder.eval()
    whole, half = encoder(pixels), encoder.encode_halfway(pixels)
    assert half.halfway[0].numel() == numbers
    again = encoder(half)
    assert torch.equal(again.vector, whole.vector)
    assert torch.equal(again.map, whole.map)
    assert half.vector is None
    assert half.unpooled is None


@pytest.mark.parametrize("name", FROZEN)
def test_the_gradients_are_the_same(name):
    encoder = frozen_encoder(name)
    encoder.find_halfway(size_of(name))
    model, pixels = (
        Classifier(encoder, Head(LinearHead(encoder.width, 4))).train(),
        images(size=size_of(name)),
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0  # the statistics of one pass do not reach the next
    found = []
    for given in (pixels, encoder.encode_halfway(pixels)):
        model.zero_grad()
        model(given).logits.square().sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    first, second = found
    assert first.keys() == second.keys()
    assert len(first) > 3
    for key, gradient in first.items():
        assert torch.equal(gradient, second[key]), key


def test_what_follows_may_have_been_trained_since():
    encoder, pixels = frozen_encoder(), images()
    encoder.find_halfway(SIZE)
    half = encoder.encode_halfway(pixels)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)
    encoder.eval()
    assert torch.equal(encoder(half).vector, encoder(pixels).vector)


def test_half_of_it_is_computed_only():
    """The rest is not run when images are encoded; the first part, on one small image, later."""
    encoder, seen = frozen_encoder(), []
    encoder.find_halfway(SIZE)
    stem, head = encoder.backbone.conv_stem, encoder.backbone.conv_head
    stem.register_forward_hook(lambda _, given, __: seen.append(("stem", len(given[0]))))
    head.register_forward_hook(lambda _, given, __: seen.append(("head", len(given[0]))))
    half = encoder.encode_halfway(images(5))
    assert seen == [("stem", 5)]
    seen.clear()
    encoder(half)
    assert seen == [("stem", 1), ("head", 5)]


def test_it_is_exact_in_bfloat16():
    encoder, pixels = frozen_encoder().eval(), images()
    encoder.find_halfway(SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        whole, half = encoder(pixels), encoder.encode_halfway(pixels)
        assert torch.equal(encoder(half).vector, whole.vector)


@pytest.mark.parametrize("frozen", [2, 4])
def test_the_map_of_the_stage_before_the_last_is_there(frozen):
    """Also where it is what the last frozen stage gives."""
    encoder, pixels = build_encoder("test_resnet", freeze_stages=frozen).eval(), images()
    encoder.give_previous_stage()
    assert encoder.find_halfway(SIZE)
    again, whole = encoder(encoder.encode_halfway(pixels)), encoder(pixels)
    assert torch.equal(again.previous, whole.previous)


def test_nothing_frozen_is_nothing_to_keep():
    assert build_encoder("test_efficientnet").find_halfway(SIZE) is None


@pytest.mark.parametrize("option", ["pos_drop_rate", "patch_drop_rate"])
def test_what_is_drawn_at_random_is_not_kept(option):
    assert frozen_encoder("test_vit", options={option: 0.5}).find_halfway(160) is None


@pytest.mark.parametrize("name", ["test_nfnet", "test_coatnet", "test_maxvit"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_kept_has_the_layout_and_the_precision_of_the_encoder(name, precision):
    size = {"test_nfnet": 64}.get(name, 160)
    encoder, pixels = build_encoder(name, freeze_stages=2).eval(), images(size=size)
    assert encoder.find_halfway(size)
    with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
        whole, again = encoder(pixels), encoder(encoder.encode_halfway(pixels))
    assert torch.equal(again.vector, whole.vector)


def test_the_mode_and_the_random_numbers_are_left_alone():
    for training in (True, False):
        encoder = frozen_encoder("test_vit", options={"pos_drop_rate": 0.5}).train(training)
        state = torch.get_rng_state()
        encoder.find_halfway(160)
        assert torch.equal(torch.get_rng_state(), state)
        assert encoder.training is training
        assert encoder.backbone.norm.training is training


class Forked(nn.Module):
    """A frozen layer, and a way around it."""

    def __init__(self, around):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1).requires_grad_(False)
        self.last = nn.Linear(4, 2)
        self.around = around

    def forward(self, pixels):
        means = self.first(pixels).mean(dim=(2, 3))
        if self.around:
            means = means + pixels.mean(dim=(1, 2, 3))[:, None]
        return Features(self.last(means))


@pytest.mark.parametrize("around", [True, False])
def test_a_way_around_the_frozen_part_is_found(around):
    module = Forked(around)
    noise = torch.randn(2, 3, 8, 8)
    assert (find_halt(module, (module.first,), module, noise) is None) == around


def test_a_frozen_layer_behind_a_trained_one_is_not_the_end():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 1).requires_grad_(False), nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 5, 1).requires_grad_(False), nn.Flatten(),
    )  # fmt: skip
    frozen, noise = (module[0], module[2]), torch.randn(2, 3, 8, 8)
    halt = find_halt(module, frozen, lambda given: Features(module(given)), noise)
    assert (halt.name, halt.numbers) == ("0", 4 * 8 * 8)
