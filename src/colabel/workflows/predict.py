"""A trained model in use: image files or images in, labels with probabilities out, as a stream."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from colabel.build.model import build_classifier
from colabel.data.decode import load_squashed
from colabel.data.images import FileImages
from colabel.data.pixels import to_upright_rgb
from colabel.data.threads import reading_threads
from colabel.data.transforms import squash_pixels
from colabel.errors import ConfigError, ImageError, RunError
from colabel.models import Classifier
from colabel.models.budget import memory_budget
from colabel.runs.description import Description, load_description
from colabel.runs.folder import DESCRIPTION
from colabel.runs.predictions import check_finite
from colabel.runs.weights import largest_model, load_weights
from colabel.settings import EncoderSettings
from colabel.training.memory import TO_PREDICT, explained_memory
from colabel.uncertainty import Outputs, compute_score, why_unavailable

Picture = str | PathLike[str] | Image.Image | npt.NDArray[np.uint8]
"""A path, a Pillow image, or uint8 pixels of shape (height, width, 3)."""


IMAGE_SCORES = (
    "expected_errors",
    "entropy_sum",
    "largest_probability",
    "joint_energy",
    "mean_variance",
)
"""Scores of uncertainty that come with a prediction, where the model has what they need."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Args:
        image: its path, or its position where it has none.
        labels: classes whose probability reaches their threshold, most probable first.
        logits: log-odds of every class, as the model gives them.
        probabilities: of every class, calibrated by the run's operating point.
        uncertainty: scores of the image, higher where the model is less sure; see
            :data:`colabel.uncertainty.SCORES`.
        abstains: whether the model should not decide on this image; ``None`` if nobody asked.
        variance: of every class's kernel, where the method has kernels: above 1, and larger where
            the model has spread what it knows of this label over more kinds of images.
    """

    image: str
    labels: tuple[str, ...]
    logits: dict[str, float]
    probabilities: dict[str, float]
    uncertainty: dict[str, float]
    variance: dict[str, float] | None
    abstains: bool | None = None


@dataclass(frozen=True)
class Failure:
    """An image that could not be read, and why."""

    image: str
    reason: str


class Predictor:
    """A model with everything it needs to be used on images: what :func:`colabel.load` returns.

    Args:
        model: the trained classifier.
        description: its classes, image size and operating point.
        device: where it runs.
    """

    def __init__(self, model: Classifier, description: Description, device: torch.device) -> None:
        self._model = model.to(device).eval()
        self._device = device
        self.description = description

    @property
    def model(self) -> Classifier:
        """The network itself, in evaluation mode."""
        return self._model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the logits."""
        return self.description.classes

    def predict(
        self,
        images: Sequence[Picture] | Picture,
        *,
        batch: int = 32,
        abstain: str | None = None,
    ) -> list[Prediction]:
        """Label images that all can be read.

        Args:
            images: paths, Pillow images or pixel arrays; or one of them.
            batch: images that pass the model at once.
            abstain: ``coverage=0.9`` or ``risk=0.05``: mark images that the model should not
                decide; see :meth:`colabel.runs.operating_point.Selectivity.limit`.

        Returns:
            One prediction per image, in order.

        Raises:
            ImageError: naming the first image that cannot be read.
        """
        if isinstance(images, (str, PathLike, Image.Image, np.ndarray)):
            images = [images]
        answers = []
        for answer in self.stream(images, batch=batch, abstain=abstain):
            if isinstance(answer, Failure):
                raise ImageError(answer.reason)
            answers.append(answer)
        return answers

    def stream(
        self,
        images: Iterable[Picture],
        *,
        batch: int = 32,
        threads: int = 2,
        abstain: str | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Label images one after the other, holding at most two batches of them in memory.

        Args:
            images: paths, Pillow images or pixel arrays; may be endless.
            batch: images that pass the model at once.
            threads: threads that decode the next batch meanwhile.
            abstain: as in :meth:`predict`.

        Yields:
            A prediction, or a failure for an image that cannot be read, in order.
        """
        limit = None if abstain is None else self.description.operating_point.limit(abstain)
        numbered = iter(enumerate(images))
        waiting: deque[list[tuple[str, Future[npt.NDArray[np.uint8]]]]] = deque()
        with reading_threads(threads) as pool:
            while block := list(itertools.islice(numbered, batch)):
                waiting.append(
                    [
                        (_name(number, picture), pool.submit(self._read, picture))
                        for number, picture in block
                    ]
                )
                if len(waiting) > 1:
                    yield from self._answer(waiting.popleft(), limit)
            while waiting:
                yield from self._answer(waiting.popleft(), limit)

    def _read(self, picture: Picture) -> npt.NDArray[np.uint8]:
        """Decode and squash one picture."""
        size, options = self.description.image_size, self.description.pixels
        if isinstance(picture, (str, PathLike)):
            return load_squashed(FileImages([fspath(picture)], options=options), 0, size)
        if isinstance(picture, Image.Image):
            try:
                picture = np.array(to_upright_rgb(picture, options))
            except (OSError, ValueError) as error:
                raise ImageError(f"the image cannot be used: {error}.") from error
        empty = 0 in picture.shape
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or empty:
            raise ImageError(
                "pixels must be uint8 of shape (height, width, 3), got "
                f"{picture.dtype} of shape {picture.shape}."
            )
        return squash_pixels(np.require(picture, requirements=["C", "W"]), size)

    def _answer(
        self, block: list[tuple[str, Future[npt.NDArray[np.uint8]]]], limit: float | None
    ) -> Iterator[Prediction | Failure]:
        """Wait for the pixels of a batch and run the model on those that came."""
        read: list[tuple[str, npt.NDArray[np.uint8] | str]] = []
        for name, future in block:
            try:
                read.append((name, future.result()))
            except ImageError as error:
                read.append((name, str(error)))
        pixels = [answer for _, answer in read if not isinstance(answer, str)]
        names = [name for name, answer in read if not isinstance(answer, str)]
        predictions = iter(self._predictions(names, np.stack(pixels), limit) if pixels else ())
        for name, answer in read:
            if isinstance(answer, str):
                yield Failure(name, answer)
            else:
                yield next(predictions)

    @torch.inference_mode()
    def _run(
        self, pixels: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Return logits, and variances where there are any, of a batch of images."""
        with explained_memory(TO_PREDICT):
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self._device)
            output = self._model(images)
        logits = output.logits.float().cpu().numpy()
        check_finite(logits)
        if output.mixture is None:
            return logits, None
        variance = output.mixture.variance.float()
        variance = (variance if variance.ndim == 2 else variance.mean(dim=2)).cpu().numpy()
        check_finite(variance)
        return logits, variance

    def _predictions(
        self, names: Sequence[str], pixels: npt.NDArray[np.uint8], limit: float | None
    ) -> Iterator[Prediction]:
        """Run the model on a batch of images and yield what it says of each."""
        logits, variance = self._run(pixels)
        point, classes = self.description.operating_point, np.array(self.classes, dtype=object)
        probabilities = point.probabilities(logits)
        given = point.decide(probabilities)
        outputs = Outputs(
            logits, probabilities, np.array(point.thresholds), kernel_variance=variance
        )
        scores = {
            name: compute_score(name, outputs)
            for name in IMAGE_SCORES
            if why_unavailable(name, outputs) is None
        }
        by_name = np.argsort(classes)  # the order of equally probable labels
        order = by_name[np.argsort(-probabilities[:, by_name], axis=1, kind="stable")]
        for row, name in enumerate(names):
            present = order[row][given[row, order[row]]]
            yield Prediction(
                image=name,
                labels=tuple(classes[present]),
                logits=dict(zip(classes, logits[row].tolist(), strict=True)),
                probabilities=dict(zip(classes, probabilities[row].tolist(), strict=True)),
                uncertainty={score: float(values[row]) for score, values in scores.items()},
                variance=None
                if variance is None
                else dict(zip(classes, variance[row].tolist(), strict=True)),
                abstains=None if limit is None else bool(scores["expected_errors"][row] > limit),
            )


def build_described(folder: Path, description: Description) -> Classifier:
    """Rebuild the model that a run describes, without its weights.

    Args:
        folder: of the run; the size of its weights bounds what is built.
        description: the content of its ``model.json``.

    Raises:
        RunError: if this version does not know the backbone or an option, or the model would be
            larger than the weights are.
    """
    try:
        with memory_budget(largest_model(folder)):
            return build_classifier(
                EncoderSettings.model_validate(description.encoder.model_dump()),
                description.head,
                len(description.classes),
                image_size=description.image_size,
            )
    except Exception as error:  # a backbone may fail in any way on options it was not made for
        raise RunError(
            f"the run's {DESCRIPTION} describes a model that this version cannot build: {error}"
        ) from error


def _name(number: int, picture: Picture) -> str:
    return fspath(picture) if isinstance(picture, (str, PathLike)) else str(number)


def load_predictor(
    folder: Path, device: str | torch.device = "cpu", *, max_pixels: int | None = None
) -> Predictor:
    """Return the model of a run, ready to be used.

    Args:
        folder: of the run.
        device: where it is to run.
        max_pixels: width times height above which no image is decoded; default: as in training.

    Raises:
        RunError: if the folder holds no usable model.
        ConfigError: if there is no such device.
    """
    description = load_description(folder)
    if max_pixels is not None:
        pixels = replace(description.pixels, max_pixels=max_pixels)
        description = description.model_copy(update={"pixels": pixels})
    model = build_described(folder, description)
    load_weights(folder, model, description)
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it has shapes and no numbers")
        return Predictor(model.folded(), description, torch.device(device))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"the device {str(device)!r} cannot be used: {reason}. Expected cpu, cuda, cuda:1, "
            "mps or another device of this machine."
        ) from error


def load(folder: Path | str, *, device: str = "cpu", max_pixels: int | None = None) -> Predictor:
    """Load the model of a run, to be used without the data it was trained on.

    Args:
        folder: of the run.
        device: where it is to run: "cpu", "cuda", ...
        max_pixels: width times height above which no image is decoded; default: as in training.

    Returns:
        A predictor: ``predictor.predict(images)``.

    Raises:
        RunError: if the folder holds no usable model.
    """
    return load_predictor(Path(folder), device, max_pixels=max_pixels)
