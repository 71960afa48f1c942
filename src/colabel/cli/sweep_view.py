"""What ``colabel sweep`` prints. Importing it imports nothing that is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from colabel.cli.tables import percent
from colabel.printing import plain, printable

if TYPE_CHECKING:
    from colabel.workflows.sweep.run import Swept


def sweep_table(swept: Swept) -> Table:
    """Return a line per trial, the best first, in per cent."""
    from colabel.workflows.ablation.file import label_of
    from colabel.workflows.sweep.space import brief_names

    plan, best = swept.plan, swept.best
    table = Table(
        title=plain(f"{plan.name}: {len(swept.tried)} of {plan.trials} trials"),
        caption="best epoch on validation, which chooses the trial, too; one training seed; "
        "cut at N: ended after epoch N, worse than most; the test split is not used",
    )
    table.add_column("trial", justify="right")
    table.add_column("mAP, %", no_wrap=True)
    for name in brief_names(plan.space).values():
        words = [printable(part).replace("_", " ") for part in name.split(".")]
        table.add_column(Text("\n".join(words)), justify="right")
    ranked = sorted(
        swept.tried,
        key=lambda one: (one.state != "complete", -(one.score or 0.0), one.number),
    )
    for tried in ranked:
        score = "-" if tried.score is None else percent(tried.score)
        said = {
            "complete": "best" if tried is best else "",
            "pruned": f"cut at {max(tried.epochs, default=0)}",
            "begun": "interrupted",
        }.get(tried.state, tried.state)
        table.add_row(
            str(tried.number),
            f"{score} {said}".strip(),
            *(plain(label_of(tried.settings.get(key))) for key in plan.space),
            style="bold" if tried is best else None,
        )
    return table
