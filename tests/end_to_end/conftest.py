"""What the tests of whole runs share."""

import pytest
from tiny_runs import write_recipe, write_tiny_table


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A recipe, a table and its images."""
    folder = tmp_path_factory.mktemp("home")
    write_recipe(folder)
    write_tiny_table(folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A recipe and a table that can be trained on, before a test spoils them."""
    write_recipe(tmp_path)
    write_tiny_table(tmp_path, images=16)
    return tmp_path
