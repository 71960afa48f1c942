"""What each process learns of the images of a folder, some of them corrupt; started by a test."""

import json
import sys
from pathlib import Path

from torch import distributed

from colabel.build import records as fitness
from colabel.config import check_config
from colabel.data import read_table
from colabel.errors import ImageError
from colabel.training import make_accelerator


def main():
    """Write, per process, what was decoded, what is kept and the message of a refusal."""
    folder = Path(sys.argv[1])
    accelerator = make_accelerator(cpu=True)
    records = read_table(folder / "labels.csv")
    decoded = []
    verify = fitness.verify_images

    def recorded(some, **options):
        decoded.extend(some.ids)
        return verify(some, **options)

    fitness.verify_images = recorded
    answer = {}
    for policy in ("skip", "stop"):
        config = check_config({"data": {"on_corrupt": policy}})
        try:
            kept = fitness.decodable(records, "train", config, accelerator, None)
            answer[policy] = [list(kept.ids), list(kept.notes)]
        except ImageError as error:
            answer[policy] = str(error)
        answer.setdefault("decoded", list(decoded))
    name = f"{accelerator.process_index}-of-{accelerator.num_processes}.json"
    (folder / name).write_text(json.dumps(answer))
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
