import pytest

from colabel import names
from colabel.data.readers import layout
from colabel.errors import DataError
from colabel.limits import MAX_CLASSES, MAX_NAME_LENGTH
from colabel.names import SYSTEM_NAMES, check_class_names, is_system_name, not_text
from colabel.workflows import pictures


@pytest.mark.parametrize(
    "name",
    [
        "cat", "Zähne", "ze\u0301ro", "नमस्ते", "क्\u200dष", "می\u200cخواهم", "مرحبا", "שלום",
        "日本語",
        "👩\u200d⚕\ufe0f", "🏴\U000e0067\U000e0062\U000e007f", "a\\b", "[b]red[/b]", ":cat:",
        "a\u00a0b", "", " ", "C#", "50 %", "soft\u00adhyphen",
    ],
)  # fmt: skip
def test_names_of_any_script_are_taken(name):
    check_class_names([name])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a\nb", "000A"), ("a\rb", "000D"), ("a\tb", "0009"), ("\x1b[31mred", "001B"),
        ("\x00", "0000"), ("\x7f", "007F"), ("\x9b1m", "009B"), ("\u2028x", "2028"),
        ("\u202ecat", "202E"), ("\u2066cat", "2066"), ("\u200fcat", "200F"), ("\ud800", "D800"),
    ],
)  # fmt: skip
def test_control_characters_are_refused(name, code):
    with pytest.raises(DataError, match=rf"x\.csv: .* control character U\+{code}; expected"):
        check_class_names(["dog", name], source="x.csv")


def test_the_message_is_on_one_line_and_shows_no_control_character():
    with pytest.raises(DataError) as caught:
        check_class_names(["cat\nerror: nothing is wrong\x1b[2J"])
    assert str(caught.value).isprintable()


def test_too_many_and_too_long_names_are_refused():
    check_class_names([str(number) for number in range(MAX_CLASSES)])
    with pytest.raises(DataError, match=r"100,001 classes, where at most 100,000 are read\. If"):
        check_class_names([""] * (MAX_CLASSES + 1))
    check_class_names(["x" * MAX_NAME_LENGTH])
    with pytest.raises(DataError, match=r"a class name of 1,001 characters, where at most 1,000"):
        check_class_names(["x" * (MAX_NAME_LENGTH + 1)])


def test_halves_of_surrogate_pairs():
    assert not_text(["a.jpg", "ä.jpg", "😀"]) is None
    assert not_text(["a.jpg", "caf\udce9.jpg"]) == "caf\udce9.jpg"


def test_there_is_one_list_of_what_systems_leave_behind():
    assert layout.is_system_name is pictures.is_system_name is names.is_system_name
    assert pictures.SYSTEM_NAMES is SYSTEM_NAMES


@pytest.mark.parametrize("name", ["@eaDir", "Thumbs.db", "ehthumbs.db", "__MACOSX", "#recycle"])
def test_what_systems_leave_behind_is_no_class_and_no_picture(tmp_path, name):
    from fakes import write_image

    from colabel.data.readers.folders import read_folders

    assert is_system_name(name)
    for folder in ("cat", name, f"cat/{name}"):
        write_image(tmp_path / folder / "a.png", seed=len(folder))
    records = read_folders(tmp_path)["all"]
    assert (records.classes, records.ids) == (("cat",), ("cat/a.png",))
    found = pictures.find_pictures([str(tmp_path)])
    assert (found.pictures, found.hidden) == ([str(tmp_path / "cat" / "a.png")], 2)
