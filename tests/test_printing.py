import io
import json
import math

import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table

from colabel.printing import PlainConsole, json_text, plain, printable, printable_lines

anything = st.text(st.characters(exclude_categories=()), max_size=20)
"""Text of all that a Python string may hold, halves of surrogate pairs among it."""
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zähne, 文字, می\u200cخواهم, 👩\u200d⚕️", "Zähne, 文字, می\u200cخواهم, 👩\u200d⚕️"),
        ("a\x1b[31m", r"a\x1b[31m"),
        ("a\r\n\tb\x00\x07\x7f", r"a\x0d\x0a\x09b\x00\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("gnp\u202e.png\u2066\u200f", r"gnp\u202e.png\u2066\u200f"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff.png", r"\udcff.png"),
        ("cat\u200b \u00adcat\ufeff\u2060", r"cat\u200b \xadcat\ufeff\u2060"),
        ("cat\U000e0041", r"cat\U000e0041"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out(text, expected):
    assert printable(text) == expected


def test_a_line_in_a_name_cannot_pass_for_a_message():
    assert printable_lines("error: a\nerror: b\r\n  c") == "error: a\n  error: b\\x0d\n  c"


def test_a_console_prints_names_as_they_are():
    name = "x [/old] [red]y[/red] :smile: \x1b[2J"
    table = Table(name, title=name, caption=name)
    table.add_row(name)
    table.add_row(plain(name))
    stream = io.StringIO()
    console = PlainConsole(file=stream, force_terminal=True, color_system=None, width=200)
    console.print(name)
    console.print(table)
    assert stream.getvalue().count(r"x [/old] [red]y[/red] :smile: \x1b[2J") == 6
    assert "\x1b[2J" not in stream.getvalue()


@pytest.mark.fuzz
@settings(max_examples=examples(200), deadline=None)
@given(anything)
def test_whatever_is_printed_is_one_line_that_acts_on_nothing(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)
    assert printable(shown) == shown
    stream = io.StringIO()
    PlainConsole(file=stream, force_terminal=True, color_system=None, width=10_000).print(text)
    assert stream.getvalue() == shown + "\n"


def without_non_finite(value):
    if isinstance(value, dict):
        return {key: without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.fuzz
@settings(max_examples=examples(200), deadline=None)
@given(values, st.sampled_from([None, 2]))
def test_json_is_utf8_reads_back_and_acts_on_nothing(value, indent):
    text = json_text(value, indent=indent)
    back = json.loads(text.encode("utf-8"), parse_constant=refuse)
    expected = without_non_finite(value)
    if "\\ud" not in text:  # two halves beside each other are one letter when they are read
        assert back == expected
    assert not any(127 <= ord(letter) < 160 or letter == "\x1b" for letter in text)


def test_half_a_letter_and_no_number_are_written_as_json_has_them():
    assert json_text({"a": "\ud83d", "b": [math.nan, -math.inf, 1.5]}) == (
        r'{"a": "\ud83d", "b": [null, null, 1.5]}'
    )
    assert json_text({"größe": "文\u200b字"}) == '{"größe": "文\u200b字"}'
