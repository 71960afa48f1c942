"""A training in this process: its steps, scores, stages, settings and precision."""

import math

import pytest
import torch
from stopping import Watcher, interrupt
from training_runs import (
    BATCH,
    CLASSES,
    SIZE,
    WIDTH,
    Run,
    SmallEncoder,
    kernel_objective,
    records_of_log,
    same,
    small_model,
    small_stage,
    square_objective,
    state_of,
)

from colabel.config import check_config
from colabel.errors import ConfigError
from colabel.models import Classifier, Head, KernelMixtureHead, LinearHead
from colabel.training import History
from colabel.training.checkpoint import load_state


def test_training_lowers_the_loss_and_logs_every_term(uninterrupted):
    run, history, _ = uninterrupted
    epochs = records_of_log(run.folder, "epoch")
    assert history.finished
    assert [record["epoch"] for record in epochs] == [1, 2, 3]
    assert [record["step"] for record in epochs] == [3, 6, 9]
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert list(history.epochs) == epochs
    steps = records_of_log(run.folder, "step")
    assert [record["step"] for record in steps] == [1, 2, 3, 4, 6, 8, 9]
    for record in steps:
        terms = record["terms"]
        weights = run.stages[0].objective.weights
        assert terms.keys() == weights.keys()
        for name, values in terms.items():
            assert math.isclose(values["weighted"], weights[name] * values["raw"], rel_tol=1e-6)
        assert math.isclose(sum(v["gradient_share"] for v in terms.values()), 1, rel_tol=1e-5)
        assert math.isclose(record["loss"], sum(v["weighted"] for v in terms.values()))
        assert record["gradient_norm"] > 0
        assert record["images_per_second"] > 0


def test_an_epochs_line_is_the_mean_of_its_steps(tmp_path):
    run = Run(tmp_path, small_stage(epochs=1), log_every=1)
    run.fit()
    steps = records_of_log(tmp_path, "step")
    (epoch,) = records_of_log(tmp_path, "epoch")
    for name, values in epoch["terms"].items():
        mean = sum(record["terms"][name]["raw"] for record in steps) / len(steps)
        assert math.isclose(values["raw"], mean, rel_tol=1e-6)


def test_a_step_is_adam_on_the_objective(tmp_path):
    model = small_model(normalise=False, dropout=0.0)
    reference = small_model(normalise=False, dropout=0.0)
    stage = small_stage(model=model, epochs=1)
    run = Run(tmp_path, stage, ema_decay=0, weight_decay=0.1, images=3 * BATCH)
    optimiser = torch.optim.Adam(
        [
            {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in reference.parameters() if p.ndim < 2]},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.learning_rate, total_steps=3, pct_start=0.2
    )
    objective = kernel_objective()
    for images, targets, _ in run.loaders(stage):
        output = reference(images)
        loss = sum(term.weight * term(output, targets) for term in objective.terms)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    run.fit()
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-5, atol=1e-7)


def test_the_best_weights_are_those_of_the_highest_score(tmp_path):
    run = Run(tmp_path, small_stage(epochs=5))
    run.scores = [0.2, math.nan, 0.5, 0.5, 0.4]
    history = run.fit()
    assert [epoch for _, epoch, _ in run.kept] == [1, 3]
    assert history.best["epoch"] == 3
    scores = [record["score"] for record in records_of_log(tmp_path, "epoch")]
    assert scores == [0.2, None, 0.5, 0.5, 0.4]


def test_a_first_score_that_is_no_number_is_kept_until_there_is_one(tmp_path):
    run = Run(tmp_path, small_stage(epochs=2))
    run.scores = [math.nan, 0.1]
    run.fit()
    assert [epoch for _, epoch, _ in run.kept] == [1, 2]


def test_what_is_kept_is_the_average(tmp_path):
    run = Run(tmp_path, small_stage(epochs=1))
    run.fit()
    saved = load_state(tmp_path / "last")
    average = {
        name.removeprefix("average.module."): tensor
        for name, tensor in saved.tensors.items()
        if name.startswith("average.module.")
    }
    assert same(run.kept[0][2], average)
    assert same(state_of(run.stages[0].model), average)
    plain = {name: saved.tensors[f"model.{name}"] for name in average}
    assert not same(average, plain)


def two_stages():
    first = small_model(seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        second = Classifier(first.encoder, Head(LinearHead(WIDTH, CLASSES)))
    return (
        small_stage(name="first", model=first, epochs=2, validated=False),
        small_stage(
            name="second",
            model=second,
            objective=square_objective(),
            epochs=2,
            frozen=(first.encoder,),
        ),
    )


def test_a_later_stage_goes_on_from_the_frozen_result_of_an_earlier_one(tmp_path):
    stages = two_stages()
    alone = two_stages()
    Run(tmp_path / "alone", alone[0]).fit()
    run = Run(tmp_path / "both", *stages)
    history = run.fit()
    assert same(state_of(stages[1].model.encoder), state_of(alone[0].model.encoder))
    assert not same(state_of(stages[1].model.head), state_of(two_stages()[1].model.head))
    assert all(each.requires_grad for each in stages[1].model.parameters())
    assert {stage for stage, _, _ in run.kept} == {"second"}
    assert history.best["stage"] == "second"
    assert [(epoch["stage"], epoch["epoch"]) for epoch in history.epochs] == [
        ("first", 1),
        ("first", 2),
        ("second", 1),
        ("second", 2),
    ]


@pytest.mark.parametrize("step", [6, 7, 9])
def test_a_run_of_two_stages_resumes_in_either(tmp_path, step):
    whole, stopped = two_stages(), two_stages()
    Run(tmp_path / "whole", *whole).fit()
    Run(tmp_path / "stopped", *stopped).fit(display=Watcher(step, interrupt))
    resumed = two_stages()
    assert Run(tmp_path / "stopped", *resumed).fit(resume=True).finished
    assert same(state_of(resumed[1].model), state_of(whole[1].model))


def test_validation_leaves_no_trace_in_training(tmp_path, uninterrupted):
    run = Run(tmp_path, small_stage(epochs=3))

    def validate(_, model):
        torch.rand(7)
        return {"mAP": 0.5}

    run.validate = validate
    run.fit()
    assert same(state_of(run.stages[0].model), uninterrupted[2])


def test_a_monitor_that_validation_does_not_give_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no metric 'MAP'.*did you mean 'mAP'"):
        Run(tmp_path).fit(monitor="MAP")


def test_pieces_of_a_batch_are_refused_where_images_are_compared(tmp_path):
    with pytest.raises(ConfigError, match=r"compares the images.*set accumulation to 1"):
        Run(tmp_path, accumulation=2).fit()
    assert not (tmp_path / "last").exists()


def test_stages_need_names_of_their_own(tmp_path):
    run = Run(tmp_path, small_stage(), small_stage())
    with pytest.raises(ConfigError, match="name of its own"):
        run.fit()
    run.stages = ()
    with pytest.raises(ConfigError, match="expected stages"):
        run.fit()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_decay", -1),
        ("warm_up", 0),
        ("warm_up", 1),
        ("ema_decay", 1),
        ("clip_gradient", 0),
        ("accumulation", 0),
        ("log_every", 0),
        ("save_minutes", -1),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ConfigError, match=rf"training\.{name}: .*, got {value}"):
        check_config({"training": {name: value}})


def test_bfloat16_trains_and_hands_the_model_back_as_it_came(tmp_path):
    seen = []

    class Encoder(SmallEncoder):
        def forward(self, images):
            features = super().forward(images)
            seen.append((self.training, self.convolution(images.float()).dtype))
            return features

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier(Encoder(), Head(KernelMixtureHead(WIDTH, CLASSES)))
    run = Run(tmp_path, small_stage(model=model), precision="bf16")
    history = run.fit()
    assert set(seen) == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    model.eval()
    model(images)
    assert seen[-1] == (False, torch.float32)


def test_a_second_stage_of_the_same_model_has_the_precision_of_the_run(tmp_path):
    model, seen = small_model(), []
    model.encoder.register_forward_hook(
        lambda encoder, *_: seen.append((encoder.training, torch.is_autocast_enabled("cpu")))
    )
    stages = [small_stage(model=model, name=name, epochs=1) for name in ("one", "two", "three")]
    assert Run(tmp_path, *stages, precision="bf16").fit().finished
    assert set(seen) == {(True, True), (False, True)}


def test_a_history_tells_each_warning_once_in_order():
    said = ["second", None, "first", "second", None]
    epochs = tuple({"kind": "epoch", "warning": text} for text in said)
    history = History(({"kind": "epoch"}, *epochs), best=None, finished=True, message="")
    assert history.warnings == ("second", "first")
    assert History((), best=None, finished=True, message="").warnings == ()
