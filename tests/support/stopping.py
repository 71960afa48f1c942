"""A display that interrupts a run as a user would."""

import signal


class Stopping:
    """A display that presses Ctrl-C at a step, once or twice."""

    def __init__(self, at, times=1):
        self.at, self.times, self.steps, self.notes = at, times, 0, []

    def start_stage(self, stage, *, step, steps):
        pass

    def show_step(self, _):
        self.steps += 1
        if self.steps == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)

    def show_epoch(self, stage, record):
        pass

    def note(self, text):
        self.notes.append(text)

    def close(self):
        pass
