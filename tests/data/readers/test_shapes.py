import subprocess
import sys

import numpy as np
import pytest

from colabel.data.readers.shapes import (
    CLASSES,
    COLOURS,
    IMAGES,
    NIGHT_PROBABILITY,
    SHAPES,
    Scene,
    _silhouette,
    co_occurrence,
    read_shapes,
    scene,
)
from colabel.errors import DataError


def pixels(records, index):
    return np.asarray(records.images.open(index)).astype(int)


def test_the_co_occurrence_is_the_one_of_many_scenes():
    images = 30_000
    targets = read_shapes("train", images={"train": images}).targets.astype(np.float64)
    expected = co_occurrence()
    measured = targets.T @ targets / images
    spread = np.sqrt(expected * (1 - expected) / images)
    # 136 different entries: 4.5 standard deviations are exceeded by chance once in a thousand runs
    assert (np.abs(measured - expected) < 4.5 * spread + 1e-12).all()


def test_the_co_occurrence_is_a_matrix_of_joint_probabilities():
    together = co_occurrence()
    assert together.shape == (len(CLASSES), len(CLASSES))
    np.testing.assert_allclose(together, together.T, atol=1e-12)
    alone = np.diag(together)
    assert (together <= np.minimum(alone[:, None], alone[None, :]) + 1e-12).all()
    assert (together >= alone[:, None] + alone[None, :] - 1 - 1e-12).all()
    assert (np.linalg.eigvalsh(together) > 0).all()
    assert together[-1, -1] == NIGHT_PROBABILITY


def test_the_labels_are_unevenly_frequent_and_depend_on_each_other():
    together = co_occurrence()
    alone = np.diag(together)
    assert len(CLASSES) >= 12
    assert alone.max() > 0.3
    assert alone.min() < 0.06
    lift = together / np.outer(alone, alone)
    star, yellow, night = (CLASSES.index(name) for name in ("star", "yellow", "night"))
    assert lift[star, yellow] > 1.5
    assert lift[star, night] > 1.5
    assert lift[CLASSES.index("square"), night] < 0.8


def test_the_labels_of_a_scene_are_its_properties_but_for_the_unlabelled():
    drawn = Scene(True, (("star", "grey", "plain"), ("ring", "red", "dotted")))
    assert drawn.labels() == {"night", "star", "ring", "red", "dotted"}
    assert Scene(False, ()).labels() == frozenset()


def test_targets_are_the_labels_of_the_scenes():
    records = read_shapes("val", images={"val": 50}, seed=3)
    for index in range(50):
        names = {
            name for name, value in zip(CLASSES, records.targets[index], strict=True) if value
        }
        assert names == scene("val", index, seed=3).labels()


def test_an_image_is_a_pure_function_of_split_seed_and_index():
    records = read_shapes("train", images={"train": 20})
    again = read_shapes("train", images={"train": 40}).subset([7, 3, 12])
    assert (again.targets == records.targets[[7, 3, 12]]).all()
    for position, index in enumerate([7, 3, 12]):
        assert (pixels(again, position) == pixels(records, index)).all()
    assert again.images.locate(0) == records.images.locate(7) == "shapes train image 7 (seed 0)"


def test_splits_and_seeds_share_no_image():
    seen = set()
    for split in IMAGES:
        for seed in (0, 1):
            records = read_shapes(split, images={split: 15}, seed=seed)
            seen |= {pixels(records, index).tobytes() for index in range(15)}
    assert len(seen) == 3 * 2 * 15


def test_size_and_ambiguity_do_not_change_what_is_on_an_image():
    plain = read_shapes("test", images={"test": 30}, ambiguity=0.0)
    other = read_shapes("test", images={"test": 30}, ambiguity=1.0, size=96)
    assert (plain.targets == other.targets).all()
    assert other.images.open(0).size == (96, 96)
    assert other.images.open(0).mode == "RGB"


def test_the_scene_is_hidden_further_the_more_ambiguous_it_is():
    clean = read_shapes("train", images={"train": 40}, ambiguity=0.0)
    distances = []
    for ambiguity in (0.1, 0.3, 0.6, 1.0):
        hidden = read_shapes("train", images={"train": 40}, ambiguity=ambiguity)
        changes = [np.abs(pixels(clean, i) - pixels(hidden, i)).mean() for i in range(40)]
        distances.append(np.mean(changes))
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]


def test_noise_grows_with_the_ambiguity():
    def grain(ambiguity):
        records = read_shapes("train", images={"train": 30}, ambiguity=ambiguity)
        # neighbouring pixels differ by noise, but for the few at an edge
        steps = [np.abs(np.diff(pixels(records, index), axis=1)) for index in range(30)]
        return np.mean([np.median(step) for step in steps])

    assert grain(0.0) < grain(0.2) < grain(1.0)
    assert grain(0.0) < 4
    assert grain(1.0) > 15


def test_night_is_darker_than_day_in_a_clean_image():
    records = read_shapes("train", images={"train": 120}, ambiguity=0.0)
    night = records.targets[:, CLASSES.index("night")] == 1
    light = np.array([np.median(pixels(records, index)) for index in range(120)])
    assert 0 < night.sum() < 120
    assert light[night].max() < light[~night].min()


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow"])
def test_a_label_of_colour_is_seen_in_a_clean_image(colour):
    records = read_shapes("train", images={"train": 160}, ambiguity=0.0)
    paint = np.array(COLOURS[colour]) / np.linalg.norm(COLOURS[colour])
    has, has_not = [], []
    for index in range(160):
        image = pixels(records, index)
        strong = image.max(axis=2) - image.min(axis=2) > 70
        direction = image / np.linalg.norm(image, axis=2, keepdims=True).clip(min=1)
        share = ((direction @ paint > 0.97) & strong).mean()
        (has if records.targets[index, CLASSES.index(colour)] else has_not).append(share)
    assert np.median(has) > 0.02
    assert np.median(has_not) < 0.005


def test_every_shape_is_drawn_differently():
    # same place, size, turn and colour: only the outline differs
    masks = {name: np.asarray(_silhouette(name, 20.0, 1 + 0j, 255)) > 0 for name in SHAPES}
    for first in SHAPES:
        assert masks[first].any()
        for second in SHAPES:
            if first < second:
                union = (masks[first] | masks[second]).sum()
                assert (masks[first] & masks[second]).sum() < 0.9 * union


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tets"}, "no split 'tets': did you mean 'test'"),
        ({"images": {"trian": 5}}, "no split 'trian': did you mean 'train'"),
        ({"images": {"train": 0}}, "at least 1 image, got 0"),
        ({"size": 8}, "from 16 to 1024 pixels, got 8"),
        ({"ambiguity": 1.5}, "from 0 to 1, got 1.5"),
        ({"ambiguity": float("nan")}, "from 0 to 1, got nan"),
        ({"seed": -1}, "0 or more, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        read_shapes(**{"split": "train", **options})


@pytest.mark.slow
def test_shapes_and_checks_do_without_torch():
    code = (
        "import sys, colabel.data.readers.shapes, colabel.data.check, colabel.cli.check_view; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
