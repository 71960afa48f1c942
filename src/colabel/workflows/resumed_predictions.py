"""Going on with predictions that ended early, so that the result is that of an undisturbed run.

Beside ``FILE.partial`` lies ``FILE.partial.json``, which says what the predictions were begun
with. What is there is kept up to the last batch of images that was written as a whole: the batches
after it are then those of an undisturbed run, and so is every digit.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from colabel.errors import RunError
from colabel.files import partial_of, write_json
from colabel.foreign import open_plain, parse_json, read_plain
from colabel.limits import MAX_DESCRIPTION_BYTES
from colabel.runs.identity import model_fingerprint
from colabel.version import VERSION
from colabel.workflows.predictions_file import columns_before, csv_header, unescape

Form = Literal["csv", "jsonl"]

_AGAIN = "Leave out --resume to begin anew, or give what it was begun with."


@dataclass(frozen=True)
class Kept:
    """What of an interrupted prediction is kept.

    Args:
        position: length in bytes of the file up to there.
        images: how many images that is, those that could not be read among them.
        failed: those that could not be read.
    """

    position: int = 0
    images: int = 0
    failed: tuple[str, ...] = ()


def facts_file(partial: Path) -> Path:
    """Return where it is kept what a partial file was begun with."""
    return partial.with_name(f"{partial.name}.json")


class Work:
    """Predictions that are to be written to a file, and what of them is there already.

    Args:
        facts: all that decides what is written, as it is kept beside the partial file.
        pictures: the images, in order.
        classes: of the model.
        form: of the output.
        batch: images at once.
        resume: whether to go on with what an interrupted prediction left.
        abstain: whether a table says which images the model should not decide.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        pictures: Iterable[str],
        classes: Sequence[str],
        *,
        form: Form,
        batch: int,
        resume: bool,
        abstain: bool = False,
    ) -> None:
        self._abstain = abstain
        self._facts = facts
        self._pictures, self._classes, self._form, self._batch = pictures, classes, form, batch
        self._resume = resume
        self.kept = Kept()

    @classmethod
    def of(
        cls,
        run: Path,
        pictures: Sequence[str],
        classes: Sequence[str],
        *,
        form: Form,
        batch: int,
        device: str,
        max_pixels: int | None,
        resume: bool,
        abstain: str | None = None,
    ) -> Work:
        """Return the work that a command asks for.

        Args:
            run: folder of the run.
            pictures: the images, in order.
            classes: of the model.
            form: of the output.
            batch: images at once.
            device: where the model runs.
            max_pixels: as given.
            resume: whether to go on with what an interrupted prediction left.
            abstain: as given.

        Raises:
            RunError: if the run cannot be read.
        """
        names = hashlib.blake2b(digest_size=16)
        for picture in pictures:
            names.update(os.fsencode(picture) + b"\0")
        facts = {
            "run": model_fingerprint(run),
            "images": names.hexdigest(),
            "--format": form,
            "--batch": batch,
            "--device": device,
            "--max-pixels": max_pixels,
            "--abstain": abstain,
            "colabel": VERSION,
        }
        return cls(
            facts, pictures, classes,
            form=form, batch=batch, resume=resume, abstain=abstain is not None,
        )  # fmt: skip

    def check(self, path: Path) -> None:
        """Refuse to go on with what is not there, or was begun with something else.

        Args:
            path: file to make or replace.

        Raises:
            RunError: naming what differs.
        """
        if self._resume:
            check_resumable(partial_of(path.resolve()), self._facts)

    def begin(self, partial: Path) -> int:
        """Find what is kept of a partial file that is ours alone; say how many bytes it has.

        Raises:
            RunError: if it was begun with something else, or cannot be written.
            OSError: if it cannot be read.
        """
        if self._resume:
            check_resumable(partial, self._facts)
            self.kept = find_kept(
                partial, self._pictures, self._classes,
                form=self._form, batch=self._batch, abstain=self._abstain,
            )  # fmt: skip
        else:
            os.truncate(partial, 0)  # first: predictions never lie beside facts of others
            write_json(facts_file(partial), self._facts)
        return self.kept.position

    def finish(self, file: TextIO, path: Path) -> None:
        """Forget what a complete file was begun with, once it is on the disk.

        Raises:
            OSError: if the disk refuses.
        """
        file.flush()
        os.fsync(file.fileno())
        facts_file(partial_of(path.resolve())).unlink(missing_ok=True)


def check_resumable(partial: Path, facts: Mapping[str, Any]) -> None:
    """Refuse to go on with what is not there, or was begun with something else.

    Args:
        partial: file that an interrupted prediction left.
        facts: what this one is to be made with.

    Raises:
        RunError: naming what differs.
    """
    path = facts_file(partial)
    if not partial.is_file() or not path.is_file():
        missing = path if partial.is_file() else partial
        raise RunError(
            f"there is no interrupted prediction to go on with: {missing} is missing. Leave out "
            "--resume to begin."
        )
    try:
        before = parse_json(read_plain(path, limit=MAX_DESCRIPTION_BYTES, follow_links=False))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}). {_AGAIN}") from error
    if not isinstance(before, dict):
        raise RunError(f"{path} holds no JSON object. {_AGAIN}")
    differs = []
    for key, now in facts.items():
        was = before.get(key)
        if was != now:
            is_shown = key.startswith("--") or key == "colabel"
            differs.append(
                f"{key} was {json.dumps(was)}, is {json.dumps(now)}"
                if is_shown
                else f"the {key} {'is' if key == 'run' else 'are'} not the same"
            )
    if differs:
        raise RunError(f"{partial} was begun with something else: {'; '.join(differs)}. {_AGAIN}")


def find_kept(
    partial: Path,
    pictures: Iterable[str],
    classes: Sequence[str],
    *,
    form: Form,
    batch: int,
    abstain: bool = False,
) -> Kept:
    """Return how far an interrupted prediction came, up to its last complete batch.

    A last line that was cut off, and whatever else is no line of predictions for the images in
    their order, ends what is kept.

    Args:
        partial: file that it left.
        pictures: the images, in order.
        classes: of the model.
        form: of the output.
        batch: images at once.
        abstain: whether a table says which images the model should not decide.
    """
    header = csv_header(classes, abstain=abstain).encode() if form == "csv" else b""
    columns = len(columns_before(abstain=abstain)) + len(classes)
    upcoming = iter(enumerate(pictures))
    failed: list[tuple[int, str]] = []
    images = kept = 0
    with open_plain(partial, follow_links=False) as file:
        if file.read(len(header)) != header:
            return Kept()
        position = len(header)
        for line in file:
            number = _place(_image_of(line, form, columns=columns), upcoming, failed)
            if number is None:
                break
            first_of_batch = number // batch * batch
            if first_of_batch > images:
                images, kept = first_of_batch, position
            position += len(line)
    return Kept(kept, images, tuple(name for number, name in failed if number < images))


def _place(
    image: str | None, upcoming: Iterator[tuple[int, str]], failed: list[tuple[int, str]]
) -> int | None:
    """Return the number of an image; those before it that have no line could not be read."""
    if image is None:
        return None
    for number, picture in upcoming:
        if picture == image:
            return number
        failed.append((number, picture))
    return None


def _image_of(line: bytes, form: Form, *, columns: int) -> str | None:
    """Return the image that a line is about, or ``None`` where it is no whole line."""
    if not line.endswith(b"\n"):
        return None
    try:
        if form == "csv":
            row = next(csv.reader([line.decode("utf-8")]))
            return unescape(row[0]) if len(row) == columns else None
        value = parse_json(line)
    except (ValueError, csv.Error):
        return None
    image = value.get("image") if isinstance(value, dict) else None
    return image if isinstance(image, str) else None
