import numpy as np
import pytest
import torch
from pictures import Pictures, records_of, some_records
from training_runs import CLASSES, SIZE, WIDTH, SmallEncoder, small_model

from colabel.data.dataset import EvaluationImages
from colabel.data.loader import evaluation_loader
from colabel.errors import ConfigError, ImageError
from colabel.models import Classifier, Head, KernelMixtureHead, LinearHead, Output, build_encoder
from colabel.training import (
    collect_features,
    collect_logits,
    make_accelerator,
    prepare_evaluation,
)


def loader(count=5, batch=2):
    records = some_records(count, width=SIZE, height=SIZE)
    return records, evaluation_loader(EvaluationImages(records, size=SIZE), batch_size=batch)


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_answers_come_in_the_order_of_the_images(batch, prepared):
    records, batches = loader(batch=batch)
    accelerator = make_accelerator(cpu=True)
    if prepared:
        batches = prepare_evaluation(batches, accelerator)
    model = small_model()
    collected = collect_logits(model, batches, accelerator)
    model.eval()
    with torch.no_grad():
        images = torch.stack([batches.dataset[index][0] for index in range(5)])
        output = model(images)
    np.testing.assert_allclose(collected.logits, output.logits.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(collected.variance, output.mixture.variance.numpy(), rtol=1e-5)
    assert np.array_equal(collected.targets, records.targets)
    assert np.array_equal(collected.indices, np.arange(5))
    assert collected.logits.dtype == collected.variance.dtype == np.float32
    assert collected.targets.dtype == np.int8


def test_a_diagonal_kernel_has_the_mean_of_its_variances():
    model = Classifier(
        SmallEncoder(), Head(KernelMixtureHead(WIDTH, CLASSES, covariance="diagonal"))
    )
    _, batches = loader()
    collected = collect_logits(model, batches, make_accelerator(cpu=True))
    with torch.no_grad():
        output = model.eval()(torch.stack([batches.dataset[index][0] for index in range(5)]))
    assert output.mixture.variance.shape == (5, CLASSES, WIDTH)
    expected = output.mixture.variance.mean(dim=2).numpy()
    np.testing.assert_allclose(collected.variance, expected, rtol=1e-5)


def test_a_linear_head_has_no_variance():
    model = Classifier(SmallEncoder(), Head(LinearHead(WIDTH, CLASSES)))
    assert collect_logits(model, loader()[1], make_accelerator(cpu=True)).variance is None


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_features_are_the_encoders_of_each_image_in_order(batch, prepared):
    _, batches = loader(batch=batch)
    accelerator = make_accelerator(cpu=True)
    dataset = batches.dataset
    if prepared:
        batches = prepare_evaluation(batches, accelerator)
    encoder = small_model().encoder
    features = collect_features(encoder, batches, accelerator)
    encoder.eval()
    with torch.no_grad():
        expected = torch.cat([encoder(dataset[index][0][None]) for index in range(5)])
    assert features.dtype is torch.float32
    assert not features.requires_grad
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)
    # unlike inference tensors, they may be trained on
    torch.nn.Linear(WIDTH, 1)(features).sum().backward()


def test_the_map_of_each_image_is_collected_where_it_is_asked_for():
    """Of an encoder whose map is turned, in evaluation mode."""
    encoder = build_encoder("test_mambaout")
    _, batches = loader(batch=2)
    accelerator = make_accelerator(cpu=True)
    maps = collect_features(encoder, batches, accelerator, "map")
    vectors = collect_features(encoder, batches, accelerator)
    encoder.eval()
    with torch.no_grad():
        expected = [encoder(batches.dataset[index][0][None]) for index in range(5)]
    assert maps.shape == (5, encoder.map_channels, 1, 1)
    assert maps.is_contiguous()
    for index, features in enumerate(expected):
        torch.testing.assert_close(maps[index], features.map[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(vectors[index], features.vector[0], rtol=1e-4, atol=1e-5)


def test_features_of_a_shuffled_set_come_in_the_order_of_the_images():
    class Backwards:
        """A loader whose batches come in another order, two images twice."""

        def __iter__(self):
            for indices in ([3, 4], [0, 2], [1, 3], [0, 4]):
                yield torch.tensor(indices), torch.zeros(2, 1), torch.tensor(indices)

    class Double(torch.nn.Module):
        def forward(self, images):
            return 2.0 * images[:, None]

    accelerator = make_accelerator(cpu=True)
    accelerator.prepare_data_loader = lambda given: given
    features = collect_features(Double(), Backwards(), accelerator)
    assert features.tolist() == [[0], [2], [4], [6], [8]]


def test_features_under_mixed_precision_are_float32_of_narrow_arithmetic():
    seen = []

    class Encoder(SmallEncoder):
        def forward(self, images):
            seen.append((self.convolution(images.float()).dtype, self.training))
            return super().forward(images).to(torch.bfloat16)

    accelerator = make_accelerator(mixed_precision="bf16", cpu=True)
    features = collect_features(Encoder(), loader()[1], accelerator)
    assert features.dtype is torch.float32
    assert set(seen) == {(torch.bfloat16, False)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_the_encoder_is_left_as_it_was_found(training, fails):
    encoder = small_model().encoder.train(training)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    records, batches = loader()
    if fails:
        records.images.broken = {3}
        with pytest.raises(ImageError):
            collect_features(encoder, batches, make_accelerator(cpu=True))
    else:
        collect_features(encoder, batches, make_accelerator(cpu=True))
    assert {module.training for module in encoder.modules()} == {training}
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was_found(training):
    model = small_model().train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    collect_logits(model, loader()[1], make_accelerator(cpu=True))
    assert model.training is training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_model_without_classifier_is_refused():
    class Features(torch.nn.Module):
        def forward(self, images):
            return Output(images.float().mean(dim=(2, 3)), None)

    with pytest.raises(ConfigError, match="no classifier"):
        collect_logits(Features(), loader()[1], make_accelerator(cpu=True))


def test_no_image_is_refused():
    dataset = EvaluationImages(records_of(Pictures([])), size=SIZE)
    with pytest.raises(ConfigError, match="no image"):
        collect_logits(
            small_model(), evaluation_loader(dataset, batch_size=2), make_accelerator(cpu=True)
        )


def test_precisions_are_checked():
    with pytest.raises(ConfigError, match="did you mean 'bf16'"):
        make_accelerator(mixed_precision="bf-16")
    with pytest.raises(ConfigError, match="needs a GPU"):
        make_accelerator(mixed_precision="fp16", cpu=True)
