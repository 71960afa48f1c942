"""Files with bytes changed, cut out and put in, for the fuzzing tests of readers."""

from __future__ import annotations

from hypothesis import strategies as st

_PIECES = (
    b"\0", b"\n", b"\r\n", b'"', b"'", b",", b";", b"[", b"{", b"<", b"&", b"\\", b"\xff\xfe",
    b"\xef\xbb\xbf", b"9" * 400, b"1e999", b"NaN", b"\\ud800", b"\x1b[31m", b"../", b"/", b"#",
    b"[" * 300, b"\xe2\x80\xae", b"\\u0000", b"null", b"-1", b"{}",
)  # fmt: skip

edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "put", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from(_PIECES)),
    ),
    min_size=1,
    max_size=4,
)
"""Some changes: what is done, where as a share of the file, and with which bytes."""


def damaged(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """Return a file's content after some changes."""
    for what, share, piece in changes:
        start = int(share * len(content))
        if what == "set":
            content = content[:start] + piece + content[start + len(piece) :]
        elif what == "cut":
            content = content[:start] + content[start + 4 * len(piece) :]
        elif what == "put":
            content = content[:start] + piece + content[start:]
        else:
            content = content[:start]
    return content
