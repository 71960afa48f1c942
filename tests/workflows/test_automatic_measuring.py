"""``train auto``: what it measures, and what follows from how long that takes."""

from types import SimpleNamespace

import pytest
from automatic_plans import AUGMENTED, STEP_AT_96, only_the_first, plan
from tiny_runs import write_tiny_table

from colabel.build.division import open_training_data
from colabel.build.records import decoding_threads
from colabel.config import load_config
from colabel.config.budget import Budget
from colabel.errors import ImageError
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime
from colabel.workflows import affordable, automatic
from colabel.workflows.candidates import ENCODERS
from colabel.workflows.reading_time import measure_reading
from colabel.workflows.ways import TO_BEGIN


def test_corrupt_images_are_left_out_of_the_sample_as_of_training(tmp_path):
    table = write_tiny_table(tmp_path, images=600)
    records = open_training_data(load_config("auto", [f"data.source={table}"]).data, seed=0)
    train = records.records["train"]
    for position in (0, len(train) - 1):
        (table.parent / train.ids[position]).write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"2 of 24 images cannot (.|\n)*data.on_corrupt: skip"):
        measure_reading(train, load_config("auto"))
    skipping = load_config("auto", ["data.on_corrupt=skip"])
    assert measure_reading(train, skipping).augment > 0


def test_bfloat16_is_taken_where_it_is_quicker(machine, table):
    def measure(stage, *, image_size, accelerator, **_):
        share = 0.5 if accelerator.mixed_precision == "bf16" else 1.0
        scale = share * (image_size / 96) ** 2
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    only_the_first(machine)
    machine.setattr(affordable, "measure_step", measure)
    budget, size = Budget(minutes=0.5), ("data.image_size=96", AUGMENTED)
    plain = plan(table, budget, *size).config
    assert plain.training.precision == "no"  # a look at scoring was enough
    machine.setattr(affordable, "measure_score", lambda *_: 0.0)
    quick = plan(table, budget, *size)
    assert quick.config.training.precision == "bf16"
    assert "in bf16, in which a step takes 0.50 of its time in float32 here" in quick.reasons[-1]
    assert quick.config.training.epochs > 1.5 * plain.training.epochs
    kept = plan(table, budget, *size, "training.precision=no")
    assert kept.config.training.precision == "no"
    assert all("bf16" not in reason for reason in kept.reasons)


def test_measuring_ends_where_too_much_of_the_time_is_gone(machine, table):
    now = [0.0]
    measured = []

    def measure(stage, *, image_size, limit, **_):
        measured.append(limit)
        now[0] += 7
        return StepTime(0.01, 0.001)

    machine.setattr(affordable, "measure_step", measure)
    for module in (affordable, automatic):
        machine.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    plan(table, Budget(minutes=0.5), "data.image_size=96", AUGMENTED)
    assert measured == [1.0, 1.0]  # one encoder of four, and that one once more
    now[0] = 0.0
    plan(table, Budget(minutes=20), "data.image_size=96", AUGMENTED)
    assert set(measured[2:]) == {24.0}
    assert len(measured[2:]) == len(ENCODERS) + 1


def test_a_choice_that_turns_out_slower_is_judged_anew_with_what_was_found(machine, table):
    """At its own size a step takes ten times what was thought: the others are scaled from that."""
    only_the_first(machine)
    sizes = []

    def measure(stage, *, image_size, **_):
        slower = 10 if sizes else 1
        sizes.append(image_size)
        scale = slower * (image_size / 96) ** 2
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    machine.setattr(affordable, "measure_step", measure)
    quick = plan(table, Budget(minutes=1), AUGMENTED, "training.batch_size=16")
    assert len(sizes) == 3  # the first look, the best by that, and the best by what that found
    epochs = quick.config.training.epochs
    size = quick.config.data.image_size
    left = 60 - TO_BEGIN - TO_FINISH - 0.001 * 510 / decoding_threads(1)
    epoch = (420 // 16) * 10 * STEP_AT_96 * (size / 96) ** 2
    assert epochs == pytest.approx(left / epoch, abs=1)
    assert size < sizes[1]


def test_nothing_is_measured_again_where_too_much_of_the_time_is_gone(machine, table):
    now, sizes = [0.0], []

    def measure(stage, *, image_size, **_):
        sizes.append(image_size)
        now[0] += 16
        return StepTime(0.01, 0.0001)

    only_the_first(machine)
    machine.setattr(affordable, "measure_step", measure)
    for module in (affordable, automatic):
        machine.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    plan(table, Budget(minutes=1), AUGMENTED)
    assert len(sizes) == 1
