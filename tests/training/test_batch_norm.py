"""Two processes with batch normalisation that trains, against one process.

With statistics of each process's own part of a batch, two processes do not take the step of one:
another normalisation is another loss. Equal are the two processes to each other: between the
stages, in what they collect, and at the end. With synchronised statistics two equal one.
"""

import pytest
import torch
from batch_norm_runs import LAYERS
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d
from timm.layers.split_batchnorm import SplitBatchNorm2d
from tiny_runs import TESTS, run_python
from torch import nn
from training_runs import Run, SmallEncoder, small_model, small_stage

from colabel.errors import ConfigError
from colabel.models import build_encoder
from colabel.training.batch_norm import SynchronisedBatchNorm, synchronise_batch_norm


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process, and each of two, found."""
    folder = tmp_path_factory.mktemp("batch-norm")
    for processes in (1, 2):
        done = run_python(TESTS / "batch_norm_runs.py", folder, processes=processes)
        assert done.returncode == 0, done.stderr
    return {
        name: load_file(folder / f"{name}.safetensors") for name in ("0-of-1", "0-of-2", "1-of-2")
    }


def part(tensors, prefix):
    chosen = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    assert chosen
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("case", ["local", "plain", "synchronised"])
def test_two_processes_hold_the_same_after_each_stage(found, case):
    """The statistics at the end of the first stage too, with and without averaged weights."""
    first, second = (part(found[name], f"{case}.") for name in ("0-of-2", "1-of-2"))
    assert first.keys() == second.keys()
    assert f"{case}.between.normalisation.running_mean" in first
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("case", ["local", "plain"])
def test_collected_features_are_those_of_the_encoder_that_is_kept(found, case):
    for name in ("0-of-1", "0-of-2", "1-of-2"):
        features, truth = (found[name][f"{case}.{what}"] for what in ("features", "truth"))
        torch.testing.assert_close(features, truth, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("process", ["0-of-1", "0-of-2", "1-of-2"])
def test_a_run_resumed_in_the_second_stage_ends_with_the_same_bits(found, process):
    whole, resumed = (part(found[process], f"{case}.") for case in ("local", "resumed"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name.replace("local", "resumed")]), name


@pytest.mark.slow
@pytest.mark.parametrize("what", ["features", "logits"])
def test_collecting_takes_the_statistics_of_the_first_process(found, what):
    for name in ("0-of-2", "1-of-2"):
        torch.testing.assert_close(
            found[name][f"collected.{what}"],
            found["0-of-1"][f"collected.{what}"],
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.slow
def test_with_statistics_of_its_own_part_two_processes_train_another_model_than_one(found):
    """The documentation says so; this is how large it is here: 12 % of the largest weight."""
    name = "local.final.encoder.convolution.weight"
    two, one = (found[process][name] for process in ("0-of-2", "0-of-1"))
    assert (two - one).abs().max() > 0.05 * one.abs().max()


# --- synchronised statistics


@pytest.mark.slow
@pytest.mark.parametrize("process", ["0-of-2", "1-of-2"])
@pytest.mark.parametrize("case", LAYERS)
def test_a_synchronised_layer_on_two_halves_is_the_ordinary_one_on_the_whole(found, case, process):
    """Outputs, gradients and statistics; one process computes them with PyTorch's own layer."""
    together, alone = (part(found[name], f"layer.{case}.") for name in (process, "0-of-1"))
    assert together.keys() == alone.keys()
    tolerance = 2e-3 if case == "far from zero" else 1e-10  # float32 at 3000: rounds to 2e-4
    for name, tensor in together.items():
        torch.testing.assert_close(
            tensor,
            alone[name],
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.slow
@pytest.mark.parametrize("process", ["0-of-2", "1-of-2"])
def test_with_synchronised_statistics_two_processes_train_like_one(found, process):
    together, alone = (part(found[name], "synchronised.") for name in (process, "0-of-1"))
    assert together.keys() == alone.keys()
    for name, tensor in together.items():
        largest = alone[name].abs().max()
        assert (tensor - alone[name]).abs().max() <= 1e-4 * largest, name


def test_one_process_is_not_changed(tmp_path):
    model = small_model(dropout=0.0)
    Run(tmp_path, small_stage(model=model, epochs=1), synchronise_batch_norm=True).fit()
    assert type(model.encoder.normalisation) is nn.BatchNorm2d


def test_the_state_keeps_its_names_and_its_tensors():
    encoder = build_encoder("test_efficientnet")
    before = {name: tensor.data_ptr() for name, tensor in encoder.state_dict().items()}
    layers = [layer for layer in encoder.modules() if isinstance(layer, BatchNormAct2d)]
    synchronise_batch_norm(encoder)
    assert {name: tensor.data_ptr() for name, tensor in encoder.state_dict().items()} == before
    made = [layer for layer in encoder.modules() if isinstance(layer, SynchronisedBatchNorm)]
    assert len(made) == len(layers) > 3
    assert [layer.act for layer in made] == [layer.act for layer in layers]
    assert not any(isinstance(layer, BatchNormAct2d) for layer in encoder.modules())


def test_alone_and_in_evaluation_a_synchronised_encoder_is_the_ordinary_one():
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(0)
    ordinary = build_encoder("test_efficientnet")
    changed = build_encoder("test_efficientnet")
    changed.load_state_dict(ordinary.state_dict())
    synchronise_batch_norm(changed)
    for training in (True, False):
        torch.manual_seed(1)
        expected = ordinary.train(training)(images).vector
        torch.manual_seed(1)
        torch.testing.assert_close(changed.train(training)(images).vector, expected)


def test_frozen_layers_stay_as_they_are():
    encoder = build_encoder("test_efficientnet", freeze_batch_norm=True)
    synchronise_batch_norm(encoder)
    partly = nn.ModuleList([SmallEncoder().eval(), SmallEncoder()])
    synchronise_batch_norm(partly)
    assert not any(isinstance(layer, SynchronisedBatchNorm) for layer in encoder.modules())
    assert type(partly[0].normalisation) is nn.BatchNorm2d
    assert type(partly[1].normalisation) is SynchronisedBatchNorm


def test_frozen_after_it_was_synchronised_a_layer_keeps_its_statistics():
    encoder = build_encoder("test_efficientnet")
    synchronise_batch_norm(encoder)
    encoder.freeze_batch_norm = True
    encoder.train()
    layers = [layer for layer in encoder.modules() if isinstance(layer, SynchronisedBatchNorm)]
    assert layers
    assert not any(layer.training for layer in layers)


def test_a_layer_of_another_kind_is_refused_by_name():
    model = nn.Sequential(nn.Sequential(SplitBatchNorm2d(4)))
    with pytest.raises(ConfigError, match=r"layer 0\.0 is a SplitBatchNorm2d"):
        synchronise_batch_norm(model)


def test_a_single_value_has_no_variance(monkeypatch):
    model = nn.Sequential(nn.BatchNorm1d(2))
    synchronise_batch_norm(model)
    monkeypatch.setattr("colabel.training.batch_norm.world_size", lambda: 2)
    with pytest.raises(ValueError, match="more than one value per feature"):
        model(torch.ones(0, 2))
    with pytest.raises(ValueError, match=r"got an input of shape \(2,\)"):
        model(torch.ones(2))
