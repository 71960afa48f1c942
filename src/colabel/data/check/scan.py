"""What is in the image files: read once, from several threads, in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from colabel.data.changes import CHANGES
from colabel.data.images import EncodedSource, FileImages
from colabel.data.pixels import Decoded
from colabel.data.records import Records
from colabel.data.threads import reading_threads
from colabel.errors import ImageError

Progress = Callable[[int, int], None]
"""Called now and then with the number of images done and the number of all."""

THUMBNAIL = 16
"""Side of the grey miniatures by which look-alikes are found."""

ALIKE = 0.99
"""Correlation of two miniatures from which their images are taken for the same picture.

Measured: copies saved as JPEG of quality 30, halved or squashed stay above 0.994 (from 320 pixels
on), different radiographs of one patient below 0.988, unrelated photographs below 0.985.
"""

DARK = 32
"""An image with at most one pixel in a hundred of this grey value or above is nearly black."""

MOST_PAIRS = 10_000
"""Where the search for look-alikes ends."""

_CHUNK = 32
_BLOCK = 2048
_TAIL = 4096
_SAMPLED_SIDE = (
    256  # rows and columns that are looked at for darkness: all would cost as much time
)
_NEAREST = Image.Resampling.NEAREST

Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Failure:
    """An image that could not be used.

    Args:
        index: its position in the records.
        reason: why, without its name.
        missing: whether there is no file at all.
    """

    index: int
    reason: str
    missing: bool


@dataclass(frozen=True)
class Picture:
    """What one readable image turned out to be.

    Args:
        width: in pixels, upright.
        height: in pixels, upright.
        mode: how the pixels are stored, in Pillow's words ("L", "RGB", "I;16").
        format: the file format, or ``None`` for an image without a file.
        turned: whether a note in the file asks to turn or mirror it.
        darkest: smallest grey value, 0 to 255.
        brightest: largest grey value, 0 to 255.
        miniature: 256 grey values, the image shrunk to 16 x 16.
        changes: what was lost or guessed when it was read: keys of
            :data:`colabel.data.changes.CHANGES`.
        peak: see :class:`colabel.data.pixels.Decoded`.
    """

    width: int
    height: int
    mode: str
    format: str | None
    turned: bool
    darkest: int
    brightest: int
    miniature: npt.NDArray[np.uint8]
    changes: frozenset[str] = frozenset()
    peak: float | None = None


def for_each(
    count: int,
    work: Callable[[int], Result],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Yield ``work(0)``, ``work(1)``, ... in order, computed in threads a little ahead.

    Args:
        count: how many.
        work: called with an index, from several threads.
        workers: threads; ``None`` for one per processor, at most 8.
        progress: see :data:`Progress`; called in the caller's thread.

    Example:
        >>> list(for_each(4, lambda index: index**2, workers=2))
        [0, 1, 4, 9]
    """
    threads = workers or min(8, os.cpu_count() or 1)

    def chunk(start: int) -> list[Result]:
        return [work(index) for index in range(start, min(start + _CHUNK, count))]

    starts = iter(range(0, count, _CHUNK))
    done = 0
    with reading_threads(threads) as pool:
        waiting = deque(
            pool.submit(chunk, start) for start in itertools.islice(starts, 2 * threads)
        )
        while waiting:
            results = waiting.popleft().result()
            waiting.extend(pool.submit(chunk, start) for start in itertools.islice(starts, 1))
            yield from results
            done += len(results)
            if progress is not None:
                progress(done, count)


def look(records: Records, index: int) -> Picture | Failure:
    """Decode one image completely and describe it."""
    try:
        decoded = _read(records, index)
    except ImageError as error:
        name = records.images.locate(index)
        absent = isinstance(records.images, FileImages) and not os.path.exists(name)
        return Failure(index, str(error).removeprefix(f"{name}: "), absent)
    grey = decoded.image.convert("L")
    tones = np.flatnonzero(grey.histogram())
    small = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)).ravel()
    return Picture(
        *decoded.image.size,
        mode=decoded.mode,
        format=decoded.format,
        turned=decoded.turned,
        darkest=int(tones[0]),
        brightest=int(tones[-1]),
        miniature=small,
        changes=decoded.changes | _darkness(decoded.image),
        peak=decoded.peak,
    )


def _read(records: Records, index: int) -> Decoded:
    """Decode one image; of one without a file is known what it is now."""
    if isinstance(records.images, EncodedSource):
        return records.images.read(index)
    image = records.images.open(index)
    return Decoded(image, image.mode)


def _darkness(image: Image.Image) -> frozenset[str]:
    """Tell whether an image of more than one tone is nearly black, whatever shines in it."""
    side = _SAMPLED_SIDE
    sample = image.resize((min(image.width, side), min(image.height, side)), _NEAREST)
    counts = np.array(sample.convert("L").histogram())
    if np.count_nonzero(counts) < 2 or counts[DARK:].sum() > counts.sum() / 100:
        return frozenset()
    return frozenset({"dark"})


def stat_files(records: Records, index: int) -> int | Failure:
    """Return the size of a file in bytes, 0 for an image that has none."""
    if not isinstance(records.images, FileImages):
        return 0
    path = records.images.locate(index)
    try:
        size = os.path.getsize(path)
    except OSError as error:
        return Failure(index, error.strerror or type(error).__name__, not os.path.exists(path))
    except ValueError:  # a zero byte, which no path may have
        return Failure(index, "no such file; correct the path in the labels", True)
    return size if size else Failure(index, "the file is empty (0 bytes)", False)


@dataclass(frozen=True)
class Verified:
    """What came of decoding every image once.

    Args:
        failures: position and reason of each image that is missing or corrupt; the reason names
            the image.
        changes: position and key of :data:`colabel.data.changes.CHANGES` for everything that was
            lost or guessed in the others.
    """

    failures: tuple[tuple[int, str], ...] = ()
    changes: tuple[tuple[int, str], ...] = ()


def verify_images(
    records: Records,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    keep: Callable[[int, Decoded], None] | None = None,
) -> Verified:
    """Decode every image and say which cannot be used, and what was done to the others.

    Args:
        records: the images.
        workers: threads; ``None`` for one per processor, at most 8.
        progress: called with the number of images done and of all.
        keep: called with the position of each image that can be used, and what was decoded, in
            any thread.
    """

    def attempt(index: int) -> str | frozenset[str]:
        try:
            decoded = _read(records, index)
        except ImageError as error:
            return str(error)
        if keep is not None:
            keep(index, decoded)
        return decoded.changes | _darkness(decoded.image)

    answers = for_each(len(records), attempt, workers=workers, progress=progress)
    failures: list[tuple[int, str]] = []
    changes: list[tuple[int, str]] = []
    for index, answer in enumerate(answers):
        if isinstance(answer, str):
            failures.append((index, answer))
        else:
            changes += ((index, key) for key in sorted(answer))
    return Verified(tuple(failures), tuple(changes))


def describe_changes(records: Records, changes: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """Return a sentence for each kind of change: how many images, the first, and what to do.

    Args:
        records: the images.
        changes: positions and kinds, in the order of the images.
    """
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, key in changes:
        positions[key].append(index)
    return tuple(
        f"{len(positions[key])} of {len(records)} images {change.what}; first: "
        f"{records.images.locate(positions[key][0])}"
        + (f". {change.remedy}" if change.severity == "warning" else "")
        for key, change in CHANGES.items()
        if key in positions
    )


def same_bytes(sizes: Sequence[int], paths: Sequence[str]) -> list[list[int]]:
    """Return groups of two or more positions whose files hold the same bytes.

    Only files of equal size are read, and in full only those whose last bytes agree too.

    Args:
        sizes: bytes of each file; 0 for a file that shall not be compared.
        paths: one per size.
    """
    by_size = _shared({index: size for index, size in enumerate(sizes) if size})
    groups = []
    for candidates in by_size:
        for close in _shared({index: _digest(paths[index], _TAIL) for index in candidates}):
            groups += _shared({index: _digest(paths[index]) for index in close})
    return sorted(groups)


def _shared(keys: dict[int, Key]) -> list[list[int]]:
    """Return the positions that have the same key, where there are at least two."""
    groups: defaultdict[Key, list[int]] = defaultdict(list)
    for index, key in keys.items():
        groups[key].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: str, tail: int | None = None) -> bytes:
    """Return a hash of the file, or of its last bytes."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        if tail is not None:
            file.seek(max(0, os.fstat(file.fileno()).st_size - tail))
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def look_alikes(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> list[tuple[int, int]]:
    """Return pairs of positions in the two stacks of miniatures that show the same picture.

    Formula: correlation of the grey values of two miniatures at least ``ALIKE``. It does not
    change when an image is made brighter or given more contrast, and hardly when it is resized
    or saved in another format.

    Args:
        first: from :func:`standardised`, shape (images, 256).
        second: from :func:`standardised`, shape (other images, 256).

    Returns:
        Pairs of a position in ``first`` and one in ``second``, at most ``MOST_PAIRS``.
    """
    pairs: list[tuple[int, int]] = []
    for row in range(0, len(first), _BLOCK):
        for column in range(0, len(second), _BLOCK):
            correlation = first[row : row + _BLOCK] @ second[column : column + _BLOCK].T
            rows, columns = np.nonzero(correlation >= ALIKE)
            pairs += zip((rows + row).tolist(), (columns + column).tolist(), strict=True)
            if len(pairs) >= MOST_PAIRS:
                return pairs[:MOST_PAIRS]
    return pairs


def standardised(miniatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return miniatures with mean 0 and length 1; those of nearly one tone become 0.

    Args:
        miniatures: shape (images, 256).
    """
    values = miniatures.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    # a standard deviation under 2 of 255 grey values is noise that may agree by chance
    values /= np.where(length > 2 * THUMBNAIL, length, np.float32(np.inf))
    return values
