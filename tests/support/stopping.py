"""Displays that act as a user would while a run goes on."""

import signal


def interrupt():
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


class Watcher:
    """A display that keeps what it is shown, and acts at a step of the run."""

    def __init__(self, at=None, action=None):
        self.at, self.action = at, action
        self.steps, self.notes = [], []

    def start_stage(self, stage, *, step, steps):
        pass

    def show_step(self, progression):
        self.steps.append(progression)
        if len(self.steps) == self.at:
            self.action()

    def show_epoch(self, stage, record):
        pass

    def note(self, text):
        self.notes.append(text)

    def close(self):
        pass


class Stopping(Watcher):
    """A display that presses Ctrl-C at a step, once or twice."""

    def __init__(self, at, times=1):
        super().__init__(at, self.press)
        self.times = times

    def press(self):
        for _ in range(self.times):
            interrupt()
