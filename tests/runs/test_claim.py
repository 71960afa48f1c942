"""A run's folder is made or found, and held by one process."""

import errno
import fcntl
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tiny_runs import ENVIRONMENT

from colabel.errors import RunError
from colabel.runs import claim
from colabel.runs.claim import claimed_run


@contextmanager
def run_in(folder, *, resume=False, name="a"):
    """Claim a folder and leave in it what a start writes first."""
    with claimed_run(folder, name=name, resume=resume) as claimed:
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


def test_a_folder_whose_weights_could_not_be_read_again_is_refused_at_once(tmp_path):
    """The library of safetensors writes to any path, and opens only those that are text."""
    folder = tmp_path / os.fsdecode(b"run\xff")
    with pytest.raises(RunError, match="is not UTF-8; choose another with --out"), run_in(folder):
        pass
    assert not folder.exists()


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
from colabel.runs.claim import claimed_run
with claimed_run(Path(sys.argv[1]), name="a", resume=False):
    child = os.fork()  # as a process that reads images, which may outlive the run for a moment
    if not child:  # so that it is running when its number is read
        print(os.getpid(), flush=True)
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
    look = claim._make_folder

    def meanwhile(*arguments):
        answer = look(*arguments)
        (tmp_path / "config.yaml").write_text("of another run")
        return answer

    monkeypatch.setattr(claim, "_make_folder", meanwhile)
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


def test_many_runs_in_one_process_leave_no_lock_behind(tmp_path, monkeypatch):
    open_lock, locks = claim._open_lock, []

    def opened(folder):
        lock = open_lock(folder)
        locks.append(weakref.ref(lock))
        return lock

    monkeypatch.setattr(claim, "_open_lock", opened)
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
