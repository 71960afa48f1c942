"""Sources of images that the tests of a build share."""

import pytest
from fakes import write_adp, write_chestxray14, write_coco, write_voc
from tiny_runs import write_tiny_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_tiny_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder per reader, in its own layout."""
    root = tmp_path_factory.mktemp("folders")
    write_voc(root / "voc2007")
    write_voc(root / "voc2012", "VOC2012")
    write_coco(root / "coco2014", 2014)
    write_coco(root / "coco2017", 2017)
    write_chestxray14(root / "chestxray14", layout="chexnet")
    write_adp(root / "adp")
    return root
