"""Stop requests: SIGINT, SIGTERM and SIGHUP are noted, and the loop checks after each batch."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Within its block, a first SIGINT, SIGTERM or SIGHUP is noted instead of ending the process.

    A second one acts as it did before, except for SIGHUP: a terminal that goes away sends it more
    than once. A signal that is ignored, as SIGHUP is under nohup, stays ignored. Outside the main
    thread, where Python delivers no signals, the block changes nothing. Forked children keep the
    ordinary behaviour.

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
        """Take over the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
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

    def _give_back(self, *, but: int | None = None) -> None:
        for number in [number for number in self._before if number != but]:
            handler = self._before.pop(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() == self._process:
            self.signal = self.signal or signal.Signals(number).name
            self._give_back(but=signal.SIGHUP)
        else:
            self._give_back()
            signal.raise_signal(number)
