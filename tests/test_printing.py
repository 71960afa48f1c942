import io

import pytest
from rich.table import Table

from colabel.printing import PlainConsole, plain, printable, printable_lines


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
