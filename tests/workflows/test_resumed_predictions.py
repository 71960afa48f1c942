import io
import os
from contextlib import suppress
from types import SimpleNamespace

import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.errors import RunError
from colabel.files import growing_file, partial_of
from colabel.runs.operating_point import OperatingPoint
from colabel.workflows.predictions_file import write_csv, write_jsonl
from colabel.workflows.resumed_predictions import Kept, Work, facts_file, find_kept

CLASSES = ("cat", "two\nlines", "image", "\x9b;,")
PICTURES = [
    "a.png",
    "line\nend.png",
    os.fsdecode(b"byte\xff.png"),
    "broken.png",
    'quo"te,.png',
    "broken too.png",
    "=1.png",
    "\x1b[2J\u202e.png",
    "z.png",
]
BATCH = 2


def answers(pictures):
    """Yield what a model might say of the images that can be read."""
    for picture in pictures:
        if "broken" not in picture:
            values = {name: (len(picture) + n) / 64 for n, name in enumerate(CLASSES)}
            yield SimpleNamespace(
                image=picture,
                labels=CLASSES[:2],
                logits=values,
                probabilities=values,
                uncertainty={},
                variance=None,
                abstains=None,
            )


def write(form, pictures, file, *, header=True):
    if form == "csv":
        write_csv(answers(pictures), CLASSES, file, header=header)
    else:
        described = SimpleNamespace(
            classes=CLASSES, operating_point=OperatingPoint.plain(len(CLASSES))
        )
        write_jsonl(answers(pictures), described, file)


def whole(form):
    file = io.StringIO(newline="")
    write(form, PICTURES, file)
    return file.getvalue().encode()


def found(path, content, form="csv"):
    path.write_bytes(content)
    return find_kept(path, PICTURES, CLASSES, form=form, batch=BATCH)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_wherever_it_was_cut_the_rest_makes_the_same_file(tmp_path, form):
    content = whole(form)
    most = 0
    for length in range(len(content) + 1):
        kept = found(tmp_path / "cut", content[:length], form)
        assert kept.position <= length
        assert kept.images % BATCH == 0
        assert kept.images >= most  # what is longer is worth as much
        most = kept.images
        assert list(kept.failed) == [n for n in PICTURES[: kept.images] if "broken" in n]
        rest = io.StringIO(newline="")
        write(form, PICTURES[kept.images :], rest, header=not kept.images)
        assert content[: kept.position] + rest.getvalue().encode() == content
    assert most == 8  # all but the last batch, which is made again


@pytest.mark.fuzz
@settings(max_examples=examples(150), deadline=None)
@given(
    form=st.sampled_from(["csv", "jsonl"]),
    at=st.integers(0, 2000),
    junk=st.one_of(
        st.binary(min_size=1, max_size=12),
        st.sampled_from(
            [b"\0" * 64, b"\n", b'"', b"[" * 5000 + b"\n", b'{"image": 3}\n', b"[1]\n"]
        ),
    ),
    keeps_rest=st.booleans(),
)
def test_damage_costs_what_comes_after_it_and_nothing_before(
    tmp_path_factory, form, at, junk, keeps_rest
):
    content = whole(form)
    at %= len(content)
    path = tmp_path_factory.getbasetemp() / "damaged"
    kept = found(path, content[:at] + junk + (content[at:] if keeps_rest else b""), form)
    assert kept.images >= found(path, content[:at], form).images
    assert kept.images <= len(PICTURES)


def test_a_file_of_other_classes_is_not_gone_on_with(tmp_path):
    content = whole("csv").replace(b"cat", b"dog", 1)
    assert found(tmp_path / "cut", content) == Kept()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def work(run, *, resume, pictures=PICTURES, **changed):
    options = {"form": "csv", "batch": BATCH, "device": "cpu", "max_pixels": None, **changed}
    return Work.of(run, pictures, CLASSES, resume=resume, **options)


def interrupt(run, out, content):
    """Leave what an interrupted prediction leaves."""
    begun = work(run, resume=False)
    with suppress(KeyboardInterrupt), growing_file(out, begun.begin) as file:
        file.write(content)
        raise KeyboardInterrupt


def test_it_goes_on_where_it_was_and_leaves_nothing_else(run, tmp_path):
    out = tmp_path / "out.csv"
    text = whole("csv").decode()
    interrupt(run, out, text[: len(text) // 2])
    assert not out.exists()
    assert facts_file(partial_of(out)).is_file()
    going_on = work(run, resume=True)
    going_on.check(out)
    with growing_file(out, going_on.begin) as file:
        assert going_on.kept.images > 0
        write("csv", PICTURES[going_on.kept.images :], file, header=False)
        going_on.finish(file, out)
    assert out.read_bytes().decode() == text
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "run"]


def test_beginning_anew_keeps_nothing(run, tmp_path):
    out = tmp_path / "out.csv"
    interrupt(run, out, whole("csv").decode())
    begun = work(run, resume=False)
    begun.check(out)
    with growing_file(out, begun.begin) as file:
        file.write("new\n")
    assert out.read_text() == "new\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch": 3}, "--batch was 2, is 3"),
        ({"form": "jsonl"}, '--format was "csv", is "jsonl"'),
        ({"device": "cuda"}, '--device was "cpu", is "cuda"'),
        ({"max_pixels": 9}, "--max-pixels was null, is 9"),
        ({"pictures": PICTURES[1:]}, "the images are not the same"),
    ],
)
def test_what_was_begun_with_something_else_is_not_gone_on_with(run, tmp_path, changed, said):
    out = tmp_path / "out.csv"
    interrupt(run, out, whole("csv").decode())
    kept = partial_of(out).read_bytes()
    with pytest.raises(RunError, match=f"begun with something else: {said}. Leave out --resume"):
        work(run, resume=True, **changed).check(out)
    with (
        pytest.raises(RunError, match=said),
        growing_file(out, work(run, resume=True, **changed).begin),
    ):
        pass
    assert partial_of(out).read_bytes() == kept


def test_another_model_does_not_go_on(run, tmp_path):
    out = tmp_path / "out.csv"
    interrupt(run, out, whole("csv").decode())
    (run / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(RunError, match="begun with something else: the run is not the same"):
        work(run, resume=True).check(out)


@pytest.mark.parametrize("facts", [b"", b"[]", b"\xff", b"[" * 100_000, b"{}", None])
def test_without_knowing_what_it_was_begun_with_nothing_goes_on(run, tmp_path, facts):
    out = tmp_path / "out.csv"
    interrupt(run, out, whole("csv").decode())
    path = facts_file(partial_of(out))
    path.unlink() if facts is None else path.write_bytes(facts)
    with pytest.raises(RunError, match="Leave out --resume to begin"):
        work(run, resume=True).check(out)


def test_what_was_never_begun_does_not_go_on(run, tmp_path):
    with pytest.raises(RunError, match=r"no interrupted prediction to go on with: .*\.partial is"):
        work(run, resume=True).check(tmp_path / "out.csv")
