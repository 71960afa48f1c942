"""Plans of ``train auto`` on a machine whose times are given."""

from colabel.config import changed_keys, load_config
from colabel.workflows import automatic, candidates
from colabel.workflows.candidates import ENCODERS

STEP_AT_96 = 0.1
HEAD_STEP = 0.004
AUGMENTED = "augmentation.operations=1"
"""Said by the user, so nothing is kept of the images."""


def plan(table, budget, *changes, **options):
    config = load_config("auto", changes)
    return automatic.plan_training(
        config, budget, data=str(table), changed=changed_keys(changes), cpu=True, **options
    )


def only_the_first(monkeypatch):
    monkeypatch.setattr(candidates, "ENCODERS", ENCODERS[:1])
