"""Scenes drawn on the fly: a multi-label data set without files, whose statistics are known.

A scene is a background, day or night, with zero to three things on it. A thing has a shape, a
colour and a texture; grey and plain carry no label. An image has a label when at least one of its
things (or the background) has the property. Things are drawn independently given the background,
from tables that make some properties go together and some rare, so the probability of every pair
of labels is known in closed form: :func:`co_occurrence`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from colabel.data.records import Records
from colabel.errors import DataError, nearest

SHAPES = ("circle", "square", "triangle", "cross", "ring", "star", "crescent")
COLOURS = MappingProxyType(
    {
        "red": (205, 55, 50),
        "green": (60, 160, 75),
        "blue": (55, 95, 205),
        "yellow": (225, 195, 60),
        "purple": (145, 70, 175),
        "grey": (130, 130, 130),
    }
)
TEXTURES = ("striped", "dotted", "checkered", "plain")
UNLABELLED = ("grey", "plain")

CLASSES = (*SHAPES, *(name for name in COLOURS if name != "grey"), *TEXTURES[:-1], "night")
"""The 16 classes, in the order of the columns of the targets."""

IMAGES: Mapping[str, int] = MappingProxyType({"train": 1600, "val": 400, "test": 800})
"""Images per split unless asked otherwise."""

NIGHT_PROBABILITY = 0.15
THINGS_PROBABILITY = (0.05, 0.45, 0.35, 0.15)
"""Probability of 0, 1, 2 and 3 things on a scene."""

_SHAPE_BY_DAY = (0.30, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03)
_SHAPE_BY_NIGHT = (0.22, 0.10, 0.06, 0.06, 0.22, 0.32, 0.02)
_COLOUR = (0.17, 0.17, 0.20, 0.12, 0.06, 0.28)
_TEXTURE = (0.24, 0.14, 0.08, 0.54)
_MORE_LIKELY = {
    ("triangle", "red"): 3.0,
    ("square", "blue"): 2.0,
    ("star", "yellow"): 4.0,
    ("ring", "purple"): 3.0,
    ("cross", "green"): 2.0,
    ("red", "striped"): 2.0,
    ("green", "dotted"): 2.5,
    ("grey", "checkered"): 2.5,
}
"""How many times as often as by chance two properties of one thing meet."""


def _thing_probability() -> npt.NDArray[np.float64]:
    """Return P(shape, colour, texture | background), shape (2, 7, 6, 4), day before night."""
    affinity = np.ones((len(SHAPES), len(COLOURS), len(TEXTURES)))
    for (first, second), factor in _MORE_LIKELY.items():
        colours = list(COLOURS)
        if first in SHAPES:
            affinity[SHAPES.index(first), colours.index(second)] *= factor
        else:
            affinity[:, colours.index(first), TEXTURES.index(second)] *= factor
    shape = np.array([_SHAPE_BY_DAY, _SHAPE_BY_NIGHT])
    joint: npt.NDArray[np.float64] = np.einsum(
        "c,t,sct,b->bsct", _COLOUR, _TEXTURE, affinity, np.ones(2)
    )
    # the affinities say what goes with a shape, not how common the shape is
    joint *= (shape / joint.sum(axis=(2, 3)))[:, :, None, None]
    return joint


_THING_PROBABILITY = _thing_probability()
_PROPERTIES = (SHAPES, tuple(COLOURS), TEXTURES)


def co_occurrence() -> npt.NDArray[np.float64]:
    """Probability that an image carries both labels, for every pair of classes.

    Formula: given the background, ``P(a and b) = P(a) + P(b) - P(a or b)`` with
    ``P(a or b) = 1 - sum_n P(n things) (1 - p)^n``, where ``p`` is the probability that one thing
    has either property.

    Returns:
        Symmetric matrix, shape (16, 16), in the order of ``CLASSES``; on the diagonal the
        probability of each single label.

    Example:
        >>> together = co_occurrence()
        >>> night = CLASSES.index("night")
        >>> float(together[night, night]) == NIGHT_PROBABILITY
        True
    """
    classes = len(CLASSES) - 1
    # has[k] marks the things with the property k
    has = np.zeros((classes, *_THING_PROBABILITY.shape[1:]), dtype=bool)
    for column, name in enumerate(CLASSES[:-1]):
        axis = next(axis for axis, names in enumerate(_PROPERTIES) if name in names)
        np.moveaxis(has[column], axis, 0)[_PROPERTIES[axis].index(name)] = True
    either = has[:, None] | has[None, :]
    result = np.zeros((classes + 1, classes + 1))
    for night, background in enumerate((1 - NIGHT_PROBABILITY, NIGHT_PROBABILITY)):
        one_thing = np.einsum("abijk,ijk->ab", either, _THING_PROBABILITY[night])
        in_image = np.zeros_like(one_thing)
        for things, probability in enumerate(THINGS_PROBABILITY):
            in_image += probability * (1 - (1 - one_thing) ** things)
        single = np.diagonal(in_image)
        result[:-1, :-1] += background * (single[:, None] + single[None, :] - in_image)
        if night:
            result[-1, :-1] = result[:-1, -1] = background * single
    result[-1, -1] = NIGHT_PROBABILITY
    return result


@dataclass(frozen=True)
class Scene:
    """What is on one image, before it is drawn.

    Args:
        night: whether the background is dark.
        things: shape, colour and texture of each thing.
    """

    night: bool
    things: tuple[tuple[str, str, str], ...]

    def labels(self) -> frozenset[str]:
        """Return the names of the classes this scene carries."""
        names = {name for thing in self.things for name in thing if name not in UNLABELLED}
        return frozenset(names | {"night"} if self.night else names)


def _generator(split: str, index: int, seed: int, *, purpose: int) -> np.random.Generator:
    """Return the generator of one image; what is on it and how it looks are drawn separately."""
    return np.random.default_rng([seed, list(IMAGES).index(split), index, purpose])


def scene(split: str, index: int, *, seed: int = 0) -> Scene:
    """Return what is on one image, a pure function of split, index and seed.

    Example:
        >>> scene("train", 3) == scene("train", 3)
        True
    """
    uniform = _generator(split, index, seed, purpose=0).random(2 + len(THINGS_PROBABILITY) - 1)
    night = bool(uniform[0] < NIGHT_PROBABILITY)
    count = int(np.searchsorted(np.cumsum(THINGS_PROBABILITY)[:-1], uniform[1], side="right"))
    cumulative = _THING_PROBABILITY[int(night)].ravel().cumsum()
    chosen = np.searchsorted(cumulative[:-1], uniform[2 : 2 + count], side="right")
    positions = zip(*np.unravel_index(chosen, _THING_PROBABILITY.shape[1:]), strict=True)
    return Scene(
        night,
        tuple((SHAPES[s], list(COLOURS)[c], TEXTURES[t]) for s, c, t in positions),
    )


@dataclass(frozen=True)
class ShapesImages:
    """Scenes that are drawn when they are opened.

    Args:
        split: "train", "val" or "test"; the splits share no scene.
        indices: which scenes, in which order.
        size: height and width in pixels.
        seed: another seed, another data set.
        ambiguity: from 0 (clean) to 1 (hardly recognisable).
    """

    split: str
    indices: tuple[int, ...]
    size: int
    seed: int
    ambiguity: float

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.indices)

    def open(self, index: int) -> Image.Image:
        """Return image ``index`` as RGB."""
        number = self.indices[index]
        generator = _generator(self.split, number, self.seed, purpose=1)
        content = scene(self.split, number, seed=self.seed)
        return _draw(content, generator, self.size, self.ambiguity)

    def locate(self, index: int) -> str:
        """Return the name of image ``index`` for messages."""
        return f"shapes {self.split} image {self.indices[index]} (seed {self.seed})"

    def select(self, indices: Sequence[int]) -> ShapesImages:
        """Return the source restricted to these positions, in this order."""
        chosen = tuple(self.indices[index] for index in indices)
        return ShapesImages(self.split, chosen, self.size, self.seed, self.ambiguity)


def read_shapes(
    split: str,
    *,
    size: int = 64,
    images: Mapping[str, int] | None = None,
    seed: int = 0,
    ambiguity: float = 0.2,
) -> Records:
    """Drawn scenes with 16 labels of shape, colour, texture and background.

    The labels depend on split, index and seed alone: another size or ambiguity shows the same
    scenes in another way, and a longer split begins with the images of a shorter one.

    Args:
        split: "train", "val" or "test".
        size: height and width in pixels, from 16 to 1024.
        images: number of images of each split; splits not named keep the number in ``IMAGES``.
        seed: a number from 0 on; another seed, another data set.
        ambiguity: from 0 to 1; how much colours blend, things fade, shrink and are hidden behind
            grey bars, day turns to dusk, and how strong the noise is.

    Returns:
        Records without files, groups or unknown labels.

    Raises:
        DataError: on an unknown split or a number out of range.

    Example:
        >>> records = read_shapes("val", images={"val": 3})
        >>> len(records), len(records.classes), records.images.open(0).size
        (3, 16, (64, 64))
    """
    for name in (split, *(images or {})):
        if name not in IMAGES:
            raise DataError(f"shapes has no split {name!r}: {nearest(name, IMAGES)}")
    count = {**IMAGES, **(images or {})}[split]
    if count < 1:
        raise DataError(f"shapes: the split {split!r} needs at least 1 image, got {count}.")
    if not 16 <= size <= 1024:
        raise DataError(f"shapes: size must be from 16 to 1024 pixels, got {size}.")
    if not 0 <= ambiguity <= 1:
        raise DataError(f"shapes: ambiguity must be from 0 to 1, got {ambiguity}.")
    if seed < 0:
        raise DataError(f"shapes: seed must be 0 or more, got {seed}.")
    targets = np.zeros((count, len(CLASSES)), dtype=np.int8)
    column = {name: position for position, name in enumerate(CLASSES)}
    for index in range(count):
        for name in scene(split, index, seed=seed).labels():
            targets[index, column[name]] = 1
    return Records(
        ids=tuple(f"{split}-{index:06d}" for index in range(count)),
        images=ShapesImages(split, tuple(range(count)), size, seed, float(ambiguity)),
        targets=targets,
        classes=CLASSES,
        notes=(f"drawn by colabel, not photographed: seed {seed}, ambiguity {ambiguity:g}",),
    )


def _draw(
    content: Scene, generator: np.random.Generator, size: int, ambiguity: float
) -> Image.Image:
    """Draw a scene at twice its size and halve it, which smooths the edges."""
    side = 2 * size
    uniform = iter(generator.random(96).tolist())
    canvas = _background(content.night, generator, side, ambiguity)
    corners = sorted((next(uniform), place) for place in range(4))
    for thing, (_, place) in zip(content.things, corners, strict=False):
        # a quarter of the image for each thing; they may reach over its border
        across, down = (
            side * (0.28 + 0.44 * part + (0.16 + 0.1 * ambiguity) * (next(uniform) - 0.5))
            for part in (place % 2, place // 2)
        )
        radius = side * (0.27 - (0.06 + 0.12 * ambiguity) * next(uniform))
        other = list(COLOURS.values())[int(next(uniform) * len(COLOURS))]
        colour = _blend(COLOURS[thing[1]], other, (0.2 + 0.6 * ambiguity) * next(uniform))
        light = 1 + (0.35 + 0.5 * ambiguity) * (next(uniform) - 0.5)
        colour = _blend((0, 0, 0), colour, light)
        contrast = 1 - 0.9 * ambiguity * next(uniform)
        opacity = 1 - 0.75 * ambiguity * next(uniform)
        turn = cmath.exp(1j * math.pi * (0.1 + ambiguity) * (next(uniform) - 0.5))
        tile = _textured(thing[2], colour, radius, turn, contrast)
        mask = _silhouette(thing[0], radius, turn, round(255 * opacity))
        canvas.paste(tile, (round(across - radius), round(down - radius)), mask)
    pen = ImageDraw.Draw(canvas)
    for _ in range(round(8 * ambiguity * next(uniform))):
        ends = [side * next(uniform) for _ in range(4)]
        tone = round(60 + 130 * next(uniform))
        pen.line(ends, fill=(tone, tone, tone), width=max(1, round(side * 0.05 * next(uniform))))
    pixels = np.asarray(canvas.reduce(2), dtype=np.float32)
    strength = 2 + 60 * ambiguity * next(uniform)
    noise = generator.standard_normal((size, size, 1), dtype=np.float32)
    noisy: npt.NDArray[np.float32] = (pixels + strength * noise).clip(0, 255)
    return Image.fromarray(noisy.astype(np.uint8))


def _background(
    night: bool, generator: np.random.Generator, side: int, ambiguity: float
) -> Image.Image:
    """Draw uneven light: by day above the middle of the range, at night below, closer at dusk."""
    level, dusk, *tint = generator.random(5)
    dimming = 60 * ambiguity * dusk
    base = 25 + 45 * level + dimming if night else 215 - 75 * level - dimming
    uneven = base + 50 * (generator.random((4, 4, 3)) - 0.5) + 30 * (np.array(tint) - 0.5)
    patches = Image.fromarray(uneven.clip(0, 255).astype(np.uint8))
    return patches.resize((side, side), Image.Resampling.BILINEAR)


def _blend(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[int, int, int]:
    """Return ``first`` moved towards ``second`` by this share; beyond it for shares above 1."""
    red, green, blue = (
        min(255, round(a + share * (b - a))) for a, b in zip(first, second, strict=True)
    )
    return red, green, blue


def _polygon(
    corners: Sequence[complex], radius: float, turn: complex
) -> list[tuple[float, float]]:
    """Return corners on the unit disc as pixels of a tile of this radius, turned."""
    points = (radius * (1 + 1j + corner * turn) for corner in corners)
    return [(point.real, point.imag) for point in points]


def _wheel(corners: int, *radii: float) -> tuple[complex, ...]:
    """Return corners at equal angles, with these distances from the centre in turn."""
    return tuple(
        radii[corner % len(radii)] * cmath.exp(2j * math.pi * corner / corners)
        for corner in range(corners)
    )


_CORNERS: Mapping[str, tuple[complex, ...]] = {
    "square": _wheel(4, 1.0),
    "triangle": _wheel(3, 1.0),
    "star": _wheel(10, 1.0, 0.42),
    "cross": tuple(
        corner * 1j**quarter
        for quarter in range(4)
        for corner in (0.95 - 0.3j, 0.95 + 0.3j, 0.3 + 0.3j)
    ),
}


def _silhouette(shape: str, radius: float, turn: complex, opacity: int) -> Image.Image:
    """Draw the outline of a thing as a mask."""
    side = round(2 * radius)
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    if shape in _CORNERS:
        pen.polygon(_polygon(_CORNERS[shape], radius, turn), fill=opacity)
        return mask
    edge = 0.06 * side
    pen.ellipse((edge, edge, side - edge, side - edge), fill=opacity)
    if shape == "ring":
        hole = 0.27 * side
        pen.ellipse((hole, hole, side - hole, side - hole), fill=0)
    if shape == "crescent":
        ((across, down),) = _polygon([0.5 + 0j], radius, turn)
        bite = 0.8 * radius
        pen.ellipse((across - bite, down - bite, across + bite, down + bite), fill=0)
    return mask


def _textured(
    texture: str, colour: tuple[int, int, int], radius: float, turn: complex, contrast: float
) -> Image.Image:
    """Draw the surface of a thing: its colour and, on it, the pattern in a darker tone."""
    side = round(2 * radius)
    tile = Image.new("RGB", (side, side), colour)
    if texture == "plain":
        return tile
    pen = ImageDraw.Draw(tile)
    tone = _blend(colour, (15, 15, 15), 0.75 * contrast)
    steps = (-0.9, -0.3, 0.3, 0.9)
    if texture == "striped":
        for step in steps:
            band = [complex(-1.2, step - 0.14), complex(1.2, step - 0.14)]
            band += [point.conjugate() + 2j * step for point in reversed(band)]
            pen.polygon(_polygon(band, radius, turn), fill=tone)
        return tile
    for row, down in enumerate(steps):
        for column, across in enumerate(steps):
            if texture == "dotted":
                ((x, y),) = _polygon([complex(across, down)], radius, turn)
                dot = 0.17 * radius
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=tone)
            elif (row + column) % 2:
                centre = complex(across, down)
                cell = [centre + 0.3 * 1j**quarter * (1 + 1j) for quarter in range(4)]
                pen.polygon(_polygon(cell, radius, turn), fill=tone)
    return tile
