"""Disks that fail: the n-th step of writing anything raises, once or from then on, or kills."""

import builtins
import errno
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from fuzzing import examples

from colabel.training import checkpoint

ALIKE = max(1, 8 // examples(1))  # writes to one file that are one step, after the first few
FIRST = 4


class Faults:
    """Counts the steps of writing, and fails at one of them.

    Args:
        at: the step that fails, counted from 1; 0 for none.
        lasting: whether every later step fails as well, as on a disk that stays full.
        kill: end the process instead, as a power cut does.
    """

    def __init__(self, at=0, *, lasting=False, kill=False, number=errno.ENOSPC):
        self.at, self.lasting, self.kill, self.number = at, lasting, kill, number
        self.steps = 0

    @property
    def lasts(self):
        """Whether the disk is full by now, so that no write succeeds."""
        return self.lasting and 0 < self.at <= self.steps

    def step(self):
        self.steps += 1
        if self.steps == self.at or (self.lasting and 0 < self.at < self.steps):
            if self.kill:
                os._exit(9)
            raise OSError(self.number, os.strerror(self.number))


class _File:
    """A file whose writes are steps; half of what the failing one was given arrives.

    An archive of arrays is written in eighty pieces, all in one place of the code: of what follows
    its first ones, every eighth is a step.
    """

    def __init__(self, file, faults):
        self._file, self._faults, self._writes = file, faults, 0

    def write(self, content):
        self._writes += 1
        try:
            if self._faults.lasts or self._writes <= FIRST or not self._writes % ALIKE:
                self._faults.step()
        except OSError:
            self._file.write(content[: len(content) // 2])
            raise
        return self._file.write(content)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def __getattr__(self, name):
        return getattr(self._file, name)


@contextmanager
def failing(faults):
    """Let every way in which a run writes to the disk go through the faults."""

    def before(function):
        def step(*arguments, **options):
            faults.step()
            return function(*arguments, **options)

        return step

    def opening(function):
        def open_file(file, mode="r", *arguments, **options):
            if not set(mode) & set("wax+"):
                return function(file, mode, *arguments, **options)
            faults.step()
            return _File(function(file, mode, *arguments, **options), faults)

        return open_file

    with ExitStack() as stack:
        for owner, name, wrapper in (
            (os, "fsync", before),
            (os, "fdopen", opening),
            (builtins, "open", opening),
            (Path, "replace", before),
            (Path, "touch", before),
            (Path, "chmod", before),
            (Path, "mkdir", before),
            (checkpoint, "save_file", before),
        ):
            stack.enter_context(patch.object(owner, name, wrapper(getattr(owner, name))))
        yield faults
