"""What the command line prints as a table. Importing it imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from colabel.cli.promises import guaranteed, heading, promises
from colabel.printing import plain, printable

if TYPE_CHECKING:
    from colabel.config import Config
    from colabel.metrics import Report
    from colabel.models import Cost
    from colabel.runs.measured import Measured
    from colabel.workflows.ablation import Ablation
    from colabel.workflows.ablation.run import Ablated


def metrics_table(measured: Measured, split: str) -> Group:
    """Return the metrics by the papers' protocol and at the operating point, in per cent."""
    report, at_point, point = measured.report, measured.at_point, measured.point
    plainly, there = report.to_dict(), at_point.to_dict()
    table = Table(
        title=plain(f"{split}: {plainly['images']} images, {len(plainly['per_class'])} classes"),
        caption=plain(f"average precision: {plainly['protocol']}"),
    )
    for column in ("metric", "%", "metric"):
        table.add_column(column, justify="right" if column == "%" else "left")
    for text in (_plain_threshold(report), f"operating point: {heading(point)}"):
        table.add_column(plain(text), justify="right")
    ranking = [("mAP", percent(plainly["mAP"])), ("mAUC", percent(plainly["mAUC"]))]
    for row, name in enumerate(("CF1", "CP", "CR", "OF1", "OP", "OR", "top3_CF1")):
        left = ranking[row] if row < len(ranking) else ("", "")
        table.add_row(*left, name, percent(plainly[name]), percent(there[name]))
    lines = report.tell_left_out()
    if measured.same_images:
        lines.append(
            "the operating point was found on these very images: others will not quite reach it"
        )
    lines.extend(promises([row["name"] for row in there["per_class"]], point))
    return Group(table, *map(plain, lines))


def _plain_threshold(report: Report) -> str:
    return f"at {report.thresholds[0]:g}, uncalibrated"


def class_table(measured: Measured) -> Table:
    """Return a line per class, in per cent; names are text, not markup."""
    point = measured.point
    promised = [guaranteed(rule) for rule in point.rules]
    told = any(word != "-" for word in promised)
    table = Table(
        "class", "images", "AP", "AUC", "precision", "recall", "F1", "threshold",
        *(["guaranteed"] if told else []),
        caption="precision, recall and F1 at the operating point",
    )  # fmt: skip
    for column in table.columns[1:8]:
        column.justify = "right"
    rows = measured.at_point.to_dict()["per_class"]
    for k, (row, threshold) in enumerate(zip(rows, point.thresholds, strict=True)):
        measures = (row[key] for key in ("AP", "AUC", "precision", "recall", "f1"))
        table.add_row(
            plain(row["name"]),
            str(row["support"]),
            *(percent(measure) for measure in measures),
            f"{threshold:.3f}",
            *([promised[k]] if told else []),
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


def figures_table(figures: Mapping[str, str]) -> Table:
    """Return a line per figure."""
    table = Table(title="figures: colabel figure NAME")
    table.add_column("figure", no_wrap=True)
    table.add_column("what it is")
    for name, description in figures.items():
        table.add_row(plain(name), plain(description))
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
    if ablation.against:
        table.add_column("recipe")
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
        if ablation.against:
            cells.insert(0, plain(tried.recipe))
        if scored:
            cells.append("" if tried.published is None else f"{tried.published:g}")
        table.add_row(*cells, ", ".join(marks), style="bold" if tried is best else None)
    return table
