"""What an ablation refuses before its first training, and what it does not write over."""

import pytest
from ablation_runs import never, start, write_ablation

from colabel.errors import ConfigError, RunError
from colabel.workflows.ablation import load_ablation
from colabel.workflows.grid import training as grid_training


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key": "terms.contrastive.temperatur"}, "did you mean 'temperature'"),
        ({"values": [0.2, -1], "published": ...}, r"value -1 of (?s:.*)got -1"),
        (
            {"values": [0.2, "warm"], "published": ...},
            "value warm of terms.contrastive.temperature",
        ),
        ({"values": [0.2, 1, 1.0]}, "value 1 of terms.contrastive.temperature is listed twice"),
        ({"values": []}, "values: "),
        ({"values": [{"a": 1}], "published": ...}, "values: expected numbers, words"),
        ({"seeds": [0, 0]}, "seeds: each seed is to be given once"),
        ({"seeds": [-1]}, r"seeds\.0: .* got -1"),
        ({"seeds": ...}, "seeds: is missing"),
        ({"metric": "mAPP"}, "there is no metric 'mAPP'; did you mean 'mAP'"),
        ({"sedes": [1]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"published": {"chosen": 1}}, r"published\.source: is missing"),
        ({"published": {"source": "a", "score": {}}}, "did you mean 'scores'"),
        ({"published": {"source": "a", "chosen": 3}}, "published names the value 3, expected one"),
        ({"published": {"source": "a", "scores": {True: 1}}}, "published names the value true"),
        ({"key": "training.seed"}, "key must be a dotted setting"),
        ({"key": "method"}, "key must be a dotted setting"),
        ({"key": "published.note"}, "key must be a dotted setting"),
        ({"recipe": "shapes-kmlc"}, "did you mean 'shapes-kmcl'"),
        ({"key": "encoder.name", "values": ["test_vit", "test_vot"], "published": ...},
         "value test_vot of encoder.name: there is no encoder named 'test_vot'"),
        ({"key": "data.options.images", "values": ["a b", "a/b"], "published": ...},
         "values a b and a/b of data.options.images would share the folder a_b"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_told_before_the_first_training(home, monkeypatch, changed, message):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home, **changed)
    with pytest.raises(ConfigError, match=message):
        start(home)
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "terms.contrastive.temperature=3",
            "the ablation sets terms.contrastive.temperature itself",
        ),
        ("training.seed=3", "the ablation sets training.seed itself"),
        ("training.epoch=3", "did you mean 'epochs'"),
    ],
)
def test_changes_are_of_other_settings(home, monkeypatch, change, message):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    with pytest.raises(ConfigError, match=message):
        start(home, changes=[change])


def test_the_source_is_given_once(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home, key="data.source", values=["shapes"], published=...)
    with pytest.raises(ConfigError, match="leave out --data"):
        start(home)


def test_unknown_ablations_and_files_that_are_none_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"did you mean 'probmcl-overlap'\? `colabel ablate`"):
        load_ablation("probmcl-overlaps")
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match=r"list\.yaml must be a YAML mapping such as 'key: "):
        load_ablation(path)


def test_a_picture_that_is_no_ablation_s_is_kept(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    (home / "out").mkdir()
    (home / "out" / "ablation.png").write_text("mine")
    with pytest.raises(RunError, match=r"ablation\.png is in the way: .*choose another folder"):
        start(home)
    assert (home / "out" / "ablation.png").read_text() == "mine"


def test_a_folder_in_the_way_is_named(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    (home / "out" / "1-1").mkdir(parents=True)
    (home / "out" / "1-1" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="1-1 is in the way: it is no run"):
        start(home)
