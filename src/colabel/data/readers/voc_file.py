"""The annotation file of VOC: which objects an image has, and which of them are difficult."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from colabel.data.opening import read_data
from colabel.data.records import UNKNOWN
from colabel.errors import DataError, nearest
from colabel.limits import MAX_XML_BYTES

Difficult = Literal["unknown", "present", "absent"]

_DIFFICULT = {"unknown": UNKNOWN, "present": 1, "absent": 0}
_NO_TEXT = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "unicode-escape", "raw_unicode_escape",
     "raw-unicode-escape"}
)  # fmt: skip
"""Codecs of Python's that no text file is in, and that take long or warn of what they find."""
_HEAD = 1024
_DECLARATION = re.compile(
    rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']+)["'][^>]*?\?>"""
)


def target_of_difficult(difficult: Difficult) -> int:
    """Return the target of a class of which an image has difficult objects only.

    Raises:
        DataError: if the option is none of the three.
    """
    if difficult not in _DIFFICULT:
        raise DataError(f"difficult: {difficult!r}; {nearest(difficult, _DIFFICULT)}")
    return _DIFFICULT[difficult]


def _decoded(content: bytes) -> str | bytes:
    """Return the content as text where it declares an encoding that the parser lacks (GBK)."""
    declaration = _DECLARATION.match(content[:_HEAD])
    if declaration is None:
        return content
    return content[declaration.end() :].decode(declaration[1].decode("ascii"))


def _refuse_encoding(path: Path, content: bytes) -> None:
    """Refuse an encoding that is none of text, before a parser tries it."""
    declaration = _DECLARATION.match(content[:_HEAD])
    if declaration is None:
        return
    name = declaration[1].decode("ascii", "replace")
    try:
        known = codecs.lookup(name).name not in _NO_TEXT
        "a".encode(name)
    except (LookupError, ValueError):
        known = False
    if not known:
        raise DataError(
            f"{path}: not well-formed XML (it is said to be in the encoding {name[:60]!r}, which "
            "is none of text); save it as UTF-8."
        )


def parse_annotation(path: Path) -> Element:
    """Return an annotation file as an element.

    Raises:
        DataError: if it is missing, no plain file, not well-formed, or holds a document type.
    """
    try:
        content = read_data(path, expected="the annotation of a listed image", limit=MAX_XML_BYTES)
        _refuse_encoding(path, content)
        try:
            annotation: Element = fromstring(content, forbid_dtd=True)
        except (ParseError, ValueError) as error:
            if isinstance(error, DefusedXmlException):
                raise
            text = _decoded(content)
            if isinstance(text, bytes):
                raise
            annotation = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: holds a document type or entities, which VOC annotations never do; "
            "refused, since they can read other files or exhaust the memory."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: not well-formed XML ({error}); restore the file, or save it as UTF-8."
        ) from error
    return annotation


def read_objects(
    path: Path, annotation: Element, difficult: int, classes: Collection[str] | None = None
) -> dict[str, int]:
    """Return the target of each class that has an object in an annotation.

    Args:
        path: of its file, for messages.
        annotation: as :func:`parse_annotation` returns it.
        difficult: target of a class that has difficult objects only.
        classes: the names that are allowed; ``None`` for any.

    Raises:
        DataError: for an object without a name or of another class, or another word for
            difficult than 0 and 1.
    """
    targets: dict[str, int] = {}
    for number, thing in enumerate(annotation.findall("object"), start=1):
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{path}, object {number}: no name; expected the class of the object.")
        if classes is not None and name not in classes:
            raise DataError(
                f"{path}, object {number}: unknown class {name!r}; {nearest(name, classes)}"
            )
        flag = (thing.findtext("difficult") or "").strip() or "0"
        if flag not in ("0", "1"):
            raise DataError(f"{path}, object {number}: difficult is {flag!r}, expected 0 or 1.")
        if flag == "0":
            targets[name] = 1
        else:
            targets.setdefault(name, difficult)
    return targets
