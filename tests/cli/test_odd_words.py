"""Whatever words the command line is given, it answers with text and a status."""

import json
import os
import re
import subprocess
import sys

import pytest
from fakes import write_image
from fuzzing import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_runs import ENVIRONMENT, command, program

from colabel.cli.output import show_text
from colabel.printing import json_text

ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
ODD = {
    "escapes": "a\x1b[31mb\x9b2J\u202e[bold]q[/x]",
    "bytes": os.fsdecode(b"\xff\xfe"),
    "long": "x" * 5000,
    "long path": "/".join(["y" * 200] * 40),
    "empty": "",
    "lines": "a\nerror: b",
    "nobody": "~nobody-of-this-name/x",
}
REFUSED = [
    "{}",
    "--{}",
    "version {}",
    "predict {} x.png",
    "predict . {}",
    "predict . x.png --out {}",
    "predict . x.png --batch {}",
    "predict . x.png --format {}",
    "predict . x.png --resume --out {}",
    "train {}",
    "train shapes-kmcl --set {}",
    "train shapes-kmcl --set {}=1",
    "train shapes-kmcl --set training.epochs={}q",
    "evaluate {}",
    "evaluate . --split {}",
    "evaluate . --missing-labels {}",
    "check {}",
    "check voc:{}",
    "check x.csv --option {}=1",
    "cost a/{}",
    "cost a/b --classes {}q",
    "ablate {}",
    "ablate probmcl-threshold --recipe {}",
    "ablate probmcl-threshold --seeds {}",
    "recipes {}",
]


def said(capfd):
    """Return what was printed on both streams, of which nothing may act on a terminal."""
    printed = "".join(capfd.readouterr())
    assert not ACTS.search(printed), ACTS.search(printed)
    assert "Traceback" not in printed
    return printed


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_no_word_makes_a_trace_or_reaches_the_terminal(tmp_path, monkeypatch, capfd, odd):
    monkeypatch.chdir(tmp_path)
    for words in REFUSED:
        assert command(*(word.replace("{}", odd) for word in words.split())) == 2, words
        printed = said(capfd)
        assert re.search("error: |Error |Usage: ", printed), words
        assert not re.search("^error: b", printed, re.MULTILINE), words
    assert not any(tmp_path.iterdir())


def test_what_is_too_long_is_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert command("predict", "x" * 5000, "x.png") == 2
    assert "is longer than a path may be (5,000 letters)" in said(capfd)


words = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=12) | (
    st.sampled_from(["--json", "--out", "--set", "--option", "--help", "=", "a=b", "-", "--", "~"])
)


@pytest.mark.fuzz
@settings(max_examples=examples(40), deadline=None)
@example("check", ["voc:"])
@given(
    st.sampled_from(["version", "recipes", "check", "evaluate", "ablate", "predict"]),
    st.lists(words, min_size=1, max_size=4),
)
def test_any_words_are_answered(tmp_path_factory, name, given):
    folder = tmp_path_factory.mktemp("words")
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert command(name, *given) in (0, 1, 2)
    finally:
        os.chdir(before)


def test_a_hundred_thousand_words_are_answered(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert command("predict", "nowhere", *["x.png"] * 100_000) == 2
    assert "error: there is no run folder nowhere." in said(capfd)


def test_a_folder_that_is_gone_is_named(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, *program("train", "shapes-kmcl", "--cpu")],
        cwd=gone, env=os.environ | ENVIRONMENT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: the folder that the command was started in cannot be")


def test_without_a_home_it_works(tmp_path):
    done = subprocess.run(
        program("check", "~/x.csv"),
        cwd=tmp_path, env={"PATH": os.environ["PATH"], **ENVIRONMENT}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


LIBRARIES_SPEAK = """
import logging, sys, warnings
import colabel.workflows.check
from colabel import cli

def speak(*_):
    warnings.warn("odd \\x1b[2J file\\nerror: forged")
    logging.getLogger("reader").warning("odd %s", "\\x9b31m\\nerror: forged")
    sys.exit(0)

colabel.workflows.check.open_for_check = speak
sys.argv = ["colabel", "check", "x.csv"]
cli.main()
"""


def test_what_libraries_say_is_text_too():
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES_SPEAK],
        env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines() == [
        r"UserWarning: odd \x1b[2J file\x0aerror: forged",
        r"reader: odd \x9b31m\x0aerror: forged",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_json_is_utf8_whatever_the_terminal_speaks(encoding):
    value = {"größe": "文字", "half": "\ud83d", "byte": os.fsdecode(b"\xff"), "n": float("nan")}
    script = (
        "from colabel.cli.output import show_text; import os\n"
        "from colabel.printing import json_text\n"
        "show_text(json_text({'größe': '文字', 'half': '\\ud83d', 'byte': os.fsdecode(b'\\xff'), "
        "'n': float('nan')}, indent=2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | ENVIRONMENT | {"PYTHONIOENCODING": encoding},
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.decode("utf-8")) == value | {"n": None}


def test_json_is_printed_where_the_output_is_no_file(capsys):
    show_text(json_text({"a": [1.5]}))
    assert capsys.readouterr().out == '{"a": [1.5]}\n'


def test_what_no_machine_could_hold_is_refused(tiny_run, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert command("ablate", "probmcl-threshold", "--seeds", 10**12) == 2
    assert "1,000,000,000,000 seeds, expected at most 1,000; give fewer." in said(capfd)
    write_image(tmp_path / "a.png")
    answered = []
    for batch in (1, 10**9, 10**30):  # more than there are images is no more than all of them
        assert command("predict", tiny_run, "a.png", "--batch", batch) == 0
        answered.append(capfd.readouterr().out)
    assert len(set(answered)) == 1
    module = sys.modules["colabel.cli.predict"]  # whose name the package gives to the command
    monkeypatch.setattr(module, "MAX_BATCH_BYTES", 3 * 32 * 32)
    write_image(tmp_path / "b.png")
    assert command("predict", tiny_run, "a.png", "b.png", "--batch", 10**9) == 2
    assert "2 images of 32 x 32 take 6,144 bytes, expected at most 3,072; give --batch 1 or" in (
        said(capfd)
    )


@pytest.mark.parametrize(
    "device", ["", "gpu", "\x1b[2J", "cuda:999999999999999999999", "cpu\n", "meta"]
)
def test_a_device_that_is_none_is_named(tiny_run, tmp_path, monkeypatch, capfd, device):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png")
    assert command("predict", tiny_run, "a.png", "--device", device) == 2
    assert "cannot be used: " in said(capfd)
