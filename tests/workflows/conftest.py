"""What the tests of workflows share: their runs do not draw what nobody looks at."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _blank_charts(blank_charts):
    """The figures of a workflow itself are drawn all the same."""
