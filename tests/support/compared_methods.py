"""Two methods to compare on a table of patients, and the plan of their runs."""

from tiny_runs import RECIPE, write_tiny_table

from colabel.workflows.comparison import configure_methods, plan_methods

CHANGES = ("training.epochs=1", "data.options.group=patient")


def write_home(home):
    """A table of which two images each are of one patient, and two recipes."""
    table = write_tiny_table(home)
    head, *rows = table.read_text().splitlines()
    lines = [f"{row},p{number // 2}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{head},patient", *lines]) + "\n")
    for method in ("kmcl", "bce"):
        recipe = RECIPE.replace("kmcl", method)
        (home / f"tiny_{method}.yaml").write_text(recipe)
    return home


def plan(home, *, seeds=2, changes=CHANGES, methods=("tiny_kmcl", "tiny_bce"), **given):
    configs = configure_methods(
        [str(home / f"{method}.yaml") for method in methods],
        data=str(home / "labels.csv"),
        changes=changes,
        **given,
    )
    return plan_methods(configs, out=home / "out", seeds=seeds)
