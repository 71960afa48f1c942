"""Options of a backbone say how it is built; they name no path and no address."""

import pytest

from colabel.config import load_config
from colabel.errors import ConfigError


@pytest.mark.parametrize(
    "options",
    [
        "{pad_type: same}",
        "{img_size: [448, 448], drop_rate: 0.5}",
        "{aa_layer: '', a: {b: [x.y]}}",
    ],
)
def test_options_of_the_architecture_are_kept(options):
    config = load_config("shapes-kmcl", [f"encoder.options={options}"])
    assert config.encoder.options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{cache_dir: x}", "the option cache_dir cannot be set: set HF_HOME"),
        ("{device: meta}", "the option device cannot be set: a model is built on the processor"),
        ("{pretrained_file: x}", "the option pretrained_file cannot be set"),
        ("{model_cfg: {checkpoint_path: x}}", "the option checkpoint_path cannot be set"),
        ("{a: /etc/passwd}", "the option a is '/etc/passwd', expected a finite number"),
        ("{a: [1, [hf-hub:x]]}", "the option a is 'hf-hub:x', expected a finite number"),
        ("{a: .nan}", "the option a is nan, expected a finite number"),
    ],
)
def test_others_are_refused_while_the_recipe_is_read(options, message):
    with pytest.raises(ConfigError, match=r"encoder\.options: .*" + message.replace("[", r"\[")):
        load_config("shapes-kmcl", [f"encoder.options={options}"])


def test_a_number_of_hundreds_of_digits_is_a_number():
    config = load_config("shapes-kmcl", [f"encoder.options={{a: {2**62}}}"])
    assert config.encoder.options == {"a": 2**62}


@pytest.mark.parametrize("given", ["null", "true", "false"])
def test_how_many_stages_stay_is_a_number(given):
    with pytest.raises(ConfigError) as caught:
        load_config("shapes-kmcl", [f"encoder.freeze_stages={given}"])
    (line,) = [line for line in str(caught.value).splitlines() if "freeze_stages" in line]
    assert f"expected a number of stages, or a share below 1, and 0 for none, got {given}" in line
