"""An ablation of the tiny recipe, and how the tests start it and read what it wrote."""

import json

import yaml
from stopping import Watcher

from colabel.workflows.ablation.run import ablate

QUICK = ("training.epochs=1", "training.batch_size=9")
ABLATION = {
    "description": "The temperature of the tiny recipe.",
    "recipe": "tiny.yaml",
    "key": "terms.contrastive.temperature",
    "values": [0.2, 1],
    "seeds": [0, 1],
    "published": {"source": "nowhere", "chosen": 0.2, "scores": {1: 50}},
}


class Lines(Watcher):
    """A display that keeps what it is told, and knows which of it is about runs."""

    def progress(self):
        return [note for note in self.notes if " of " in note and ": " in note and "seed" in note]


def write_ablation(home, **changed):
    path = home / "mine.yaml"
    entries = {key: value for key, value in (ABLATION | changed).items() if value != ...}
    path.write_text(yaml.safe_dump(entries))
    return path


def start(home, *, changes=QUICK, display=None, **options):
    return ablate(
        options.pop("source", home / "mine.yaml"),
        data=str(home / "labels.csv"),
        changes=changes,
        out=home / "out",
        cpu=True,
        display=display,
        **options,
    )


def read(home):
    return json.loads((home / "out" / "ablation.json").read_text("utf-8"))


def never(*_, **__):
    raise AssertionError("nothing may be trained")
