"""Settings every test runs under: one thread, checked shapes, repeatable examples."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from jaxtyping import config, install_import_hook

# Must come before anything imports the checked packages.
install_import_hook(
    ["colabel.mixtures", "colabel.losses", "colabel.metrics", "colabel.models.heads"],
    "shape_checker.check",
)

torch.set_num_threads(1)  # two processes with default threads slow each other down many times

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
