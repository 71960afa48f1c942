"""Every method learns: on squares of three colours it ranks far better than chance."""

import numpy as np
import pytest
from PIL import Image

import colabel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("blank_charts")]

COLOURS = ("red", "green", "blue")
SHARE = 0.4  # of the images that have a label
RECIPE = """\
encoder: {name: test_efficientnet}
augmentation: {operations: 0, cutout: 0}
training: {epochs: 6, batch_size: 16, learning_rate: 3.0e-3, ema_decay: 0.9, workers: 0}
"""
PROBMCL = """\
method:
  name: probmcl
  classification: {epochs: 20, learning_rate: 0.03, augmented: false, head: {feature_length: 8}}
head: {hidden: [32, 16], feature_length: 8}
"""
MULSUPCON = """\
method:
  name: mulsupcon
  classification: {epochs: 20, learning_rate: 0.03, augmented: false, head: {feature_length: 8}}
"""
WITH_CONTRASTIVE = """\
method: bce
terms: {contrastive: {loss: supervised_contrastive, positives: per_label, weight: 0.1}}
"""
METHODS = {
    "bce": "method: bce\n",
    "asl": "method: asl\n",
    "kmcl": "method: kmcl\n",
    "kmcl-class-attention": "method: kmcl\nhead: {pooling: {name: class_attention}}\n",
    "probmcl": PROBMCL,
    "focal": "method: focal\n",
    "zlpr": "method: zlpr\n",
    "two_way": "method: two_way\n",
    "mulsupcon": MULSUPCON,
    "bce-contrastive": WITH_CONTRASTIVE,
    "csra": "method: csra\n",
    "ml-decoder": "method: ml_decoder\nhead: {pooling: {width: 64}}\n",
    "query2label": "method: query2label\nhead: {pooling: {width: 64}}\n",
}
OF_THE_MAP = ("kmcl-class-attention", "csra", "ml-decoder", "query2label")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A divided table of dark pictures with a bright square for each of their labels."""
    folder = tmp_path_factory.mktemp("squares")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    lines = ["path,labels,split"]
    for number in range(160):
        pixels = generator.integers(0, 40, (40, 40, 3), dtype=np.uint8)
        labels = []
        for channel, name in enumerate(COLOURS):
            if generator.random() < SHARE:
                labels.append(name)
                down, right = generator.integers(0, 24, 2)
                pixels[down : down + 16, right : right + 16, channel] = 230
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        split = "train" if number < 120 else "val"
        lines.append(f"images/{number}.png,{';'.join(labels)},{split}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


@pytest.mark.parametrize("name", METHODS)
def test_a_trained_model_ranks_better_than_chance(table, tmp_path, name):
    """Whoever guesses has a mean average precision of the share of positives."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(METHODS[name] + RECIPE)
    side = 64 if name in OF_THE_MAP else 32  # where the feature map has 2 x 2 positions, or 1
    changes = [f"data.image_size={side}"]
    trained = colabel.train(
        recipe, data=str(table), changes=changes, out=tmp_path / "run", cpu=True
    )
    rows = trained.report.to_dict()["per_class"]
    chance = sum(row["support"] for row in rows) / len(rows) / trained.report.to_dict()["images"]
    assert chance == pytest.approx(SHARE, abs=0.1)
    assert trained.report.mean_average_precision >= chance + 0.3
