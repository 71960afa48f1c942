"""Settings every test runs under: one thread, checked shapes, repeatable examples."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import config, install_import_hook

# Must come before anything imports the checked packages.
install_import_hook(
    [
        "colabel.mixtures",
        "colabel.losses",
        "colabel.metrics",
        "colabel.models.heads",
        "colabel.uncertainty",
    ],
    "shape_checker.check",
)

torch.set_num_threads(1)  # two processes with default threads slow each other down many times

# A shell starts what runs in its background with Ctrl-C ignored, nohup what it starts with
# hang-ups ignored, and some tests send one or the other.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("colabel", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("colabel")


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Switch the shape checks of the import hook off, as they are for every user.

    A test of the library's own message for a wrong shape needs it: the hook would raise first.
    """
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def blank_charts() -> Iterator[None]:
    """Save the curves of a training and the chart of an evaluation as one white pixel.

    They are made of the same numbers and written in the same way; letters and lines, which
    ``tests/figures`` look at, take two thirds of the time of a tiny run.
    """
    from PIL import Image

    from colabel.files import replace_file

    def save(figure: object, png: Path) -> None:
        replace_file(png, lambda file: Image.new("L", (1, 1), 255).save(file, format="png"))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("curves", "results"):
            patch.setattr(f"colabel.figures.{name}.save", save)
        yield


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run on a table of tiny images; read it, do not change it.

    Beside it stand the table (``labels.csv``), its images and the recipe (``tiny.yaml``).
    """
    from tiny_runs import write_recipe, write_tiny_table

    import colabel

    folder = tmp_path_factory.mktemp("tiny")
    table = write_tiny_table(folder)
    return colabel.train(
        write_recipe(folder), data=str(table), out=folder / "run", cpu=True
    ).folder
