"""The heads over a graph from their settings, with the labels of training images and without."""

import numpy as np
import pytest
import torch

from colabel.build.model import build_classifier
from colabel.config import check_config
from colabel.config.paths import with_absolute_paths
from colabel.data import Records
from colabel.errors import ConfigError
from colabel.models import GraphHead, build_encoder
from colabel.models.budget import memory_budget
from colabel.models.heads import label_graph
from colabel.settings import EncoderSettings, MLGCNSettings, TDRGSettings
from colabel.workflows.cost import cost

ENCODER = EncoderSettings(name="test_efficientnet")
NAMES = ("cat", "dog", "owl")


class Unread:
    def __len__(self):
        return 4

    def open(self, _index):
        raise AssertionError("labels are enough")

    def locate(self, _index):
        return "nowhere"

    def select(self, _indices):
        return self


TARGETS = np.array([[1, 1, 0], [1, -1, 0], [1, 0, -1], [0, 1, 0]], dtype=np.int8)
TRAIN = Records(("a", "b", "c", "d"), Unread(), TARGETS, NAMES)


def built(settings, train=TRAIN, *, size=96, encoder=ENCODER):
    torch.manual_seed(0)
    return build_classifier(encoder, settings, len(NAMES), image_size=size, train=train)


def images(size=96):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, size, size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("norm", ["paper", "released"])
def test_the_graph_is_that_of_the_training_labels(norm):
    settings = MLGCNSettings(norm=norm, threshold=0.5, neighbours=0.3, hidden=7, width=4)
    model = built(settings)
    assert isinstance(model.head, GraphHead)
    readout = model.head.readout
    expected = label_graph(torch.tensor(TARGETS), norm=norm, threshold=0.5, neighbours=0.3)
    assert torch.equal(readout.graph, expected)
    assert not torch.equal(expected, torch.eye(3))
    assert readout.vectors.shape == (3, 4)
    assert readout.first.out_features == 7
    assert readout.second.out_features == model.encoder.map_channels
    assert model.head.reads == "map"


@pytest.mark.parametrize("vectors", ["learned", "one_hot", "file"])
def test_a_saved_model_answers_without_its_data(tmp_path, vectors):
    path = tmp_path / "words.txt"
    path.write_text("cat 1 2\ndog 3 4\nowl 5 6\n")
    settings = MLGCNSettings(vectors=str(path) if vectors == "file" else vectors, width=2)
    model = built(settings).eval()
    state = model.state_dict()
    if vectors == "file":
        assert state["head.readout.vectors"].tolist() == [[1, 2], [3, 4], [5, 6]]
    path.unlink()
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    with memory_budget(size * 5 // 4):
        other = built(settings, None)
    other.eval().load_state_dict(state)
    assert torch.equal(other(images()).logits, model(images()).logits)
    assert torch.equal(other.folded()(images()).logits, model(images()).logits)


def test_a_saved_tdrg_answers_without_its_data_and_within_its_budget():
    settings = TDRGSettings(channels=8)
    model = built(settings).eval()
    state = model.state_dict()
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    with memory_budget(size * 5 // 4):
        other = built(settings, None)
    other.eval().load_state_dict(state)
    assert torch.equal(other(images()).logits, model(images()).logits)


def test_vectors_of_another_width_are_refused_with_the_setting(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("cat 1 2\ndog 3 4\nowl 5 6\n")
    with pytest.raises(ConfigError, match=r"have 2 numbers; set head\.width: 2"):
        built(MLGCNSettings(vectors=str(path)))


def test_a_file_of_vectors_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, expected in (
        ("words.txt", str(tmp_path / "words.txt")),
        ("learned", "learned"),
        ("one_hot", "one_hot"),
    ):
        config = check_config({"method": "ml_gcn", "head": {"vectors": given}})
        assert with_absolute_paths(config, None).head.vectors == expected


def test_tdrg_has_every_setting_and_two_maps():
    model = built(TDRGSettings(channels=8, dropout=0.4))
    readout = model.head.readout
    assert (readout.width, model.head.reads, model.head.classes) == (24, "maps", 3)
    assert readout.transformer.layers[0].dropout.p == 0.4
    output = model(images())
    assert output.auxiliary.shape == (2, 3, 3)
    assert model.encoder(images()).previous_map.shape == (2, readout.previous_channels, 6, 6)


def test_an_encoder_gives_its_previous_stage_only_where_a_head_reads_it():
    encoder = build_encoder("test_efficientnet").eval()
    plain = encoder(images())
    assert plain.previous is None
    assert encoder.give_previous_stage() == 48
    with torch.no_grad():
        more = encoder(images())
    assert torch.equal(more.vector, plain.vector)
    assert torch.equal(more.map, plain.map)
    assert [len(piece.previous) for piece in more.chunk(2)] == [1, 1]
    assert more.to("meta").previous.device.type == "meta"


@pytest.mark.parametrize(
    "name", ["test_byobnet", "test_convnext", "test_mambaout", "test_nfnet", "test_resnet"]
)
def test_the_previous_stage_is_finer_and_changes_nothing(name):
    encoder = build_encoder(name).eval()
    with torch.no_grad():
        plain = encoder(images())
        channels = encoder.give_previous_stage()
        more = encoder(images())
    assert torch.equal(more.vector, plain.vector)
    assert torch.equal(more.map, plain.map)
    assert more.previous_map.shape == (2, channels, 6, 6)
    assert more.map.shape[2:] == (3, 3)


def test_frozen_norms_that_are_folded_fold_both_stages():
    encoder = build_encoder("test_resnet", freeze_batch_norm=True).eval()
    other = build_encoder("test_resnet").eval()
    other.load_state_dict(encoder.state_dict())
    for each in (encoder, other):
        each.give_previous_stage()
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(images()).previous_map, other(images()).previous_map, rtol=1e-4, atol=1e-4
        )


def test_an_encoder_of_one_resolution_is_refused_with_a_reason():
    encoder = EncoderSettings(name="test_vit", options={"img_size": 96})
    with pytest.raises(ConfigError) as caught:
        built(TDRGSettings(channels=8), encoder=encoder)
    assert str(caught.value) == (
        "test_vit has no finer map before that of its last stage, which the head tdrg needs: its "
        "stages all have positions of one size. Choose an encoder of several stages, such as "
        "resnet101."
    )


def test_images_too_small_for_the_third_scale_are_refused():
    with pytest.raises(ConfigError, match="got 2 x 2; take a larger data"):
        built(TDRGSettings(channels=8), size=64)
    built(MLGCNSettings(), size=32)  # one position has a maximum


def test_both_heads_are_costed_by_their_names():
    learned = 3 * 300 + 300 * 1024 + 1024 * 256
    assert cost("test_efficientnet", classes=3, head="ml_gcn").head_parameters == learned
    counted = cost("test_efficientnet", classes=3, image_size=96, head="tdrg")
    settings = built(TDRGSettings(), None)
    assert counted.head_parameters == sum(each.numel() for each in settings.head.parameters())
    with pytest.raises(ConfigError, match="did you mean 'ml_gcn'"):
        cost("test_efficientnet", classes=3, head="ml_gnc")
