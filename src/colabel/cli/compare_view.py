"""What ``colabel compare`` prints. Importing it imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from colabel.cli.tables import percent
from colabel.printing import plain

_UNKNOWN = "-"


def scores_table(document: Mapping[str, Any]) -> Table:
    """Return a line per run: its metrics in per cent."""
    unit = document["resampled"]
    resampled = f"{document['draws']} resamples of {document['units']} {unit}"
    table = _right(
        "run", "mAP", "95 %", "CF1", "OF1", "mAUC", "CF1*", "OF1*",
        title=f"{document['split']}: {document['images']} images, "
        f"{len(document['classes'])} classes",
        caption=f"CF1 and OF1 at {document['threshold']:g}, uncalibrated; * at the run's "
        f"operating point; intervals of {resampled}; weights and operating points chosen on "
        f"{document['chosen_on']}",
    )  # fmt: skip
    for run in document["runs"]:
        point = run["operating_point"]
        table.add_row(
            plain(run["name"]),
            percent(run["mAP"]),
            interval_text(run["intervals"]["mAP"]),
            *(percent(run[name]) for name in ("CF1", "OF1", "mAUC")),
            *(percent(point[name]) for name in ("CF1", "OF1")),
        )
    return table


def costs_table(document: Mapping[str, Any], timings: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a line per run: the size of its model, and what its folder says of its training."""
    table = _right("run", "parameters", "GMAC", "training, s", "peak, MB", "images/s")
    for run in document["runs"]:
        times = timings[run["name"]]
        table.add_row(
            plain(run["name"]),
            f"{run['parameters'] / 1e6:.2f} M",
            f"{run['macs'] / 1e9:.3g}",
            *(
                _number(times[name])
                for name in ("training_seconds", "peak_memory_mb", "images_per_second")
            ),
        )
    return table


def classes_table(document: Mapping[str, Any]) -> Table:
    """Return a line per class: its positives and the average precision of every run."""
    runs = document["runs"]
    table = _right("class", "images", *(run["name"] for run in runs), title="average precision, %")
    for row, one in enumerate(runs[0]["per_class"]):
        table.add_row(
            plain(one["name"]),
            str(one["support"]),
            *(percent(run["per_class"][row]["AP"]) for run in runs),
        )
    return table


def methods_table(document: Mapping[str, Any]) -> Table:
    """Return a line per method: the mean over its seeds, and their spread beside the interval."""
    table = _right(
        "method", f"{document['metric']}, %", "95 % (images)", "± seeds", "each seed",
        caption="the interval is for other images and these very models; the spread is one sample "
        "standard deviation over seeds",
    )  # fmt: skip
    for method in document["methods"]:
        seeds = method["seeds"]
        spread = seeds["standard_deviation"]
        table.add_row(
            plain(method["name"]),
            percent(method["mean"]),
            interval_text(method),
            _UNKNOWN if spread is None else f"{100 * spread:.1f}",
            " ".join(map(percent, seeds["values"])),
        )
    return table


def pairs_table(document: Mapping[str, Any]) -> Table:
    """Return a line per pair: difference, interval, p value of all pairs together, and verdict.

    Of many pairs those with the best method are shown; ``compare.json`` and the picture have all.
    """
    from colabel.workflows.comparison.asked import MOST_PAIRS

    pairs, all_pairs = document["pairs"], len(document["pairs"])
    note = ""
    if all_pairs > MOST_PAIRS:
        best = max(document["methods"], key=lambda one: (one["mean"] == one["mean"], one["mean"]))
        pairs = [pair for pair in pairs if best["name"] in (pair["first"], pair["second"])]
        note = f"; these are the pairs of {best['name']}, all {all_pairs} are in compare.json"
    table = _right(
        "first", "second", "points", "95 %", "p (Holm)", "higher",
        caption=f"{document['metric']} of the first less that of the second, on the same "
        f"resamples; a difference counts where Holm's p is at most 0.05{note}",
    )  # fmt: skip
    for place in (0, 1):
        table.columns[place].justify = "left"
        table.columns[place].overflow = "fold"
    table.columns[-1].justify = "left"
    for column in table.columns[2:]:
        column.no_wrap = True
    for pair in pairs:
        higher = "first" if pair["difference"] > 0 else "second"
        table.add_row(
            plain(pair["first"]),
            plain(pair["second"]),
            _signed(pair["difference"]),
            interval_text(pair, signed=True),
            f"{pair['p_holm']:.3f}",
            higher if pair["different"] else "no difference",
        )
    return table


def interval_text(interval: Mapping[str, Any], *, signed: bool = False) -> str:
    """Return an interval in per cent, a dash where there is none.

    Example:
        >>> interval_text({"low": 0.1, "high": 0.25, "interval": "centred"})
        '10.0 to 25.0'
        >>> interval_text({"low": -0.1, "high": 0.25, "interval": "centred"}, signed=True)
        '-10.0 to +25.0'
    """
    if interval["interval"] == "none":
        return _UNKNOWN
    form = _signed if signed else percent
    return f"{form(interval['low'])} to {form(interval['high'])}"


def _right(*columns: str, title: str | None = None, caption: str | None = None) -> Table:
    """Return an empty table of numbers, the first column excepted."""
    table = Table(
        title=None if title is None else plain(title),
        caption=None if caption is None else plain(caption),
    )
    for place, column in enumerate(columns):
        table.add_column(plain(column), justify="right" if place else "left")
    return table


def _signed(value: float) -> str:
    return _UNKNOWN if value != value else f"{100 * value:+.1f}"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}"
