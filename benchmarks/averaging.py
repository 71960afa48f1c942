"""The running average of the weights where a classifier learns alone on a frozen encoder.

An update that passes over the encoder, one of everything, that of torch's AveragedModel, and the
step of the classifier beside which they are made. Rounds alternate; the fastest of each counts.

python benchmarks/averaging.py [ENCODER ...] [--size 192] [--threads 1]
"""

import time
from collections.abc import Callable

import torch
from measuring import encoder_options
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colabel.build.stages import build_model, build_stages
from colabel.config import load_config
from colabel.training import make_accelerator
from colabel.training.ema import Average
from colabel.training.timing import measure_head

LABELS, ROUNDS, DECAY = 18, 50, 0.9997
ENCODERS = ("mobilenetv2_100", "resnet50")


def fastest_updates(model: nn.Module, encoder: nn.Module) -> dict[str, float]:
    """Return the seconds of an update of each kind of average."""
    passing, whole = Average(model, DECAY, frozen=[encoder]), Average(model, DECAY)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    updates: dict[str, Callable[[nn.Module], None]] = {
        "passing over the encoder": passing.update,
        "of everything": whole.update,
        "torch's AveragedModel, which leaves out statistics": theirs.update_parameters,
    }
    fastest = dict.fromkeys(updates, float("inf"))
    for _ in range(ROUNDS):
        for what, update in updates.items():
            began = time.perf_counter()
            update(model)
            fastest[what] = min(fastest[what], time.perf_counter() - began)
    return fastest


def main() -> None:
    options = encoder_options(__doc__.splitlines()[0], ENCODERS).parse_args()
    torch.set_num_threads(options.threads)
    for name in options.encoders:
        untrained = [f"encoder.name={name}", "encoder.weights=null", "encoder.freeze_stages=0"]
        shape = [f"data.image_size={options.size}", "training.freeze_encoder=true"]
        config = load_config("auto", [*untrained, *shape])
        model = build_model(config, LABELS)
        (stage,) = build_stages(model, config)
        step = measure_head(
            stage,
            image_size=options.size,
            accelerator=make_accelerator(cpu=True),
            settings=config.training,
        )
        print(f"{name}: a step of the classifier alone {1000 * step:.2f} ms; an average")
        for what, seconds in fastest_updates(model, model.encoder).items():
            print(f"  {what}: {1000 * seconds:.2f} ms")


if __name__ == "__main__":
    main()
