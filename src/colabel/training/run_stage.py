"""One stage of a run: its epochs, their validation, and the state that is saved of them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from colabel.data.encoded import EncodedImages
from colabel.data.loader import read_batches, set_epoch
from colabel.errors import ConfigError, NonFiniteLossError, RunError, nearest
from colabel.files import make_folder
from colabel.training import checkpoint
from colabel.training.batch_norm import synchronise_batch_norm
from colabel.training.checkpoint import SavedState
from colabel.training.clock import Pace
from colabel.training.display import Progression
from colabel.training.distributed import (
    any_process,
    prepare_model,
    random_states,
    release_model,
    restore_random_states,
    share_buffers,
)
from colabel.training.ema import build_average
from colabel.training.learned import Learned
from colabel.training.log import finite
from colabel.training.memory import TO_TRAIN, explained_memory
from colabel.training.objective import subject_of
from colabel.training.optimiser import build_optimiser, build_schedule, parameter_groups
from colabel.training.peak_memory import peak_memory_mb
from colabel.training.position import Position, SharedState, told_of_state
from colabel.training.stage import Stage
from colabel.training.step import Losses, compute_gradients

if TYPE_CHECKING:
    from colabel.models import Features


_QUICK_EPOCHS = 5.0
"""Seconds: the state after epochs of a head alone that took less is saved once for all of them,
since saving it takes longer than they do."""


class StageRun:
    """The training of one stage, from its beginning or from a saved state.

    Args:
        run: what the stages share.
        stage: what is trained; its model is on the device and has the weights it begins with.
        loader: its training batches, not prepared by accelerate.

    Raises:
        ConfigError: if the batches cannot be shared by the processes.
    """

    def __init__(self, run: SharedState, stage: Stage, loader: DataLoader[Any]) -> None:
        accelerator, settings = run.accelerator, run.settings
        processes = accelerator.num_processes
        if loader.batch_size is None or loader.batch_size % processes:
            raise ConfigError(
                f"the batch size {loader.batch_size} cannot be shared evenly by {processes} "
                f"processes; choose a multiple of {processes}."
            )
        self._run = run
        self._stage = stage
        self._batches = len(loader)
        self._batch_size = loader.batch_size
        self._images = len(loader.dataset)  # type: ignore[arg-type]
        self._thawed = [
            parameter
            for module in stage.frozen
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        for parameter in self._thawed:
            parameter.requires_grad_(False)
        self._set_training_mode()
        if settings.synchronise_batch_norm and processes > 1:
            synchronise_batch_norm(stage.model)
        average = build_average(stage.model, settings.ema_decay, frozen=stage.frozen)
        optimiser = build_optimiser(parameter_groups(stage), weight_decay=settings.weight_decay)
        self._loader: DataLoader[Any] = accelerator.prepare_data_loader(loader)
        self._model: nn.Module = prepare_model(stage.model, accelerator)
        prepared = accelerator.prepare_optimizer(optimiser)
        steps = stage.epochs * self._batches
        schedule = build_schedule(optimiser, steps=steps, warm_up=settings.warm_up)
        self._learned = Learned(stage.model, average, prepared, optimiser, schedule)
        encoded = stage.encoder is not None and isinstance(loader.dataset, EncodedImages)
        alone = len(run.plan["stages"]) == 1
        self._limit = None if encoded and alone else run.clock  # such a run takes seconds
        if self._limit is not None:
            self._limit.validation_seconds = None  # until this stage has validated
        self._pace = Pace(schedule, self._limit, accelerator, batches=self._batches)
        self._diagnostics: Mapping[str, float] = {}
        self._rates = self._learned.learning_rates
        self._warned_of: str | None = None
        self._saved_at = time.monotonic()
        self._clock = time.monotonic()
        self._final = False

    def restore(self, saved: SavedState) -> None:
        """Go on from a saved state of this stage.

        Raises:
            RunError: if the training images or the batch size are not those of the state.
            WeightsError: if the state is that of another model.
        """
        run, facts = self._run, saved.facts
        for what, now in (("batch_size", self._batch_size), ("images", self._images)):
            if facts[what] != now:
                raise RunError(
                    f"the run in {run.folder.parent} was started with {what} {facts[what]}, now "
                    f"it is {now}; resume it with the same training data and batch size."
                )
        self._learned.unpack(saved)
        best = facts["best"]
        if self._limit is not None and best is not None and best["stage"] == self._stage.name:
            self._limit.validation_seconds = best.get("validation_seconds")
        run.position = Position(**facts["position"])
        self._pace.resume(step=run.position.batch + run.position.epoch * self._batches)
        for name, total in run.position.totals.items():
            run.position.totals[name] = math.nan if total is None else total
        run.best = facts["best"]
        exact = restore_random_states(saved.under("random."), run.accelerator)
        if not exact and run.display is not None:
            run.display.note(
                "resumed on other devices or another number of processes: "
                "the result will differ a little from that of an uninterrupted run."
            )
        if run.log is not None:
            run.log.write({"kind": "resume", **self._place()})

    def train(self, *, final: bool) -> bool:
        """Train the epochs that are left.

        Args:
            final: whether no stage follows.

        Returns:
            Whether the stage is complete; false after an interruption.
        """
        run, stage = self._run, self._stage
        self._final = final
        if final and self._limit is None:
            run.clock = None  # nothing is left that it could shorten
        if run.display is not None:
            done = run.position.epoch * self._batches + run.position.batch
            run.display.start_stage(stage, step=done, steps=stage.epochs * self._batches)
        self._pace.begin(has_model=run.best is not None)
        if self._pace.is_over:
            self._save(finished=final)
        while run.position.epoch < stage.epochs and not self._pace.is_over:
            if not self._train_epoch():
                return False
            began = time.monotonic()
            self._end_epoch()
            complete = run.position.epoch == stage.epochs or self._pace.is_over
            finished = final and complete
            stop, due = self._requested(at_most=0 if stage.encoder is None else _QUICK_EPOCHS)
            if complete or stop or due:
                self._save(finished=finished)
            self._pace.rest(began)
            if stop and not finished:
                return False
        if self._learned.average is not None:
            stage.model.load_state_dict(self._learned.averaged.state_dict())
        if run.display is not None and self._pace.shortened:
            run.display.note(f"{stage.name}: {self._pace.shortened}")
        share_buffers(stage.model)  # each process had the statistics of its own last batch
        return True

    def close(self) -> None:
        """Hand the model back as it came: not wrapped, its frozen modules trainable."""
        release_model(self._model, self._run.accelerator)
        for parameter in self._thawed:
            parameter.requires_grad_(True)

    def _set_training_mode(self) -> None:
        self._stage.model.train()
        for module in self._stage.frozen:
            module.eval()

    def _train_epoch(self) -> bool:
        """Return whether the epoch is complete; false after an interruption."""
        position = self._run.position
        self._clock = time.monotonic() - position.seconds
        self._entered = (time.monotonic(), position.batch)
        self._set_training_mode()
        set_epoch(self._loader, position.epoch, start_batch=position.batch)
        for images, targets, _ in read_batches(self._loader):
            self._train_step(images, targets)
            if self._pace.is_over:
                break
            if position.batch == self._batches:
                continue  # the epoch ends with a saved state anyway
            stop, save = self._requested()
            if stop or save:
                position.seconds = time.monotonic() - self._clock
                self._save(finished=False)
            if stop:
                return False
        position.seconds = time.monotonic() - self._clock
        return True

    def _train_step(self, images: Tensor | Features, targets: Tensor) -> None:
        run, stage, position = self._run, self._stage, self._run.position
        if stage.views > 1 and isinstance(images, Tensor):  # every view is an image of its own
            images = images.flatten(0, 1)
            targets = targets.repeat_interleave(stage.views, dim=0)
        ends = position.batch + 1 == self._batches  # so that every epoch has diagnostics
        where_kept = partial(told_of_state, run.folder)
        measure = position.step == 0 or (position.step + 1) % run.settings.log_every == 0 or ends
        with explained_memory(TO_TRAIN, where_kept):
            losses = compute_gradients(
                self._model,
                stage.objective,
                images,
                targets,
                accelerator=run.accelerator,
                optimiser=self._learned.optimiser,
                parts=run.settings.accumulation,
                clip=run.settings.clip_gradient,
                measure=measure,
            )
        self._rates = rates = self._learned.learning_rates
        if not losses.finite(scaled=self._learned.optimiser.scaler is not None):
            self._refuse(losses, rates)
        with explained_memory(TO_TRAIN, where_kept):  # the first step makes the moments
            self._learned.optimiser.step()
        self._learned.optimiser.zero_grad()
        if not self._learned.optimiser.step_was_skipped:
            self._pace.step()
            if self._learned.average is not None:
                self._learned.average.update(stage.model)
        position.batch += 1
        position.step += 1
        for name, value in losses.raw.items():
            position.totals[name] = position.totals.get(name, 0.0) + value
        self._diagnostics = losses.diagnostics
        if run.log is not None and measure:
            run.log.write(self._step_record(losses, rates))
        if run.display is not None:
            run.display.show_step(
                Progression(
                    stage=stage.name,
                    epoch=position.epoch + 1,
                    step=position.epoch * self._batches + position.batch,
                    steps=stage.epochs * self._batches,
                    terms=losses.weighted,
                    images_per_second=self._images_per_second(),
                )
            )

    def _refuse(self, losses: Losses, rates: dict[str, float]) -> None:
        position = self._run.position
        if self._run.log is not None:
            self._run.log.write(self._step_record(losses, rates))
        values = ", ".join(f"{name} {value:g}" for name, value in losses.weighted.items())
        state = told_of_state(self._run.folder)
        raise NonFiniteLossError(
            f"stage {self._stage.name!r}, epoch {position.epoch + 1}, batch {position.batch + 1}: "
            f"the loss or its gradient is not finite: {values}, gradient norm "
            f"{losses.gradient_norm:g}; {state}. In a new run lower the learning rate, set "
            "training.clip_gradient, lower the weight of the term that grew, or train without "
            "mixed precision."
        )

    def _end_epoch(self) -> None:
        """Validate, keep the best, log, and move to the next epoch."""
        run, stage, position = self._run, self._stage, self._run.position
        record: dict[str, Any] = {
            "kind": "epoch",
            **self._place(),
            "learning_rates": self._rates,
            **position.mean_losses(stage.objective.weights),
            "validation": {},
            "monitor": run.monitor,
            "score": None,
            "best": False,
            "seconds": position.seconds,
            "validation_seconds": 0.0,
            "images_per_second": self._images_per_second(),
            "peak_memory_mb": peak_memory_mb(run.accelerator.device),
            "diagnostics": dict(self._diagnostics),
            "warning": self._warning(),
        }
        last = position.epoch + 1 == stage.epochs or self._pace.is_over
        warms_up = stage.encoder is not None and not self._final
        if stage.validated and (last or not warms_up):  # what follows a warm start begins with it
            self._validate(record)
        if run.log is not None:
            run.log.write(record)
        if run.display is not None:
            run.display.show_epoch(stage, record)
            self._tell(record["warning"])
        run.position = Position(position.stage, position.epoch + 1, 0, position.step)

    def _tell(self, warning: str | None) -> None:
        """Show a warning, and that of the next epochs again where it is another one."""
        subject = None if warning is None else subject_of(warning)
        if self._run.display is not None and subject not in (None, self._warned_of):
            self._run.display.note(f"warning: {warning}")
        self._warned_of = subject

    def _warning(self) -> str | None:
        """Return the objective's warning about the epoch, or ``None``."""
        known = {name: value for name, value in self._diagnostics.items() if math.isfinite(value)}
        return self._stage.objective.warning(known, self._run.position.totals)

    def _validate(self, record: dict[str, Any]) -> None:
        run = self._run
        model = self._learned.averaged
        share_buffers(model)
        model.eval()
        began = time.monotonic()
        device = run.accelerator.device
        random = torch.random.fork_rng([device] if device.type == "cuda" else [])
        with random, self._pace.noting(model):
            metrics = run.validate(self._stage, model)
        if run.monitor not in metrics:
            raise ConfigError(
                f"validation gives no metric {run.monitor!r}: {nearest(run.monitor, metrics)}."
            )
        score = metrics[run.monitor]
        before = run.best
        record["validation"] = dict(metrics)
        record["validation_seconds"] = time.monotonic() - began
        record["score"] = score if math.isfinite(score) else None
        record["best"] = before is None or (
            record["score"] is not None and (before["score"] is None or score > before["score"])
        )
        if record["best"]:
            run.best = finite(record)
            if run.accelerator.is_main_process:
                make_folder(run.folder)  # a model without it is one whose state was taken away
                run.on_best(model, run.best)

    def _save(self, *, finished: bool) -> None:
        run = self._run
        random = random_states(run.accelerator)
        if run.accelerator.is_main_process:
            tensors, learned = self._learned.pack()
            tensors |= {f"random.{name}": state for name, state in random.items()}
            checkpoint.save_state(
                run.folder,
                tensors,
                {
                    "plan": run.plan,
                    "finished": finished,
                    "position": finite(asdict(run.position)),
                    "best": run.best,
                    "batch_size": self._batch_size,
                    "images": self._images,
                    **learned,
                    "log_bytes": 0 if run.log is None else run.log.position(),
                    "spent": None if run.clock is None else run.clock.spent,
                },
            )
        self._saved_at = time.monotonic()

    def _requested(self, *, at_most: float = math.inf) -> tuple[bool, bool]:
        """Return whether to stop and whether to save now, the same on every process.

        Args:
            at_most: seconds after the last save from which on to save in any case.
        """
        run = self._run
        stop = run.interruption.signal is not None
        every = min(60 * run.settings.save_minutes, at_most)
        due = time.monotonic() - self._saved_at >= every
        stop, due = any_process([stop, due], run.accelerator)
        return stop, due

    def _place(self) -> dict[str, Any]:
        position = self._run.position
        return {"stage": self._stage.name, "epoch": position.epoch + 1, "step": position.step}

    def _step_record(self, losses: Losses, rates: dict[str, float]) -> dict[str, Any]:
        return {
            "kind": "step",
            **self._place(),
            "learning_rates": rates,
            **losses.record(),
            "images_per_second": self._images_per_second(),
            "diagnostics": dict(losses.diagnostics),
        }

    def _images_per_second(self) -> float:
        began, first = self._entered
        images = (self._run.position.batch - first) * self._batch_size
        return images / max(time.monotonic() - began, 1e-9)
