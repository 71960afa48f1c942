import pytest
from fakes import write_voc

from colabel.api import _records_of, open_for_check
from colabel.build import open_training_data
from colabel.config import load_config
from colabel.errors import DataError


@pytest.fixture
def config(tmp_path):
    """A recipe that holds validation images out of trainval, as those for VOC do."""
    write_voc(tmp_path)
    return load_config(
        "voc2007-kmcl-tresnet-m",
        ["data.validation_fraction=0.4"],
        data__source=f"voc2007:{tmp_path}",
    )


def test_validation_is_what_was_held_out_and_not_the_official_split(config, tmp_path):
    parts = open_training_data(config.data, seed=config.training.seed)
    records = _records_of(config, tmp_path, "val")
    assert records.ids == parts["val"].ids
    assert not set(records.ids) & set(parts["train"].ids)


def test_other_splits_are_those_of_the_source(config, tmp_path):
    assert _records_of(config, tmp_path, "test").ids == ("000004",)
    assert len(_records_of(config, tmp_path, "trainval")) == 3
    with pytest.raises(DataError, match="nothing"):
        _records_of(config, tmp_path, "nothing")


def test_the_recipe_says_what_its_test_split_is_called(config, tmp_path):
    data = config.data.model_copy(update={"test": "val"})
    records = _records_of(config.model_copy(update={"data": data}), tmp_path, "test")
    assert records.ids == ("000003",)


def test_every_split_of_a_source_is_checked(config):
    assert set(open_for_check(config.data.source)) == {"train", "val", "test"}
