"""The three ways to train for a time: what each takes, and what it is thought to be worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from colabel.build.records import decoding_threads
from colabel.config import Config
from colabel.models.halfway import BYTES
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime
from colabel.workflows.candidates import (
    MIRRORED_FROM,
    MOST_EPOCHS,
    MOST_KEPT_EPOCHS,
    MOST_MIRRORED_EPOCHS,
    Candidate,
    expected_gain,
    first_epochs,
    head_epochs,
)
from colabel.workflows.reading_time import Reading

Way = Literal["augmented", "kept", "stays"]
"""All images, augmented, in every epoch; what the frozen first stages gave of each once, after the
classifier alone; the classifier alone."""

TO_BEGIN = 6.0
"""Seconds from the choice to the first image that is decoded: the model is built anew, what
surely does not fit is refused."""
HEAD = 2.0
"""Factor for the time of a step of a classifier on features: they have to be gathered, too."""
HEAD_EPOCH = 0.03
"""Seconds that an epoch of a classifier alone takes beside its steps: scores, and the model with
its operating point where it is the best so far."""
ENCODING = 1.2
"""Factor for the time of encoding every image once: they have to be taken from memory, too."""
SURE = 1.4
"""Factor for the time of encoding every image once, which no clock can cut short: on two cores of
a shared machine it took up to 1.4 times what was measured."""
_LEAST_EPOCHS: dict[Way, float] = {"augmented": 1.0, "kept": 0.25, "stays": 1.0}
"""Epochs below which a way is not taken. After a classifier that has learned alone a part of one
is worth its time."""


@dataclass(frozen=True)
class Speed:
    """What an encoder takes on this machine, in the precision that is the quicker one.

    Args:
        size: of the images it was measured with.
        whole: of all of the encoder.
        head: seconds of a step of the classifier alone, on what the encoder gave before; 0 for an
            encoder that has learned nothing, on which none is trained alone.
        rest: of what follows its frozen first stages; ``None`` where nothing can be kept of these.
        numbers: that are kept of an image.
        precision: of the encoder's arithmetic, as ``training.precision`` names it.
        ratio: of a step to one in float32.
    """

    size: int
    whole: StepTime
    head: float
    rest: StepTime | None = None
    numbers: int = 0
    precision: str = "no"
    ratio: float = 1.0


@dataclass(frozen=True)
class Option:
    """A way to train an encoder at a size, with what it comes to.

    Args:
        candidate: the encoder.
        size: of the images.
        way: of training.
        speed: that the times are scaled from.
        before: seconds before the first epoch.
        training: seconds of an epoch.
        validation: seconds after each of them.
        epochs: that fit into the time, a fraction; of the classifier where the encoder stays.
        gain: by :func:`colabel.workflows.candidates.expected_gain`.
        head_epochs: in which the classifier learns alone.
        mirrored: whether mirror images pass the frozen stages once, too.
    """

    candidate: Candidate
    size: int
    way: Way
    speed: Speed
    before: float
    training: float
    validation: float
    epochs: float
    gain: float
    head_epochs: int = 0
    mirrored: bool = False

    @property
    def fits(self) -> bool:
        """Whether the time is enough for it."""
        return self.epochs >= _LEAST_EPOCHS[self.way]

    @property
    def least(self) -> float:
        """Seconds of the shortest training of this kind."""
        return self.before + _LEAST_EPOCHS[self.way] * (self.training + self.validation)

    def __str__(self) -> str:
        """Return it in words."""
        what = f"{self.candidate.name} at {self.size} pixels"
        if self.way == "stays":
            return (
                f"{what}, left as it came: every image is encoded once, then {self.head_epochs} "
                f"epochs of the classifier alone, about {self.before:.0f} s in all"
            )
        each = f"of about {self.training:.1f} s, each with {self.validation:.1f} s of validation"
        if self.way == "augmented":
            return f"{what}, {self.epochs:.1f} epochs {each}"
        images = "image and mirror image passes" if self.mirrored else "image passes"
        return (
            f"{what}: every {images} its frozen stages once and {self.head_epochs} epochs of the "
            f"classifier alone follow, about {self.before:.0f} s; then the classifier and the "
            f"stages that are not frozen learn for {self.epochs:.1f} epochs {each}"
        )


@dataclass(frozen=True)
class Ways:
    """Estimates what fits into the time that is left.

    Args:
        config: the recipe.
        images: to learn from.
        validation: images to choose by.
        reading: what it takes to read them.
        left: seconds that are left by now.
        mirroring: whether images that are kept may be mirrored or not, by what the user has set.
    """

    config: Config
    images: int
    validation: int
    reading: Reading
    left: Callable[[], float]
    mirroring: Collection[bool] = (False, True)

    def estimate(self, way: Way, candidate: Candidate, size: int, speed: Speed) -> Option:
        """Scale what was measured at one size to another, and see what fits."""
        estimate = {"augmented": self._augmented, "kept": self._kept, "stays": self._stays}[way]
        return estimate(candidate, size, speed)

    def again(self, option: Option, speed: Speed) -> Option:
        """Estimate an option once more, with what is left by now."""
        return self.estimate(option.way, option.candidate, option.size, speed)

    def around(self, size: int) -> float:
        """Return the seconds before the first step and after the last."""
        once = self.config.data.verify or self.in_memory(size)
        decoding = self.reading.decode / decoding_threads(1)
        return TO_BEGIN + TO_FINISH + ((self.images + self.validation) * decoding if once else 0.0)

    def in_memory(self, size: int) -> bool:
        """Tell whether the decoded images fit into the memory for them."""
        return (self.images + self.validation) * size * size * 3 <= self._memory

    @property
    def _memory(self) -> int:
        return self.config.data.cache_mb * 2**20

    @property
    def _steps(self) -> int:
        """Steps of an epoch."""
        return self.images // self.config.training.batch_size

    def _augmented(self, candidate: Candidate, size: int, speed: Speed) -> Option:
        scale, batch = (size / speed.size) ** 2, self.config.training.batch_size
        read = self.reading.augment if self.in_memory(size) else self.reading.decode
        training = self._steps * (speed.whole.step * scale + batch * read)
        validation = self.validation * speed.whole.score * scale
        left = self.left() - self.around(size)
        epochs = min(left / (training + validation), MOST_EPOCHS)
        gain = self._gain(candidate, size, "augmented", epochs)
        return Option(candidate, size, "augmented", speed, 0.0, training, validation, epochs, gain)

    def _kept(self, candidate: Candidate, size: int, speed: Speed) -> Option:
        assert speed.rest is not None
        scale, images = (size / speed.size) ** 2, self.images + self.validation
        kept = BYTES * speed.numbers * scale
        first = first_epochs(self.config, self.images)
        once, head = ENCODING * images * speed.whole.score * scale, self._head(first, speed)
        frozen = speed.whole.score - speed.rest.score
        mirrors = ENCODING * self.images * frozen * scale
        epoch = self._steps * speed.rest.step * scale
        validation = self.validation * speed.rest.score * scale
        left = self.left() - self.around(size) - once - head
        sure = left - (SURE / ENCODING - 1) * once > 0
        fits = kept * images <= self._memory and sure
        epochs = left / (epoch + validation) if fits else 0.0
        fewer = (left - mirrors) / (epoch + validation)
        room = kept * (images + self.images) <= self._memory
        must = False not in self.mirroring
        worth = must or (True in self.mirroring and fewer >= MIRRORED_FROM)
        mirrored = fits and room and worth
        if mirrored:
            epochs, once = fewer, once + mirrors
        elif must:
            epochs = 0.0
        epochs = min(epochs, MOST_MIRRORED_EPOCHS if mirrored else MOST_KEPT_EPOCHS)
        gain = self._gain(candidate, size, "kept", epochs)
        return Option(
            candidate, size, "kept", speed, once + head, epoch, validation, epochs, gain,
            first, mirrored,
        )  # fmt: skip

    def _stays(self, candidate: Candidate, size: int, speed: Speed) -> Option:
        images = self.images + self.validation
        once = SURE * images * speed.whole.score * (size / speed.size) ** 2
        known = head_epochs(self.images)
        before = once + self._head(known, speed)
        fits = self.left() - self.around(size) >= before
        gain = self._gain(candidate, size, "stays", 0.0)
        epochs = known if fits else 0
        return Option(candidate, size, "stays", speed, before, 0.0, 0.0, epochs, gain, known)

    def _head(self, epochs: int, speed: Speed) -> float:
        """Return the seconds of epochs of the classifier alone."""
        return epochs * (self._steps * HEAD * speed.head + HEAD_EPOCH)

    def _gain(self, candidate: Candidate, size: int, way: Way, epochs: float) -> float:
        if way != "stays" and epochs * self._steps <= 0:
            return -math.inf
        return expected_gain(
            size,
            candidate.accuracy,
            images=self.images,
            epochs=epochs,
            steps=epochs * self._steps,
            classifier_first=way != "augmented",
        )
