"""The terms of KMCL's loss over the epochs (KMCL, Fig. 5), from the logs of runs."""

from __future__ import annotations

from pathlib import Path

from colabel.figures.losses import LossRun, losses_figure
from colabel.training import Display, read_log
from colabel.workflows.ablation import Work
from colabel.workflows.ablation.run import Ablated, run_ablation

NAME, PICTURE = "kmcl-losses", "losses.png"


def draw_losses(work: Work, *, cpu: bool = False, display: Display | None = None) -> Ablated:
    """Train what is not trained yet, and draw losses and validation mAP over the epochs.

    Source: KMCL, Fig. 5.

    Deviation: the paper shows its losses on the test set as well; here validation gives mAP alone,
    and the test set is not read.

    Args:
        work: the planned runs, of one recipe.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        The runs; the picture is in their folder.

    Raises:
        ColabelError: as :func:`~colabel.workflows.ablation.run.run_ablation` raises it.
    """
    trained = run_ablation(work, cpu=cpu, display=display)
    runs = [read_run(one.run.log) for one in work.planned if one.run.is_finished]
    if runs:
        losses_figure(runs, work.folder / PICTURE)
    return trained


def read_run(log: Path) -> LossRun:
    """Return the losses and scores of every epoch of a log.

    Args:
        log: a run's ``log.jsonl``.

    Raises:
        RunError: if it cannot be read.
    """
    epochs = [record for record in read_log(log) if record.get("kind") == "epoch"]
    names = list(dict.fromkeys(name for record in epochs for name in record["terms"]))
    losses = {"total": tuple(record["loss"] for record in epochs)}
    for name in names:
        losses[name] = tuple(record["terms"][name]["raw"] for record in epochs)
    scores = tuple(record["score"] for record in epochs)
    return LossRun(losses, scores)
