"""Stop requests: SIGINT and SIGTERM are recorded, and the loop checks after each batch."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """Within its block, a first SIGINT or SIGTERM is noted instead of ending the process.

    A second one acts as it did before. Outside the main thread, where Python delivers no signals,
    the block changes nothing. Forked children keep the ordinary behaviour.

    Example:
        >>> with Interruption() as interruption:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interruption.signal
        'SIGINT'
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        """Take over the two signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() == self._process:
            self.signal = signal.Signals(number).name
            self._give_back()
        else:
            self._give_back()
            signal.raise_signal(number)
