from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.model import to_texts
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.exceptions import AworkConfigError, AworkMissingExtraError
from airflow_provider_awork.files import encoders, formats
from airflow_provider_awork.files.formats import COMPRESSIONS, check_format
from airflow_provider_awork.files.writers import Part, PartWriter, open_parts
from tests.helpers.entries import Entry, make_entries, page, raw, raw_entries, split

REPOSITORY = Path(__file__).parents[2]
ALL_FORMATS = [(kind.value, how.value) for kind, compressions in COMPRESSIONS.items() for how in compressions]
every_format = pytest.mark.parametrize(("file_format", "compression"), ALL_FORMATS)

NASTY: list[Entry] = [
    {"id": "unknown", "new": {"a": [1, None]}, "task": {"lists": [{"id": 1}]}},
    {"id": "missing"},
    {"id": "nulls", "note": None, "task": None, "user": {"firstName": None}},
    {"id": "changed", "duration": "3600", "user": "Zoë", "isBilled": 1, "project": {"company": []}},
    {"id": "long", "note": "ä" * 500_000},
    *(
        {"id": "text", "note": text, "user": {"firstName": text}}
        for text in ("🎉", "\x00", "a\r\nb", "\n", "\r", '"', "")
    ),
    *(
        {"id": "text", "note": text}
        for text in ("</script>", "=1+1", "+1", "-1", "@a", "\ta", "a,b", " a ", ";", "'", "\\")
    ),
    {"id": "bits", "resourceVersion": 2**63 - 1, "duration": -(2**63)},
    {"id": "more bits", "resourceVersion": 2**63},
    {"id": "times", "startDateUtc": "2025-03-30T00:00:00Z", "startTimeUtc": "01:00:00.1234567", "createdOn": "x"},
]


def write(folder: Path, batches: Sequence[Sequence[msgspec.Raw]], **options: Any) -> list[Part]:
    folder.mkdir(exist_ok=True)
    with open_parts(folder, **options) as writer:
        return [part for batch in batches for part in writer.write(batch)] + writer.close()


def content(part: Part) -> bytes:
    data = part.path.read_bytes()
    if part.suffix.endswith(".gz"):
        return gzip.decompress(data)
    if part.suffix.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def lines(part: Part) -> list[bytes]:
    *rows, end = content(part).split(b"\n")
    assert end == b""
    return rows


def csv_rows(part: Part) -> list[dict[str, str]]:
    csv.field_size_limit(10_000_000)
    return list(csv.DictReader(io.StringIO(content(part).decode(), newline="")))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- formats


@pytest.mark.parametrize(
    ("file_format", "compression", "suffix"),
    [
        ("ndjson", None, ".ndjson.gz"),
        ("ndjson", "zstd", ".ndjson.zst"),
        ("ndjson", "none", ".ndjson"),
        ("csv", None, ".csv.gz"),
        ("csv", "zstd", ".csv.zst"),
        ("csv", "none", ".csv"),
        ("parquet", None, ".parquet"),
        ("parquet", "snappy", ".parquet"),
        ("parquet", "none", ".parquet"),
    ],
)
def test_suffixes_and_defaults(file_format: str, compression: str | None, suffix: str) -> None:
    assert check_format(file_format, compression).suffix == suffix


def test_a_checked_format_unpacks_to_plain_texts() -> None:
    file_format, compression = check_format("parquet")
    assert json.dumps([file_format, compression]) == '["parquet", "zstd"]'


@pytest.mark.parametrize(
    ("file_format", "compression", "message"),
    [
        ("json", None, "file_format: 'json' is not one of ndjson, csv, parquet"),
        ("NDJSON", None, "file_format: 'NDJSON' is not one of"),
        ("ndjson", "snappy", "compression: 'snappy' is not one of gzip, zstd, none for ndjson files"),
        ("parquet", "gzip", "compression: 'gzip' is not one of zstd, snappy, none for parquet files"),
        ("csv", "", "compression: '' is not one of gzip, zstd, none for csv files"),
    ],
)
def test_a_format_that_does_not_exist(file_format: str, compression: str | None, message: str) -> None:
    with pytest.raises(AworkConfigError, match=f"^{re.escape(message)}"):
        check_format(file_format, compression)


@pytest.mark.parametrize(
    ("file_format", "compression", "module", "extra"),
    [("parquet", "snappy", "pyarrow", "parquet"), ("csv", "zstd", "zstandard", "zstd")],
)
def test_a_missing_extra_is_named(
    file_format: str, compression: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", {module: None}.__getitem__)
    with pytest.raises(AworkMissingExtraError, match=rf"pip install 'airflow-provider-awork\[{extra}\]'"):
        check_format(file_format, compression)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file_format": "csv", "max_rows_per_file": 0}, "max_rows_per_file: 0 is not a positive whole number"),
        ({"file_format": "csv", "max_rows_per_file": 1.5}, "max_rows_per_file: 1.5 is not a positive whole number"),
        ({"file_format": "csv", "max_rows_per_file": True}, "max_rows_per_file: True is not a positive whole number"),
        ({"file_format": "ndjson", "csv_formula_guard": True}, "csv_formula_guard: only for csv files"),
        ({"file_format": "parquet", "csv_bom": True}, "csv_bom: only for csv files, and file_format is parquet"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(AworkConfigError, match=f"^{re.escape(message)}"):
        open_parts(tmp_path, **options)


def test_imports_load_no_optional_library() -> None:
    code = """
        import sys, tempfile, pathlib, msgspec
        import airflow_provider_awork.exceptions  # with what Airflow itself loads
        before = set(sys.modules)
        from airflow_provider_awork.columns import time_entry
        from airflow_provider_awork.files import formats, writers
        from airflow_provider_awork.windows import window
        formats.check_format("parquet"), formats.check_format("csv", "zstd")
        with writers.open_parts(pathlib.Path(tempfile.mkdtemp()), file_format="csv") as writer:
            writer.write([msgspec.Raw(b"{}")])
            assert writer.close()[0].rows == 1
        print({"pyarrow", "zstandard", "numpy", "pandas", "requests"} & (set(sys.modules) - before))
        print("pyarrow" in sys.modules)
    """
    assert run_python(code).stdout == "set()\nFalse\n"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


# --- what is in the files


@every_format
def test_parts_describe_their_files(file_format: str, compression: str, tmp_path: Path) -> None:
    parts = write(
        tmp_path, [raw_entries(1500)], file_format=file_format, compression=compression, max_rows_per_file=600
    )
    assert [(part.index, part.rows) for part in parts] == [(0, 600), (1, 600), (2, 300)]
    assert names_in(tmp_path) == {f"part-0000{index}{part.suffix}" for index, part in enumerate(parts)}
    for part in parts:
        data = part.path.read_bytes()
        assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@every_format
def test_files_do_not_depend_on_how_batches_were_cut(file_format: str, compression: str, tmp_path: Path) -> None:
    entries = raw_entries(1300)
    cuts = {
        "one": [entries],
        "rows": [[entry] for entry in entries],
        "odd": [entries[:7], entries[7:1000], entries[1000:]],
    }
    for max_rows in (None, 650):
        files = {
            name: [
                part.path.read_bytes()
                for part in write(
                    tmp_path / f"{name}{max_rows}",
                    batches,
                    file_format=file_format,
                    compression=compression,
                    max_rows_per_file=max_rows,
                )
            ]
            for name, batches in cuts.items()
        }
        assert files["one"] == files["rows"] == files["odd"]
        assert len(files["one"]) == (1 if max_rows is None else 2)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_ndjson_is_byte_for_byte(compression: str, tmp_path: Path) -> None:
    entries = [*raw_entries(700), *split(page(NASTY)), msgspec.Raw(b'{ "b": 1.10, "a":\t1e400, "b":"\\u00e9\\/"}')]
    (part,) = write(tmp_path, [entries], file_format="ndjson", compression=compression)
    assert lines(part) == [bytes(entry) for entry in entries]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    entries=st.lists(st.dictionaries(st.text(), JSON_VALUES), min_size=1, max_size=4),
    ascii_only=st.booleans(),
    line_break=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_pretty_printed_entries_are_compacted_exactly(
    entries: list[Entry], ascii_only: bool, line_break: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers, key order and escapes stay: the result is what the same encoder writes without blanks."""
    entries = [entry for entry in entries if is_json(json.dumps(entry, ensure_ascii=ascii_only))]
    body = json.dumps(entries, ensure_ascii=ascii_only, indent=2).replace("\n", line_break)
    parts = write(tmp_path_factory.mktemp("ndjson"), [split(body.encode())], file_format="ndjson", compression="none")
    compact = [json.dumps(entry, ensure_ascii=ascii_only, separators=(",", ":")).encode() for entry in entries]
    assert [line for part in parts for line in lines(part)] == compact


def is_json(text: str) -> bool:
    """Python also writes NaN and lone surrogates, which JSON does not have."""
    try:
        msgspec.json.decode(text.encode(), type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True


def test_only_entries_with_line_breaks_are_compacted(tmp_path: Path) -> None:
    (part,) = write(tmp_path, [split(b'[{"a": 1.0},\n{"b":\n 2.50}]')], file_format="ndjson", compression="none")
    assert lines(part) == [b'{"a": 1.0}', b'{"b":2.50}']


def test_entries_with_halves_of_surrogate_pairs_are_one_line_each(tmp_path: Path) -> None:
    entry = b'{\r\n  "note": "cut \\ud83d \\n",\n  "x": 1.50\n}'
    (part,) = write(tmp_path, [[entry, b"{}"]], file_format="ndjson", compression="none")
    assert lines(part) == [b'{  "note": "cut \\ud83d \\n",  "x": 1.50}', b"{}"]


def test_csv_reads_back_equal(tmp_path: Path) -> None:
    entries = [*raw_entries(600), *split(page(NASTY))]
    (part,) = write(tmp_path, [entries], file_format="csv")
    decoded = RowDecoder(TIME_ENTRY, Leftovers()).decode(entries)
    texts = {column.name: to_texts(column, decoded[column.name]) for column in TIME_ENTRY.columns}
    rows = csv_rows(part)
    assert len(rows) == len(entries)
    for name, values in texts.items():
        assert [row[name] for row in rows] == [value or "" for value in values]
    assert content(part).startswith(f"{','.join(column.name for column in TIME_ENTRY.columns)}\r\n".encode())


@given(
    st.lists(st.text(st.sampled_from("\",\r\n \x00\\'aé🎉=") | st.characters(exclude_categories=["Cs"])), min_size=1)
)
def test_csv_cells_are_what_the_csv_module_reads(texts: list[str]) -> None:
    line = ",".join(encoders.csv_cells(texts)) + "\r\n"
    assert next(csv.reader(io.StringIO(line, newline=""))) == texts


def test_csv_tells_null_from_an_empty_text(tmp_path: Path) -> None:
    (part,) = write(tmp_path, [split(b'[{"id":"a","note":""},{"id":"b"}]')], file_format="csv", compression="none")
    _, empty, null, _ = content(part).split(b"\r\n")
    assert empty.startswith(b'a,,,,,"",,')
    assert null.startswith(b"b,,,,,,,")


def test_csv_formula_guard(tmp_path: Path) -> None:
    formulas = ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\na", " =1+1", "\n=1+1", " \u3000\xa0\u2003\u2028=1", "\x00=1"]
    formulas += [f"{sign}1" for sign in "\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"]
    formulas += [f"{hidden}=1" for hidden in "\ufeff\u200b\u200d\u2060\xad\u202e\u2066\u2800\ufe0f\U000e0020"]
    harmless = ["a=1", "1+1", "Zoë =1", " a", "\u4e00=1", "\u200ba=1", "(=1)", '"=1"']
    notes = [*formulas, *harmless, "", None]
    entries = split(page([{"note": note, "duration": -5, "breaks": [-1]} for note in notes]))
    for guard, prefix in ((False, ""), (True, "'")):
        (part,) = write(tmp_path / str(guard), [entries], file_format="csv", csv_formula_guard=guard)
        rows = csv_rows(part)
        assert [row["note"] for row in rows] == [prefix + formula for formula in formulas] + harmless + ["", ""]
        assert {(row["duration"], row["breaks"]) for row in rows} == {("-5", "[-1]")}


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_csv_bom_begins_each_file(compression: str, tmp_path: Path) -> None:
    entries = raw_entries(5)
    options = {"file_format": "csv", "compression": compression, "max_rows_per_file": 2}
    plain = write(tmp_path / "plain", [entries], **options)
    marked = write(tmp_path / "marked", [entries], csv_bom=True, **options)
    assert len(marked) == 3
    assert [content(part) for part in marked] == [b"\xef\xbb\xbf" + content(part) for part in plain]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_parquet_reads_back_equal(compression: str, tmp_path: Path) -> None:
    entries = [*raw_entries(600), *split(page(NASTY))]
    (part,) = write(tmp_path, [entries], file_format="parquet", compression=compression)
    table = pq.read_table(part.path)
    table.validate(full=True)
    expected = RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(entries)
    assert table.schema == expected.schema
    assert table.to_pylist() == expected.to_pylist()


def test_parquet_and_csv_hold_the_same_for_another_reader(tmp_path: Path) -> None:
    entries = raw_entries(300)
    write(tmp_path, [entries], file_format="parquet")
    write(tmp_path, [entries], file_format="csv")
    columns = "id, duration, epoch_us(started_at), started_at_local, work_date, is_billed, project_company_name, note"
    with duckdb.connect() as database:
        from_parquet = database.sql(f"SELECT {columns} FROM '{tmp_path}/part-00000.parquet'").fetchall()
        from_csv = database.sql(f"SELECT {columns} FROM '{tmp_path}/part-00000.csv.gz'").fetchall()
    assert len(from_parquet) == 300
    assert from_csv == from_parquet


def test_parquet_row_groups_are_bounded_by_rows_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "ROW_GROUP_ROWS", 1000)
    (by_rows,) = write(tmp_path / "rows", [raw_entries(2300)], file_format="parquet")
    assert row_groups(by_rows) == [1000, 1000, 300]
    monkeypatch.setattr(encoders, "ROW_GROUP_BYTES", 1_000_000)
    long = split(page([{"note": "x" * 300_000}] * 9))
    (by_bytes,) = write(tmp_path / "bytes", [long], file_format="parquet", max_rows_per_file=None)
    assert sum(row_groups(by_bytes)) == 9


def row_groups(part: Part) -> list[int]:
    metadata = pq.read_metadata(part.path)
    return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]


def test_large_entries_make_short_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    original = encoders.NdjsonEncoder.encode

    def encode(self: encoders.NdjsonEncoder, entries: Sequence[encoders.RawEntry]) -> bytes:
        blocks.append(len(entries))
        return original(self, entries)

    monkeypatch.setattr(encoders.NdjsonEncoder, "encode", encode)
    write(tmp_path, [split(page([{"note": "x" * 1_500_000}] * 7))], file_format="ndjson")
    assert blocks == [3, 3, 1]


def test_gzip_has_neither_time_nor_name(tmp_path: Path) -> None:
    (part,) = write(tmp_path, [raw_entries(10)], file_format="ndjson")
    header = part.path.read_bytes()[:8]
    assert (header[3], header[4:8]) == (0, b"\0\0\0\0")


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_what_is_in_extra_is_counted(file_format: str, tmp_path: Path) -> None:
    with open_parts(tmp_path, file_format=file_format, max_rows_per_file=2) as writer:
        writer.write(split(page(NASTY)))
        writer.close()
        counted = writer.leftovers
    if file_format == "ndjson":
        assert counted == Leftovers()
    else:
        assert counted.unknown_fields == {"new": 1, "task.lists": 1}
        misfits = ["duration", "user", "isBilled", "project.company", "resourceVersion"]
        assert counted.misfits == dict.fromkeys(misfits, 1)


# --- parts


def test_a_part_is_returned_by_the_call_that_finished_it(tmp_path: Path) -> None:
    entries = raw_entries(10)
    with open_parts(tmp_path, file_format="ndjson", max_rows_per_file=4) as writer:
        assert writer.write(entries[:3]) == []
        assert [part.rows for part in writer.write(entries[3:4])] == [4]
        assert [part.index for part in writer.write(entries[:8])] == [1, 2]
        assert writer.close() == []
    assert len(names_in(tmp_path)) == 3


@every_format
def test_no_rows_make_no_part(file_format: str, compression: str, tmp_path: Path) -> None:
    assert write(tmp_path, [[], []], file_format=file_format, compression=compression) == []
    assert names_in(tmp_path) == set()


def writer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("awork-writer")]


@every_format
def test_an_error_in_the_block_removes_the_files(file_format: str, compression: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_then_fail(tmp_path, file_format, compression)
    assert names_in(tmp_path) == set()
    assert writer_threads() == []


def write_then_fail(folder: Path, file_format: str, compression: str) -> None:
    with open_parts(folder, file_format=file_format, compression=compression, max_rows_per_file=700) as writer:
        finished = writer.write(raw_entries(1500))
        finished[0].path.unlink()  # published already
        raise ZeroDivisionError


def test_leaving_without_close_removes_the_unfinished_file(tmp_path: Path) -> None:
    with open_parts(tmp_path, file_format="ndjson") as writer:
        writer.write(raw_entries(600))
    assert names_in(tmp_path) == set()
    assert writer_threads() == []


def test_close_ends_the_thread(tmp_path: Path) -> None:
    writer = open_parts(tmp_path, file_format="ndjson")
    writer.write(raw_entries(600))
    assert writer_threads()
    writer.close()
    assert writer_threads() == []


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    writer: PartWriter
    with (
        pytest.raises(FileNotFoundError, match="nowhere"),
        open_parts(tmp_path / "nowhere", file_format="csv") as writer,
    ):
        writer.write(raw_entries(600))


def test_another_file_of_the_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "part-00000.csv.gz"
    path.write_text("not ours")
    with pytest.raises(FileExistsError), open_parts(tmp_path, file_format="csv") as writer:
        writer.write(raw_entries(600))
    assert path.read_text() == "not ours"


def test_a_full_disk_surfaces_as_itself_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the full disk; a process cannot lift it again, so it gets its own."""
    code = """
        import errno, gc, itertools, json, pathlib, resource, sys
        from tests.helpers.entries import raw_entries
        from airflow_provider_awork.files.writers import open_parts
        entries = raw_entries(3000)
        for (file_format, compression), limit in itertools.product(json.loads(sys.argv[2]), (0, 50_000)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                with open_parts(pathlib.Path(sys.argv[1]), file_format=file_format, compression=compression) as writer:
                    writer.write(entries)
                    writer.close()
            except OSError as error:
                print(file_format, compression, type(error).__name__, error.errno == errno.EFBIG)
            del writer
            gc.collect()
    """
    done = run_python(code, str(tmp_path), json.dumps(ALL_FORMATS))
    assert done.stdout.splitlines() == [f"{kind} {how} OSError True" for kind, how in ALL_FORMATS for _ in range(2)]
    airflows_start = re.compile(r"\S+ \[info +\] setup plugin alembic\.")  # logged by 3.1
    assert [line for line in done.stderr.splitlines() if not airflows_start.match(line)] == []
    assert names_in(tmp_path) == set()


def test_entries_may_be_plain_bytes(tmp_path: Path) -> None:
    entries = [bytes(entry) for entry in raw({"id": "a", "new": 1})]
    with open_parts(tmp_path, file_format="csv") as writer:
        writer.write(entries)
        (part,) = writer.close()
    assert csv_rows(part)[0]["extra"] == '{"new":1}'


def test_typical_entries_are_of_the_size_that_figures_refer_to() -> None:
    sizes = [len(msgspec.json.encode(entry)) for entry in make_entries(50, size=3600)]
    assert 3500 < sum(sizes) / len(sizes) < 3700
