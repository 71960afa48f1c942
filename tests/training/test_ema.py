import pytest
import torch
from torch import nn

from colabel.training.ema import Average


def model():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def draw(module):
    """Change all parameters and statistics of a module, and count on."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor))
            else:
                tensor.add_(1)


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_the_average_is_the_recurrence_of_every_parameter_and_statistic(decay):
    trained = model()
    average = Average(trained, decay)
    expected = {}
    for updates in range(30):
        draw(trained)
        average.update(trained)
        for name, tensor in trained.state_dict().items():
            if not updates or not tensor.is_floating_point():
                expected[name] = tensor.double()
            else:
                part = min(decay, (1 + updates) / (10 + updates))
                expected[name] = part * expected[name] + (1 - part) * tensor.double()
    for name, tensor in average.module.state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_a_constant_stays_the_same_bits():
    trained = model()
    average = Average(trained, 0.9997)
    for _ in range(20):
        average.update(trained)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(average.module.state_dict()[name], tensor)


@pytest.mark.parametrize("by", ["module", "gradient"])
def test_what_is_frozen_is_passed_over_and_is_as_it_was(by):
    trained = nn.ModuleDict({"encoder": model(), "head": model()})
    still = trained["encoder"]
    before = {name: tensor.clone() for name, tensor in still.state_dict().items()}
    if by == "gradient":
        still.requires_grad_(False)
    average = Average(trained, 0.9, frozen=[still] if by == "module" else [])
    for _ in range(5):
        draw(trained)
        average.update(trained)
    for name, tensor in average.module["encoder"].state_dict().items():
        passed_over = by == "module" or name in dict(still.named_parameters())
        assert torch.equal(tensor, before[name]) == passed_over
    head = average.module["head"].state_dict()
    assert not any(
        torch.equal(head[name], trained["head"].state_dict()[name])
        for name, tensor in head.items()
        if tensor.is_floating_point()
    )


def test_an_average_that_was_saved_goes_on_as_one_that_was_not():
    trained = model()
    average, other = Average(trained, 0.9), Average(trained, 0.9)
    for updates in range(6):
        draw(trained)
        average.update(trained)
        if updates < 3:
            other.load_state_dict(average.state_dict())
        else:
            other.update(trained)
    for name, tensor in average.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_tied_weights_are_averaged_once():
    trained = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    trained[1].weight = trained[0].weight
    average, alone = Average(trained, 0.9), Average(trained[0], 0.9)
    for _ in range(5):
        draw(trained)
        average.update(trained)
        alone.update(trained[0])
    assert torch.equal(average.module[1].weight, alone.module.weight)


def test_tensors_that_take_the_place_of_others_are_followed():
    """As those of a model that is prepared for several processes do."""
    trained, average = model(), None
    average = Average(trained, 0.9)
    average.update(trained)
    for part in trained.modules():
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.clone())
    for parameter in trained.parameters():
        parameter.data = parameter.data.clone()
    draw(trained)
    average.update(trained)
    for name, tensor in average.module.state_dict().items():
        if tensor.is_floating_point():
            assert not torch.equal(tensor, torch.zeros_like(tensor))
            assert (tensor - trained.state_dict()[name]).abs().max() < 5
            assert not torch.equal(tensor, trained.state_dict()[name])
        else:
            assert torch.equal(tensor, trained.state_dict()[name])
