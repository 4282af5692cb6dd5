"""What OpenLineage is told of transfers: its own events, which the provider writes to a file, of real DAG runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, ObjectStoragePath

from airflow_provider_awork.assets.awork import convert_asset_to_openlineage
from airflow_provider_awork.columns.model import DERIVED
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.files.manifest import read_manifest
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.lineage import dataset_name

pytest.importorskip("airflow.providers.openlineage", reason="the extra openlineage is not installed")

ROOT = Path(__file__).parents[2]
ENTRIES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lineage")


@pytest.fixture(scope="module")
def events(folder: Path) -> list[dict[str, Any]]:
    """All events of all runs."""
    runs = {
        "parquet": {"destination": f"file://{folder}/parquet", "file_format": "parquet"},
        "ndjson": {"destination": f"file://{folder}/ndjson"},
        "people": {"destination": f"file://{folder}/people", "file_format": "csv", "resource": "users"},
        "failed": {"destination": f"file://{folder}/failed", "filterby": "isBilled eq maybe"},
        "estimate": {"destination": f"file://{folder}/estimate", "estimate": True},
    }
    with Sandbox(entries=ENTRIES, seed=6) as awork:
        what = {"events": f"{folder}/events.ndjson", "url": awork.url, "token": awork.token, "runs": runs}
        command = [sys.executable, "-m", "tests.transfers.lineage_process", json.dumps(what)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]


def last_event(events: list[dict[str, Any]], dag_id: str) -> dict[str, Any]:
    """What was told when the task ended."""
    (event,) = [
        each
        for each in events
        if each["job"]["name"] == f"{dag_id}.export" and each["eventType"] in ("COMPLETE", "FAIL")
    ]
    return event


def test_the_list_and_the_set_with_schema_rows_and_bytes(events: list[dict[str, Any]], folder: Path) -> None:
    event = last_event(events, "parquet")
    manifest = read_manifest(ObjectStoragePath(f"file://{folder}/parquet"))
    assert manifest is not None
    (source,), (output,) = event["inputs"], event["outputs"]
    assert (source["namespace"], source["name"]) == ("awork://studio-größenwahn.awork.com", "timeentries")
    assert (output["namespace"], output["name"]) == ("file", f"{folder}/parquet")
    fields = [field["name"] for field in source["facets"]["schema"]["fields"]]
    assert fields == [column.path for column in TIME_ENTRY.columns if column.path != DERIVED]
    columns = {field["name"]: field["type"] for field in output["facets"]["schema"]["fields"]}
    assert columns == {column.name: column.type.value for column in TIME_ENTRY.columns}
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (ENTRIES, manifest.bytes)
    assert statistics["fileCount"] == len(manifest.files) == 1


def test_what_airflow_saw_of_opened_files_is_not_told_beside_it(events: list[dict[str, Any]]) -> None:
    for dag_id in ("parquet", "ndjson", "people", "failed"):
        event = last_event(events, dag_id)
        assert len(event["inputs"]) == 1
        assert len(event["outputs"]) == (0 if dag_id == "failed" else 1)


def test_awork_s_own_json_has_the_schema_of_the_list_alone(events: list[dict[str, Any]]) -> None:
    event = last_event(events, "ndjson")
    assert "schema" in event["inputs"][0]["facets"]
    assert "schema" not in event["outputs"][0].get("facets", {})


def test_other_lists(events: list[dict[str, Any]], folder: Path) -> None:
    event = last_event(events, "people")
    assert event["inputs"][0]["name"] == "users"
    assert "is_api_user" in [field["name"] for field in event["outputs"][0]["facets"]["schema"]["fields"]]


def test_a_failure_has_no_output(events: list[dict[str, Any]]) -> None:
    event = last_event(events, "failed")
    assert event["eventType"] == "FAIL"
    assert event["inputs"][0]["name"] == "timeentries"


def test_an_estimate_has_no_lineage_but_what_airflow_saw_of_opened_files(events: list[dict[str, Any]]) -> None:
    event = last_event(events, "estimate")
    assert {each["name"].rpartition("/")[2] for each in event["inputs"]} == {"lineage_process.py"}
    assert event["outputs"] == []


@pytest.mark.parametrize(
    ("destination", "dataset"),
    [
        ("s3://aws_default@lake/awork/entries", ("s3://lake", "awork/entries")),
        ("s3a://lake/awork", ("s3://lake", "awork")),
        ("gs://lake", ("gs://lake", "/")),
        ("file:///data/awork", ("file", "/data/awork")),
    ],
)
def test_names_of_datasets(destination: str, dataset: tuple[str, str]) -> None:
    assert dataset_name(ObjectStoragePath(destination)) == dataset


@pytest.mark.parametrize(
    "connection",
    [
        {"password": "a2V5", "extra": {"account_name": "agency"}},
        {"extra": {"connection_string": "DefaultEndpointsProtocol=https;AccountName=agency;AccountKey=a2V5"}},
    ],
)
def test_azure_s_names_have_the_account(connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs", reason="the extra azure is not installed")
    conn_id = f"azure_by_{next(iter(connection))}"  # filesystems are kept by connection id
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "wasb", **connection}))
    path = ObjectStoragePath(f"abfs://{conn_id}@lake/awork")
    assert dataset_name(path) == ("abfss://lake@agency.dfs.core.windows.net", "awork")


def test_an_awork_asset_is_the_dataset_that_an_export_reads() -> None:
    dataset = convert_asset_to_openlineage(Asset("awork://my-agency.awork.com/timeentries"), None)
    assert (dataset.namespace, dataset.name) == ("awork://my-agency.awork.com", "timeentries")
