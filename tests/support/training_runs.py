"""Small training runs for the tests, in this process or as a program of their own."""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from pictures import some_records
from safetensors.torch import save_file
from torch import distributed, nn

from colabel.data.dataset import EvaluationImages, TrainingImages
from colabel.data.loader import evaluation_loader, training_loader
from colabel.data.transforms import Augment
from colabel.losses import AsymmetricLoss, KernelContrastiveLoss, ReconstructionLoss
from colabel.models import Classifier, Head, KernelMixtureHead
from colabel.settings import Training
from colabel.training import (
    Objective,
    Stage,
    Term,
    collect_logits,
    fit,
    make_accelerator,
    prepare_evaluation,
)

WIDTH, CLASSES, SIZE, BATCH = 6, 3, 12, 4


class SmallEncoder(nn.Module):
    """A convolution with batch statistics and dropout: all that a state must bring back."""

    def __init__(self, *, normalise=True, dropout=0.25):
        super().__init__()
        self.convolution = nn.Conv2d(3, WIDTH, 3, stride=2)
        self.normalisation = nn.BatchNorm2d(WIDTH) if normalise else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):
        maps = self.normalisation(self.convolution(images.float() / 255)).relu()
        return self.dropout(maps.mean(dim=(2, 3)))


def small_model(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(SmallEncoder(**options), Head(KernelMixtureHead(WIDTH, CLASSES)))


def kernel_objective():
    """Three terms like the method's: a sum, a mean, and one that compares images."""
    return Objective(
        (
            Term("asymmetric", AsymmetricLoss(), 0.1, "sum"),
            Term(
                "reconstruction",
                ReconstructionLoss(),
                1.0,
                "mean",
                needs=("mixture", "features", "targets"),
            ),
            Term(
                "contrastive",
                KernelContrastiveLoss(),
                0.3,
                "mean",
                needs=("mixture", "targets"),
                pairwise=True,
            ),
        )
    )


def square_objective(reduction="sum"):
    """One term that looks at each image alone."""

    def square(logits, targets):
        squares = (logits - targets).square()
        return squares.sum() if reduction == "sum" else squares.sum(dim=1).mean()

    return Objective((Term("square", square, 0.5, reduction),))


def small_stage(**options):
    options = {
        "name": "kernels",
        "model": small_model(),
        "objective": kernel_objective(),
        "epochs": 3,
        "learning_rate": 1e-2,
    } | options
    return Stage(**options)


class Run:
    """Everything fit needs, on a dozen pictures, with what it reported."""

    def __init__(
        self, folder, *stages, images=14, batch=BATCH, precision="no", pause=0.0, **settings
    ):
        self.folder = Path(folder)
        self.stages = stages or (small_stage(),)
        self.settings = Training(**({"log_every": 2, "ema_decay": 0.9} | settings))
        self.accelerator = make_accelerator(mixed_precision=precision, cpu=True)
        self.records = some_records(images, width=SIZE, height=SIZE)
        self.batch = batch
        self.pause = pause
        self.kept = []
        self.scores = None
        validation = EvaluationImages(some_records(5, width=SIZE, height=SIZE), size=SIZE)
        self.validation = prepare_evaluation(
            evaluation_loader(validation, batch_size=2), self.accelerator
        )

    def loaders(self, stage):
        dataset = TrainingImages(
            self.records, size=SIZE, augment=Augment(), seed=5, views=stage.views
        )
        return training_loader(dataset, batch_size=self.batch, seed=5)

    def validate(self, _, model):
        time.sleep(self.pause)
        if self.scores is not None:
            return {"mAP": self.scores.pop(0)}
        logits = collect_logits(model, self.validation, self.accelerator).logits
        return {"mAP": float(1 / (1 + logits.std())), "mean": float(logits.mean())}

    def on_best(self, model, record):
        self.kept.append((record["stage"], record["epoch"], state_of(model)))

    def fit(self, *, resume=False, seed=11, **options):
        with torch.random.fork_rng():
            torch.manual_seed(seed + self.accelerator.process_index)
            return fit(
                self.stages,
                loaders=self.loaders,
                validate=self.validate,
                on_best=self.on_best,
                folder=self.folder,
                accelerator=self.accelerator,
                settings=self.settings,
                resume=resume,
                **options,
            )


def state_of(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(left, right):
    """Return whether two states are equal bit for bit."""
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) for name in left
    )


def records_of_log(folder, kind):
    lines = (Path(folder) / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def main():
    """Train in a process of its own and leave the final weights in the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--minutes", type=float)
    options = parser.parse_args()
    run = Run(
        options.folder,
        small_stage(epochs=options.epochs),
        pause=options.pause,
        save_minutes=0,
        minutes=options.minutes,
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / f"process-{run.accelerator.process_index}").write_text(str(os.getpid()))
    history = run.fit(resume=options.resume)
    if history.finished and run.accelerator.is_main_process:
        save_file(state_of(run.stages[0].model), options.folder / "final.safetensors")
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
