"""Reading tables as hospitals write them."""

import gzip
import io

import pyarrow as pa
import pyarrow.parquet
import pytest

from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.tables import parse_table


def parquet(**columns: list[object]) -> bytes:
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
