import pytest
import torch
from torch import nn

from colabel.training.ema import build_average


def model():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_the_average_is_the_recurrence_of_every_parameter_and_statistic(decay):
    trained = model()
    average = build_average(trained, decay)
    expected = {}
    for updates in range(30):
        with torch.no_grad():
            for tensor in (*trained.parameters(), *trained.buffers()):
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn_like(tensor))
                else:
                    tensor.add_(1)
        average.update_parameters(trained)
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
    average = build_average(trained, 0.9997)
    for _ in range(20):
        average.update_parameters(trained)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(average.module.state_dict()[name], tensor)


def test_no_decay_is_no_average():
    assert build_average(model(), 0) is None
