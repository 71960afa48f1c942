"""What is printed as a table, read from what a console prints."""

import io
import re

import pytest
from rich.console import Console

from colabel.cli.promises import guaranteed, heading
from colabel.cli.tables import (
    ablation_table,
    ablations_table,
    class_table,
    metrics_table,
    percent,
)
from colabel.figures import AblationPoint
from colabel.metrics import evaluate_scores
from colabel.printing import PlainConsole
from colabel.runs.measured import Measured
from colabel.runs.operating_point import OperatingPoint, Rule
from colabel.workflows.ablation import Ablation, ablation_names, load_ablation
from colabel.workflows.ablation.results import Outcome, Tried
from colabel.workflows.ablation.run import Ablated


def measured(report, at_point=None, point=None, *, same_images=False):
    point = point or OperatingPoint.plain(len(report.per_class))
    return Measured("test", report, at_point or report, point, same_images)


def lines(table, *, width=120):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text().splitlines()


def test_a_mean_says_which_classes_it_leaves_out():
    names = ["cat", "none", "always", "[unjudged]"]
    scores = [[0.9, 0.9, 0.9, 0.9], [0.1, 0.8, 0.1, 0.8]]
    report = evaluate_scores(scores, [[1, 0, 1, -1], [0, 0, 1, -1]], class_names=names)
    text = "\n".join(lines(metrics_table(measured(report), "test")))
    assert (
        "mAP, CP, CR, CF1: mean over 2 of 4 classes; not judged: [unjudged]; no positives: none\n"
        in text
    )
    assert (
        "mAUC: mean over 1 of 4 classes; not judged: [unjudged]; no positives: none; "
        "no negatives: always\n" in text
    )
    assert "mAP counts 100 for what every image carries: always" in text
    rows = "\n".join(lines(class_table(measured(report))))
    assert "[unjudged]" in rows
    assert "nan" not in (text + rows).lower()


def test_no_name_of_a_class_reaches_the_terminal():
    names = ["\x1b[2J", "a\nerror: forged", "\x9b31m", "\u202egnp [/b]"]
    scores = [[0.9, 0.9, 0.9, 0.9], [0.1, 0.8, 0.1, 0.8]]
    report = evaluate_scores(scores, [[1, 0, 1, -1], [0, 0, 1, -1]], class_names=names)
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=200, force_terminal=True, color_system=None)
    console.print(metrics_table(measured(report), "test\x1b[2J"))
    console.print(class_table(measured(report)))
    shown = stream.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert (
        "mean over 2 of 4 classes; not judged: \\u202egnp [/b]; no positives: a\\x0aerror" in shown
    )


def test_a_recipe_whose_guarantee_failed_says_so():
    report = evaluate_scores([[0.9, 0.4], [0.1, 0.6]], [[1, 0], [0, 1]], class_names=["a", "b"])
    rules = (
        Rule(target="recall=0.9", by="recall=0.9", guaranteed=True, found=9, needed=9, unit="x"),
        Rule(target="recall=0.9", by="f1", found=3, needed=9, unit="positives"),
    )
    point = OperatingPoint(thresholds=(0.5, 0.5), rules=rules)
    text = "\n".join(lines(metrics_table(measured(report, point=point), "val")))
    assert "guaranteed for 1 of 2 labels" in text
    assert "recall=0.9, kept for 1 of 2 labels" in " ".join(heading(point).split())
    assert "not guaranteed, needs 9 positives, has 3: b" in text
    rows = lines(class_table(measured(report, point=point)))
    assert [row.split()[-2] for row in rows if " yes " in row or " no " in row] == ["yes", "no"]
    missed = tuple(Rule(target="missed=0.1", by="f1", needed=9, unit="images") for _ in "ab")
    point = OperatingPoint(thresholds=(0.5, 0.5), rules=missed)
    text = "\n".join(lines(metrics_table(measured(report, point=point), "val")))
    assert "not guaranteed, needs 9 images, has 0: a, b" in text
    assert "guaranteed: at most" not in text
    kept = Rule(target="missed=0.1", by="missed=0.1", guaranteed=True, found=9, needed=9)
    assert (guaranteed(kept), guaranteed(missed[0]), guaranteed(rules[0])) == (
        "together", "no", "yes",
    )  # fmt: skip
    assert heading(OperatingPoint(thresholds=(0.5,), rules=(kept,))) == "missed=0.1"


def test_a_mean_over_all_classes_needs_no_words():
    report = evaluate_scores([[0.9], [0.1]], [[1], [0]])
    assert "mean over" not in "".join(lines(metrics_table(measured(report), "test")))


def test_nothing_that_can_be_measured_is_a_dash():
    report = evaluate_scores([[0.9, 0.1]], [[0, -1]], class_names=["cat", "dog"])
    text = "\n".join(lines(metrics_table(measured(report), "test")))
    assert "mAP, CP, CR, CF1: mean over 0 of 2 classes; not judged: dog; no positives: cat" in text
    assert "nan" not in text.lower()


def test_both_protocols_stand_side_by_side():
    scores, targets = [[0.9, 0.4], [0.2, 0.3]], [[1, 1], [0, 0]]
    point = OperatingPoint(thresholds=(0.5, 0.35), rules=(Rule(target="f1", by="f1"),) * 2)
    report = evaluate_scores(scores, targets)
    at_point = evaluate_scores(scores, targets, thresholds=list(point.thresholds))
    shown = measured(report, at_point, point, same_images=True)
    text = lines(metrics_table(shown, "validation"))
    heads = next(line for line in text if "metric" in line)
    assert "at 0.5, uncalibrated" in heads
    assert "operating point: f1" in heads
    overall = next(line for line in text if "OF1" in line)
    assert overall.split()[-6:-1:2] == ["OF1", "66.7", "100.0"]
    assert "found on these very images" in " ".join(text)
    (_, dog) = (line for line in lines(class_table(shown)) if "class " in line and "│" in line)
    assert dog.split()[-2] == "0.350"
    assert "at the operating point" in " ".join(lines(class_table(shown)))


def test_many_names_are_counted():
    names = [f"c{number}" for number in range(15)]
    report = evaluate_scores([[0.5] * len(names)], [[0] * len(names)], class_names=names)
    text = " ".join(" ".join(lines(metrics_table(measured(report), "test"), width=200)).split())
    assert "c9 and 5 more" in text
    assert "c10," not in text


def tried(value, *scores, seeds=3, chosen=False, published=None, problem=None):
    outcomes = tuple(Outcome(seed, f"{value}-{seed}", s / 100) for seed, s in enumerate(scores))
    if problem:
        outcomes += (Outcome(9, f"{value}-9", None, problem),)
    point = AblationPoint(value, str(value), scores)
    return Tried(point, outcomes, seeds, "shapes-kmcl", chosen, published)


@pytest.fixture
def ablation():
    return Ablation(recipe="shapes-kmcl", key="method.x", values=[1, 2, 3], seeds=[0, 1, 2])


def test_mean_spread_and_seeds_of_each_value(tmp_path, ablation):
    values = (
        tried(1, 60, 61, 62),
        tried("[b]", 70, 71, 75, chosen=True),
        tried(3, 90, 91),
        tried(4),
    )
    printed = lines(ablation_table(Ablated(tmp_path, "mine", ablation, values)))
    text = "\n".join(printed)
    assert "mine: method.x" in text
    first, second, third, fourth = [line for line in printed if " of 3" in line]
    assert "61.0 ± 1.0" in first
    assert "3 of 3" in first
    assert "[b]" in second
    assert "72.0 ± 2.6" in second
    assert "best, the paper's value" in second
    assert "90.5 ± 0.7" in third
    assert "2 of 3" in third
    assert " - " in fourth
    assert text.count("best,") == 1
    assert "paper, %" not in text
    assert "the test split is not used" in " ".join(text.split())


def test_published_scores_have_a_column(tmp_path, ablation):
    reference = {"source": "the paper, Table 9", "scores": {1: 89.1}}
    published = Ablation(**ablation.model_dump(exclude={"published"}), published=reference)
    values = (tried(1, 60, seeds=1, published=89.1), tried(2, 50, seeds=1))
    text = "\n".join(lines(ablation_table(Ablated(tmp_path, "mine", published, values))))
    assert "paper, %" in text
    assert "89.1" in text
    assert "the paper, Table 9" in " ".join(text.split())
    assert "60.0 ±" not in text


def test_ablations_are_listed_with_their_values():
    known = {name: load_ablation(name) for name in ablation_names()}
    text = "\n".join(lines(ablations_table(known), width=200))
    for name, one in known.items():
        assert name in text
        assert one.key in text
    assert "true, false" in text
    assert text.count("seeds 0, 1, 2") == len(known)
    assert "0.05, 0.1, 0.2, 0.5, 1 " in text


def test_a_metric_that_is_not_defined_is_a_dash():
    assert percent(float("nan")) == "-"
    assert percent(0.1234) == "12.3"
