"""Every setting that the documentation changes or names exists."""

import importlib.util
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from colabel.config import load_config, recipe_names
from colabel.errors import ConfigError

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = "method|head|terms|training|data|encoder|augmentation|evaluation"
NAMED = re.compile(rf"`((?:{GROUPS})(?:\.\w+)+)(?:: [^`]*)?`")
RECIPES = (
    *(f"shapes-{method}" for method in ("kmcl", "probmcl", "asl", "bce")),
    *(f"laptop-{method}" for method in ("focal", "zlpr", "two-way", "mulsupcon")),
    *(f"laptop-{method}" for method in ("ml-gcn", "tdrg", "csra", "ml-decoder", "query2label")),
)


def commands():
    """Return page, recipe and changes of every training command, and of lines of changes."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            recipe = None
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if "train" in words:
                    recipe = words[words.index("train") + 1].replace("$method", "kmcl")
                changes = [
                    word.replace("$seed", "0") for flag, word in pairwise(words) if flag == "--set"
                ]
                if recipe is not None and ("train" in words or changes):
                    found.append((page.name, recipe, changes))
    return found


def knows(recipe, key):
    """Tell whether a recipe has a setting."""
    value = load_config(recipe).model_dump()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def test_every_training_command_can_be_read():
    found = commands()
    assert len(found) >= 10, "the documentation shows hardly any command"
    assert sum(bool(changes) for _, _, changes in found) >= 8
    wrong = []
    for page, recipe, changes in found:
        if recipe in recipe_names():
            try:
                load_config(recipe, changes)
            except ConfigError as error:
                wrong.append((page, str(error)))
        else:
            wrong.append((page, f"no recipe {recipe}"))
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_in_backticks_is_one_of_some_recipe(page):
    found = {match[1] for match in NAMED.finditer(page.read_text("utf-8"))}
    names = found - {"data.json"}  # a file of the run
    assert [key for key in names if not any(knows(recipe, key) for recipe in RECIPES)] == []


def test_a_setting_that_is_not_there_is_noticed():
    assert knows("shapes-kmcl", "terms.contrastive.temperature")
    assert not knows("shapes-kmcl", "method.temperature")


def test_the_page_of_limits_is_that_of_the_module():
    path = ROOT / "docs" / "write_limits.py"
    spec = importlib.util.spec_from_file_location("write_limits", path)
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    assert (ROOT / "docs" / "limits.md").read_text("utf-8") == written.text()


def test_the_tests_that_the_page_of_faults_names_exist():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert len(named) > 20
    missing = [name for name in named if not (ROOT / name).is_file()]
    assert not missing
