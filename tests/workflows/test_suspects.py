"""Labels that are probably wrong: from a source to a folder of pictures."""

import csv
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from fakes import write_image
from PIL import Image
from tiny_runs import command, write_tiny_table

from colabel.config import load_config
from colabel.data import FileImages, Records
from colabel.data.copies import groups_across
from colabel.errors import ConfigError, DataError, RunError
from colabel.models import build_encoder
from colabel.workflows import suspects_folder
from colabel.workflows.suspects import find_suspects
from colabel.workflows.suspects_folder import Suspect, check_place, write_suspects

CHANGED = ("encoder.name", "encoder.weights", "data.image_size")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The file of weights of an encoder, drawn at random: enough to tell colours."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("encoder") / "weights.pth"
    torch.save(build_encoder("test_efficientnet").backbone.state_dict(), file)
    return file


@pytest.fixture
def config(encoder):
    return load_config(
        "shapes-bce",
        [
            "encoder.name=test_efficientnet",
            f"encoder.weights={encoder}",
            "data.image_size=32",
            "training.workers=0",
        ],
    )


CLASSES = ("bright", "red", "left", "rare")


@dataclass(frozen=True)
class Patches:
    """Pictures of one colour: bright or dark, red or blue, with a stripe on the left or not."""

    labels: tuple[tuple[int, ...], ...]

    def __len__(self):
        return len(self.labels)

    def open(self, index):
        bright, red, left = self.labels[index][:3]
        noise = np.random.default_rng(index).integers(0, 40, (32, 40, 3))
        pixels = noise + (120 if bright else 20)
        pixels[..., 0 if red else 2] += 80
        pixels[:, :12] //= 1 + 3 * left
        return Image.fromarray(pixels.astype(np.uint8))

    def locate(self, index):
        return f"patch {index}"

    def select(self, indices):
        return Patches(tuple(self.labels[index] for index in indices))


def patches(*, train=150, val=50):
    """Return splits in which some labels are wrong, and these."""
    splits, planted = {}, []
    for seed, (name, count) in enumerate({"train": train, "val": val}.items()):
        true = (np.random.default_rng(seed).random((count, 4)) < 0.4).astype(np.int8)
        true[:, 3] = np.arange(count) == 1
        given = true.copy()
        for index in range(3, count, 20):
            column = index // 20 % 3
            given[index, column] = 1 - true[index, column]
            planted.append((f"{name}-{index}", CLASSES[column], int(given[index, column]), name))
        ids = tuple(f"{name}-{index}" for index in range(count))
        splits[name] = Records(ids, Patches(tuple(map(tuple, true.tolist()))), given, CLASSES)
    return splits, planted


def read_table(folder):
    with (folder / "suspects.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def run_table(tiny_run):
    return tiny_run.parent / "labels.csv"


class TestOutOfFold:
    def test_planted_errors_come_first_with_their_pictures(self, config, tmp_path):
        splits, planted = patches()
        out = tmp_path / "list"
        report = find_suspects(
            splits, config, folds=4, most=30, out=out, changed=CHANGED, cpu=True
        )
        listed = [(one.image, one.label, one.given, one.split) for one in report.suspects]
        assert set(planted) <= set(listed[: len(planted) + 3])
        assert [one.suspicion for one in report.suspects] == sorted(
            (one.suspicion for one in report.suspects), reverse=True
        )
        rows = read_table(out)
        assert [(row["image"], row["label"], int(row["given"]), row["split"]) for row in rows] == (
            listed
        )
        thumbnails = sorted(path.name for path in (out / "thumbnails").iterdir())
        assert [int(name.partition("-")[0]) for name in thumbnails] == list(range(1, 31))
        kinds = {1: "given", 0: "missing"}
        assert thumbnails[0] == f"001-{kinds[listed[0][2]]}-{listed[0][1]}.jpg"
        with Image.open(out / "contact-sheet.png") as sheet:
            assert sheet.width > 1000
            assert np.asarray(sheet.convert("L")).std() > 10
        again = find_suspects(splits, config, folds=4, most=30, out=out, changed=CHANGED, cpu=True)
        assert again.suspects == report.suspects
        assert not [path for path in tmp_path.iterdir() if path != out]

    def test_rare_labels_are_left_out_and_unknown_ones_never_listed(self, config, tmp_path):
        splits, _ = patches(train=60, val=20)
        records = splits["train"]
        targets = records.targets.copy()
        targets[:40, 1] = -1
        splits["train"] = replace(records, targets=targets)
        report = find_suspects(
            splits, config, folds=3, most=5000, out=tmp_path / "list", changed=CHANGED, cpu=True
        )
        assert any(note.endswith("are not judged: rare") for note in report.notes)
        assert not any(one.label == "rare" for one in report.suspects)
        hidden = {f"train-{index}" for index in range(40)}
        assert not any(one.label == "red" and one.image in hidden for one in report.suspects)
        assert len(report.suspects) == report.judged == 3 * 80 - 40

    def test_groups_stay_together(self, config, tmp_path, monkeypatch):
        splits, _ = patches(train=60, val=20)
        splits = {
            name: replace(part, groups=tuple(f"patient {i % 9}" for i in range(len(part))))
            for name, part in splits.items()
        }
        seen = {}

        def assign(targets, folds, *, groups, seed):
            from colabel.label_errors.folds import assign_folds

            seen["folds"] = assign_folds(targets, folds, groups=groups, seed=seed)
            return seen["folds"]

        monkeypatch.setattr("colabel.workflows.suspects.assign_folds", assign)
        find_suspects(splits, config, folds=3, out=tmp_path / "a", changed=CHANGED, cpu=True)
        patients = [i % 9 for part in splits.values() for i in range(len(part))]
        for patient in range(9):
            of_patient = {
                int(f) for f, p in zip(seen["folds"], patients, strict=True) if p == patient
            }
            assert len(of_patient) == 1


class TestRun:
    def test_the_command_lists_and_says_what_the_run_has_learned(
        self, tiny_run, run_table, tmp_path, capsys
    ):
        out = tmp_path / "list"
        words = ("check", run_table, "--with", tiny_run, "--suspects", 7, "--out", out, "--cpu")
        assert command(*words, "--json") == 0
        printed = json.loads(capsys.readouterr().out)
        assert len(printed["suspects"]) == 7
        assert set(printed["suspects"][0]) == set(suspects_folder.COLUMNS)
        assert printed["suspects_judged"] == 39 * 3
        assert "has learned their labels" in printed["suspects_notes"][0]
        assert [row["image"] for row in read_table(out)] == [
            one["image"] for one in printed["suspects"]
        ]
        # an earlier list is replaced
        assert command(*words[:-3], "--out", out, "--cpu") == 0
        text = capsys.readouterr().out
        assert "Labels that are probably wrong" in text
        assert f"{out}/suspects.csv" in text.replace("\n", "")
        assert len(read_table(out)) == 7

    def test_the_default_folder_is_a_new_one(self, tiny_run, run_table, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for _ in range(2):
            assert command("check", run_table, "--with", tiny_run, "--cpu", "--no-decode") == 0
        assert sorted(path.name for path in (tmp_path / "suspects").iterdir()) == [
            "labels-1",
            "labels-2",
        ]

    def test_the_encoder_of_a_run_serves_the_folds(self, tiny_run, run_table, tmp_path, capsys):
        words = ("--cross-validate", "--with", tiny_run, "--folds", 3, "--cpu", "--json")
        assert command("check", run_table, *words, "--out", tmp_path / "list") == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["suspects_by"] == f"classifiers of 3 folds on the encoder of {tiny_run}"
        assert "may find more" in printed["suspects_notes"][0]

    def test_unreadable_images_and_other_labels_are_left_out(self, tiny_run, tmp_path, capsys):
        table = write_tiny_table(tmp_path, images=12, classes=("cat", "dog", "elk"))
        (tmp_path / "images" / "03.png").write_bytes(b"no image")
        out = tmp_path / "list"
        words = ("check", table, "--with", tiny_run, "--out", out, "--cpu", "--json")
        assert command(*words) == 1  # the unreadable image is an error of the data
        printed = json.loads(capsys.readouterr().out)
        notes = " ".join(printed["suspects_notes"])
        assert "1 image cannot be read, so the labels of it are not judged: images/03.png" in notes
        assert "not judged: elk" in notes
        assert {one["label"] for one in printed["suspects"]} <= {"cat", "dog"}
        assert "images/03.png" not in {one["image"] for one in printed["suspects"]}


class TestRefused:
    def test_what_cannot_be_done_is_said_and_nothing_written(
        self, tiny_run, run_table, tmp_path, capsys
    ):
        (tmp_path / "images").mkdir()
        other = write_tiny_table(tmp_path, images=8, classes=("elk", "fox"))
        mine = tmp_path / "mine"
        mine.mkdir()
        (mine / "thesis.tex").write_text("all I have")
        new = tmp_path / "new"
        for words, says in (
            ((run_table, "--suspects", 3), "add --with RUN or --cross-validate"),
            ((run_table, "--with", tiny_run, "--folds", 3), "--folds is for --cross-validate"),
            ((run_table, "--with", tmp_path / "none"), "there is no run folder"),
            ((run_table, "--with", tiny_run, "--out", mine), "such as thesis.tex"),
            ((run_table, "--with", tiny_run, "--out", run_table), "is no folder"),
            ((other, "--with", tiny_run, "--out", new), "knows none of the labels"),
            (
                (run_table, "--cross-validate", "--set", "encoder.name=test_vit", "--out", new),
                "no weights of test_vit are on this machine",
            ),
            (
                (run_table, "--cross-validate", "--with", tiny_run, "--folds", 30, "--out", new),
                "ask for fewer folds",
            ),
            (
                (run_table, "--with", tiny_run, "--set", "encoder.name=resnet18", "--out", new),
                "leave out this setting",
            ),
        ):
            assert command("check", *words, "--cpu", "--no-decode") == 2, says
            assert says in capsys.readouterr().err
        assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
        assert not new.exists()

    def test_neither_run_nor_folds(self, config, tmp_path):
        splits, _ = patches(train=20, val=5)
        with pytest.raises(ConfigError, match="what is to judge"):
            find_suspects(splits, config, out=tmp_path / "x")
        with pytest.raises(ConfigError, match="at least 2 folds"):
            find_suspects(splits, config, folds=1, changed=CHANGED)
        unknown = {
            name: replace(part, targets=np.full_like(part.targets, -1))
            for name, part in splits.items()
        }
        with pytest.raises(DataError, match="no label has 2 images"):
            find_suspects(unknown, config, folds=2, out=tmp_path / "x", changed=CHANGED, cpu=True)
        assert not (tmp_path / "x").exists()


class TestFolder:
    suspect = Suspect("a.png", "a/b: c?", 1, 0.01, 0.9, "train")

    def write(self, folder):
        return write_suspects(
            [self.suspect],
            lambda _: Image.new("RGB", (300, 200), (200, 30, 30)),
            folder,
            name="data",
            title="wrong",
        )

    @pytest.mark.parametrize("at", ["_fill", "contact_sheet", "replace_file", "table_of"])
    def test_an_interruption_leaves_an_earlier_list_or_nothing(self, tmp_path, monkeypatch, at):
        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(suspects_folder, at, interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.write(tmp_path / "new")
        assert list(tmp_path.iterdir()) == []
        self.write(tmp_path / "old")
        before = sorted(path.name for path in (tmp_path / "old").rglob("*"))
        with monkeypatch.context() as patch:
            patch.setattr(suspects_folder, at, interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.write(tmp_path / "old")
        assert sorted(path.name for path in (tmp_path / "old").rglob("*")) == before
        assert [path.name for path in tmp_path.iterdir()] == ["old"]

    def test_names_of_labels_are_safe_and_left_overs_of_killed_processes_go(self, tmp_path):
        left = tmp_path / ".list.4194999.suspects"
        left.mkdir()
        (left / "suspects.csv").write_text("half")
        self.write(tmp_path / "list")
        assert [path.name for path in tmp_path.iterdir()] == ["list"]
        assert [path.name for path in (tmp_path / "list" / "thumbnails").iterdir()] == [
            "001-given-a-b-c.jpg"
        ]

    def test_a_table_of_the_same_name_is_not_taken_for_ours(self, tmp_path):
        (tmp_path / "suspects.csv").write_text("name,crime\n")
        with pytest.raises(RunError, match="something else"):
            check_place(tmp_path)
        link = tmp_path / "link"
        link.symlink_to(tmp_path)
        with pytest.raises(RunError, match="is no folder"):
            check_place(link)
        empty = tmp_path / "empty"
        empty.mkdir()
        check_place(empty)
        assert self.write(empty) == empty

    def test_a_place_that_cannot_be_written(self, tmp_path):
        file = tmp_path / "file"
        file.write_text("")
        with pytest.raises(RunError, match="cannot be made"):
            self.write(file / "list")


def test_identical_files_in_two_splits_stay_together(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        write_image(path, size=(20, 20), seed=number % 3)

    def part(*numbers):
        return Records(
            ids=tuple(str(number) for number in numbers),
            images=FileImages([paths[number] for number in numbers]),
            targets=np.zeros((len(numbers), 1), dtype=np.int8),
            classes=("cat",),
        )

    groups = groups_across([part(0, 1), part(2, 3)])
    assert groups is not None
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3
    assert groups_across([part(0, 1), part(2)]) is None
