"""What the command line prints as a table. Importing it imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from colabel.errors import listed
from colabel.printing import plain, printable

if TYPE_CHECKING:
    from colabel.config import Config
    from colabel.metrics import Report
    from colabel.models import Cost
    from colabel.workflows.ablation import Ablation
    from colabel.workflows.ablation.run import Ablated


def metrics_table(report: Report, split: str) -> Group:
    """Return the metrics of a report, in per cent, and what their means leave out."""
    values = report.to_dict()
    table = Table(
        "metric", "%", "metric", "%", "metric", "%",
        title=plain(f"{split}: {values['images']} images, {len(values['per_class'])} classes"),
        caption=plain(f"average precision: {values['protocol']}"),
    )  # fmt: skip
    for column in (1, 3, 5):
        table.columns[column].justify = "right"
    rows = (
        ("mAP", "CP", "OP"),
        ("mAUC", "CR", "OR"),
        ("top3_CF1", "CF1", "OF1"),
    )
    for row in rows:
        cells = [cell for name in row for cell in (name, percent(values[name]))]
        table.add_row(*cells)
    return Group(table, *map(plain, _averaged(report)))


def _averaged(report: Report) -> list[str]:
    """Return a line for each mean that does not include every class."""
    classes = len(report.per_class)
    lines = []
    for metric, left_out in report.left_out().items():
        if left_out:
            reasons = [f"{reason}: {listed(names)}" for reason, names in left_out.items()]
            count = classes - sum(map(len, left_out.values()))
            lines.append(f"{metric}: mean over {count} of {classes} classes; {'; '.join(reasons)}")
    full = report.left_out()["mAUC"].get("no negatives")
    if full:
        lines.append(f"mAP counts 100 for what every image carries: {listed(full)}")
    return lines


def class_table(report: Report) -> Table:
    """Return a line per class, in per cent; names are text, not markup."""
    table = Table("class", "images", "AP", "AUC", "precision", "recall", "F1")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in report.to_dict()["per_class"]:
        measures = (row[key] for key in ("AP", "AUC", "precision", "recall", "f1"))
        table.add_row(
            plain(row["name"]), str(row["support"]), *(percent(measure) for measure in measures)
        )
    return table


def percent(value: float) -> str:
    """Return a fraction in per cent, a dash where it is not defined.

    Example:
        >>> percent(0.1234), percent(float("nan"))
        ('12.3', '-')
    """
    return "-" if value != value else f"{100 * value:.1f}"


def cost_table(cost: Cost) -> Table:
    """Return parameters and operations, counted cleanly and as the papers do."""
    table = Table("", "this model", "as the papers count")
    table.add_row(
        "parameters", f"{cost.parameters / 1e6:.2f} M", f"{cost.paper_parameters / 1e6:.2f} M"
    )
    table.add_row("of the head", f"{cost.head_parameters / 1e6:.2f} M", "")
    table.add_row("operations", f"{cost.macs / 1e9:.2f} GMAC", f"{cost.paper_macs / 1e9:.2f} GMAC")
    return table


def recipes_table(recipes: Mapping[str, Config]) -> Table:
    """Return a line per recipe."""
    table = Table()
    for column in ("recipe", "published", "reproduced"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is")
    for name, config in recipes.items():
        published = config.published
        table.add_row(
            plain(name),
            "" if published is None else plain(f"{published.metric} {published.value:g}"),
            "" if published is None else published.run,
            plain(config.description),
        )
    return table


def ablations_table(ablations: Mapping[str, Ablation]) -> Table:
    """Return a line per ablation."""
    from colabel.workflows.ablation import label_of

    table = Table(
        title="ablations: colabel ablate NAME",
        caption="or a YAML file with recipe, key, values and seeds",
    )
    for column in ("ablation", "setting, values, seeds"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is")
    for name, ablation in ablations.items():
        lines = (
            ablation.key,
            ", ".join(map(label_of, ablation.values)),
            f"seeds {', '.join(map(str, ablation.seeds))}",
        )
        table.add_row(
            plain(name), Text("\n".join(map(printable, lines))), plain(ablation.description)
        )
    return table


def ablation_table(ablated: Ablated) -> Table:
    """Return a line per value: the mean over the seeds and their spread, the best one marked."""
    ablation, best = ablated.ablation, ablated.best
    published = ablation.published
    scored = published is not None and published.scores
    caption = (
        "± one sample standard deviation over seeds; best epoch of each run on the validation"
    )
    caption += " split, which chose it; the test split is not used"
    if published is not None:
        caption += f"; paper: {published.source}"
    table = Table(title=plain(f"{ablated.name}: {ablation.key}"), caption=plain(caption))
    table.add_column("value")
    table.add_column(plain(f"{ablation.metric} on validation, %"), justify="right")
    table.add_column("seeds", justify="right")
    if scored:
        table.add_column("paper, %", justify="right")
    table.add_column("")
    for tried in ablated.tried:
        point = tried.point
        spread = f" ± {point.deviation:.1f}" if len(point.scores) > 1 else ""
        marks = ["best"] * (tried is best) + ["the paper's value"] * tried.chosen
        cells: list[str | Text] = [
            plain(point.label),
            f"{point.mean:.1f}{spread}" if point.scores else "-",
            f"{len(point.scores)} of {tried.seeds}",
        ]
        if scored:
            cells.append("" if tried.published is None else f"{tried.published:g}")
        table.add_row(*cells, ", ".join(marks), style="bold" if tried is best else None)
    return table
