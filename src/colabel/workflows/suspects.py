"""Labels of a source that are probably wrong, by a run's model or by classifiers out of fold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from scipy.special import expit

from colabel.build.batches import reading_processes
from colabel.config import Config
from colabel.data import UNKNOWN, PixelOptions, Records
from colabel.data.check import verify_images
from colabel.data.check.problems import counted
from colabel.data.check.report import aligned
from colabel.data.copies import groups_across
from colabel.data.dataset import EvaluationImages
from colabel.data.images import read_with
from colabel.data.loader import evaluation_loader
from colabel.errors import ConfigError, DataError, ImageError, listed
from colabel.label_errors import assign_folds, out_of_fold_logits, suspicion
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import check_finite
from colabel.training import collect_features, collect_logits, make_accelerator
from colabel.workflows.frozen_encoder import encoder_at_hand, encoder_settings
from colabel.workflows.predict import Predictor, load_predictor
from colabel.workflows.suspects_folder import Suspect, check_place, write_suspects

DEFAULT_SUSPECTS, DEFAULT_FOLDS = 50, 5


@dataclass(frozen=True)
class SuspectReport:
    """Labels that are probably wrong.

    Args:
        suspects: the most suspicious first.
        judged: how many labels have a suspicion.
        by: what judged them.
        folder: where they lie, with a thumbnail each.
        notes: what was left out, and what to make of the list.
    """

    suspects: tuple[Suspect, ...]
    judged: int
    by: str
    folder: Path
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "suspects": [asdict(suspect) for suspect in self.suspects],
            "suspects_judged": self.judged,
            "suspects_by": self.by,
            "suspects_folder": str(self.folder),
            "suspects_notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Answers:
    """What a model says of images: logits to rank by, and the probabilities to show.

    Args:
        classes: of the columns.
        logits: shape (images, classes); NaN where there is none.
        probabilities: likewise.
        apart: images that are ranked by themselves, as the model has learned their labels.
        by: what the model is.
        notes: what was left out, and what to make of it.
    """

    classes: tuple[str, ...]
    logits: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    apart: npt.NDArray[np.bool_]
    by: str
    notes: tuple[str, ...]


def find_suspects(
    splits: Mapping[str, Records],
    config: Config,
    *,
    run: Path | str | None = None,
    folds: int | None = None,
    most: int = DEFAULT_SUSPECTS,
    out: Path | str | None = None,
    changed: Collection[str] = (),
    cpu: bool = False,
) -> SuspectReport:
    """List the labels that are probably wrong, and write them with thumbnails into a folder.

    Args:
        splits: the images by split, all of which are looked at.
        config: says how images are read, the seed and, without a run, the encoder.
        run: folder of the run whose model judges the labels; with ``folds`` only its encoder is
            used.
        folds: at least 2: judge each label by a linear classifier that was trained on the other
            folds, on features of a frozen encoder. ``None``: by the model of the run.
        most: labels in the list, at least 1.
        out: folder to write; ``None`` makes the first free ``suspects/<name of the data>-<n>``.
        changed: dotted keys of settings that the user has set.
        cpu: do not use an accelerator.

    Raises:
        ConfigError: if neither run nor folds are given, a setting contradicts the run, or no
            encoder's weights are at hand.
        DataError: if no label can be judged.
        ImageError: if no image can be read.
        RunError: if the folder holds no usable model, or ``out`` something else.
    """
    check_request(config, run=run, folds=folds, most=most, out=out, changed=changed)
    place = None if out is None else Path(out)
    predictor = None
    if run is not None:
        limit = config.data.max_pixels if "data.max_pixels" in changed else None
        predictor = load_predictor(Path(run), max_pixels=limit)
    pixels = None if predictor is None else predictor.description.pixels
    readable, notes = _readable(splits, pixels)
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    if folds is None:
        assert run is not None
        assert predictor is not None
        answers = _by_run(readable, config, RunFolder(Path(run)), predictor, accelerator)
    else:
        answers = _out_of_fold(readable, config, run, predictor, folds, changed, accelerator)
    targets = _targets(readable.values(), answers.classes)
    scores = _scores(answers, targets)
    judged = int(np.isfinite(scores).sum())
    if not judged:
        raise DataError("no label of any image is known, so none can be suspicious.")
    chosen = np.argsort(-np.nan_to_num(scores, nan=-1.0).ravel(), kind="stable")
    places = [(name, index) for name, part in readable.items() for index in range(len(part))]
    suspects, where = [], []
    for position in chosen[: min(most, judged)].tolist():
        row, column = divmod(position, len(answers.classes))
        split, index = places[row]
        where.append((split, index))
        suspects.append(
            Suspect(
                image=readable[split].ids[index],
                label=answers.classes[column],
                given=int(targets[row, column]),
                probability=float(answers.probabilities[row, column]),
                suspicion=float(scores[row, column]),
                split=split,
            )
        )
    folder = write_suspects(
        suspects,
        lambda position: readable[where[position][0]].images.open(where[position][1]),
        place,
        name=_name_of(config.data.source),
        title=f"Labels that are probably wrong, by {answers.by}",
    )
    return SuspectReport(tuple(suspects), judged, answers.by, folder, (*notes, *answers.notes))


def check_request(
    config: Config,
    *,
    run: Path | str | None,
    folds: int | None,
    most: int,
    out: Path | str | None,
    changed: Collection[str],
) -> None:
    """Refuse what cannot be done, before an image is read; see :func:`find_suspects`.

    Raises:
        ConfigError: if neither run nor folds are given, a setting contradicts the run, or no
            encoder's weights are at hand.
        RunError: if ``out`` holds something else.
    """
    if folds is None and run is None:
        raise ConfigError("what is to judge the labels? Give a run, or ask for folds.")
    if folds is not None and folds < 2:
        raise ConfigError(f"expected at least 2 folds, got {folds}.")
    if most < 1:
        raise ConfigError(f"expected at least 1 suspect, got {most}.")
    check_place(None if out is None else Path(out))
    own = sorted(key for key in changed if key.startswith("encoder.") or key == "data.image_size")
    if run is None:
        encoder_settings(config, changed)
    elif own:
        raise ConfigError(
            f"--set {own[0]}: the run says itself what its model is; leave out this setting, or "
            "--with."
        )


def _name_of(source: str) -> str:
    """Return a name of a source for a folder.

    Example:
        >>> _name_of("/data/site B/labels.csv"), _name_of("voc2007:/data/VOCdevkit")
        ('labels', 'VOCdevkit')
    """
    stem = Path(source.rpartition(":")[2]).stem
    return "".join(sign if sign.isalnum() else "-" for sign in stem)[:40].strip("-") or "labels"


def _readable(
    splits: Mapping[str, Records], pixels: PixelOptions | None
) -> tuple[dict[str, Records], list[str]]:
    """Return the images that can be decoded, read as the model asks, and a note on the others."""
    readable: dict[str, Records] = {}
    left_out: list[str] = []
    for name, records in splits.items():
        part = records if pixels is None else read_with(records, pixels)
        bad = {index for index, _ in verify_images(part).failures}
        left_out += [part.ids[index] for index in sorted(bad)]
        kept = [index for index in range(len(part)) if index not in bad]
        if kept:
            readable[name] = part.subset(kept) if bad else part
    if not readable:
        raise ImageError("none of the images can be read, so no label can be judged.")
    if not left_out:
        return readable, []
    return readable, [
        f"{counted(len(left_out), 'image')} cannot be read, so the labels of "
        f"{'it' if len(left_out) == 1 else 'them'} are not judged: {listed(left_out, 3)}"
    ]


def _by_run(
    splits: Mapping[str, Records],
    config: Config,
    run: RunFolder,
    predictor: Predictor,
    accelerator: Accelerator,
) -> _Answers:
    """Return what the model of a run says, of the labels that it shares with the data."""
    description = predictor.description
    known = list(dict.fromkeys(name for part in splits.values() for name in part.classes))
    columns = [index for index, name in enumerate(description.classes) if name in known]
    if not columns:
        raise DataError(
            f"{run.path} knows none of the labels of this data: it knows "
            f"{listed(description.classes)}; the data has {listed(known)}. Give a run that was "
            "trained on such labels, or use --cross-validate."
        )
    notes = []
    strangers = [name for name in known if name not in description.classes]
    if strangers:
        notes.append(f"labels that the run does not know are not judged: {listed(strangers)}")
    model = predictor.model.to(accelerator.device)
    batch = run.config().evaluation.batch_size
    parts = []
    for records in splits.values():
        loader = _loader(records, description.image_size, batch, config, accelerator)
        parts.append(collect_logits(model, loader, accelerator).logits)
    logits = np.concatenate(parts)
    check_finite(logits)
    learned, said = _learned(run, splits)
    return _Answers(
        classes=tuple(description.classes[column] for column in columns),
        logits=logits[:, columns].astype(np.float64),
        probabilities=description.operating_point.probabilities(logits)[:, columns],
        apart=learned,
        by=f"the model of {run.path}",
        notes=(*notes, *said),
    )


def _learned(
    run: RunFolder, splits: Mapping[str, Records]
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Tell which images a run was trained on, and say so."""
    names = [name for part in splits.values() for name in part.ids]
    split_of = run.read_division()
    if not split_of:
        return np.zeros(len(names), dtype=np.bool_), [
            f"{run.path} does not say which images it was trained on (no {run.division.name}); a "
            "model has learned the wrong labels of those, so that few of them show"
        ]
    learned = np.array([split_of.get(name) == "train" for name in names], dtype=np.bool_)
    count = int(learned.sum())
    if not count:
        return learned, []
    return learned, [
        f"{count:,} of the {len(names):,} images have the names of images that {run.path} was "
        "trained on: it has learned their labels, wrong ones too, so that few of those show. "
        "--cross-validate judges each label by a classifier that has not seen it"
    ]


def _out_of_fold(
    splits: Mapping[str, Records],
    config: Config,
    run: Path | str | None,
    predictor: Predictor | None,
    folds: int,
    changed: Collection[str],
    accelerator: Accelerator,
) -> _Answers:
    """Return what classifiers say of images that they were not trained on."""
    parts = list(splits.values())
    classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    targets = _targets(parts, classes)
    seed = config.training.seed
    fold_of = assign_folds(targets, folds, groups=groups_across(parts), seed=seed)
    notes: list[str] = []
    if predictor is not None:
        assert run is not None
        encoder, size = predictor.model.encoder, predictor.description.image_size
        name, batch = f"the encoder of {run}", RunFolder(Path(run)).config().evaluation.batch_size
        learned = int(_learned(RunFolder(Path(run)), splits)[0].sum())
        if learned:
            notes.append(
                f"the encoder of {run} was trained with the labels of {learned:,} of these "
                "images; one that has not seen them may find more (leave out --with)"
            )
    else:
        encoder, size, name = encoder_at_hand(config, changed, parts)
        batch = config.evaluation.batch_size
        notes.append(f"features of {name} at {size} x {size} pixels")
    encoder = encoder.to(accelerator.device)
    features = torch.cat(
        [
            collect_features(encoder, _loader(part, size, batch, config, accelerator), accelerator)
            for part in parts
        ]
    )
    found = out_of_fold_logits(features.to(accelerator.device), targets, fold_of)
    logits = found.logits.astype(np.float64)
    rare = [label for label, bad in zip(classes, np.isnan(logits[0]), strict=True) if bad]
    if rare:
        notes.append(
            f"labels with too few images, or too few without them, for {folds} folds are not "
            f"judged: {listed(rare)}"
        )
    return _Answers(
        classes=classes,
        logits=logits,
        probabilities=expit(logits),
        apart=np.zeros(len(targets), dtype=np.bool_),
        by=f"classifiers of {folds} folds on {name}",
        notes=tuple(notes),
    )


def _loader(
    records: Records, size: int, batch: int, config: Config, accelerator: Accelerator
) -> Any:
    return evaluation_loader(
        EvaluationImages(records, size=size),
        batch_size=batch,
        workers=reading_processes(config, accelerator),
    )


def _targets(parts: Iterable[Records], classes: Sequence[str]) -> npt.NDArray[np.int8]:
    """Return the targets of these classes; unknown where a split has none of that name."""
    rows = []
    for part in parts:
        every = (*classes, *(name for name in part.classes if name not in classes))
        rows.append(aligned(part, every)[:, : len(classes)])
    return np.concatenate(rows)


def _scores(answers: _Answers, targets: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Return the suspicion of every label, of images learned by heart and of others apart."""
    probabilities = expit(answers.logits)
    scores = np.full(targets.shape, np.nan)
    for rows in (answers.apart, ~answers.apart):
        if rows.any() and (targets[rows] != UNKNOWN).any():
            scores[rows] = suspicion(probabilities[rows], targets[rows])
    return scores
