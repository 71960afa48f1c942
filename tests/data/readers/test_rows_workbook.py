import datetime
import sys
import zipfile

import pytest

from colabel.data.readers.rows import RowOptions, read_rows
from colabel.errors import DataError, MissingExtraError

_TYPES = """<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/></Types>"""
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def cell(value, column, row):
    """Return the XML of one cell, as Excel writes it."""
    name = f"{'ABCDEFG'[column]}{row}"
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith("<"):
        return value.replace("<c", f'<c r="{name}"', 1)
    if isinstance(value, bool):
        return f'<c r="{name}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime.datetime):
        days = (value - datetime.datetime(1899, 12, 30)) / datetime.timedelta(days=1)
        return f'<c r="{name}" s="1"><v>{days!r}</v></c>'
    if isinstance(value, str):
        return f'<c r="{name}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{name}"><v>{value}</v></c>'


def workbook(path, **sheets):
    """Write a workbook of these sheets, each a list of rows."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r" Type="{_OFFICE}/'
            'officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        entries = "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in enumerate(sheets, start=1)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{entries}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        links += f'<Relationship Id="s" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}">{links}</Relationships>',
        )
        archive.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
            "</styleSheet>",
        )
        for n, rows in enumerate(sheets.values(), start=1):
            body = "".join(
                f'<row r="{r}">{"".join(cell(v, c, r) for c, v in enumerate(row))}</row>'
                for r, row in enumerate(rows, start=1)
            )
            archive.writestr(
                f"xl/worksheets/s{n}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return path


@pytest.fixture
def book(tmp_path):
    pytest.importorskip("python_calamine")
    return lambda name="t.xlsx", **sheets: workbook(tmp_path / name, **sheets)


def test_cells_are_text_as_in_a_csv_file(book):
    rows = read_rows(
        book(
            S=[
                ["path", "cat", "share", "seen", "when"],
                [" a.jpg ", 1.0, 0.5, True, datetime.datetime(2024, 1, 2)],
                [],
                ["b.jpg", 0, 12345678901, False, datetime.datetime(2024, 1, 2, 12)],
                ["c.jpg"],
            ]
        )
    )
    assert rows.columns == {
        "path": ["a.jpg", "b.jpg", "c.jpg"],
        "cat": ["1", "0", ""],
        "share": ["0.5", "12345678901", ""],
        "seen": ["1", "0", ""],
        "when": ["2024-01-02", "2024-01-02 12:00:00", ""],
    }
    assert [rows.where(row)[-5:] for row in range(3)] == ["row 2", "row 4", "row 5"]
    assert rows.notes == ()


def test_titles_and_headers_are_found_as_in_text(book):
    rows = read_rows(book(S=[["Cats of today"], [], ["path", "cat", "dog"], ["a.jpg", 1, 0]]))
    assert rows.columns == {"path": ["a.jpg"], "cat": ["1"], "dog": ["0"]}
    assert rows.notes == ("left out above the header: Cats of today",)
    with pytest.raises(DataError, match=r"row 1: 'a.jpg, 1' looks like the first image"):
        read_rows(book(S=[["a.jpg", 1], ["b.jpg", 0]]))
    with pytest.raises(DataError, match=r"column 3 without a name, .*merged cells"):
        read_rows(book(S=[["path", "cat"], ["a.jpg", 1, 7]]))


def test_one_of_several_sheets(book):
    first, second = [["path", "cat"], ["a.jpg", 1]], [["path", "cat"], ["b.jpg", 0]]
    assert read_rows(book(S=[], T=first)).notes == ("the sheet 'T' of 2",)
    path = book(S=first, T=second)
    with pytest.raises(DataError, match=r"2 sheets hold something: S, T; .* option sheet"):
        read_rows(path)
    assert read_rows(path, RowOptions(sheet="T")).columns["path"] == ["b.jpg"]
    with pytest.raises(DataError, match="no sheet 'U'; expected one of: S, T"):
        read_rows(path, RowOptions(sheet="U"))
    with pytest.raises(DataError, match="no sheet holds anything"):
        read_rows(book(S=[]))


def test_errors_and_formulas(book):
    rows = [["path", "cat"], ["a.jpg", '<c t="e"><f>1/0</f><v>#DIV/0!</v></c>'], ["b.jpg", 1]]
    read = read_rows(book(S=rows))
    assert read.columns["cat"] == ["", "1"]
    assert read.notes == ("1 cells of the workbook hold an error such as #N/A, read as blank",)
    rows[1][1] = "<c><f>1+0</f><v>1</v></c>"
    assert read_rows(book(S=rows)).columns["cat"] == ["1", "1"]
    rows[1][1] = "<c><f>1+0</f></c>"
    with pytest.raises(DataError, match="formulas without results"):
        read_rows(book(S=rows))


def test_damaged_large_and_protected_workbooks(book, tmp_path, monkeypatch):
    path = book(S=[["path"], ["a.jpg"]])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off or damaged"):
        read_rows(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000))
    with pytest.raises(DataError, match="not a readable workbook"):
        read_rows(path)
    path.write_bytes(path.read_bytes() + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(DataError, match="protected by a password"):
        read_rows(path)
    monkeypatch.setattr("colabel.data.readers.rows.workbook_claims.MAX_WORKBOOK_BYTES", 100)
    with pytest.raises(DataError, match="more than the limit of 100"):
        read_rows(book(S=[["path"], ["a.jpg"]]))


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    path = workbook(tmp_path / "t.xlsx", S=[["path"], ["a.jpg"]])
    with pytest.raises(MissingExtraError, match=r"pip install 'colabel\[formats\]'"):
        read_rows(path)


def sheet_of(path, body):
    """Write a workbook whose sheet has this XML in place of rows."""
    workbook(path, S=[["path", "cat"], ["a.jpg", 1]])
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    parts["xl/worksheets/s1.xml"] = parts["xl/worksheets/s1.xml"].replace(
        b"</sheetData>", body.encode() + b"</sheetData>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


FAR = 't="inlineStr"><is><t>x</t></is></c>'


@pytest.mark.parametrize(
    "body",
    [
        f'<row r="1048576"><c r="XFD1048576" {FAR}</row>',
        f"<row r='1048576'><c a='>' r='XFD1048576' {FAR}</row>",
        f'<row r="1048576"><c r="xfd1048576" {FAR}</row>',
        f'<row r="999999"><x:c r="AAA999999" {FAR.replace("</c>", "</x:c>")}</row>',
        f'<row r="40000">{f"<c {FAR}" * 20_000}</row>',
    ],
)
def test_a_cell_far_off_is_refused_before_room_is_made_for_all(tmp_path, body):
    with pytest.raises(DataError, match=r"a sheet of [\d,]+ rows and [\d,]+ columns up to its la"):
        read_rows(sheet_of(tmp_path / "x.xlsx", body))


def test_cells_that_only_have_a_colour_do_not_count(tmp_path):
    body = '<row r="1048576"><c r="XFD1048576" s="1"/><c r="A1048576"/></row>'
    assert len(read_rows(sheet_of(tmp_path / "x.xlsx", body))) == 1


def opendocument(path, body):
    namespace = "urn:oasis:names:tc:opendocument:xmlns"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{namespace}:office:1.0" '
            f'xmlns:table="{namespace}:table:1.0" xmlns:text="{namespace}:text:1.0">'
            f'<office:body><office:spreadsheet><table:table table:name="S">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return path


def ods_row(*cells, repeated=1, columns=1):
    inside = "".join(
        f'<table:table-cell table:number-columns-repeated="{columns}" '
        f'office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
        for cell in cells
    )
    return f'<table:table-row table:number-rows-repeated="{repeated}">{inside}</table:table-row>'


def test_repeated_cells_of_opendocument(tmp_path):
    blank = '<table:table-cell table:number-columns-repeated="16384"/>'
    rest = f'<table:table-row table:number-rows-repeated="1048570">{blank}</table:table-row>'
    table = ods_row("path", "cat") + ods_row("a.jpg", "1") + ods_row("b.jpg", "0")
    rows = read_rows(opendocument(tmp_path / "x.ods", table + rest))
    assert rows.columns == {"path": ["a.jpg", "b.jpg"], "cat": ["1", "0"]}
    for more in (
        ods_row("x", repeated=1_000_000, columns=16_384),
        rest + ods_row("x", columns=99),
    ):
        with pytest.raises(DataError, match=r"a sheet of 1,0[\d,]+ rows and [\d,]+ columns"):
            read_rows(opendocument(tmp_path / "x.ods", table + more))


def test_an_entry_larger_than_it_says_is_refused(tmp_path):
    path = tmp_path / "x.xlsx"
    workbook(path, S=[["path", "cat"], ["a.jpg", "x" * 10_000]])
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("xl/worksheets/s1.xml")
    size = entry.file_size.to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (300).to_bytes(4, "little")))
    with pytest.raises(DataError, match="does not have the size that it claims"):
        read_rows(path)


def test_binary_workbooks_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.xlsb", "w") as archive:
        archive.writestr("xl/workbook.bin", b"\0")
    with pytest.raises(DataError, match=r"a binary workbook \(\.xlsb\); save it as \.xlsx or CSV"):
        read_rows(tmp_path / "x.xlsb")
