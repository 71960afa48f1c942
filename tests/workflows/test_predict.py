import itertools
import json

import numpy as np
import pytest
import tiny_runs
import torch
from fakes import messy_images, write_image
from PIL import Image
from torch import nn

from colabel.data.pixels import PixelOptions
from colabel.data.transforms import squash_pixels
from colabel.errors import ConfigError, ImageError, RunError
from colabel.mixtures import GaussianMixture
from colabel.models import Classifier, Head
from colabel.runs.description import Description, Selection
from colabel.runs.operating_point import OperatingPoint
from colabel.settings import LinearSettings
from colabel.workflows.predict import Failure, Predictor, load_predictor

SIZE = 8
CLASSES = ("red", "green", "blue")
THRESHOLDS = (0.5, 0.25, 0.75)


class MeanColour(nn.Module):
    """The mean of each channel, in 0 to 1."""

    def forward(self, images):
        assert images.dtype == torch.uint8
        return images.float().mean(dim=(2, 3)) / 255


class Kernels(nn.Module):
    """Logits that are the features, with kernels of known variance."""

    def __init__(self, diagonal):
        super().__init__()
        self.diagonal = diagonal

    def forward(self, features):
        mean = features
        variance = 1 + features
        if self.diagonal:
            mean = mean[:, :, None].expand(-1, -1, 4)
            variance = variance[:, :, None] * torch.tensor([0.5, 1.0, 1.0, 1.5])
        log_weights = nn.functional.logsigmoid(features)
        return GaussianMixture(log_weights, mean, variance, 4, features)


class Count(nn.Module):
    """Remember the sizes of the batches."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, features):
        self.sizes.append(len(features))
        return 8 * features - 4


def predictor_with(readout, **options):
    description = Description(
        colabel="1.2.3",
        classes=CLASSES,
        method="any",
        head=LinearSettings(),
        encoder={"name": "test_efficientnet"},
        image_size=SIZE,
        pixels=PixelOptions(**options),
        operating_point=OperatingPoint(thresholds=THRESHOLDS),
        data={},
        selection=Selection(stage="kmcl", epoch=1, metric="mAP", value=0.5),
    )
    return Predictor(Classifier(MeanColour(), Head(readout)), description, torch.device("cpu"))


@pytest.fixture
def predictor():
    return predictor_with(Count())


def picture(seed=0, size=(20, 14)):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def expected(pixels):
    colours = squash_pixels(pixels, SIZE).astype(np.float64).mean(axis=(0, 1)) / 255
    return 1 / (1 + np.exp(-(8 * colours - 4)))


def test_probabilities_are_the_models_of_the_squashed_image(predictor):
    pictures = [picture(seed) for seed in range(5)]
    answers = predictor.predict(pictures, batch=2)
    assert [answer.image for answer in answers] == ["0", "1", "2", "3", "4"]
    for answer, pixels in zip(answers, pictures, strict=True):
        assert tuple(answer.probabilities) == CLASSES
        assert list(answer.probabilities.values()) == pytest.approx(expected(pixels), abs=1e-6)
        assert answer.variance is None


def test_a_path_an_image_and_its_pixels_get_the_same_answer(predictor, tmp_path):
    path = write_image(tmp_path / "a.png", size=(20, 14))
    with Image.open(path) as image:
        answers = predictor.predict([path, str(path), image, np.asarray(image)])
    assert [answer.image for answer in answers] == [str(path), str(path), "2", "3"]
    assert len({tuple(answer.probabilities.values()) for answer in answers}) == 1


def test_one_picture_needs_no_list(predictor, tmp_path):
    path = write_image(tmp_path / "a.png")
    with Image.open(path) as image:
        for one in (path, str(path), image, picture()):
            assert len(predictor.predict(one)) == 1
    assert predictor.predict([]) == []


def test_images_of_every_kind_are_read_like_files(predictor, tmp_path):
    for name, path in messy_images(tmp_path).items():
        with Image.open(path) as image:
            from_file, from_image = predictor.predict([path, image])
        assert list(from_file.probabilities.values()) == pytest.approx(
            list(from_image.probabilities.values()), abs=0.02
        ), name


def test_pixels_are_read_as_in_training(tmp_path):
    Image.fromarray(np.full((9, 9), 500, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (9, 9), (51, 102, 204, 51)).save(tmp_path / "stains.png")
    predictor = predictor_with(Count(), scale=1000, alpha="ignore")
    stained = expected(np.full((9, 9, 3), (51, 102, 204), np.uint8))
    for name, wanted in (
        ("deep", expected(np.full((9, 9, 3), 128, np.uint8))),
        ("stains", stained),
    ):
        path = tmp_path / f"{name}.png"
        with Image.open(path) as image:
            for answer in predictor.predict([path, image]):
                assert list(answer.probabilities.values()) == pytest.approx(wanted, abs=1e-6)


def test_labels_reach_their_own_threshold_most_probable_first(predictor):
    # sigmoid(8 c - 4) at c = 1/2 is exactly 0.5: red reaches its threshold, blue does not
    half = np.full((SIZE, SIZE, 3), 127.5).round().astype(np.uint8)
    half[:, ::2] = 127
    half[:, 1::2] = 128
    (answer,) = predictor.predict(half)
    assert answer.probabilities == dict.fromkeys(CLASSES, 0.5)
    assert answer.labels == ("green", "red")  # equally probable: by name
    bright = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    bright[..., 0], bright[..., 2] = 200, 255
    (answer,) = predictor.predict(bright)
    assert answer.labels == ("blue", "red")


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_variance_of_each_kernel_is_given(diagonal):
    pixels = picture()
    (answer,) = predictor_with(Kernels(diagonal)).predict(pixels)
    colours = squash_pixels(pixels, SIZE).mean(axis=(0, 1)) / 255
    assert list(answer.variance) == list(CLASSES)
    assert list(answer.variance.values()) == pytest.approx(1 + colours, abs=1e-5)


def test_the_batch_size_changes_nothing_but_the_batches(predictor):
    pictures = [picture(seed) for seed in range(7)]
    one = predictor.predict(pictures, batch=1)
    three = predictor.predict(pictures, batch=3)
    assert [a.labels for a in one] == [a.labels for a in three]
    for a, b in zip(one, three, strict=True):
        assert list(a.probabilities.values()) == pytest.approx(
            list(b.probabilities.values()), abs=1e-6
        )
    assert predictor.model.head.readout.sizes == [1] * 7 + [3, 3, 1]


@pytest.fixture
def mixed(tmp_path):
    """Good and bad pictures, with the reason of each bad one."""
    good = write_image(tmp_path / "good.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:80])
    with Image.open(cut) as unfinished:
        yield [
            (good, None),
            (tmp_path / "missing.png", "missing.png: no such file"),
            (cut, "cut.png: cannot be decoded"),
            (unfinished, "the image cannot be used: "),
            (Image.new("F", (4, 4)), "floating-point numbers"),
            (np.zeros((4, 4)), r"got float64 of shape \(4, 4\)"),
            (np.zeros((4, 4, 4), dtype=np.uint8), r"got uint8 of shape \(4, 4, 4\)"),
            (np.zeros((4, 0, 3), dtype=np.uint8), r"got uint8 of shape \(4, 0, 3\)"),
            (picture()[::-1, :, ::-1], None),  # as from libraries that read BGR
            (tmp_path, "a folder, expected a file"),
        ]


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_a_picture_that_cannot_be_read_is_named_and_the_others_answered(predictor, mixed, batch):
    answers = list(predictor.stream([one for one, _ in mixed], batch=batch))
    assert len(answers) == len(mixed)
    for number, (answer, (one, reason)) in enumerate(zip(answers, mixed, strict=True)):
        is_path = not isinstance(one, (Image.Image, np.ndarray))
        assert answer.image == (str(one) if is_path else str(number))
        assert isinstance(answer, Failure) == (reason is not None)
        if reason is not None:
            with pytest.raises(ImageError, match=reason):
                predictor.predict(one)


def test_predict_stops_at_the_first_picture_that_cannot_be_read(predictor, mixed):
    with pytest.raises(ImageError, match=r"missing.png: no such file"):
        predictor.predict([one for one, _ in mixed])


def test_an_endless_stream_holds_at_most_two_batches(predictor):
    taken = itertools.count()

    def endless():
        while True:
            next(taken)
            yield picture()

    answers = predictor.stream(endless(), batch=3)
    for wanted in range(1, 30):
        next(answers)
        so_far = next(taken)
        taken = itertools.count(so_far)
        assert so_far <= wanted + 2 * 3
    answers.close()


# --- a run that is loaded


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """A copy of a run's model that a test may spoil."""
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_run / name).read_bytes())
    return tmp_path


def change_description(folder, change):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_run_is_loaded_in_evaluation_mode(tiny_run):
    predictor = load_predictor(tiny_run)
    assert predictor.classes == tiny_runs.CLASSES
    assert not any(module.training for module in predictor.model.modules())


def test_weights_of_another_number_of_classes_are_refused(copied_run):
    change_description(
        copied_run, {"classes": ["cat", "dog"], "operating_point": {"thresholds": [0.5, 0.5]}}
    )
    with pytest.raises(
        RunError, match=r"head.readout.weight_layer.bias \(expected \(2,\), got \(3,\)\)"
    ):
        load_predictor(copied_run)


def test_a_description_of_an_unknown_head_is_refused(copied_run):
    change_description(copied_run, {"head": {"name": "later"}})
    with pytest.raises(RunError, match=r"model.json: head.name must be one of .*got 'later'"):
        load_predictor(copied_run)


@pytest.mark.parametrize("device", ["gpu", "cuda:77", ""])
def test_a_device_that_cannot_be_used_is_named(tiny_run, device):
    with pytest.raises(ConfigError, match=f"the device '{device}' cannot be used: .*Expected cpu"):
        load_predictor(tiny_run, device)
