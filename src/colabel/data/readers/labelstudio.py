"""Label Studio's exports of image classification: JSON and JSON_MIN."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from colabel.data.listed import find_images
from colabel.data.opening import at_home
from colabel.data.readers.json_file import read_json, refuse_deep, refuse_repeated_keys
from colabel.data.readers.layout import (
    alike_notes,
    empty_targets,
    is_image,
    list_folder,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError, nearest
from colabel.names import check_class_names

Annotators = Literal["agree", "majority", "any", "all"]

_ANNOTATORS = ("agree", "majority", "any", "all")
_LAYOUT = "an array of tasks, as Label Studio exports it as JSON or JSON_MIN"
_OF_MIN = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "comment"}
)
_LOOKED_AT = 1000
"""Tasks that are looked at to find the field of the image."""
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")


class _Value(msgspec.Struct):
    choices: list[str] | str | None = None


class _Result(msgspec.Struct):
    type: str | None = None
    from_name: str | None = None
    value: _Value | None = None


class _Annotation(msgspec.Struct):
    result: list[_Result] = []
    was_cancelled: bool | None = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    id: int | str | None = None
    annotations: list[_Annotation] | None = None
    completions: list[_Annotation] | None = None


@final
@dataclass
class _Labelled:
    """One task: a reference to its image, and the choices of each annotator."""

    name: str
    reference: str
    choices: list[frozenset[str]] = field(default_factory=list)
    cancelled: int = 0


def _as_set(choices: Sequence[str] | str | None) -> frozenset[str]:
    return frozenset([choices] if isinstance(choices, str) else choices or ())


def _file_name(reference: str) -> str:
    """Return the path of the file that a reference means, as far as it tells.

    Example:
        >>> _file_name("/data/local-files/?d=set/a%20b.jpg")
        'set/a b.jpg'
        >>> _file_name("https://example.org/pictures/a.jpg?width=3")
        'pictures/a.jpg'
    """
    try:
        parts = urlsplit(reference.strip())
        local = parse_qs(parts.query).get("d") if "local-files" in parts.path else None
    except ValueError:
        return ""
    if parts.scheme == "data":
        return ""
    path = local[0] if local else unquote(parts.path)
    return path.replace("\\", "/").strip("/")


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and is_image(_file_name(value))


def _only(path: Path, found: Collection[str], given: str | None, what: str, option: str) -> str:
    """Return the one name that was found, or the given one."""
    if given is not None and given not in found:
        raise DataError(f"{path}: {given!r} is none of the {what}; {nearest(given, found)}")
    if given is None and len(found) != 1:
        names = ", ".join(sorted(found)) or "none"
        remedy = f"say which with the option {option}" if found else "expected one"
        raise DataError(f"{path}: {len(found)} {what} ({names}); {remedy}.")
    return next(iter(found)) if given is None else given


def _image_key(path: Path, data: Sequence[Mapping[str, Any]], given: str | None) -> str:
    """Return the field of the tasks that refers to the image."""
    keys = {key for fields in data for key in fields}
    if given is None:
        first = data[:_LOOKED_AT]
        keys = {key for key in keys if any(_is_reference(fields.get(key)) for fields in first)}
    return _only(path, keys, given, "fields that refer to an image file", "image")


def _reference(fields: Mapping[str, Any], key: str, where: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key} is {value!r}; expected a reference to an image.")
    return value


def _read_tasks(
    path: Path, items: object, image: str | None, labels: str | None
) -> tuple[list[_Labelled], tuple[str, ...]]:
    """Read the JSON export: a task with its annotations, each with its results."""
    try:
        tasks = msgspec.convert(items, list[_Task])
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: not as expected ({error}); expected {_LAYOUT}.") from error
    key = _image_key(path, [task.data for task in tasks], image)
    results = [
        result
        for task in tasks
        for annotation in (*(task.annotations or ()), *(task.completions or ()))
        for result in annotation.result
    ]
    tags = {result.from_name or "" for result in results if result.type == "choices"}
    tag = _only(path, tags, labels, "sets of choices", "labels") if tags or labels else ""
    labelled = []
    for number, task in enumerate(tasks, start=1):
        name = f"task {number if task.id is None else task.id}"
        this = _Labelled(name, _reference(task.data, key, f"{path}, {name}"))
        for annotation in (*(task.annotations or ()), *(task.completions or ())):
            if annotation.was_cancelled:
                this.cancelled += 1
                continue
            chosen = [
                _as_set(result.value.choices)
                for result in annotation.result
                if result.type == "choices" and (result.from_name or "") == tag and result.value
            ]
            this.choices.append(frozenset[str]().union(*chosen))
        labelled.append(this)
    others = Counter(result.type or "none" for result in results if result.type != "choices")
    notes = [f"{count} results of the type {kind} ignored" for kind, count in others.items()]
    return labelled, tuple(notes)


def _choices_key(
    path: Path, rows: Sequence[Mapping[str, Any]], taken: str, given: str | None
) -> str:
    """Return the field of JSON_MIN that holds the choices: with several, or single ones."""
    keys = {key for row in rows for key in row} - _OF_MIN - {taken}
    several = {
        key
        for key in keys
        if any(isinstance(row.get(key), dict) and "choices" in row[key] for row in rows)
    }
    single = {key for key in keys if all(isinstance(row.get(key, ""), str) for row in rows)}
    return _only(path, keys if given else several or single, given, "fields of choices", "labels")


def _read_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], image: str | None, labels: str | None
) -> list[_Labelled]:
    """Read the JSON_MIN export: a row for each annotation, with the fields of its task."""
    key = _image_key(path, rows, image)
    choices = _choices_key(path, rows, key, labels)
    tasks: dict[tuple[str, str], _Labelled] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        identifier = row.get("id")
        if isinstance(identifier, (dict, list)):
            raise DataError(f"{where}: id is {identifier!r}; expected a number.")
        reference = _reference(row, key, where)
        # a row without an id is a task of its own
        kind, name = ("row", number) if identifier is None else ("task", identifier)
        task = tasks.setdefault((kind, str(name)), _Labelled(f"{kind} {name}", reference))
        if task.reference != reference:
            raise DataError(
                f"{where}: {task.name} refers to {task.reference!r} and {reference!r}; expected "
                "one image."
            )
        value = row.get(choices)
        if isinstance(value, dict):
            value = value.get("choices")
        if not (value is None or isinstance(value, str)) and not (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        ):
            raise DataError(f"{where}: {choices} is {str(value)[:80]}; expected choices.")
        task.choices.append(_as_set(value))
    return list(tasks.values())


def _find_files(
    path: Path, folder: Path, tasks: Sequence[_Labelled]
) -> tuple[list[str], tuple[str, ...]]:
    """Return the image of each task by its file name, and a note of shortened names.

    A name that several files have is told apart by the folders of its reference. Uploaded files
    may lie there under the name they had before Label Studio put eight digits in front.
    """
    by_name: dict[str, list[str]] = {}
    for image in list_folder(folder).images:
        by_name.setdefault(image.rsplit("/", 1)[-1], []).append(image)
    names = []
    shortened = 0
    for task in tasks:
        said = _file_name(task.reference)
        name = said.rsplit("/", 1)[-1]
        if not name or "\0" in name or name in (".", ".."):
            raise DataError(
                f"{path}, {task.name}: {task.reference[:80]!r} names no file; expected the path "
                "or address of an image."
            )
        candidates = by_name.get(name, [])
        if not candidates and _UPLOAD.match(name):
            candidates = by_name.get(_UPLOAD.sub("", name, count=1), [])
            shortened += bool(candidates)
        if len(candidates) > 1:
            candidates = [image for image in candidates if f"/{said}".endswith(f"/{image}")]
            if len(candidates) != 1:
                raise DataError(
                    f"{path}, {task.name}: {name!r} may be {' or '.join(by_name[name])}; expected "
                    "one image of this name in the option images."
                )
        names.append(candidates[0] if candidates else name)
    notes = (f"{shortened} images found without the digits that an upload puts in front",)
    return names, notes if shortened else ()


def _refuse_repeated(path: Path, tasks: Sequence[_Labelled], names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for task, name in zip(tasks, names, strict=True):
        if name in first:
            raise DataError(
                f"{path}: {first[name]} and {task.name} are both the image {name}; remove one of "
                "them, or export their folders under option images."
            )
        first[name] = task.name


def _judge(path: Path, task: _Labelled, annotators: Annotators) -> dict[str, int]:
    """Return the target of each choice that an annotator of the image made."""
    if annotators == "agree" and any(choices != task.choices[0] for choices in task.choices):
        said = " / ".join(", ".join(sorted(choices)) or "nothing" for choices in task.choices)
        raise DataError(
            f"{path}, {task.name}: its annotators disagree ({said[:200]}); say what counts with "
            "the option annotators: majority, any or all."
        )
    votes = Counter(choice for choices in task.choices for choice in choices)
    total = len(task.choices)
    if annotators == "majority":
        return {
            choice: UNKNOWN if 2 * count == total else int(2 * count > total)
            for choice, count in votes.items()
        }
    needed = total if annotators == "all" else 1
    return {choice: int(count >= needed) for choice, count in votes.items()}


def read_labelstudio(
    root: Path,
    *,
    images: Path | None = None,
    image: str | None = None,
    labels: str | None = None,
    annotators: Annotators = "agree",
    require_images: bool = True,
) -> dict[str, Records]:
    """Read the choices of an image classification that Label Studio exported.

    Images are looked up by their file name alone; no address is ever fetched. Classes are the
    choices that occur, in the order of the alphabet. Tasks that were skipped, or that nobody
    annotated, are left out.

    Args:
        root: the JSON file, of the export JSON or JSON_MIN.
        images: folder of the images; else that of the file.
        image: field of the tasks that refers to the image; needed where there are several.
        labels: name of the set of choices (``from_name``); needed where there are several.
        annotators: of several annotations of one task: they must agree; a label is present if
            more than half chose it (majority; unknown if exactly half did), or any, or all.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Returns:
        Records under "all".

    Raises:
        DataError: if the file is no such export, annotators disagree, or two tasks have one image.
    """
    if annotators not in _ANNOTATORS:
        raise DataError(f"annotators: {annotators!r}; {nearest(annotators, _ANNOTATORS)}")
    if os.path.isdir(root):
        raise DataError(f"{root}: a folder; expected a file: {_LAYOUT}.{other_readers(root)}")
    items: list[dict[str, Any]] = read_json(root, list[dict[str, Any]], expected=_LAYOUT)
    refuse_repeated_keys(root)
    refuse_deep(root, items)
    if any("data" in item for item in items):
        tasks, notes = _read_tasks(root, items, image, labels)
    else:
        tasks, notes = _read_rows(root, items, image, labels), ()
    kept = [task for task in tasks if task.choices]
    skipped = sum(task.cancelled > 0 for task in tasks if not task.choices)
    classes = tuple(sorted({name for task in kept for names in task.choices for name in names}))
    if not classes:
        raise DataError(f"{root}: no task has a choice; expected {_LAYOUT}.")
    check_class_names(classes, source=root)
    folder = root.parent if images is None else at_home(images)
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; expected the images of {root}.")
    names, shortened = _find_files(root, folder, kept)
    _refuse_repeated(root, kept, names)
    targets = empty_targets(len(kept), len(classes), source=root)
    columns = {name: column for column, name in enumerate(classes)}
    for row, task in enumerate(kept):
        for name, value in _judge(root, task, annotators).items():
            targets[row, columns[name]] = value
    several = sum(len(task.choices) > 1 for task in kept)
    counts = (
        (skipped, "tasks that were skipped left out"),
        (len(tasks) - len(kept) - skipped, "tasks without annotations left out"),
        (sum(not any(task.choices) for task in kept), "images without a choice kept"),
        (several, f"tasks with several annotations (option annotators: {annotators})"),
        (int((targets == UNKNOWN).sum()), "labels that half of the annotators chose are unknown"),
    )
    found, missing = find_images(folder, names, source=root, require_images=require_images)
    said = [f"{count} {what}" for count, what in counts if count]
    return {
        "all": Records(
            tuple(names),
            found,
            targets,
            classes,
            root=folder,
            notes=(*notes, *said, *shortened, *missing, *alike_notes(classes)),
        )
    }
