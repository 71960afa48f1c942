"""Write ``limits.md`` from the module of limits: ``python docs/write_limits.py``."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

from colabel import limits

HEAD = """# Limits

Every limit on what comes from outside, from `colabel/limits.py` (written by
`docs/write_limits.py`). A limit is checked before memory is taken or a file is read; the message
names the file, what was expected, and what to do.

| limit | number | why, and what lifts it |
|---|---|---|
"""


def text() -> str:
    """Return the page."""
    body = ast.parse(Path(limits.__file__).read_text("utf-8")).body
    rows = []
    for statement, following in itertools.pairwise(body):
        if not isinstance(statement, ast.Assign) or not isinstance(following, ast.Expr):
            continue
        target = statement.targets[0]
        names = [part.id for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
        why = " ".join(ast.literal_eval(following.value).split()).replace("``", "`")
        numbers = ", ".join(f"{getattr(limits, name):,}" for name in names)
        rows.append(f"| {', '.join(f'`{name}`' for name in names)} | {numbers} | {why} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    Path(__file__).with_name("limits.md").write_text(text(), "utf-8")
