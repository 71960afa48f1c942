"""What tells the model of a run from every other."""

from __future__ import annotations

import hashlib
from pathlib import Path

from colabel.errors import RunError
from colabel.foreign import open_plain
from colabel.runs.folder import DESCRIPTION, WEIGHTS


def model_fingerprint(folder: Path) -> str:
    """Return what tells the model of a run, its operating point included, from every other.

    Raises:
        RunError: if a file of it cannot be read.
    """
    return _digest(folder / DESCRIPTION, folder / WEIGHTS)


def weights_fingerprint(folder: Path) -> str:
    """Return what tells the weights of a run, and so its logits, from every other.

    Raises:
        RunError: if the file cannot be read.
    """
    return _digest(folder / WEIGHTS)


def _digest(*paths: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            with open_plain(path) as file:
                while block := file.read(2**20):
                    content.update(block)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error
    return content.hexdigest()
