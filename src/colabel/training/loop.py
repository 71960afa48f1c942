"""The one loop: stages in turn, each epoch validated, a state to go on from at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader

from colabel.errors import ConfigError, RunError
from colabel.files import make_folder
from colabel.settings import Training
from colabel.settings.flat import differences
from colabel.training.checkpoint import SavedState, load_state, unpack_module
from colabel.training.clock import SPENT, TO_FINISH, Clock, noted_seconds
from colabel.training.display import Display
from colabel.training.facts import check_facts
from colabel.training.interruption import Interruption
from colabel.training.log import TrainingLog, check_log, read_log
from colabel.training.objective import subject_of
from colabel.training.position import SharedState
from colabel.training.run_stage import StageRun
from colabel.training.stage import Stage

_FIXED = (
    "weight_decay", "warm_up", "ema_decay", "clip_gradient", "accumulation",
    "synchronise_batch_norm",
)  # fmt: skip
"""Settings that every stage shares and that a resumed run may not change."""


@dataclass(frozen=True)
class History:
    """What a training run did, from its first epoch on, resumed or not.

    Args:
        epochs: the log's line of every epoch; :mod:`colabel.training.log` says what is in it.
        best: the line of the epoch whose weights were kept, of whatever stage, or ``None``.
        finished: whether every stage is complete; if not, the run can be resumed.
        message: how it ended, for the user.
        signal: name of the signal that ended it, such as "SIGTERM", where this process got one.
        spent: seconds that it took, interruptions not counted, where its time is limited; ``None``
            elsewhere.
    """

    epochs: tuple[Mapping[str, Any], ...]
    best: Mapping[str, Any] | None
    finished: bool
    message: str
    signal: str | None = None
    spent: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the epochs warned of, each once, in the words of its last time, in order."""
        said = (record.get("warning") for record in self.epochs)
        return tuple({subject_of(text): text for text in said if text}.values())

    def is_out_of_time(self, minutes: float | None) -> bool:
        """Return whether another epoch would not have fit into the time of the run.

        Args:
            minutes: that it may take, or ``None`` where nothing limits it.
        """
        if minutes is None or self.spent is None:
            return False
        longest = max(
            (line["seconds"] + line["validation_seconds"] for line in self.epochs), default=0.0
        )
        return self.spent + longest + TO_FINISH > 60 * minutes


def fit(
    stages: Sequence[Stage],
    *,
    loaders: Callable[[Stage], DataLoader[Any]],
    validate: Callable[[Stage, nn.Module], Mapping[str, float]],
    on_best: Callable[[nn.Module, Mapping[str, Any]], None],
    folder: Path,
    accelerator: Accelerator,
    settings: Training | None = None,
    monitor: str = "mAP",
    resume: bool = False,
    display: Display | None = None,
    began: float | None = None,
    validation_share: float = 0.0,
) -> History:
    """Train the stages one after the other, and keep a state to go on from.

    Within a stage every epoch ends with validation of the averaged weights (the plain ones where
    averaging is off). After a stage its model carries the weights that were validated last, so
    the next stage goes on from them.

    The first Ctrl-C, or SIGTERM, finishes the batch, saves the state and returns. A run that was
    killed outright goes on from its last saved state. On the CPU a resumed run ends with the very
    bits of an uninterrupted one.

    Args:
        stages: at least one, each with a name of its own. Their models are built as at the
            beginning of the run, also when it is resumed.
        loaders: training batches of a stage, from :func:`colabel.data.training_loader`; called
            when the stage begins or goes on, once its model has its weights and its device.
        validate: metrics of a stage's model on the validation split, called on every process.
        on_best: keeps a model and the log's line of its epoch, called on the main process when
            the monitored metric is the highest so far.
        folder: of the run; ``log.jsonl`` and ``last/`` are written there.
        accelerator: from :func:`colabel.training.make_accelerator`.
        settings: the schedule; of it, what is not a stage's own. The defaults if ``None``.
        monitor: the metric that decides which weights are kept; higher is better.
        resume: go on from the state in the folder; from the beginning where none was saved.
        display: shows the progress; ``None`` shows nothing.
        began: reading of :func:`time.monotonic` from which on ``settings.minutes`` count; ``None``
            for now.
        validation_share: validation images for each training image, by which the time of the
            first validation is estimated where ``settings.minutes`` limits it.

    Returns:
        What happened; ``finished`` is false after an interruption. Where the run in the folder is
        complete already, nothing is done, and the models are left as they are.

    Raises:
        ConfigError: if stages, settings and loaders do not fit together.
        RunError: if the folder holds a run that is not to be resumed, or one started with other
            stages or settings, or the state cannot be saved.
        NonFiniteLossError: if a loss is infinite or not a number; the last saved state is kept.
        WeightsError: if the saved state is that of another model.
    """
    settings = settings or Training()
    check_stages(stages, settings, accelerator)
    last = folder / "last"
    saved = load_state(last)
    plan = _plan(stages, settings)
    if saved is not None:
        check_facts(saved.facts, last, epochs=[stage.epochs for stage in stages])
        _check_resumable(saved, plan, last, resume=resume)
        check_log(folder / "log.jsonl", int(saved.facts["log_bytes"]))
        if saved.facts["finished"]:
            message = f"the run in {folder} is complete: there is nothing left to train."
            if display is not None and accelerator.is_main_process:
                display.note(message)
            return replace(
                _history(folder, saved.facts["best"], finished=True, message=message),
                spent=saved.facts.get("spent"),
            )
    make_folder(folder)
    clock = None
    if settings.minutes is not None:
        noted = last / SPENT
        spent = 0.0 if saved is None else saved.facts.get("spent") or 0.0
        clock = Clock(
            60 * settings.minutes,
            validation_share=validation_share,
            began=began,
            spent_before=max(spent, noted_seconds(noted)),
            notes=noted if accelerator.is_main_process else None,
        )
    log = None
    if accelerator.is_main_process:
        position = 0 if saved is None else int(saved.facts["log_bytes"])
        log = TrainingLog(folder / "log.jsonl", position=position)
    else:
        display = None
    try:
        with Interruption() as interruption:
            run = SharedState(
                accelerator=accelerator,
                settings=settings,
                folder=last,
                plan=plan,
                log=log,
                display=display,
                interruption=interruption,
                validate=validate,
                on_best=on_best,
                monitor=monitor,
                clock=clock,
            )
            finished = _run_stages(run, stages, loaders, saved)
    finally:
        if log is not None:
            log.close()
        if display is not None:
            display.close()
    accelerator.wait_for_everyone()
    message = "training is complete."
    if not finished:
        message = (
            f"stopped by {interruption.signal or 'a signal'} {run.where(stages)}; "
            f"the state is saved in {last}: resume the run to go on."
        )
    if display is not None:
        display.note(message)
    return replace(
        _history(folder, run.best, finished=finished, message=message),
        signal=None if finished else interruption.signal,
        spent=None if run.clock is None else run.clock.spent,
    )


def _run_stages(
    run: SharedState,
    stages: Sequence[Stage],
    loaders: Callable[[Stage], DataLoader[Any]],
    saved: SavedState | None,
) -> bool:
    """Return whether every stage was completed."""
    first = 0 if saved is None else int(saved.facts["position"]["stage"])
    for index in range(first, len(stages)):
        stage = stages[index]
        stage.model.to(run.accelerator.device)
        if saved is not None:
            unpack_module(saved, "model.", stage.model)
        with nullcontext() if run.clock is None else run.clock.noting(_first_layer(stage.model)):
            loader = loaders(stage)  # which may encode all images
        stage_run = StageRun(run, stage, loader)
        try:
            if saved is not None:
                stage_run.restore(saved)
                saved = None
            else:
                run.enter(index)
            if not stage_run.train(final=index == len(stages) - 1):
                return False
        finally:
            stage_run.close()
        if index < len(stages) - 1:
            run.accelerator.free_memory()  # of what accelerate still holds of this stage
    return True


def _first_layer(model: nn.Module) -> nn.Module:
    """Return a layer that every image passes, whatever of the model is computed."""
    return next(each for each in model.modules() if next(each.children(), None) is None)


def check_stages(stages: Sequence[Stage], settings: Training, accelerator: Accelerator) -> None:
    """Raise ConfigError if stages, settings and accelerator do not fit together."""
    names = [stage.name for stage in stages]
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"expected stages, each with a name of its own, got {names}.")
    if accelerator.num_processes > 1 and not accelerator.split_batches:
        raise ConfigError(
            "with several processes the batch size is that of all of them together: "
            "make the accelerator with colabel.training.make_accelerator."
        )
    if settings.minutes is not None:
        for stage in stages[:-1]:
            head = getattr(stage.model, "head", None)
            if stage.encoder is None or stage.augmented or getattr(head, "reads", "") == "maps":
                raise ConfigError(
                    f"training.minutes shortens the last stage of a run, and {stage.name}, one of "
                    f"the {len(stages)} of this one ({', '.join(names)}), may take longer alone; "
                    "set training.minutes to null, or take a method of one stage."
                )
    if settings.accumulation == 1:
        return
    for stage in stages:
        objective = stage.objective
        if objective.pairwise:
            raise ConfigError(
                f"stage {stage.name!r} compares the images of a batch with each other, so a "
                f"batch cut in {settings.accumulation} pieces has fewer comparisons and is "
                "another loss; set accumulation to 1. If memory is short, use a smaller batch, "
                "mixed precision, or several processes, which see the whole batch."
            )


def _plan(stages: Sequence[Stage], settings: Training) -> dict[str, Any]:
    """Return what must stay as it was for a resumed run to be the same run."""
    fixed = settings.model_dump(include=set(_FIXED))
    schedule = {
        stage.name: {
            "epochs": stage.epochs,
            "learning_rate": stage.learning_rate,
            "head_learning_rate": stage.head_learning_rate,
            "views": stage.views,
            "augmented": stage.augmented,
            "validated": stage.validated,
            "weights": stage.objective.weights,
        }
        for stage in stages
    }
    plan: dict[str, Any] = json.loads(json.dumps({"settings": fixed, "stages": schedule}))
    return plan


def _check_resumable(
    saved: SavedState, plan: Mapping[str, Any], last: Path, *, resume: bool
) -> None:
    if not resume:
        raise RunError(
            f"{last} holds the state of a run: resume it, or choose another folder for a new one."
        )
    changed = [
        f"{key} was {before}, is {now}"
        for key, (before, now) in differences(saved.facts["plan"], plan).items()
    ]
    if changed:
        raise RunError(
            f"the run in {last.parent} was started with other settings: {'; '.join(changed)}. "
            "Resume it as it was, or begin a new run in another folder."
        )


def _history(
    folder: Path, best: Mapping[str, Any] | None, *, finished: bool, message: str
) -> History:
    path = folder / "log.jsonl"
    records = read_log(path) if path.is_file() else []
    epochs = tuple(record for record in records if record.get("kind") == "epoch")
    return History(epochs=epochs, best=best, finished=finished, message=message)
