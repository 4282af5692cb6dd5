"""Each example DAG, run by real Airflow against a local awork; some have test files of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest import mock

import airflow.sdk
import duckdb
import pendulum
import pytest
from airflow.models.variable import Variable

from airflow_provider_awork.sandbox import Headers, Sandbox
from tests.helpers.airflow_harness import connection_in_environment, prepare_airflow, run_dag
from tests.helpers.examples import EXAMPLES, load

BERLIN = "Europe/Berlin"
HAS_PARTITIONS = hasattr(airflow.sdk, "CronPartitionTimetable")
HAS_STATE_STORES = "task_state_store" in airflow.sdk.Context.__annotations__
FIRST_DAY = pendulum.datetime(2026, 10, 22, tz=BERLIN)


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with (
        Sandbox(entries=600, seed=9, end=pendulum.date(2026, 10, 29)) as sandbox,
        connection_in_environment(sandbox.url, sandbox.token),
    ):
        yield sandbox


def worked_on(awork: Sandbox, day: pendulum.DateTime) -> list[str]:
    return awork.store.ids(lambda entry: entry.get("startDateLocal", "").startswith(day.to_date_string()))


def test_all_examples_are_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "awork_backfill",
        "awork_billing",
        "awork_daily_export",
        "awork_dimensions",
        "awork_hook_in_taskflow",
        "awork_hours_per_project",
        "awork_incremental",
        "awork_partitioned",
        "awork_report",
        "awork_month_close",
        "awork_on_change",
        "awork_refresh_token",
    }


def test_examples_say_what_they_do() -> None:
    for path in EXAMPLES.glob("*.py"):
        if path.stem != "awork_partitioned" or HAS_PARTITIONS:
            assert load(path.stem).doc_md


def test_daily_export_fills_one_prefix_per_work_day(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    dag = load("awork_daily_export")
    days = [FIRST_DAY.add(days=number) for number in range(5)]  # summer time ends on the fourth
    written = {}
    for run in ("first", "backfill"):
        for day in days:
            interval = (day, day.add(days=1))
            result = run_dag(dag, logical_date=interval[1], data_interval=interval, run_type="backfill")
            assert result.xcom("export")["rows"] == len(worked_on(awork, day))
        files = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.parquet")}
        assert written.setdefault("files", files) == files, f"the {run} run wrote other files"
    prefixes = {path.parent.name for path in tmp_path.rglob("_manifest.json")}
    assert prefixes == {f"day={day.to_date_string()}" for day in days}
    manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("_manifest.json")]
    assert sum(manifest["rows"] for manifest in manifests) == sum(len(worked_on(awork, day)) for day in days) > 0


def test_examples_share_the_prefix_but_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", "file:///lake")
    folders: dict[str, str] = {}
    for path in EXAMPLES.glob("*.py"):
        if path.stem == "awork_partitioned" and not HAS_PARTITIONS:
            continue
        for task in load(path.stem).tasks:
            settings: dict[str, Any] = getattr(task, "partial_kwargs", vars(task))
            if destination := settings.get("destination"):
                folder = destination.removeprefix("file:///lake/").split("/")[0]
                assert folders.setdefault(folder, path.stem) == path.stem, f"{folder} would hold entries twice"
    assert {"daily", "history", "months", "changes"} <= folders.keys()


def test_hours_per_project(awork: Sandbox) -> None:
    day = FIRST_DAY
    result = run_dag(
        load("awork_hours_per_project"), logical_date=day.add(days=1), data_interval=(day, day.add(days=1))
    )
    entries = [entry for entry in awork.store.entries() if entry["id"] in worked_on(awork, day)]
    hours = result.xcom("hours_per_project")
    assert sum(hours.values()) == pytest.approx(sum(entry["duration"] for entry in entries) / 3600, abs=0.1)
    assert set(hours) == {entry.get("project", {}).get("name", "without a project") for entry in entries}


def test_hook_in_taskflow(awork: Sandbox) -> None:
    result = run_dag(load("awork_hook_in_taskflow"))
    backlog = [entry for entry in awork.store.entries() if entry["isBillable"] and not entry["isBilled"]]
    assert result.xcom("count_backlog") == len(backlog) > 0
    hours = result.xcom("hours_by_client")
    assert sum(hours.values()) == pytest.approx(sum(entry["duration"] for entry in backlog) / 3600, abs=1)


def test_a_failure_of_the_hook_in_taskflow_is_not_tried_again(awork: Sandbox) -> None:
    dag = load("awork_hook_in_taskflow")
    dag.task_dict["count_backlog"].retries = 3
    with connection_in_environment(awork.url, "wrong-key"):
        result = run_dag(dag)
    assert (result.task("count_backlog").state, result.task("count_backlog").try_number) == ("failed", 1)


def test_dimensions_join_with_the_time_entries(awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    result = run_dag(load("awork_dimensions"))
    assert result.state == "success"
    projects = awork.store.texts("projects")
    exports = [each for (task_id, _), each in result.task_instances.items() if task_id == "lists"]
    assert {each.xcoms["return_value"]["destination"].rpartition("/")[2] for each in exports} > {"users", "projects"}
    members = [each for (task_id, _), each in result.task_instances.items() if task_id == "project_members"]
    assert {each.xcoms["return_value"]["destination"].rpartition("=")[2] for each in members} == set(projects)
    users = duckdb.read_parquet(f"{tmp_path}/lists/users/*.parquet")
    ids = dict(users.project("id, is_api_user").fetchall())
    assert {entry["userId"] for entry in awork.store.entries() if "user" in entry} <= ids.keys()
    assert [user_id for user_id, is_api_user in ids.items() if is_api_user] == [awork.me]


def entries_of(parquet: str) -> list[tuple[str, str]]:
    """Id and ``createdOn`` of all rows of files."""
    return duckdb.read_parquet(parquet, hive_partitioning=False).project("id, created_on").fetchall()


def test_a_backfill_of_twelve_months_has_each_entry_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    first, after = pendulum.datetime(2025, 11, 1, tz=BERLIN), pendulum.datetime(2026, 11, 1, tz=BERLIN)
    midnights = [first.add(months=number) for number in range(13)]
    with (
        Sandbox(entries=600, seed=9, start=first.date(), end=after.date()) as awork,
        connection_in_environment(awork.url, awork.token, conn_id="awork_backfill", requests_per_minute=225),
    ):
        for midnight in midnights:
            for seconds in (-1, 0):
                created = midnight.add(seconds=seconds).in_timezone("UTC")
                awork.store.add({**awork.make_entry(), "createdOn": created.format("YYYY-MM-DDTHH:mm:ss[Z]")})
        result = run_dag(load("awork_backfill"))
        stored = {
            entry["id"]: pendulum.parse(entry["createdOn"])
            for entry in awork.store.entries()
            if first <= pendulum.parse(entry["createdOn"]) < after
        }
    assert result.state == "success"
    exports = [result.task("export", map_index=number) for number in range(12)]
    assert sum(each.xcoms["return_value"]["rows"] for each in exports) == result.xcom("total") == len(stored) > 600
    for number, midnight in enumerate(midnights[:-1]):
        found = entries_of(f"{tmp_path}/history/created={midnight.format('YYYY-MM')}/*.parquet")
        expected = [each for each, at in stored.items() if midnight <= at < midnights[number + 1]]
        assert sorted(each for each, _ in found) == sorted(expected)
    assert sorted(each for each, _ in entries_of(f"{tmp_path}/history/*/*.parquet")) == sorted(stored)


@pytest.mark.skipif(not HAS_STATE_STORES, reason="state stores came with Airflow 3.3")
def test_incremental_loads_keep_a_table_like_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    monkeypatch.setenv("AWORK_DUCKDB", str(tmp_path))
    dag = load("awork_incremental")
    with Sandbox(entries=150, seed=2) as awork, connection_in_environment(awork.url, awork.token):
        rows = []
        for hours in range(4):
            awork.faults.clear()
            now = datetime.now(UTC) + timedelta(hours=hours)
            awork.faults.add(lambda *_, now=now: Headers({"date": format_datetime(now, usegmt=True)}))
            result = run_dag(dag)
            assert result.state == "success"
            rows.append(result.xcom("upsert"))
            with duckdb.connect(f"{tmp_path}/incremental.duckdb") as database:
                table = database.sql("SELECT id, resource_version, note FROM time_entries").fetchall()
            entries = awork.store.entries()
            assert sorted(table) == sorted((each["id"], each["resourceVersion"], each.get("note")) for each in entries)
            if hours != 2:
                for entry in entries[hours :: 10 * (hours + 1)]:
                    awork.store.edit(entry["id"], note=f"edited {hours}", updatedOn=f"{now:%Y-%m-%dT%H:%M:%S}Z")
        assert rows == [150, 15, 8, 0]


@pytest.mark.skipif(not HAS_PARTITIONS, reason="partitions came with Airflow 3.2")
def test_a_partition_is_a_work_day(awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    dag = load("awork_partitioned")
    for number in range(3, 6):  # summer time ends in Berlin on the first of these days
        day = FIRST_DAY.add(days=number)
        at = pendulum.datetime(day.year, day.month, day.day, 3)
        result = run_dag(dag, run_type="scheduled", partition_key=day.to_date_string(), partition_date=at)
        assert result.xcom("export")["rows"] == len(worked_on(awork, day))
        assert (tmp_path / f"partitioned/day={day.to_date_string()}" / "_manifest.json").exists()


def test_refresh_token_keeps_the_pair_of_a_person_fresh(awork: Sandbox) -> None:
    awork.oauth.add_client("warehouse", secret="s3cret")
    connection = {
        "conn_type": "awork",
        "host": awork.url,
        "login": "warehouse",
        "password": "s3cret",
        "extra": {"oauth_variable": "awork_person_token"},
    }
    with mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_PERSON=json.dumps(connection)):
        dag = load("awork_refresh_token")
        prepare_airflow()
        Variable.set("awork_person_token", json.dumps(awork.oauth.authorise("warehouse")))
        assert [run_dag(dag).xcom("refresh")["refreshed"] for _ in range(2)] == [True, False]
        assert run_dag(dag, run_conf={"force": True}).xcom("refresh")["refreshed"]
