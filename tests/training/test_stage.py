import math

import pytest
from torch import nn
from training_runs import Run, small_stage

from colabel.errors import ConfigError, RunError
from colabel.training import Objective, Stage, Term


def objective():
    return Objective((Term("size", lambda logits, _: logits.sum()),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be positive, got 0"),
        ({"learning_rate": math.nan}, "learning_rate must be positive, got nan"),
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"head_learning_rate": 0}, "head_learning_rate must be positive, got 0"),
        ({"head_learning_rate": math.inf}, "head_learning_rate must be positive, got inf"),
        ({"head_learning_rate": 0.1}, "head_learning_rate needs a model with a part named head"),
    ],
)
def test_a_stage_out_of_range_is_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=f"stage 'fit': {message}"):
        Stage(
            **(
                {
                    "name": "fit",
                    "model": nn.Linear(1, 1),
                    "objective": objective(),
                    "epochs": 1,
                    "learning_rate": 0.1,
                }
                | changes
            )
        )


def test_a_stage_in_which_nothing_learns_is_refused():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        Stage("fit", model, objective(), epochs=1, learning_rate=0.1, frozen=(model,))
    assert Stage("fit", model, objective(), epochs=1, learning_rate=0.1, frozen=(model[0],))


def test_the_encoder_of_a_stage_must_be_frozen():
    """Its features are computed once, which training it would make wrong."""
    encoder, head = nn.Linear(1, 1), nn.Linear(1, 1)
    twin = nn.Linear(1, 1)
    twin.load_state_dict(encoder.state_dict())
    model = nn.Sequential(encoder, head)

    def stage(**options):
        return Stage("fit", model, objective(), epochs=1, learning_rate=0.1, **options)

    for frozen in ((), (twin,)):
        with pytest.raises(
            ConfigError, match="stage 'fit': the encoder must be one of the frozen"
        ):
            stage(encoder=encoder, frozen=frozen)
    assert stage(encoder=encoder, frozen=(twin, encoder)).encoder is encoder
    assert stage(frozen=(encoder,)).encoder is None
    assert stage().augmented


def test_validation_is_told_which_stage_it_is_of(tmp_path):
    stages = small_stage(name="first", epochs=1), small_stage(name="second", epochs=2)
    run, told = Run(tmp_path, *stages), []

    def validate(stage, model):
        told.append(stage)
        return {"mAP": 0.5}

    run.validate = validate
    run.fit()
    assert [stage.name for stage in told] == ["first", "second", "second"]
    assert told[0] is stages[0]


def test_a_run_is_not_resumed_with_or_without_augmentation(tmp_path):
    """On features that are computed once a stage goes another way than on augmented images."""
    Run(tmp_path, small_stage(epochs=1)).fit()
    with pytest.raises(RunError, match=r"stages\.kernels\.augmented was True, is False"):
        Run(tmp_path, small_stage(epochs=1, augmented=False)).fit(resume=True)
