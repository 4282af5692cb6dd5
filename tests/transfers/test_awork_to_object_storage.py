"""The transfer operator in real DAG runs: a local awork, local files and S3."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pendulum
import pyarrow.parquet as pq
import pytest
import zstandard
from airflow.sdk import DAG, Asset, ObjectStoragePath

import airflow_provider_awork.files.manifest
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.files.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestWindow,
    read_manifest,
    verify_manifest,
)
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag
from tests.helpers.storage_emulators import S3Emulator

START = pendulum.datetime(2026, 1, 1, tz="UTC")
ENTRIES = 2300
MANIFEST_SCHEMA = Path(airflow_provider_awork.files.manifest.__file__).with_name("manifest.schema.json")


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=ENTRIES, seed=11) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture
def destination(tmp_path: Path) -> str:
    return f"file://{tmp_path}/out"


def export(destination: str, **parameters: Any) -> DagResult:
    with DAG("export_for_test", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=destination, retries=1, retry_delay=0, **parameters
        )
    return run_dag(dag)


def manifest_of(destination: str) -> Manifest:
    path = ObjectStoragePath(destination)
    jsonschema.validate(json.loads((path / MANIFEST_NAME).read_text()), json.loads(MANIFEST_SCHEMA.read_text()))
    return verify_manifest(path, check_sha256=True)


def files_of(destination: str) -> list[tuple[str, bytes]]:
    path = ObjectStoragePath(destination)
    return [(file.name, (path / file.name).read_bytes()) for file in manifest_of(destination).files]


def unpacked(name: str, data: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if name.endswith(".zst") else data


def stored_lines(awork: Sandbox) -> set[bytes]:
    return {msgspec.json.encode(entry) for entry in awork.store.entries()}


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "none"])
def test_ndjson_has_each_entry_as_awork_sent_it(awork: Sandbox, destination: str, compression: str | None) -> None:
    result = export(destination, compression=compression, max_rows_per_file=1000)
    files = files_of(destination)
    lines = [line for name, data in files for line in unpacked(name, data).splitlines()]
    assert [len(unpacked(name, data).splitlines()) for name, data in files] == [1000, 1000, 300]
    assert len(lines) == ENTRIES
    assert {msgspec.json.encode(msgspec.json.decode(line)) for line in lines} == stored_lines(awork)
    summary = result.xcom("export")
    assert (summary["rows"], summary["files"], summary["window"]) == (ENTRIES, 3, None)
    assert summary["bytes"] == sum(len(data) for _, data in files)
    assert len(json.dumps(summary)) < 2000


@pytest.fixture
def misfits() -> Iterator[Sandbox]:
    """An awork with some values that are not as documented."""
    with Sandbox(entries=6, seed=11) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        sent = [{"duration": "540"}, {"duration": 2160.5}, {"isBilled": "no"}, {"note": 5}, {"duration": 3600.0}]
        for entry_id, changes in zip(sandbox.store.ids(), sent, strict=False):
            sandbox.store.edit(entry_id, **changes)
        yield sandbox


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_duration_that_misfits_fails_unless_allowed(misfits: Sandbox, destination: str, file_format: str) -> None:
    result = export(destination, file_format=file_format)
    first, second, third, fourth, fifth = misfits.store.ids()[:5]
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert f"duration: 2 values misfit, such as in {first}" in result.logs
    assert f"duration in 2 rows (such as {first}), isBilled in 1 row (such as {third})" in result.logs
    assert "allow_misfits=True" in result.logs
    assert read_manifest(ObjectStoragePath(destination)) is None

    result = export(destination, file_format=file_format, allow_misfits=True)
    counted = {"duration": 2, "isBilled": 1, "note": 1}
    assert result.xcom("export")["misfits"] == counted == manifest_of(destination).misfits
    assert f"kept in the column extra: duration in 2 rows (such as {first})" in result.logs
    ((name, data),) = files_of(destination)
    if file_format == "csv":
        rows = list(csv.DictReader(io.StringIO(unpacked(name, data).decode(), newline="")))
    else:
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
    by_id = {row["id"]: {key: value or None for key, value in row.items()} for row in rows}
    assert [by_id[entry]["is_running"] for entry in (first, second)] == [None, None]
    assert [json.loads(by_id[entry]["extra"]) for entry in (first, second, third, fourth)] == [
        {"duration": "540"},
        {"duration": 2160.5},
        {"isBilled": "no"},
        {"note": 5},
    ]
    assert str(by_id[fifth]["duration"]) == "3600"
    assert by_id[fifth]["extra"] is None


def test_ndjson_has_misfits_as_awork_sent_them(misfits: Sandbox, destination: str) -> None:
    result = export(destination)
    assert result.xcom("export")["misfits"] == {}
    ((name, data),) = files_of(destination)
    assert set(unpacked(name, data).splitlines()) == set(misfits.store.texts().values())


@pytest.mark.parametrize("compression", [None, "snappy", "none"])
def test_parquet_and_csv_hold_the_same(awork: Sandbox, tmp_path: Path, compression: str | None) -> None:
    parquet, text = f"file://{tmp_path}/parquet", f"file://{tmp_path}/csv"
    export(parquet, file_format="parquet", compression=compression)
    export(text, file_format="csv")
    ((_, data),) = files_of(parquet)
    table = pq.read_table(io.BytesIO(data))
    assert table.column_names == [column.name for column in TIME_ENTRY.columns]
    assert table.num_rows == ENTRIES
    ((name, packed),) = files_of(text)
    rows = list(csv.DictReader(io.StringIO(unpacked(name, packed).decode(), newline="")))
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    assert [row["note"] or None for row in rows] == [note or None for note in table["note"].to_pylist()]
    assert [int(row["duration"]) if row["duration"] else None for row in rows] == table["duration"].to_pylist()
    stored = {entry["id"]: entry for entry in awork.store.entries()}
    for row in table.select(["id", "duration", "user_last_name", "project_company_name", "is_running"]).to_pylist():
        entry = stored[row["id"]]
        assert row["duration"] == entry.get("duration")
        assert row["user_last_name"] == entry.get("user", {}).get("lastName")
        assert row["project_company_name"] == entry.get("project", {}).get("company", {}).get("name")


def test_the_same_again_leaves_the_same_files(awork: Sandbox, destination: str) -> None:
    export(destination, file_format="parquet", max_rows_per_file=900)
    before, first = files_of(destination), manifest_of(destination)
    export(destination, file_format="parquet", max_rows_per_file=900)
    second = manifest_of(destination)
    assert files_of(destination) == before
    assert first == msgspec.structs.replace(second, run=first.run)


def test_a_smaller_set_replaces_a_larger_one(awork: Sandbox, destination: str, tmp_path: Path) -> None:
    export(destination, max_rows_per_file=500)
    export(destination, max_rows_per_file=500, filterby="isBilled eq true", replace="any")
    expected = sum(entry["isBilled"] for entry in awork.store.entries())
    manifest = manifest_of(destination)
    assert manifest.rows == expected
    names = {file.name for file in manifest.files}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"_manifest.json"}


def test_window_and_source_are_in_the_manifest(awork: Sandbox, destination: str) -> None:
    days = sorted(entry["startDateLocal"][:10] for entry in awork.store.entries() if entry.get("startDateLocal"))
    day = days[len(days) // 2]
    after = str(date.fromisoformat(day) + timedelta(days=1))
    result = export(
        destination, window_field="startDateLocal", window_start=day, window_end=after, timezone="Europe/Berlin"
    )
    manifest = manifest_of(destination)
    assert manifest.rows == days.count(day) == result.xcom("export")["rows"]
    assert manifest.window == ManifestWindow(field="startDateLocal", start=day, end=after, timezone="Europe/Berlin")
    assert manifest.source.workspace_name == awork.settings.workspace.name
    assert manifest.source.sees_all_entries is True
    assert manifest.run.owner.task_id == "export"


def test_nothing_to_export_is_a_success_with_an_empty_set(awork: Sandbox, destination: str) -> None:
    result = export(destination, filterby="duration lt 0")
    manifest = manifest_of(destination)
    assert (manifest.rows, manifest.files, result.xcom("export")["rows"]) == (0, (), 0)


def test_nothing_to_export_fails_if_asked_to(awork: Sandbox, destination: str) -> None:
    result = export(destination, filterby="duration lt 0", fail_if_empty=True)
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "No time entry matches" in result.logs
    assert read_manifest(ObjectStoragePath(destination)) is None


def test_an_estimate_of_an_incremental_load_is_refused_before_anything_is_asked_or_kept(
    awork: Sandbox, destination: str
) -> None:
    before = len(awork.requests)
    result = export(destination, estimate=True, incremental="updatedOn", outlets=[Asset("estimated_changes")])
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "estimate and incremental: pass one of them" in result.logs
    assert len(awork.requests) == before


def test_an_estimate_writes_nothing(awork: Sandbox, destination: str, tmp_path: Path) -> None:
    estimate = export(destination, estimate=True, filterby="isBillable eq true").xcom("export")
    assert estimate["rows"] == sum(entry["isBillable"] for entry in awork.store.entries())
    assert estimate["requests"] >= 2
    assert estimate["seconds"] >= 0
    assert not (tmp_path / "out").exists()


def test_spool_folder_is_used_and_left_empty(awork: Sandbox, destination: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    export(destination, spool_folder=str(spool))
    assert manifest_of(destination).rows == ENTRIES
    assert list(spool.iterdir()) == []


@pytest.mark.emulator
@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_s3_through_an_airflow_connection(awork: Sandbox, s3_emulator: S3Emulator, file_format: str) -> None:
    bucket = f"export-{file_format}"
    destination = f"{s3_emulator.create_bucket(bucket)}/awork/entries"
    result = export(destination, file_format=file_format, max_rows_per_file=1500)
    manifest = manifest_of(destination)
    assert manifest.rows == ENTRIES
    assert set(s3_emulator.keys(bucket)) == {
        "awork/entries/_manifest.json",
        *(f"awork/entries/{file.name}" for file in manifest.files),
    }
    assert result.xcom("export")["manifest"] == f"{destination}/_manifest.json"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"filterby": "isBillable = true"}, "invalid-filter-or-order"),
        ({"file_format": "xlsx"}, "file_format: 'xlsx'"),
        ({"compression": "snappy"}, "compression: 'snappy'"),
        ({"file_format": "parquet", "compression": "gzip"}, "compression: 'gzip'"),
        ({"max_rows_per_file": 0}, "max_rows_per_file"),
        ({"estimate": "False"}, "estimate: 'False' is neither True nor False"),
        ({"fail_if_empty": "false"}, "fail_if_empty: 'false' is neither True nor False"),
        ({"max_concurrent_requests": 51}, "max_concurrent_requests"),
        ({"csv_formula_guard": True}, "csv_formula_guard: only for csv files, and file_format is ndjson"),
        ({"csv_bom": True, "file_format": "parquet"}, "csv_bom: only for csv files, and file_format is parquet"),
        ({"spool_folder": "/no/such/folder"}, "spool_folder"),
        ({"filterby": "isBillable = true"}, "filterby as it was sent, which positions count in: 'isBillable = true'"),
        ({"filterby": ["a"]}, "filterby: ['a'] is not text"),
        ({"lookback": timedelta(minutes=-1)}, "lookback"),
        ({"open_window": "False"}, "open_window"),
        ({"incremental": "updatedOn", "window_length": "P1D"}, "window_length: 'P1D' needs window_start"),
        ({"window_field": "start_date"}, "window_field: 'start_date' is not one of"),
        ({"awork_conn_id": "no_such_connection"}, "awork_conn_id: Airflow has no connection 'no_such_connection'"),
        ({"window_field": "updatedOn", "window_start": "2026-11-02", "window_end": "2026-11-01"}, "window_end"),
        ({"window_field": "createdOn", "window_start": "2026-11-01T00:00:00", "window_end": "2026-11-02"}, "time zone"),
        (
            {
                "window_field": "startDateLocal",
                "window_start": "2026-11-01T01:00:00+01:00",
                "window_end": "2026-11-02",
            },
            "not midnight",
        ),
        ({"window_field": "startDateLocal"}, "no data interval"),
    ],
)
def test_bad_input_fails_at_once_without_a_manifest(
    awork: Sandbox, destination: str, tmp_path: Path, parameters: dict[str, Any], said: str
) -> None:
    result = export(destination, **parameters)
    task = result.task("export")
    assert (task.state, task.try_number) == ("failed", 1)
    assert said in result.logs
    assert "return_value" not in task.xcoms
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("part-*"))


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("", "destination"),
        ("  ", "no absolute path"),
        ("out/x", "no absolute path"),
        ("my-lake/awork/x", "no absolute path"),
        ("file://out/x", "no absolute path"),
        pytest.param(
            "gs://no_such_connection@bucket/prefix",
            "Create that Airflow connection",
            marks=pytest.mark.emulator,  # it needs Google's provider
        ),
        ("s3://another_conn@bucket/prefix", "pip install 'airflow-provider-awork[s3]'"),
        ("ftp://host/prefix", "no filesystem"),
        ("nonsense://host/prefix", "s3://"),
        ("file:///proc/no/such", "/proc/no"),
    ],
)
def test_a_destination_that_cannot_work_fails_before_anything_is_read(
    awork: Sandbox, destination: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    before = len(awork.requests)
    result = export(destination)
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert said in result.logs
    assert len(awork.requests) == before


def test_blanks_around_a_destination_are_left_out(awork: Sandbox, destination: str) -> None:
    export(f" {destination} ", window_field="createdOn", window_start="2000-01-01", window_end="2000-01-02")
    assert manifest_of(destination).rows == 0


@pytest.mark.emulator
def test_a_missing_bucket_fails_before_anything_is_read(awork: Sandbox, s3_emulator: S3Emulator) -> None:
    before = len(awork.requests)
    result = export(f"s3://{s3_emulator.conn_id}@no-such-bucket/prefix")
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "no-such-bucket" in result.logs
    assert len(awork.requests) == before


def test_a_wrong_key_fails_at_once(awork: Sandbox, destination: str, tmp_path: Path) -> None:
    with connection_in_environment(awork.url, "wrong-key-123"):
        result = export(destination)
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "401" in result.logs
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("host", ["not-a-url", "http://127.0.0.1:9/api/v1"])
def test_a_host_that_cannot_be_reached_is_named(destination: str, tmp_path: Path, host: str) -> None:
    with connection_in_environment(host, "key", outage_minutes=0):
        result = export(destination)
    assert result.task("export").state == "failed"
    assert ("host" if host == "not-a-url" else "127.0.0.1") in result.logs
    assert not list(tmp_path.rglob("_manifest.json"))


def test_the_key_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = "sup3r-secret-key-of-this-test"
    with (
        caplog.at_level(logging.DEBUG),
        Sandbox(entries=30, seed=1, token=key) as awork,
        connection_in_environment(awork.url, key),
    ):
        results = [
            export(f"file://{tmp_path}/out"),
            export(f"file://{tmp_path}/bad", filterby="no filter at all"),
            export(f"file://{tmp_path}/estimate", estimate=True),
        ]
    for result in results:
        assert key not in result.logs
        assert key not in repr(result)
    assert key not in caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert written
    assert key.encode() not in written
