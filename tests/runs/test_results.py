import json

import pytest

from colabel.runs.folder import RunFolder
from colabel.runs.results import suffix_of_source

SOURCES = (
    "/data/siteA/labels.csv",
    "/data/siteB/labels.csv",
    "/data/siteB/labels.tsv",
    "/other/siteB/labels.csv",
    "voc2007:/data/VOCdevkit",
    "voc2012:/data/VOCdevkit",
    "/data-siteA-labels.csv",
    "/data/siteA-labels.csv",
    f"/{'deep/' * 60}labels.csv",
    "shapes",
)


@pytest.mark.parametrize("sources", [SOURCES, SOURCES[::-1]])
def test_no_two_sources_share_a_name_and_each_finds_its_own_again(tmp_path, sources):
    def write(source):
        suffix = suffix_of_source(RunFolder(tmp_path), "test", source)
        path = tmp_path / f"metrics-test{suffix}.json"
        path.write_text(json.dumps({"data": {"source": source}}))
        return suffix

    first = [write(source) for source in sources]
    assert len(set(first)) == len(sources)
    assert [write(source) for source in sources] == first
    assert all(len(suffix) < 120 for suffix in first)


def test_a_name_grows_by_the_folders_above(tmp_path):
    path = tmp_path / "metrics-all-labels.json"
    path.write_text(json.dumps({"data": {"source": SOURCES[0]}}))
    assert suffix_of_source(RunFolder(tmp_path), "all", SOURCES[0]) == "-labels"
    assert suffix_of_source(RunFolder(tmp_path), "all", SOURCES[1]) == "-siteB-labels"
    assert suffix_of_source(RunFolder(tmp_path), "test", SOURCES[1]) == "-labels"
    path.write_text("no JSON")
    assert suffix_of_source(RunFolder(tmp_path), "all", SOURCES[0]) == "-siteA-labels"
