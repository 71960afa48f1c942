"""JSON that is almost right: a good document with one value, or one byte, replaced."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

VALUES: SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(
        [10**30, -1e308, 0.5, "", "a.png", "../a.png", "/etc/passwd", "\0", "é" * 300]
    ),
    st.text(max_size=4),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(0, 2), max_size=2),
)


def _places(document: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path
    items = (
        document.items() if isinstance(document, dict)
        else enumerate(document) if isinstance(document, list) else ()
    )  # fmt: skip
    for key, value in items:
        yield from _places(value, (*path, key))


@st.composite
def damaged_json(draw: DrawFn, document: object) -> bytes:
    """Draw the bytes of a document in which one value was replaced, removed or cut off."""
    changed = copy.deepcopy(document)
    *above, last = draw(st.sampled_from([place for place in _places(document) if place]))
    parent = changed
    for key in above:
        parent = parent[key]
    if draw(st.booleans()):
        parent[last] = draw(VALUES)
    else:
        del parent[last]
    content = json.dumps(changed).encode()
    if draw(st.integers(0, 5)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    return content


HOSTILE = {
    "nothing": b"",
    "deep": b'{"labels":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": b"[" * 100_000,
    "a huge number": b'{"images": [{"id": ' + b"9" * 10_000 + b"}]}",
    "an array": b"[1, 2]",
    "a number": b"3",
    "half a character": b'{"images": "\xff"}',
    "UTF-16": '{"images": []}'.encode("utf-16"),
}
"""Files that no reader takes, by what they hold."""
