"""Every name that PAPERS.md puts in backticks exists."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = "mixtures|losses|metrics|models|methods|training"
NAME = re.compile(rf"(?:colabel\.(?=\w)|(?=(?:{PACKAGES})\.))(\w+(?:\.\w+)*)(?:\(.*\))?")
TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")


def quoted():
    """Return what stands in backticks outside code blocks."""
    text = (ROOT / "PAPERS.md").read_text("utf-8")
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def exists(name):
    """Tell whether a dotted name of the package leads to a module or to something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["colabel", *parts[:end]]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            fields = getattr(found, "model_fields", getattr(found, "__dataclass_fields__", {}))
            if not hasattr(found, part) and part not in fields:
                return False
            found = getattr(found, part, None)
        return True
    return False


def test_every_function_is_there():
    names = [match[1] for one in quoted() if (match := NAME.fullmatch(one))]
    assert len(names) >= 10, "PAPERS.md names hardly any function"
    assert [name for name in names if not exists(name)] == []


def test_every_test_is_there():
    names = [match for one in quoted() if (match := TEST.fullmatch(one))]
    assert len(names) >= 10, "PAPERS.md names hardly any test"
    missing = [
        match[0]
        for match in names
        if not (path := ROOT / match[1]).is_file()
        or (match[2] and not re.search(rf"^def {match[2]}\(", path.read_text("utf-8"), re.M))
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["losses.nothing", "nowhere.at_all", "config.Config.nothing"])
def test_a_name_that_is_not_there_is_noticed(name):
    assert not exists(name)


def test_names_that_are_there_are_found():
    for name in ("losses.KernelContrastiveLoss", "settings.Training.epochs", "mixtures", "cli.main"):
        assert exists(name), name
