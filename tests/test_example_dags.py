"""Each example DAG, run by real Airflow against a local awork; billing has a file of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pendulum
import pytest

from airflow_provider_awork.sandbox import Sandbox
from tests.airflow_harness import connection_in_environment, run_dag
from tests.examples import EXAMPLES, load

BERLIN = "Europe/Berlin"
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
        "awork_billing",
        "awork_daily_export",
        "awork_dimensions",
        "awork_hook_in_taskflow",
        "awork_hours_per_project",
    }


def test_examples_say_what_they_do() -> None:
    for path in EXAMPLES.glob("*.py"):
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
    assert prefixes == {f"work_date={day.to_date_string()}" for day in days}
    manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("_manifest.json")]
    assert sum(manifest["rows"] for manifest in manifests) == sum(len(worked_on(awork, day)) for day in days) > 0


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
    users = duckdb.read_parquet(f"{tmp_path}/users/*.parquet")
    ids = dict(users.project("id, is_api_user").fetchall())
    assert {entry["userId"] for entry in awork.store.entries() if "user" in entry} <= ids.keys()
    assert [user_id for user_id, is_api_user in ids.items() if is_api_user] == [awork.me]
