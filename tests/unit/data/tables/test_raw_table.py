"""Reading tables as hospitals write them."""

import gzip
import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.tables.raw_table import parse_parquet, parse_table
from chex_jobs.data.tables.table_format import TableFormat
from tests.unit.data.workbook import workbook, workbook_of_xml


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("content", [b"a,b\r\n1,x\r\n", b"\xef\xbb\xbfa,b\n1,x\n", b'"a","b"\n\n"1","x"\n'])
def test_csv_is_read_with_or_without_mark_quotes_and_carriage_returns(content: bytes):
    table = parse_table("t.csv", content)
    assert (table.num_rows, table.columns) == (1, {"a": ["1"], "b": ["x"]})


def test_a_quoted_cell_may_hold_commas_and_line_ends():
    assert parse_table("t.csv", b'a,b\n1,"x, y\nz"\n').column("b") == ["x, y\nz"]


def test_a_gzipped_csv_is_unpacked():
    assert parse_table("t.csv.gz", gzip.compress(b"a\n1\n")).column("a") == ["1"]


def test_a_hospital_export_in_windows_1252_keeps_its_umlauts():
    assert parse_table("t.csv", "befund\nlungenödem\n".encode("cp1252")).column("befund") == ["lungenödem"]


def test_parquet_cells_become_text_and_missing_ones_blank():
    table = parse_table("t.parquet", parquet(n=[1, None], f=[1.0, None], s=["a", None]))
    assert table.columns == {"n": ["1", ""], "f": ["1.0", ""], "s": ["a", ""]}


def test_a_missing_column_is_an_error_that_names_the_nearest_one_and_the_file():
    table = parse_table("data.csv", b"patient_id,image_id\n1,2\n")
    with pytest.raises(
        ColumnError, match=r"source.x: data.csv has no column 'patientId'; the nearest is 'patient_id'"
    ):
        table.column("patientId", "source.x")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("t.csv", b"", "empty: not even a header"),
        ("t.csv", b"a,b\n1,2\n3\n", "row 2 after the header: 1 cells under 2 columns"),
        ("t.csv", b"a,a\n1,2\n", "two columns named 'a'"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        ("t.csv.gz", b"not gzip", "cannot be unpacked"),
        ("t.parquet", b"PAR1 but no more", "not a readable Parquet file"),
    ],
)
def test_what_is_no_table_is_an_error_that_names_the_file(file: str, content: bytes, message: str):
    with pytest.raises(SourceError, match=f"{file}.*{message}"):
        parse_table(file, content)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_by_the_header(separator: str):
    table = parse_table("t.csv", f"a{separator}b\n1{separator}x\n".encode())
    assert table.columns == {"a": ["1"], "b": ["x"]}


def test_of_two_separators_in_a_header_the_one_that_parts_every_row_alike_is_taken():
    table = parse_table("t.csv", b"id;name, first\n1;Doe\n2;Roe\n")
    assert table.columns == {"id": ["1", "2"], "name, first": ["Doe", "Roe"]}


def test_a_header_that_two_separators_part_alike_is_refused_until_the_manifest_says_which():
    content = b"a;b,c\n1;2,3\n"
    with pytest.raises(SourceError, match=r"comma and semicolon, each .* source\.table\.separator"):
        parse_table("t.csv", content)
    assert parse_table("t.csv", content, TableFormat(separator=";")).columns == {"a": ["1"], "b,c": ["2,3"]}


@pytest.mark.parametrize("line", ["sep=;\r\n", "SEP=;\n", '"sep=;"\n', "\ufeffsep=;\r\n"])
def test_a_line_that_names_the_separator_is_heard_and_is_no_header(line: str):
    assert parse_table("t.csv", f"{line}a;b\r\n1,5;2\r\n".encode()).columns == {"a": ["1,5"], "b": ["2"]}


def test_columns_and_rows_that_hold_nothing_are_dropped_and_rows_keep_their_numbers():
    table = parse_table("t.csv", b"a;b;;\n1;2;;\n;;;\n3;4;;;;\n\n")
    assert table.columns == {"a": ["1", "3"], "b": ["2", "4"]}
    assert [table.number(row) for row in range(table.num_rows)] == [1, 3]


def test_a_column_without_a_name_that_holds_cells_is_an_error():
    with pytest.raises(
        SourceError, match="column 2 has no name, yet row 1 after the header has a cell there"
    ):
        parse_table("t.csv", b"a,,b\n1,2,3\n")


def test_the_index_that_pandas_writes_is_no_column():
    table = parse_table("t.csv", b",a,b\n0,x,1\n7,y,2\n")
    assert table.columns == {"a": ["x", "y"], "b": ["1", "2"]}
    with pytest.raises(SourceError, match="column 1 has no name"):
        parse_table("t.csv", b",a,b\nfilm,x,1\n")


@pytest.mark.parametrize(
    "rows",
    [
        '1,"never closed\n2,x\n3,y\n',
        '1,"closed by the next\n2,"x"\n3,y\n',
        '1,"with \\"others\\" within"\n2,x\n3,y\n',
    ],
)
@pytest.mark.parametrize("header", ["film,report\n", "film,report; second\n"])
def test_a_quote_never_swallows_the_rows_after_it(header: str, rows: str):
    with pytest.raises(SourceError, match=r"t\.csv, the row that begins in line 2 of the table: .* quote"):
        parse_table("t.csv", (header + rows).encode())


def test_a_quote_within_a_cell_is_a_letter_of_it_and_blanks_before_a_quote_are_none():
    table = parse_table("t.csv", b'film, report\n1, 5 " tube\n2, "x, ""y"""\n')
    assert table.column("report") == ['5 " tube', 'x, "y"']


def test_a_name_of_a_column_may_hold_a_line_end():
    table = parse_table("t.csv", b'"patient\r\nid";film\r\n1;a\r\n')
    assert table.columns == {"patient\r\nid": ["1"], "film": ["a"]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_table_is_read_in_every_form_of_unicode(encoding: str):
    assert parse_table("t.csv", "befund\nlungenödem\n".encode(encoding)).columns == {"befund": ["lungenödem"]}


def test_one_wrong_byte_in_a_file_of_utf8_is_an_error_with_its_row_and_never_another_encoding():
    content = "befund\nlungenödem\nerguss\n".encode() + b"m\xfcde\n"
    with pytest.raises(SourceError, match=r"row 3 after the header: byte 0xfc is no character of UTF8"):
        parse_table("t.csv", content)


def test_an_encoding_that_the_manifest_says_is_the_one_that_counts():
    content = "name\nMüller Ã¼\n".encode("cp1252")
    assert parse_table("t.csv", content, TableFormat(encoding="Windows1252")).column("name") == ["Müller Ã¼"]


def test_a_gzip_of_several_members_is_unpacked_whole_and_one_that_is_cut_off_is_an_error():
    content = gzip.compress(b"a\n1\n") + gzip.compress(b"2\n")
    assert parse_table("t.csv.gz", content).column("a") == ["1", "2"]
    with pytest.raises(SourceError, match="ends before its content does"):
        parse_table("t.csv.gz", gzip.compress(b"a\n1\n")[:-9])


def test_what_unpacks_to_more_than_a_table_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chex_jobs.data.tables.raw_table.MAX_TABLE_BYTES", 1 << 16)
    with pytest.raises(SourceError, match="unpacks to more than 65536 bytes"):
        parse_table("t.csv.gz", gzip.compress(bytes(1 << 20)))


def test_a_typed_list_of_parquet_is_a_list_without_being_said():
    table = parse_table("t.parquet", parquet(findings=[["a", "b"], [], None]))
    column_format = table.formats["findings"]
    assert [column_format.values(cell) for cell in table.column("findings")] == [["a", "b"], [], []]


@pytest.mark.parametrize("mark", ["Point", "Comma"])
def test_numbers_of_parquet_are_written_as_they_are_meant_whatever_their_type(mark: Any):
    columns = {
        "short": pa.array([7.3, None, float("nan")], pa.float32()),
        "half": pa.array([np.float16(7.3), None, np.float16("nan")], pa.float16()),
        "long": pa.array([7.3, None, float("nan")], pa.float64()),
        "exact": pa.array([Decimal("7.3"), None, None], pa.decimal128(4, 1)),
        "category": pa.array([7.3, None, None], pa.float32()).dictionary_encode(),
    }
    table = parse_table("t.parquet", parquet(**columns), TableFormat(decimal_mark=mark))
    written = "7.3" if mark == "Point" else "7,3"
    assert table.columns == {name: [written, "", ""] for name in columns}


def test_times_of_parquet_beyond_the_years_of_python_are_no_reason_to_fail():
    table = parse_table("t.parquet", parquet(a=pa.array([1 << 60, None], pa.timestamp("us")), b=["x", "y"]))
    assert table.column("a")[1] == ""


def test_categories_and_texts_of_one_column_are_one_and_folders_are_read_as_engines_write_them():
    parts = {
        "d.parquet/site=K%C3%B6ln/1.parquet": parquet(a=pa.array(["x"]).dictionary_encode()),
        "d.parquet/site=__HIVE_DEFAULT_PARTITION__/1.parquet": parquet(a=["y"]),
    }
    table = parse_parquet("d.parquet", parts)
    assert table.columns == {"a": ["x", "y"], "site": ["K\u00f6ln", ""]}


def test_a_name_of_a_parquet_column_is_the_same_in_every_unicode_form():
    assert parse_table("t.parquet", parquet(**{"U\u0308bersicht ": ["x"]})).column("\u00dcbersicht") == ["x"]


def test_parquet_files_of_one_folder_are_one_table_and_folders_name_columns():
    parts = {
        "t.parquet/sex=F/b.parquet": parquet(n=[2]),
        "t.parquet/sex=F/a.parquet": parquet(n=[1]),
        "t.parquet/sex=M/a.parquet": parquet(n=[3]),
    }
    assert parse_parquet("t.parquet", parts).columns == {"n": ["1", "2", "3"], "sex": ["F", "F", "M"]}


def test_parquet_files_whose_columns_do_not_fit_together_are_an_error():
    with pytest.raises(SourceError, match=r"t\.parquet"):
        parse_parquet(
            "t.parquet", {"t.parquet/a.parquet": parquet(n=[1]), "t.parquet/b.parquet": parquet(n=["x"])}
        )


def test_numbers_of_a_workbook_are_written_whole_where_they_are_and_with_the_tables_mark():
    content = workbook({"Sheet1": [["id", "ph", "name"], [100, 7.5, "a"], [101, None, "b"]]})
    table = parse_table("t.xlsx", content, TableFormat(decimal_mark="Comma"))
    assert table.columns == {"id": ["100", "101"], "ph": ["7,5", ""], "name": ["a", "b"]}


def test_merged_cells_of_a_workbook_hold_their_value_each():
    rows = [
        ["patient", "film", "effusion", "mass"],
        ["p1", "a", "yes", None],
        [None, "b", None, None],
        ["p2", "c", "no", None],
    ]
    merged = ["A2:A3", "C2:D3", "C4:D900000", "A1:A1", "H2:K9", "A7:B9"]
    table = parse_table("t.xlsx", workbook({"Films": rows}, merged))
    assert table.columns == {
        "patient": ["p1", "p1", "p2"],
        "film": ["a", "b", "c"],
        "effusion": ["yes", "yes", "no"],
        "mass": ["yes", "yes", "no"],
    }


def test_of_several_sheets_the_manifest_says_which():
    content = workbook({"Films": [["a"], ["1"]], "Codes": [["b"], ["2"]], "Empty": []})
    with pytest.raises(
        SourceError, match=r"2 sheets that hold cells \('Films', 'Codes'\); say source\.table\.sheet"
    ):
        parse_table("t.xlsx", content)
    assert parse_table("t.xlsx", content, TableFormat(sheet="Codes")).columns == {"b": ["2"]}
    with pytest.raises(SourceError, match="has no sheet 'Film'; the nearest is 'Films'"):
        parse_table("t.xlsx", content, TableFormat(sheet="Film"))


def test_a_workbook_that_unpacks_to_more_than_it_may_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chex_jobs.data.tables.workbooks.MAX_UNPACKED_BYTES", 1 << 16)
    with pytest.raises(SourceError, match="unpacks to more than a workbook may"):
        parse_table("t.xlsx", workbook({"S": [["a"], ["x" * (1 << 20)]]}))


def test_a_workbook_with_a_cell_in_the_last_corner_is_refused_before_anything_is_laid_out():
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    content = workbook_of_xml(
        {
            "S": f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
        }
    )
    with pytest.raises(SourceError, match="1048576 rows and 16384 columns is more than can be read"):
        parse_table("t.xlsx", content)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"no zip"])
def test_what_is_no_workbook_is_an_error(content: bytes):
    with pytest.raises(SourceError, match=r"t\.xlsx is not a readable Excel workbook"):
        parse_table("t.xlsx", content)
