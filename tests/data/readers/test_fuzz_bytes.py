"""Annotation files with bytes changed are read, or refused in a sentence: nothing else happens."""

import contextlib
import json
import time
import zipfile

import pytest
from damaged_files import damaged, edits
from fakes import write_adp, write_chestxray14, write_coco, write_image, write_voc
from fuzzing import examples
from hypothesis import given, settings

from colabel.build.source import open_source
from colabel.data import Records
from colabel.errors import ColabelError
from colabel.settings.data import Data

pytestmark = pytest.mark.fuzz

TABLE = "path,labels,split\na.png,cat;dog,train\nb.png,dog,val\nc.png,,test\n"
WIDE = "path\tcat\tdog\na.png\t1\t0\nb.png\t0\t1\nc.png\t-1\t\n"
RECORDS = [
    {"path": "a.png", "labels": ["cat", "dog"], "n": 1.5},
    {"path": "b.png", "labels": ["dog"], "n": None},
    {"path": "c.png", "labels": [], "n": True},
]
CELLS = 'path,labels\na.png,"[\'cat\', \'dog\']"\nb.png,"[""dog""]"\nc.png,[]\n'
DEGREES = "path,labels\na.png,cat:0.5|dog:0.2\nb.png,dog:1\nc.png,owl:0.75\n"
LABELS = {"classes": ["cat", "dog"], "labels": {"a": [0, 1], "b": 1, "c": ["dog"]}}
SAMPLES = {
    "samples": [
        {"filepath": "data/a.png", "truth": {"_cls": "Classification", "label": "cat"}},
        {"filepath": "data/b.png", "tags": ["val"], "truth": {"_cls": "Classifications",
         "classifications": [{"label": "dog", "confidence": 0.5}]}},
    ]
}  # fmt: skip
TASKS = [
    {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [
        {"type": "choices", "from_name": "kind", "value": {"choices": ["cat"]}}]}]},
    {"id": 2, "data": {"image": "b.png"}, "annotations": [{"result": []}]},
]  # fmt: skip
MINIMAL = [{"image": "a.png", "id": 1, "kind": "cat", "annotator": 1}]
IMAGELABELS = "ImageID,Source,LabelName,Confidence\na,v,/m/1,1\nb,v,/m/2,0\n"


def table(name, text):
    def build(root):
        (root / name).write_text(text)
        return str(root / name), root / name

    return build


def voc(root):
    folder = write_voc(root)
    return f"voc2007:{folder.parent}", folder / "Annotations" / "000001.xml"


def voc_list(root):
    folder = write_voc(root)
    return f"voc2007:{folder.parent}", folder / "ImageSets" / "Main" / "train.txt"


def voc_export(root):
    folder = write_voc(root)
    return f"voc:{folder}", folder / "Annotations" / "000002.xml"


def coco(root):
    write_coco(root, 2017)
    return f"coco2017:{root}", root / "annotations" / "instances_train2017.json"


def coco_export(root):
    write_coco(root, 2017)
    return f"coco:{root}", root / "annotations" / "instances_val2017.json"


def fiftyone(name, content):
    def build(root):
        for image in "abc":
            write_image(root / "data" / f"{image}.png")
        (root / name).write_text(json.dumps(content))
        return f"fiftyone:{root}", root / name

    return build


def labelstudio(content):
    def build(root):
        (root / "export.json").write_text(json.dumps(content))
        return f"labelstudio:{root / 'export.json'}", root / "export.json"

    return build


def openimages(root):
    for name in "ab":
        write_image(root / "images" / f"{name}.jpg")
    (root / "class-descriptions.csv").write_text("/m/1,Owl\n/m/2,Moon\n")
    (root / "imagelabels.csv").write_text(IMAGELABELS)
    return f"openimages:{root}", root / "imagelabels.csv"


def openimages_names(root):
    return openimages(root)[0], root / "class-descriptions.csv"


def textfiles(root):
    (root / "a.txt").write_text("cat, dog\nowl\n")
    return f"textfiles:{root}", root / "a.txt"


def adp(root):
    write_adp(root)
    return f"adp:{root}", root / "ADP V1.0 Release" / "splits" / "train.npy"


def adp_table(root):
    write_adp(root)
    folder = root / "ADP V1.0 Release"
    return f"adp:{root}", folder / "ADP_EncodedLabels_Release1_Flat.csv"


def chest(layout, name):
    def build(root):
        write_chestxray14(root, layout=layout, patients=6)
        return f"chestxray14:{root}", root / name

    return build


def split_lists(root):
    (root / "labels.csv").write_text("path,labels\na.png,cat\nb.png,dog\nc.png,cat\n")
    (root / "splits").mkdir()
    for name, split in zip("abc", ("train", "val", "test"), strict=True):
        (root / "splits" / f"{split}.txt").write_text(f"{name}.png\n")
    return str(root / "labels.csv"), root / "splits" / "train.txt"


def opendocument(root):
    """Write a sheet of OpenDocument, unpacked: its bytes are damaged and packed again."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    rows = (("path", "cat"), ("a.png", "1"), ("b.png", "0"))
    body = "".join(
        f"<table:table-row>{''.join(map(cell.format, row))}</table:table-row>" for row in rows
    )
    namespace = "urn:oasis:names:tc:opendocument:xmlns"
    with zipfile.ZipFile(root / "labels.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{namespace}:office:1.0" '
            f'xmlns:table="{namespace}:table:1.0" xmlns:text="{namespace}:text:1.0">'
            f'<office:body><office:spreadsheet><table:table table:name="S">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return str(root / "labels.ods"), root / "labels.ods"


SOURCES = {
    "csv": table("labels.csv", TABLE),
    "tsv": table("labels.tsv", WIDE),
    "cells": table("labels.csv", CELLS),
    "degrees": table("labels.csv", DEGREES),
    "json": table("labels.json", json.dumps(RECORDS)),
    "jsonl": table("labels.jsonl", "\n".join(map(json.dumps, RECORDS))),
    "ods": opendocument,
    "splits": split_lists,
    "voc": voc,
    "voc list": voc_list,
    "voc export": voc_export,
    "coco": coco,
    "coco export": coco_export,
    "fiftyone labels": fiftyone("labels.json", LABELS),
    "fiftyone samples": fiftyone("samples.json", SAMPLES),
    "labelstudio": labelstudio(TASKS),
    "labelstudio minimal": labelstudio(MINIMAL),
    "openimages": openimages,
    "openimages names": openimages_names,
    "textfiles": textfiles,
    "adp": adp,
    "adp table": adp_table,
    "chest list": chest("nih", "train_val_list.txt"),
    "chest table": chest("nih", "Data_Entry_2017_v2020.csv"),
    "chest flags": chest("chexnet", "train_list.txt"),
}
OPTIONS = {"degrees": {"minimum_confidence": "0.3"}}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    """Return a source that can be read, its file that is damaged, and what that holds."""
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    name, path = SOURCES[request.param](tmp_path)
    data = Data(source=name, options=OPTIONS.get(request.param, {}))
    assert open_source(data)
    return data, path, path.read_bytes()


def test_a_damaged_file_is_read_or_refused(source):
    data, path, content = source

    @settings(max_examples=examples(40))
    @given(changes=edits)
    def attempt(changes):
        path.write_bytes(damaged(content, changes))
        start = time.monotonic()
        with contextlib.suppress(ColabelError):
            opened = open_source(data)
            assert all(isinstance(records, Records) for records in opened.values())
            for records in opened.values():
                records.fingerprint()
                json.dumps([*records.classes, *records.notes], ensure_ascii=False).encode()
        assert time.monotonic() - start < 10

    attempt()
