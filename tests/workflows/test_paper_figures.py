"""Figures of the papers: their numbers against plain ones, and what the command draws."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_figures import assert_picture, texts
from tiny_runs import command, write_tiny_table

from colabel.errors import RunError
from colabel.figures.losses import losses_figure
from colabel.workflows.paper_figures import FIGURES
from colabel.workflows.paper_figures.kernels import scenes, surfaces
from colabel.workflows.paper_figures.labels import count_labels
from colabel.workflows.paper_figures.losses import read_run
from colabel.workflows.paper_figures.overlaps import overlaps


def test_the_surfaces_are_the_three_similarities():
    rho, mahalanobis, gaussian = surfaces()
    for i in range(0, 81, 13):
        for j in range(0, 81, 11):
            difference, spread = float(rho.means[i]), float(rho.deviations[j])
            first, second = 2 - spread / 2, 2 + spread / 2
            average = (first**2 + second**2) / 2
            exponent = math.exp(-(difference**2) / (8 * average))
            scale = math.sqrt(first * second / average)
            assert rho.values[i, j] == pytest.approx(scale * exponent, rel=1e-12)
            assert mahalanobis.values[i, j] == pytest.approx(exponent, rel=1e-12)
            assert gaussian.values[i, j] == pytest.approx(
                math.exp(-(difference**2) / (8 * 4)), rel=1e-12
            )
    for surface in (rho, mahalanobis, gaussian):
        assert surface.values.max() == surface.values[40, 40] == pytest.approx(1)


def test_the_scenes_are_rho_by_an_integral_over_the_plane():
    line = np.linspace(-14, 14, 561)
    places = np.stack(np.meshgrid(line, line), axis=-1)
    for scene in scenes():
        densities = []
        for mean, covariance in zip(scene.means, scene.covariances, strict=True):
            apart = places - mean
            squared = np.einsum("xyi,ij,xyj->xy", apart, np.linalg.inv(covariance), apart)
            densities.append(
                np.exp(-squared / 2) / (2 * math.pi * math.sqrt(np.linalg.det(covariance)))
            )
        rho = np.sqrt(densities[0] * densities[1]).sum() * (line[1] - line[0]) ** 2
        assert scene.similarities["Bhattacharyya"] == pytest.approx(rho, rel=1e-6)
    different, same_mean, same_covariance = scenes()
    assert same_mean.similarities["Mahalanobis"] == same_mean.similarities["Gaussian"] == 1
    assert same_mean.similarities["Bhattacharyya"] < 1
    assert same_covariance.similarities["Bhattacharyya"] == pytest.approx(
        same_covariance.similarities["Mahalanobis"]
    )
    assert different.similarities["Bhattacharyya"] < different.similarities["Mahalanobis"]


def test_the_overlaps_are_those_of_sets():
    jaccard, cosine = overlaps()
    for shared in range(5):
        for labels in range(1, 9):
            one, other = (grid.values[shared, labels - 1] for grid in (jaccard, cosine))
            if shared > labels:
                assert np.isnan([one, other]).all()
                continue
            assert one == pytest.approx(shared / (4 + labels - shared))
            assert other == pytest.approx(shared / math.sqrt(4 * labels))


def test_labels_are_counted_over_all_splits_and_unknown_ones_are_none(tmp_path):
    table = write_tiny_table(tmp_path)
    rows = [line.split(",")[1].split(";") for line in table.read_text().splitlines()[1:]]
    counted = count_labels(str(table))
    assert counted.classes == 3
    assert sum(counted.images) == len(rows)
    assert counted.images == tuple(
        sum(len(row) == number for row in rows) for number in range(len(counted.images))
    )
    assert counted.mean == pytest.approx(sum(map(len, rows)) / len(rows))
    unknown = tmp_path / "unknown.csv"
    unknown.write_text(
        "path,cat,dog\nimages/00.png,1,\nimages/01.png,1,1\nimages/02.png,0,1\nimages/03.png,,0\n"
    )
    assert count_labels(str(unknown)).images == (1, 2, 1)


def test_unknown_labels_are_told_where_labels_are_counted(tmp_path, capsys, monkeypatch):
    write_tiny_table(tmp_path)
    table = tmp_path / "unknown.csv"
    table.write_text(
        "path,cat,dog\nimages/00.png,1,-1\nimages/01.png,1,1\nimages/02.png,-1,0\n"
        "images/03.png,0,1\n"
    )
    counted = count_labels(str(table))
    assert (counted.images, counted.unknown) == ((1, 2, 1), 2)
    drawn = []
    monkeypatch.setattr("colabel.figures.labels.save", lambda figure, _: drawn.append(figure))
    assert command("figure", "labels-per-image", "--data", table, "--out", tmp_path / "a") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "most have 1; 2 unknown labels count as absent" in printed
    assert "labels of an image; 2 unknown ones count as absent" in texts(drawn[0])


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "kmcl-losses"])
def test_what_needs_no_training_is_drawn(tmp_path, name, capsys):
    out = tmp_path / "drawn"
    assert command("figure", name, "--out", out) == 0
    assert_picture(out / f"{name}.png")
    assert f"{name}.png" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("figure", "kmcl-similarity"), "did you mean 'kmcl-similarities'"),
        (("figure", "kmcl-similarities", "--seeds", "2"), "trains nothing"),
        (("figure", "probmcl-overlaps", "--data", "shapes"), "trains nothing"),
        (("figure", "kmcl-losses", "--set", "training.epoch=2"), "did you mean 'epochs'"),
    ],
)
def test_what_cannot_be_drawn_is_told(capsys, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(*words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not any(tmp_path.iterdir())


def write_log(path, losses, scores):
    lines = [
        {"kind": "epoch", "loss": 3 * loss, "terms": {"one": {"raw": loss}}, "score": score}
        for loss, score in zip(losses, scores, strict=True)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in [{"kind": "step"}, *lines]))


def test_losses_are_read_from_logs_and_drawn_as_shares_of_their_largest(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    runs = []
    for number, losses in enumerate(([4.0, 2.0, 1.0], [8.0, 2.0, None, 1.0])):
        path = tmp_path / f"{number}.jsonl"
        kept = [loss or 0.0 for loss in losses]
        write_log(path, kept, [0.1, 0.2, 0.3, 0.4][: len(losses)])
        runs.append(read_run(path))
    assert runs[0].losses["total"] == (12.0, 6.0, 3.0)
    losses_figure(runs, tmp_path / "l.png")
    left, right = drawn[0].axes
    total, one = (line.get_ydata().tolist() for line in left.lines)
    assert total == one == [1, (0.5 + 0.25) / 2, (0.25 + 0) / 2]
    assert right.lines[0].get_ydata().tolist() == pytest.approx([10, 20, 30])
    with pytest.raises(RunError):
        read_run(tmp_path / "none.jsonl")


@pytest.mark.slow
def test_the_losses_of_kmcl_are_trained_once_and_drawn(tmp_path, monkeypatch):
    from colabel.workflows.grid import training as grid_training

    table = write_tiny_table(tmp_path)
    words = ["figure", "kmcl-losses", "--data", table, "--out", tmp_path / "out", "--seeds", "2"]
    for change in ("training.epochs=2", "training.batch_size=9", "data.image_size=32",
                   "encoder.name=test_efficientnet", "training.workers=0"):  # fmt: skip
        words += ["--set", change]
    assert command(*words, "--cpu") == 0
    picture = tmp_path / "out" / "losses.png"
    assert_picture(picture)
    picture.unlink()
    monkeypatch.setattr(grid_training, "train", SimpleNamespace())  # may not be called
    assert command(*words, "--cpu") == 0
    assert_picture(picture)
