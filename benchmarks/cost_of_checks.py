"""What the checks of hostile input cost: of decoding, of an epoch of training, of a prediction.

The checks of an image are timed by themselves, beside the whole of what is done with it, on
pictures of the size of ordinary photographs; the checks of a run beside loading it and predicting
a hundred pictures. Bars: 2 % of an epoch, 5 % of a prediction.

    python benchmarks/cost_of_checks.py
"""

import io
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import colabel
from colabel.data.decode import load_squashed
from colabel.data.headers import check_bytes, check_header
from colabel.data.images import FileImages
from colabel.data.pixels import PixelOptions
from colabel.foreign import open_plain

IMAGES, SIZE, ROUNDS = 100, 128, 5


def best(work, rounds=ROUNDS):
    """Return the seconds of the fastest of some rounds."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def photographs(folder, form):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(IMAGES):
        small = generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        path = folder / f"{number:03}.{form}"
        Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(path)
        paths.append(str(path))
    return paths


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "jpg").mkdir()
        (root / "png").mkdir()
        run = root / "run"
        colabel.train(
            "shapes-bce",
            out=run,
            cpu=True,
            changes=[
                "training.epochs=1",
                "encoder.name=mobilenetv2_100",
                f"data.image_size={SIZE}",
            ],
        )
        predictor = colabel.load(run)
        stage = predictor.model.train()
        pixels = torch.randint(256, (32, 3, SIZE, SIZE), dtype=torch.uint8)

        def step():
            stage(pixels).logits.sum().backward()

        training = best(step) / 32
        stage.eval()
        print("| pictures | checks, µs | decoding, µs | of an epoch | of a prediction |")
        print("|---|---|---|---|---|")
        for form in ("jpg", "png"):
            paths = photographs(root / form, form)
            images, options = FileImages(paths), PixelOptions()
            contents = [Path(path).read_bytes() for path in paths]

            def check(contents=contents, options=options):
                for content in contents:
                    file = io.BytesIO(content)
                    check_bytes(file, options)
                    check_header(file, options)

            def opening(paths=paths):
                for path in paths:
                    open_plain(path).close()

            def plain(paths=paths):
                for path in paths:
                    open(path, "rb").close()

            def decode(images=images):
                for index in range(IMAGES):
                    load_squashed(images, index, SIZE)

            checks = (best(check) + max(best(opening) - best(plain), 0)) / IMAGES
            decoding = best(decode) / IMAGES
            predicting = best(lambda paths=paths: predictor.predict(paths), 3) / IMAGES
            print(
                f"| {form} | {checks * 1e6:.0f} | {decoding * 1e6:.0f} | "
                f"{checks / (training + decoding):.2%} | {checks / predicting:.2%} |"
            )
        loading = best(lambda: colabel.load(run), 3)
        description = best(lambda: colabel.runs.description.load_description(run), 3)
        print(
            f"loading a run: {loading * 1000:.0f} ms, of which its description "
            f"{description * 1000:.1f} ms"
        )


main()
