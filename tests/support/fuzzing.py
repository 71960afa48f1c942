"""How long the fuzzing tests try: ``COLABEL_FUZZ=50`` makes them fifty times as long."""

import os


def examples(count: int) -> int:
    return count * int(os.environ.get("COLABEL_FUZZ", "1"))
