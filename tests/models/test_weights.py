"""Files of weights: what fits is loaded bit for bit, what does not is explained and not loaded."""

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from colabel.errors import WeightsError
from colabel.models import Classifier, Head, LinearHead, build_encoder

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def source():
    """Return a trained-looking backbone with its classifier."""
    torch.manual_seed(11)
    model = timm.create_model(NAME, num_classes=7)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    return model


def assert_holds(encoder, source):
    expected = source.state_dict()
    for key, value in encoder.backbone.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, expected[key]), key


def with_prefix(state, prefix):
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model_state": with_prefix(state, "module.")},
        lambda state: {"state_dict": {}, "state_dict_ema": state},
        lambda state: with_prefix(state, "module."),
        lambda state: with_prefix(state, "_orig_mod."),
        lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
        lambda state: {k: v for k, v in state.items() if not k.startswith("classifier")},
    ],
)
def test_torch_files_of_many_makers_load(tmp_path, source, wrap):
    path = tmp_path / "weights.pth"
    torch.save(wrap(dict(source.state_dict())), path)
    assert_holds(build_encoder(NAME, weights=path), source)


def test_safetensors_load(tmp_path, source):
    path = tmp_path / "weights.safetensors"
    save_file(source.state_dict(), path)
    assert_holds(build_encoder(NAME, weights=path), source)


def test_saved_models_of_this_package_load_without_their_head(tmp_path, source):
    path = tmp_path / "model.safetensors"
    encoder = build_encoder(NAME)
    encoder.backbone.load_state_dict(source.state_dict(), strict=False)
    state = Classifier(encoder, Head(LinearHead(encoder.width, 3))).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    assert_holds(build_encoder(NAME, weights=path), source)


def test_half_precision_files_load_into_float32(tmp_path, source):
    path = tmp_path / "half.pth"
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}, path
    )
    encoder = build_encoder(NAME, weights=path)
    weight = encoder.backbone.conv_stem.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, source.conv_stem.weight.half().float())


def test_loaded_features_are_those_of_the_source(tmp_path, source):
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    images = torch.rand(2, 3, 64, 64)
    encoder = build_encoder(NAME, weights=path).eval()
    mean, std = encoder.pixel_mean, encoder.pixel_std
    expected = source.eval().forward_head(
        source.forward_features((images - mean) / std), pre_logits=True
    )
    torch.testing.assert_close(encoder(images).vector, expected, rtol=1e-3, atol=1e-4)


def test_position_embeddings_of_another_image_size_are_resized(tmp_path):
    path = tmp_path / "vit.pth"
    small = timm.create_model("test_vit", img_size=64)
    torch.save(small.state_dict(), path)
    encoder = build_encoder("test_vit", weights=path, options={"img_size": 96})
    assert torch.equal(encoder.backbone.patch_embed.proj.weight, small.patch_embed.proj.weight)
    assert encoder.backbone.pos_embed.shape[1] != small.pos_embed.shape[1]


def changed(state, *, drop=(), add=None, replace=None):
    kept = {key: value for key, value in state.items() if key not in drop}
    return {**kept, **(add or {}), **(replace or {})}


def refuse(path, match):
    with pytest.raises(WeightsError, match=match) as raised:
        build_encoder(NAME, weights=path)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_every_kind_of_mismatch_is_listed(tmp_path, source):
    path = tmp_path / "weights.pth"
    state = source.state_dict()
    torch.save(
        changed(
            state,
            drop=("conv_stem.weight",),
            add={"extra.bias": torch.zeros(2)},
            replace={
                "bn1.weight": torch.zeros(3),
                "bn1.bias": torch.zeros_like(state["bn1.bias"], dtype=torch.int8),
            },
        ),
        path,
    )
    message = refuse(path, "does not fit the encoder test_efficientnet")
    assert "1 missing: conv_stem.weight" in message
    assert "1 left over: extra.bias" in message
    size = tuple(state["bn1.weight"].shape)
    assert f"1 of another shape: bn1.weight (expected {size}, got (3,))" in message
    assert "1 of another type: bn1.bias (expected floating, got integer)" in message


def test_long_lists_are_cut_and_counted(tmp_path, source):
    path = tmp_path / "weights.pth"
    torch.save({"conv_stem.weight": source.conv_stem.weight.detach()}, path)
    message = refuse(path, "missing")
    missing = len([k for k in build_encoder(NAME).backbone.state_dict() if "num_batches" not in k])
    assert f"{missing - 1} missing" in message
    assert f"and {missing - 11} more" in message


def test_files_in_the_layout_of_another_library_are_named_as_such(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({f"features.{i}.weight": torch.zeros(4) for i in range(3)}, path)
    refuse(path, "(?s)No key fits.*torchvision.*Take a file made with timm")


def test_a_conversion_that_fails_gives_the_same_explanation(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"pos_embed": torch.zeros(3), "other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="does not fit the encoder test_vit"):
        build_encoder("test_vit", weights=path, options={"img_size": 64})


def test_values_that_are_not_finite_are_refused(tmp_path, source):
    path = tmp_path / "weights.pth"
    state = {key: value.clone() for key, value in source.state_dict().items()}
    state["bn1.running_var"][0] = torch.nan
    torch.save(state, path)
    refuse(path, "not finite: bn1.running_var")


class Trap:
    """An object whose unpickling runs code."""

    def __reduce__(self):
        return (pytest.fail, ("the file's code was run",))


@pytest.mark.parametrize(
    "write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=2))]
)
def test_files_with_code_are_refused_and_not_run(tmp_path, write):
    path = tmp_path / "weights.pth"
    write({"state_dict": Trap()}, path)
    refuse(path, "not opened")


def test_missing_damaged_and_foreign_files_are_refused(tmp_path, source):
    refuse(tmp_path / "none.pth", "there is no file of weights")
    refuse(tmp_path, "there is no file of weights")
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refuse(path, "cannot be read|not opened")
    path.write_bytes(b"")
    refuse(path, "cannot be read")
    torch.save([torch.zeros(1)], path)
    refuse(path, "holds a list, expected tensors by name")
    torch.save({"epoch": 3}, path)
    refuse(path, r"no tensors by name \(its keys: epoch\)")
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x00" * 20)
    refuse(path, "cannot be read")
