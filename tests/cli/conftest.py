"""What the tests of the command line share."""

import pytest


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A copy of the finished run that commands may write into."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    folder.mkdir()
    for path in tiny_run.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder
