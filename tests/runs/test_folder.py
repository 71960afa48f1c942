import errno
import fcntl
import gc
import json
import math
import os
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import ENVIRONMENT
from torch import nn

from colabel import runs
from colabel.errors import RunError
from colabel.runs.description import DescribedEncoder, Description, Selection
from colabel.settings import LinearSettings

DESCRIPTION = Description(
    colabel="1.2.3",
    classes=("cat", "Zähne"),
    method="asl",
    head=LinearSettings(feature_length=8),
    encoder=DescribedEncoder(name="resnet18"),
    image_size=64,
    thresholds=(0.5, 0.25),
    data={"source": "shapes", "images": 3, "fingerprint": "00"},
    selection=Selection(stage="asl", epoch=2, metric="mAP", value=None),
)


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )


def same(one, other):
    return all(
        torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items()
    )


@pytest.fixture
def saved(tmp_path):
    runs.save_model(tmp_path, model(), DESCRIPTION)
    return tmp_path


def test_a_model_comes_back_bit_for_bit_with_its_description(saved):
    restored = model(seed=1)
    assert not same(restored, model())
    runs.load_weights(saved, restored)
    assert same(restored, model())
    assert runs.load_description(saved) == DESCRIPTION
    assert "Zähne" in (saved / "model.json").read_text("utf-8")


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_full_disk_keeps_the_previous_model(saved, monkeypatch, at):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[at], full)
        with pytest.raises(RunError, match=r"model.safetensors cannot be written: No space left"):
            runs.save_model(saved, model(seed=1), DESCRIPTION)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    restored = model(seed=2)
    runs.load_weights(saved, restored)
    assert same(restored, model())


@contextmanager
def run_in(folder, *, resume=False, name="a"):
    """Claim a folder and leave in it what a start writes first."""
    with runs.claimed_run(folder, name=name, resume=resume) as claimed:
        if not resume:
            for file in ("config.yaml", "split.csv", "data.json", "log.jsonl"):
                (claimed / file).write_text("")
        yield claimed


def fail_in(folder, error, *, write=None, resume=False):
    """Write a file into a claimed folder, then fail."""
    with run_in(folder, resume=resume) as claimed:
        assert claimed == folder
        if write is not None:
            (folder / write).write_text("one line")
        raise error


def test_a_run_begins_in_a_new_or_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        with run_in(folder) as claimed:
            assert claimed == folder
            (folder / "log.jsonl").write_text("one line")
        assert (folder / "config.yaml").is_file()


@pytest.mark.parametrize(
    "name",
    ["config.yaml", "split.csv", "data.json", "model.safetensors", "last", "notes.txt", ".hidden"],
)
def test_a_folder_with_any_content_is_neither_taken_nor_changed(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with (
        pytest.raises(RunError, match=r"exists already; add --resume .* or choose another"),
        run_in(tmp_path),
    ):
        pytest.fail("the folder was taken")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_is_no_folder_for_a_run(tmp_path, monkeypatch):
    path = tmp_path / "runs"
    path.write_text("a file")
    monkeypatch.chdir(tmp_path)
    for folder, named in (
        (path, str(path)),
        (path / "run", str(path / "run")),
        (None, "runs/a-1"),
    ):
        with (
            pytest.raises(RunError, match=f"the run folder {named} cannot be made"),
            run_in(folder),
        ):
            pytest.fail("the folder was taken")
    assert path.read_text() == "a file"


@pytest.mark.parametrize("error", [RunError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [False, True])
def test_a_failed_start_leaves_the_folder_as_it_was(tmp_path, error, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    for _ in range(2):
        with pytest.raises(type(error)):
            fail_in(folder, error)
        assert folder.exists() == there
        assert not there or not list(folder.iterdir())


def test_what_the_user_puts_into_a_failing_start_is_kept(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(RunError, match="no"):
        fail_in(folder, RunError("no"), write="notes.txt")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["log.jsonl", "last", "model.safetensors"])
def test_a_run_that_has_begun_is_kept_when_it_fails(tmp_path, name):
    with pytest.raises(RunError, match="later"):
        fail_in(tmp_path, RunError("later"), write=name)
    assert (tmp_path / "config.yaml").is_file()
    assert (tmp_path / name).read_text() == "one line"


def test_only_a_run_can_be_resumed(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with (
            pytest.raises(RunError, match=r"no run to resume in .*leave out --resume"),
            run_in(folder, resume=True),
        ):
            pytest.fail("there is no run")
    (tmp_path / "config.yaml").write_text("training: {}")
    with pytest.raises(RunError, match="failed"):
        fail_in(tmp_path, RunError("failed"), resume=True)
    assert (tmp_path / "config.yaml").read_text() == "training: {}"


def test_default_names_begun_at_once_are_different_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a-1", "a-2", "a-5", "b-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    together = threading.Barrier(8)

    def claim(_):
        together.wait()
        with run_in(None) as folder:
            together.wait()  # all are held
            (folder / "log.jsonl").write_text("one line")
            return folder.name

    with ThreadPoolExecutor(8) as threads:
        names = sorted(threads.map(claim, range(8)), key=lambda name: int(name[2:]))
    assert names == ["a-3", "a-4", "a-6", "a-7", "a-8", "a-9", "a-10", "a-11"]


HOLDER = """
import os, sys, time
from pathlib import Path
from colabel.runs.folder import claimed_run
with claimed_run(Path(sys.argv[1]), name="a", resume=False):
    child = os.fork()  # as a process that reads images, which may outlive the run for a moment
    if child:
        print(child, flush=True)
    time.sleep(120)
"""


def test_one_process_holds_a_folder_until_it_ends_however(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
    )
    child = None
    try:
        child = int(holder.stdout.readline())
        for resume in (False, True):
            if resume:
                (folder / "config.yaml").write_text("")
            with (
                pytest.raises(RunError, match=f"another process is training in {folder}; wait"),
                run_in(folder, resume=resume),
            ):
                pytest.fail("two processes hold one folder")
        holder.kill()
        holder.wait()
        os.kill(child, 0)  # still there
        with run_in(folder, resume=True):
            pass
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)
        holder.kill()
        holder.communicate()


def test_a_folder_is_free_again_after_its_run(tmp_path):
    with run_in(tmp_path):
        (tmp_path / "log.jsonl").write_text("one line")
    for _ in range(2):
        with run_in(tmp_path, resume=True):
            pass


def test_a_folder_taken_between_look_and_lock_is_refused(tmp_path, monkeypatch):
    """Whatever another start does in between, nothing of its run is touched."""
    look = runs.folder._make_folder

    def meanwhile(*arguments):
        answer = look(*arguments)
        (tmp_path / "config.yaml").write_text("of another run")
        return answer

    monkeypatch.setattr(runs.folder, "_make_folder", meanwhile)
    with pytest.raises(RunError, match="exists already"), run_in(tmp_path):
        pytest.fail("the folder was taken")
    assert (tmp_path / "config.yaml").read_text() == "of another run"


def test_a_lock_that_was_taken_away_holds_nothing(tmp_path, monkeypatch):
    lock = fcntl.flock

    def too_late(file, operation):
        (tmp_path / ".lock").unlink(missing_ok=True)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with pytest.raises(RunError, match="another process is training"), run_in(tmp_path):
        pytest.fail("two processes could hold the folder")


def test_a_folder_that_cannot_be_locked_is_named(tmp_path, monkeypatch):
    (tmp_path / "one" / ".lock").mkdir(parents=True)
    with (
        pytest.raises(RunError, match=r"one/.lock cannot be locked: Is a dir"),
        run_in(tmp_path / "one"),
    ):
        pytest.fail("the folder was taken")

    def unable(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unable)
    with (
        pytest.raises(RunError, match=r"cannot be locked: No locks available"),
        run_in(tmp_path / "two"),
    ):
        pytest.fail("the folder was taken")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(RunError, match=r"there is no run folder .*nowhere"):
        runs.load_description(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no model yet"):
        runs.load_description(tmp_path)
    with pytest.raises(RunError, match="copy the whole run folder"):
        runs.load_weights(tmp_path, model())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "not valid JSON"),
        ("[1, 2]", "has format None, this version of colabel reads 2"),
        ({"format": 1}, "has format 1"),
        ({"format": 3}, "has format 3"),
        ({"head": {"name": "later"}}, "model.json: head: "),
        ({"classes": None}, "model.json: classes: "),
        ({"flavour": "sweet"}, "model.json: flavour: "),
        ({"image_size": "large"}, "model.json: image_size: "),
        ({"image_size": 0}, "model.json: image_size: .*greater than or equal to 1"),
        ({"image_size": 10**6}, "model.json: image_size: .*less than or equal to 4096"),
        ({"thresholds": [0.5]}, "model.json: content: .*1 thresholds for 2 classes"),
        ({"thresholds": [0.5, 1.5]}, "model.json: thresholds.1: .*less than or equal to 1"),
        ({"thresholds": [-0.1, 0.5]}, "model.json: thresholds.0: .*greater than or equal to 0"),
        ({"thresholds": [0.5, math.nan]}, "model.json: thresholds.1: .*finite number"),
        ({"classes": ["cat", "cat"]}, "model.json: content: .*each with a name of its own"),
        ({"classes": [], "thresholds": []}, "model.json: content: .*at least one"),
        ({"calibration": {"temperature": 2}}, "model.json: calibration: "),
        ("[" * 100_000, "not valid JSON"),
        ({"encoder": {}}, r"model.json: encoder.name: field required"),
        ({"encoder": {"name": "a", "weights": "pretrained"}}, r"model.json: encoder.weights: "),
        ({"encoder": {"name": "a", "weights": None}}, r"model.json: encoder.weights: "),
        *(
            (
                {"encoder": {"name": "resnet18", "options": {option: "/etc/passwd"}}},
                f"model.json: encoder.options: the option '{option}' would take weights from",
            )
            for option in (
                "pretrained",
                "pretrained_cfg",
                "pretrained_cfg_overlay",
                "pretrained_strict",
                "checkpoint_path",
                "cache_dir",
            )
        ),
    ],
)
def test_a_description_that_cannot_be_used_is_named(saved, change, message):
    path = saved / "model.json"
    if not isinstance(change, str):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    with pytest.raises(RunError, match=message):
        runs.load_description(saved)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_damaged_weights_are_named(saved, damage):
    path = saved / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-7], "garbage": b"\x80" * 99, "empty": b""}[damage])
    with pytest.raises(RunError, match=r"model.safetensors is damaged .*copy it again"):
        runs.load_weights(saved, model())


def test_weights_of_another_model_are_named_with_their_shapes(saved):
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(2, 2))
    with pytest.raises(RunError) as caught:
        runs.load_weights(saved, other)
    message = str(caught.value)
    assert "does not fit the model that model.json describes, 8 differences" in message
    assert "0.weight: F32 (4, 3, 3, 3) in the file, F32 (5, 3, 3, 3) in the model" in message
    assert "2.bias: missing in the file, F32 (2,) in the model" in message


def test_many_runs_in_one_process_leave_no_lock_behind(tmp_path, monkeypatch):
    open_lock, locks = runs.folder._open_lock, []

    def opened(folder):
        lock = open_lock(folder)
        locks.append(weakref.ref(lock))
        return lock

    monkeypatch.setattr(runs.folder, "_open_lock", opened)
    with run_in(tmp_path / "held"):
        for number in range(20):
            with run_in(tmp_path / str(number)):
                pass
        gc.collect()
        assert [lock() is not None for lock in locks] == [True] + [False] * 20
    gc.collect()
    assert not any(lock() for lock in locks)


@pytest.mark.parametrize("name", [".lock", "log.jsonl", "last", "last/state.json"])
def test_a_link_that_leads_out_of_a_run_is_not_followed(tmp_path, name):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    link = folder / name
    link.parent.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    link.symlink_to(outside if name == "last" else outside / "file")
    with (
        pytest.raises(RunError, match=f"{name} is a symbolic link that leads out of the run"),
        run_in(folder, resume=True),
    ):
        pytest.fail("the run was taken")
    assert (outside / "file").read_text() == "mine"


def test_a_link_within_a_run_is_welcome_and_no_lock_is_a_link(tmp_path):
    with run_in(tmp_path / "run"):
        (tmp_path / "run" / "log.jsonl").write_text("one line")
    (tmp_path / "run" / "best").symlink_to("log.jsonl")
    with run_in(tmp_path / "run", resume=True):
        pass
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(RunError, match=r"new/.lock cannot be locked"), run_in(tmp_path / "new"):
        pytest.fail("the folder was taken")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int32])
def test_weights_of_another_type_are_refused(saved, dtype):
    tensors = load_file(saved / "model.safetensors")
    save_file(tensors | {"0.bias": tensors["0.bias"].to(dtype)}, saved / "model.safetensors")
    with pytest.raises(RunError, match=r"1 differences:\n  0.bias: [FI]\d\d \(4,\) in the file"):
        runs.load_weights(saved, model())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(saved, value):
    tensors = load_file(saved / "model.safetensors")
    tensors["0.bias"][2] = value
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(RunError, match=r"not finite, in 1 tensors, first 0.bias; copy it again"):
        runs.load_weights(saved, model())


def test_shapes_are_compared_before_any_weight_is_read(saved, monkeypatch):
    monkeypatch.setattr(runs.description, "load_file", lambda _: pytest.fail("it was read"))
    with pytest.raises(RunError, match="does not fit"):
        runs.load_weights(saved, nn.Linear(2, 2))
