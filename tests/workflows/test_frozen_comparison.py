"""Comparisons and sweeps of heads on an encoder that stays as it is."""

import timm
from safetensors.torch import save_file
from stopping import Watcher
from tiny_runs import RECIPE, write_tiny_table

from colabel.config import load_config
from colabel.workflows.comparison import configure_methods, plan_methods
from colabel.workflows.comparison.run import compare_methods
from colabel.workflows.comparison.tuning import tune_methods
from colabel.workflows.train import train

METHODS = ("kmcl", "bce")


def encodings(display):
    return [note for note in display.notes if "encoding" in note]


def configure(home):
    table = write_tiny_table(home)
    for method in METHODS:
        (home / f"{method}.yaml").write_text(RECIPE.replace("kmcl", method))
    weights = timm.create_model("test_efficientnet", num_classes=0).state_dict()
    save_file(weights, home / "weights.safetensors")
    return configure_methods(
        [str(home / f"{method}.yaml") for method in METHODS],
        data=str(table),
        changes=[f"encoder.weights={home / 'weights.safetensors'}"],
        frozen=True,
    )


def test_images_are_encoded_once_for_all_methods(tmp_path):
    """Neither a second head nor a trial encodes them again, and no weight is another for it."""
    configs = configure(tmp_path)
    heard = Watcher()
    tuned, _ = tune_methods(configs, trials=2, out=tmp_path / "out", cpu=True, display=heard)
    assert len(encodings(heard)) == 2, heard.notes  # training and validation images
    planned = plan_methods(tuned, out=tmp_path / "out", seeds=1)
    heard = Watcher()
    compare_methods(planned, out=tmp_path / "out", draws=20, cpu=True, display=heard)
    assert len(encodings(heard)) == 2, heard.notes
    data = [note for note in heard.notes if note.startswith("data: ")]
    assert data
    assert len(data) == len(set(data))  # told once, not with every run
    alone = train(planned[1].config, out=tmp_path / "alone", cpu=True)
    for folder in (alone.folder, planned[1].folder):
        assert load_config(folder / "config.yaml") == planned[1].config
    weights = [
        (path / "model.safetensors").read_bytes() for path in (alone.folder, planned[1].folder)
    ]
    assert weights[0] == weights[1]
