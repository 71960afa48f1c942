"""Damaged Parquet files and workbooks are read, or refused in a sentence."""

import contextlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from damaged_files import damaged, edits
from fuzzing import examples
from hypothesis import given, settings

from colabel.data.readers.rows import read_rows
from colabel.errors import ColabelError

pytestmark = pytest.mark.fuzz

ATTEMPTS = Path(__file__).parents[2] / "support" / "parquet_attempts.py"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
CELL = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'
SHEET = {
    "xl/worksheets/s.xml": (
        f'<worksheet xmlns="{MAIN}"><sheetData><row r="1">{CELL.format("A1", "path")}'
        f'{CELL.format("B1", "cat")}</row><row r="2">{CELL.format("A2", "a.jpg")}'
        '<c r="B2"><v>1</v></c></row></sheetData></worksheet>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/worksheet" Target="worksheets/s.xml"/></Relationships>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
}


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_parquet(tmp_path, seed):
    pytest.importorskip("pyarrow")
    times = examples(200)
    done = subprocess.run(
        [sys.executable, ATTEMPTS, tmp_path, str(seed), str(times)],
        capture_output=True, text=True, timeout=60 + times, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = map(int, done.stdout.split())
    assert read
    assert refused
    assert read + refused == times


def pack(path, parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("part", [*list(SHEET)[:3], None])
def test_damaged_workbooks(tmp_path, part):
    pytest.importorskip("python_calamine")
    path = pack(tmp_path / "x.xlsx", SHEET)
    content = path.read_bytes()
    assert read_rows(path).columns == {"path": ["a.jpg"], "cat": ["1"]}

    @settings(max_examples=examples(60))
    @given(changes=edits)
    def attempt(changes):
        if part is None:
            path.write_bytes(damaged(content, changes))
        else:
            pack(path, {**SHEET, part: damaged(SHEET[part].encode(), changes)})
        with contextlib.suppress(ColabelError):
            read_rows(path)

    attempt()
