import subprocess

import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from pictures import Pictures, picture, records_of, some_records

from colabel.data import loader as loaders
from colabel.data.cache import PixelCache
from colabel.data.dataset import EvaluationImages, TrainingImages
from colabel.data.loader import (
    EpochSampler,
    evaluation_loader,
    read_batches,
    set_epoch,
    training_loader,
)
from colabel.data.transforms import Augment
from colabel.errors import ConfigError, DataError, ImageError

SIZE = 16
# a process that already runs threads is forked: what Python warns of is wanted here
forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def training(count=11, *, batch_size=4, workers=0, drop_last=True, **options):
    records = options.pop("records", None) or some_records(count)
    options = {"size": SIZE, "augment": Augment(), "seed": 1} | options
    dataset = TrainingImages(records, **options)
    return training_loader(
        dataset, batch_size=batch_size, seed=3, workers=workers, drop_last=drop_last
    )


def epoch_of(loader, epoch, start_batch=0):
    """Return the batches of one pass."""
    set_epoch(loader, epoch, start_batch=start_batch)
    return list(loader)


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def shards(loader, *, processes, split_batches=True):
    """Return what each process of a distributed run would get."""
    return [
        prepare_data_loader(
            loader,
            num_processes=processes,
            process_index=rank,
            split_batches=split_batches,
            put_on_device=False,
            even_batches=True,
            use_seedable_sampler=False,
        )
        for rank in range(processes)
    ]


def test_an_epoch_holds_every_index_once_with_its_epoch():
    sampler = EpochSampler(50, seed=0, batch_size=8)
    sampler.set_epoch(2)
    pairs = list(sampler)
    assert sorted(pairs) == [(index, 2) for index in range(50)]
    assert pairs != sorted(pairs)


def test_seed_and_epoch_determine_the_order():
    def order(seed, epoch):
        sampler = EpochSampler(50, seed=seed, batch_size=8)
        sampler.set_epoch(epoch)
        return [index for index, _ in sampler]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_the_order_is_the_same_on_every_machine():
    sampler = EpochSampler(8, seed=1, batch_size=2)
    sampler.set_epoch(4)
    assert [index for index, _ in sampler] == [6, 0, 7, 3, 4, 1, 2, 5]


def test_every_position_is_equally_likely():
    total = torch.zeros(10, 10)
    sampler = EpochSampler(10, seed=0, batch_size=1)
    for epoch in range(2000):
        sampler.set_epoch(epoch)
        total[range(10), [index for index, _ in sampler]] += 1
    assert (total - 200).abs().max() < 70  # five standard deviations


def test_a_start_inside_an_epoch_survives_an_announcement_and_ends_with_it():
    sampler = EpochSampler(10, seed=0, batch_size=3)
    sampler.set_epoch(1)
    whole = list(sampler)
    sampler.set_epoch(1, start_batch=2)
    sampler.set_epoch(1)
    assert list(sampler) == whole[6:]
    sampler.set_epoch(2)
    assert len(list(sampler)) == 10
    assert len(sampler) == 10


def test_batches_have_the_promised_shapes():
    pixels, targets, indices = epoch_of(training(views=2), 0)[0]
    assert (pixels.shape, pixels.dtype) == ((4, 2, 3, SIZE, SIZE), torch.uint8)
    assert (targets.shape, targets.dtype) == ((4, 3), torch.int8)
    assert (indices.shape, indices.dtype) == ((4,), torch.int64)


def test_targets_and_indices_belong_together():
    records = some_records(11)
    for _, targets, indices in epoch_of(training(records=records), 0):
        assert targets.tolist() == records.targets[indices.numpy()].tolist()


@pytest.mark.parametrize(("drop_last", "batches"), [(True, 2), (False, 3)])
def test_the_last_smaller_batch_is_dropped_on_request(drop_last, batches):
    loader = training(drop_last=drop_last)
    assert len(loader) == len(epoch_of(loader, 0)) == batches


def test_a_resumed_epoch_decodes_only_what_is_left():
    records = some_records(12)
    loader = training(records=records)
    whole = epoch_of(loader, 3)
    records.images.opened.clear()
    assert same(epoch_of(loader, 3, start_batch=2), whole[2:])
    assert len(records.images.opened) == 4
    assert same(epoch_of(loader, 3), whole)
    assert len(loader) == 3


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    epoch_of(training(), 0)
    list(evaluation_loader(EvaluationImages(some_records(3), size=SIZE), batch_size=2))
    assert torch.equal(torch.get_rng_state(), before)


@forks
@pytest.mark.parametrize("cached", [False, True])
def test_workers_do_not_change_a_pixel(cached):
    def cache():
        return PixelCache(images=11, size=SIZE, limit=7 * SIZE * SIZE * 3) if cached else None

    alone = training(views=2)
    for workers in (1, 2):
        pixel_cache = cache()
        loader = training(views=2, workers=workers, cache=pixel_cache)
        for epoch, start in ((0, 0), (1, 1), (1, 0)):
            assert same(epoch_of(loader, epoch, start), epoch_of(alone, epoch, start))
        if pixel_cache is not None:
            assert pixel_cache.filled == 7


@forks
def test_a_pass_left_early_does_not_disturb_the_next():
    loader = training(12, workers=2)
    whole = epoch_of(training(12), 5)
    set_epoch(loader, 4)
    next(iter(loader))
    assert same(epoch_of(loader, 5), whole)


@forks
def test_an_error_in_a_worker_keeps_its_kind_and_names_the_image():
    records = records_of(Pictures([picture(8, 8)] * 4, broken=[2]))
    with pytest.raises(ImageError, match=r"picture-2\.png: broken"):
        epoch_of(training(records=records, workers=1), 0)


@forks
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_workers_ignore_a_signal_to_all_processes(name):
    """A terminal, or whatever ends a job, sends it to the workers too."""
    loader = training(40, workers=1)
    set_epoch(loader, 0)
    batches = iter(loader)
    first = next(batches)
    (worker,) = batches._workers
    subprocess.run(["sh", "-c", f"kill -{name} {worker.pid}"], check=True)
    assert same([first, *batches], epoch_of(training(40), 0))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_split_over_processes_the_batches_are_those_of_one(processes):
    whole = epoch_of(training(drop_last=True), 2)
    ranks = [epoch_of(shard, 2) for shard in shards(training(), processes=processes)]
    together = [
        [torch.cat(parts) for parts in zip(*step, strict=True)]
        for step in zip(*ranks, strict=True)
    ]
    assert same(together, whole)


@forks
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_prepared_loader_resumes_and_then_goes_on_with_the_next_epoch(processes, workers):
    resumed = shards(training(16, workers=workers), processes=processes)
    straight = shards(training(16), processes=processes)
    for one, other in zip(resumed, straight, strict=True):
        whole = epoch_of(other, 1)
        assert same(epoch_of(one, 1, start_batch=3), whole[3:])
        assert same(epoch_of(one, 2), epoch_of(other, 2))
        assert len(one) == len(whole) == 4


def test_an_unannounced_epoch_of_a_prepared_loader_is_the_next_one():
    (shard,) = shards(training(), processes=1)
    epoch_of(shard, 5)
    assert same(list(shard), epoch_of(training(), 6))


@pytest.mark.parametrize("processes", [1, 2])
def test_evaluation_keeps_the_order_and_misses_nothing(processes):
    dataset = EvaluationImages(some_records(7), size=SIZE)
    loader = evaluation_loader(dataset, batch_size=4)
    assert [indices.tolist() for _, _, indices in loader] == [[0, 1, 2, 3], [4, 5, 6]]
    seen = torch.cat(
        [
            torch.cat([indices for _, _, indices in shard])
            for shard in shards(evaluation_loader(dataset, batch_size=4), processes=processes)
        ]
    )
    assert set(seen.tolist()) == set(range(7))


def test_set_epoch_refuses_another_loader():
    loader = evaluation_loader(EvaluationImages(some_records(3), size=SIZE), batch_size=2)
    with pytest.raises(TypeError, match="expected a loader from training_loader"):
        set_epoch(loader, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 12}, "a batch of 12 cannot be filled from 11 training images"),
        ({"batch_size": 0}, "batch size must be at least 1, got 0"),
        ({"workers": -1}, "workers must be 0 or more, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        training(**options)


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed must not be negative"):
        EpochSampler(3, seed=-1, batch_size=1)


def test_a_cache_that_workers_would_not_share_is_refused(monkeypatch):
    monkeypatch.setattr(loaders, "_start_method", lambda _: "spawn")
    with pytest.raises(ConfigError, match="cache_mb: 0"):
        training(workers=1, cache=PixelCache(images=11, size=SIZE, limit=0))


@pytest.mark.parametrize(
    "text",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory.",
        "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback ...\n"
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_7_1_0>",
        "DataLoader worker (pid(s) 7) exited unexpectedly",
        "unable to write to file </torch_7_1_0>: No space left on device (28)",
        "unable to mmap 4096 bytes from file </torch_7_1_0>: Cannot allocate memory (12)",
        "received 0 items of ancdata",
    ],
)
def test_workers_without_room_are_explained(text):
    def batches():
        yield 1
        raise RuntimeError(text)

    seen = []
    with pytest.raises(DataError, match=r"/dev/shm.*set training.workers: 0") as caught:
        seen.extend(read_batches(batches()))
    assert text.splitlines()[-1] in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_other_errors_of_a_loader_are_left_alone():
    def batches():
        yield 1
        raise RuntimeError("expected a tensor")

    iterator = read_batches(batches())
    assert next(iterator) == 1
    with pytest.raises(RuntimeError, match="expected a tensor"):
        next(iterator)


def test_workers_that_would_run_out_of_open_files_are_refused(monkeypatch):
    monkeypatch.setattr(loaders.resource, "getrlimit", lambda _: (32, 32))
    with pytest.raises(ConfigError, match=r"2 processes .* about 80 open files, and 32 are"):
        training(workers=2)
    assert len(training())
