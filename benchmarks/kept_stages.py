"""A training step and scoring where the frozen first stages have given what they give before.

Beside a step from the pixels on, with nothing kept. Rounds alternate, and the fastest of each
counts.

python benchmarks/kept_stages.py [ENCODER ...] [--size 192] [--threads 1]
"""

import torch
from measuring import encoder_options

from colabel.build.stages import build_model, build_stages
from colabel.config import load_config
from colabel.training import make_accelerator
from colabel.training.timing import measure_step

LABELS, ROUNDS = 18, 4
ENCODERS = ("mobilenetv2_100", "resnet50")


def main() -> None:
    options = encoder_options(__doc__.splitlines()[0], ENCODERS).parse_args()
    torch.set_num_threads(options.threads)
    for name in options.encoders:
        settings = [f"encoder.name={name}", "encoder.weights=pretrained"]  # they are not fetched
        config = load_config("auto", [*settings, f"data.image_size={options.size}"])
        drawn = config.model_copy(
            update={"encoder": config.encoder.model_copy(update={"weights": None})}
        )
        model = build_model(drawn, LABELS)
        (stage,) = build_stages(model, drawn)
        numbers = model.encoder.find_halfway(options.size)
        if numbers is None:
            print(f"{name}: what its frozen stages give is not all that the rest needs")
            continue
        taken = [
            [
                measure_step(
                    stage,
                    image_size=options.size,
                    accelerator=make_accelerator(cpu=True),
                    settings=drawn.training,
                    halfway=halfway,
                )
                for halfway in (False, True)
            ]
            for _ in range(ROUNDS)
        ]
        print(f"{name}, {options.size} pixels, {4 * numbers / 1000:.0f} kB kept of an image")
        for what in ("step", "score"):
            whole, rest = (min(getattr(each[kind], what) for each in taken) for kind in (0, 1))
            print(
                f"  {what}: {1000 * rest:.1f} ms, from the pixels {1000 * whole:.1f} ms, "
                f"ratio {rest / whole:.2f}"
            )


if __name__ == "__main__":
    main()
