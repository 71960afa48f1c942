"""Whatever ends a command becomes words and a status, and nothing printed can stop the work."""

import errno
import io
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import ENVIRONMENT, command, program, write_recipe, write_tiny_table

from colabel.cli import guard, output, streams
from colabel.cli.guard import guarded, signals_as_interruption
from colabel.errors import DataError
from colabel.printing import PlainConsole


def ended(error):
    """Return the status of a command in which an error comes up."""

    @guarded
    def failing():
        raise error

    with pytest.raises(SystemExit) as caught:
        failing()
    return caught.value.code


def unexpected():
    """Return an error whose trace has a line of this file."""
    try:
        raise KeyError("a\x1b[31mb")
    except KeyError as error:
        return error


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(guard.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_unexpected_error_is_two_lines_and_a_file_with_the_trace(temporary, capsys):
    assert ended(unexpected()) == 70
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: something unexpected happened: KeyError: ")
    assert "\x1b" not in first
    (path,) = temporary.iterdir()
    assert str(path) in second
    assert "raise KeyError" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_the_file_cannot_be_written_the_trace_is_printed(temporary, monkeypatch, capsys):
    monkeypatch.setattr(guard.tempfile, "tempdir", str(temporary / "missing"))
    assert ended(unexpected()) == 70
    printed = capsys.readouterr().err
    assert "raise KeyError" in printed
    assert "report it with the lines above" in printed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "the memory is not enough. Lower training.batch_size"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "the memory is not enough",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "the memory is not enough"),
        (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a\nb.png"),
            r"error: a\x0ab.png: Too many open files.",
        ),
        (ImportError("libcudart.so: not found"), "cannot be imported: libcudart.so"),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "the memory is not enough",
        ),
        (RecursionError("maximum recursion depth"), "RecursionError: maximum"),
    ],
)
def test_the_first_line_says_what_it_was(error, words, temporary, capsys):
    assert ended(error) == 70
    assert words in capsys.readouterr().err.splitlines()[0]


def test_an_error_of_ours_needs_no_file(temporary, capsys):
    assert ended(DataError("no images")) == 2
    assert capsys.readouterr().err == "error: no images\n"
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_its_own_status(number, capsys):
    cleaned = []

    @guarded
    def waiting():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(number)

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught:
        waiting()
    assert caught.value.code == 128 + number
    assert cleaned == [number]
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == "interrupted; no file is left half written\n"


def test_an_interruption_that_an_import_wrapped_is_one(capsys):
    @guarded
    def importing():
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        importing()
    assert ended.value.code == 128 + signal.SIGTERM
    assert "interrupted" in capsys.readouterr().err


def test_a_hang_up_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interruption():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_further_hang_ups_do_not_disturb_the_cleaning_up():
    cleaned = []

    def hang_up():
        with signals_as_interruption():
            try:
                signal.raise_signal(signal.SIGHUP)
            finally:
                signal.raise_signal(signal.SIGHUP)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        hang_up()
    assert cleaned


class Full(io.TextIOWrapper):
    """A stream on a full disk."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8")

    def write(self, text):  # noqa: ARG002
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        pass


@pytest.mark.parametrize("stream", [Full(), None, "closed"], ids=["full", "none", "closed"])
def test_standard_error_that_takes_nothing_stops_nothing(stream, monkeypatch):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    console = PlainConsole(stderr=True)
    console.print("a note")
    assert not console.is_terminal
    output.say("another")
    with output.progress_bar(enabled=True) as told:
        assert told is None


@pytest.mark.parametrize("stream", [Full(), None, "closed"], ids=["full", "none", "closed"])
def test_results_that_cannot_be_printed_are_told_at_the_end(stream, monkeypatch, capsys):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    if stream is None:
        streams.open_streams()
    output.show("a table")
    output.show("a second")
    assert not output.finish()
    assert capsys.readouterr().err.count("the results could not be printed: ") == 1
    assert output.finish()  # told once


def test_json_is_utf_8_whatever_the_terminal_knows(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    output.show_text('{"a": "文\udcff"}')
    assert stream.buffer.getvalue() == '{"a": "文\\udcff"}\n'.encode()


def closed():
    """Return a stream that its caller closed."""
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], []], ids=["all", "one", "none"]
)
@pytest.mark.parametrize("stream", [Full(), closed()], ids=["full", "closed"])
def test_help_that_cannot_be_printed_is_told(stream, words, temporary, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", stream)
    assert command(*words) == 1
    assert "the results could not be printed: " in capsys.readouterr().err
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("stream", [Full(), closed(), None], ids=["full", "closed", "none"])
def test_wrong_words_keep_their_status_where_they_cannot_be_printed(
    stream, temporary, monkeypatch
):
    monkeypatch.setattr(sys, "stderr", stream)
    assert command("train", "--no-such-option") == 2
    assert command("no-such-command") == 2
    assert not list(temporary.iterdir())


def test_wrong_words_are_told_as_all_else(capsys):
    assert command("train", "--[bold]\x1b[31m\nerror: b") == 2
    error, usage, hint = capsys.readouterr().err.splitlines()
    assert error == r"error: No such option: --[bold]\x1b[31m\x0aerror: b"
    assert usage.startswith("Usage: colabel train [OPTIONS] ")
    assert hint == "Try 'colabel train --help' for help."


def test_predictions_for_a_closed_output_are_refused_before_the_work(
    tiny_run, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "stdout", closed())
    image = tiny_run.parent / "images" / "00.png"
    assert command("predict", tiny_run, image) == 2
    assert "the standard output is closed: give the name of a file" in capsys.readouterr().err


def test_an_interruption_before_any_command_is_quiet():
    script = """
import sys, colabel.cli
class Interrupting:
    def find_spec(self, name, *_):
        if name == "colabel.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
colabel.cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def started(*arguments, **options):
    environment = os.environ | ENVIRONMENT
    return subprocess.Popen(program(*arguments), env=environment, text=True, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_under_the_results_is_status_1_and_words():
    with open("/dev/full", "w") as full:
        process = started("recipes", stdout=full, stderr=subprocess.PIPE)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 1
    assert printed == "the results could not be printed: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_error_keeps_its_status_where_it_cannot_be_printed():
    with open("/dev/full", "w") as full:
        process = started("train", "no-such-recipe", stdout=full, stderr=full)
        process.communicate(timeout=60)
    assert process.returncode == 2


def test_a_closed_standard_output_is_told():
    line = " ".join(program("version"))
    done = subprocess.run(
        ["sh", "-c", f"{line} >&-"],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("the results could not be printed: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "redirection", ["2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full"]
)
def test_a_training_goes_to_its_end_whatever_takes_its_words(redirection, tmp_path):
    table, recipe, out = write_tiny_table(tmp_path), write_recipe(tmp_path), tmp_path / "run"
    line = program("train", recipe, "--data", table, "--out", out, "--set", "training.epochs=1")
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(line)} {redirection}"],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == (1 if "2>" not in redirection.split()[0] else 0)
    assert (out / "result.json").is_file()
    assert not command("evaluate", out, "--cpu")
    log = (out / "log.jsonl").read_text().splitlines()
    assert all(line.startswith("{") for line in log)


@pytest.mark.slow
def test_a_hang_up_saves_the_state_though_the_terminal_is_gone(tmp_path):
    table, recipe, out = write_tiny_table(tmp_path), write_recipe(tmp_path), tmp_path / "run"
    process = started(
        "train", recipe, "--data", table, "--out", out, "--set", "training.epochs=500",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1,
    )  # fmt: skip
    for line in process.stderr:
        if "epoch 1/500" in line:
            break
    process.stderr.close()  # the terminal is gone: what is written to it fails
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    process.stdout.close()
    assert process.wait(timeout=120) == 129
    assert (out / "last" / "state.json").is_file()


@pytest.mark.slow
def test_an_interruption_while_torch_is_loaded_is_quiet(tiny_run, tmp_path):
    process = started("evaluate", tiny_run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    # where exec() was interrupted, Python ends by the signal itself; a shell calls both 130
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in printed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals to be had")
def test_a_bar_on_a_terminal_that_goes_away_stops_nothing(tmp_path):
    """The bar has threads and stands in the place of standard error while it is shown."""
    table, recipe, out = write_tiny_table(tmp_path), write_recipe(tmp_path), tmp_path / "run"
    ours, theirs = os.openpty()
    process = started(
        "train", recipe, "--data", table, "--out", out, "--set", "training.epochs=3",
        stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"epoch 1/3" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(timeout=120) == 0
    assert (out / "result.json").is_file()
    process.stdout.close()


def test_too_small_an_address_space_is_told_before_torch_is_loaded(monkeypatch, capsys):
    limit = (2_000_000_000, 2_000_000_000)
    monkeypatch.setattr(guard.resource, "getrlimit", lambda _: limit)
    guarded(lambda: None)()
    assert "limited to 2.0 GB (ulimit -v)" in capsys.readouterr().err
