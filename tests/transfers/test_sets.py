"""Sets that follow one another at a destination, in real DAG runs: a local awork, local files, S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_awork.files.manifest import Manifest, verify_manifest
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from tests.helpers.airflow_harness import DagResult, connection_in_environment, data_interval_timetable, run_dag
from tests.helpers.storage_emulators import S3Emulator

START = pendulum.datetime(2026, 1, 1, tz="UTC")
DAY = pendulum.datetime(2026, 11, 18, tz="Europe/Berlin")
IDENTITY_REQUESTS = {"/me", "/me/permissions"}
BY_DAY = {"window_field": "startDateLocal", "timezone": "Europe/Berlin"}


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with (
        Sandbox(entries=400, seed=7, end=pendulum.date(2026, 11, 22)) as sandbox,
        connection_in_environment(sandbox.url, sandbox.token),
    ):
        yield sandbox


@pytest.fixture
def destination(tmp_path: Path) -> str:
    return f"file://{tmp_path}/out"


def export(destination: str, *, run: dict[str, Any] | None = None, **parameters: Any) -> DagResult:
    with DAG("sets_for_test", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=destination, retries=1, retry_delay=0, **parameters
        )
    return run_dag(dag, **run or {})


def export_list(destination: str, resource: str, **parameters: Any) -> DagResult:
    with DAG("list_sets_for_test", schedule=None, start_date=START) as dag:
        AworkListToObjectStorageOperator(task_id="export", destination=destination, resource=resource, **parameters)
    return run_dag(dag)


def manifest_of(destination: str) -> Manifest:
    return verify_manifest(ObjectStoragePath(destination), check_sha256=True)


def worked_on(awork: Sandbox, day: str) -> int:
    return len(awork.store.ids(lambda entry: entry.get("startDateLocal", "").startswith(day)))


def assert_refused(result: DagResult, awork: Sandbox, since: int, *texts: str) -> None:
    """The task failed at once, before its first page."""
    for task in result.task_instances.values():
        assert (task.state, task.try_number) == ("failed", 1)
    for text in texts:
        assert text in result.logs
    assert {request.path for request in awork.requests[since:]} <= IDENTITY_REQUESTS


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        ({}, {"filterby": "isBillable eq true"}, "filterby: none there, 'isBillable eq true' in this run"),
        (
            {**BY_DAY, "window_start": "2026-11-18", "window_end": "2026-11-19"},
            {**BY_DAY, "window_start": "2026-11-19", "window_end": "2026-11-20"},
            "window: startDateLocal from 2026-11-18 to 2026-11-19 there",
        ),
        ({}, {**BY_DAY, "window_start": "2026-11-18", "window_end": "2026-11-19"}, "window: none there"),
    ],
)
def test_another_set_of_time_entries_is_refused(
    awork: Sandbox, destination: str, first: dict[str, Any], second: dict[str, Any], part: str
) -> None:
    export(destination, **first)
    former, since = manifest_of(destination), len(awork.requests)
    result = export(destination, **second)
    assert_refused(result, awork, since, part, "dag 'sets_for_test'", "replace='any'", "{window_start}")
    assert manifest_of(destination) == former
    assert export(destination, **second, replace="any").state == "success"
    assert manifest_of(destination).filterby == second.get("filterby")


def test_a_list_over_time_entries_is_refused(awork: Sandbox, destination: str) -> None:
    export(destination)
    since = len(awork.requests)
    result = export_list(destination, "users", file_format="parquet")
    assert_refused(result, awork, since, "list: timeentries there, users in this run")


def test_a_list_asked_with_other_parameters_is_refused(awork: Sandbox, destination: str) -> None:
    export_list(destination, "typeofwork")
    since = len(awork.requests)
    result = export_list(destination, "typeofwork", show_archived=False)
    assert_refused(result, awork, since, "query_params:")
    assert export_list(destination, "typeofwork").state == "success"


def test_months_of_one_run_at_one_destination_are_refused(awork: Sandbox, destination: str) -> None:
    months = ["2026-08-01", "2026-09-01", "2026-10-01"]
    with DAG("mapped_for_test", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator.partial(
            task_id="export", destination=destination, window_field="createdOn", window_length="P1M", replace="any"
        ).expand(window_start=months)
    result = run_dag(dag)
    states = [result.task("export", map_index=index).state for index in range(3)]
    assert sorted(states) == ["failed", "failed", "success"]
    first = states.index("success")  # Airflow runs them in any order
    assert result.logs.count("two tasks of one dag run write to it") >= 2
    assert f"map index {first}" in result.logs
    assert manifest_of(destination).window.start == f"{months[first]}T00:00:00Z"  # type: ignore[union-attr]


def test_months_of_one_run_with_a_placeholder_are_all_there(awork: Sandbox, destination: str) -> None:
    with DAG("mapped_for_test", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator.partial(
            task_id="export",
            destination=destination + "/{window_start}_{window_end}",
            window_field="createdOn",
            window_length="P1M",
        ).expand(window_start=["2026-08-01", "2026-09-01"])
    assert run_dag(dag).state == "success"
    for name in ("20260801T000000Z_20260901T000000Z", "20260901T000000Z_20261001T000000Z"):
        assert manifest_of(f"{destination}/{name}").window.field == "createdOn"  # type: ignore[union-attr]


def test_two_equal_tasks_of_one_run_are_refused(awork: Sandbox, destination: str) -> None:
    with DAG("twice_for_test", schedule=None, start_date=START) as dag:
        for task_id in ("first", "second"):
            AworkTimeEntriesToObjectStorageOperator(task_id=task_id, destination=destination)
    result = run_dag(dag)
    assert sorted(task.state or "" for task in result.task_instances.values()) == ["failed", "success"]


def test_a_key_that_sees_less_is_refused_and_one_that_sees_more_is_not(awork: Sandbox, destination: str) -> None:
    export(destination)
    former, since = manifest_of(destination), len(awork.requests)
    awork.settings.missing_permissions = True
    try:
        result = export(destination)
        assert_refused(result, awork, since, "visibility: all time entries there, only the time entries of user")
        assert manifest_of(destination) == former
        assert export(destination, replace="any").state == "success"
    finally:
        awork.settings.missing_permissions = False
    assert manifest_of(destination).rows < former.rows
    assert export(destination).state == "success"
    assert manifest_of(destination).rows == former.rows


def test_a_successor_that_shrank_changes_nothing(destination: str) -> None:
    with Sandbox(entries=100, seed=3) as awork, connection_in_environment(awork.url, awork.token):
        export(destination)
        former = manifest_of(destination)
        awork.store.delete(awork.store.ids()[:51])
        result = export(destination)
        assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
        assert "max_shrink: 49 rows would replace 100 rows" in result.logs
        assert manifest_of(destination) == former
        assert export(destination, max_shrink=None).xcom("export")["rows"] == 49


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"project_id": ""}, "project_id: the text is blank"),
        ({"project_id": "{{ params.nothing }}"}, "project_id: the text is blank"),
        ({"filterby": " {{ params.nothing }} "}, "filterby: the text is blank"),
        ({"replace": "all"}, "replace: 'all' is neither 'successor' nor 'any'"),
        ({"max_shrink": 50}, "max_shrink: 50 is not a share"),
        ({"incremental": "updatedOn", "initial_window_start": ""}, "initial_window_start: the text is blank"),
    ],
)
def test_parameters_that_would_export_something_else(
    awork: Sandbox, destination: str, parameters: dict[str, Any], text: str
) -> None:
    since = len(awork.requests)
    with DAG("blank_for_test", schedule=None, start_date=START, params={"nothing": ""}) as dag:
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination=destination, retries=1, **parameters)
    assert_refused(run_dag(dag), awork, since, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("day={{ params.nothing }}", "the part 'day='"),
        ("day={{ none }}", "the part 'day=None'"),
        ("{{ params.nothing }}/x", "an empty part"),
        ("{window_start}", "there is no start of a window"),
        ("{partition_key}", "this run has no partition"),
        ("{day}", "no placeholder {day}"),
    ],
)
def test_destinations_that_rendered_to_nothing(awork: Sandbox, destination: str, name: str, text: str) -> None:
    since = len(awork.requests)
    with DAG("rendered_for_test", schedule=None, start_date=START, params={"nothing": ""}) as dag:
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination=f"{destination}/{name}", retries=1)
    assert_refused(run_dag(dag), awork, since, text)


def daily(destination: str, **parameters: Any) -> DAG:
    """README's first DAG, with a timetable in Berlin's zone."""
    timetable = data_interval_timetable("0 0 * * *", timezone="Europe/Berlin")
    with DAG("daily_for_test", schedule=timetable, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=destination, window_field="startDateLocal", **parameters
        )
    return dag


def test_folder_and_content_agree_in_another_zone(awork: Sandbox, destination: str) -> None:
    result = run_dag(daily(destination + "/day={window_start}"), logical_date=DAY, data_interval=(DAY, DAY.add(days=1)))
    manifest = manifest_of(f"{destination}/day=2026-11-18")
    assert manifest.rows == worked_on(awork, "2026-11-18") > 0
    assert result.xcom("export")["destination"] == f"{destination}/day=2026-11-18"


def test_a_run_without_logical_date_says_what_to_pass(awork: Sandbox, destination: str) -> None:
    since = len(awork.requests)
    result = run_dag(daily(destination + "/day={window_start}"))
    assert_refused(result, awork, since, "no data interval", "Pass window_start")
    bounds = {"window_start": "2026-11-18", "window_end": "2026-11-19"}
    assert run_dag(daily(destination + "/day={window_start}", **bounds)).state == "success"
    assert manifest_of(f"{destination}/day=2026-11-18").rows == worked_on(awork, "2026-11-18")


@pytest.mark.parametrize("placeholder", ["window_start", "partition_key"])
def test_a_partition_has_a_folder_of_its_own(awork: Sandbox, destination: str, placeholder: str) -> None:
    for day in ("2026-11-18", "2026-11-19"):
        partition = {"partition_key": day, "partition_date": pendulum.parse(day)}
        result = export(f"{destination}/day={{{placeholder}}}", run=partition, window_field="startDateLocal")
        if result.state != "success":  # Airflow 3.1 has no partitions
            assert "no partition" in result.logs
            return
        assert manifest_of(f"{destination}/day={day}").rows == worked_on(awork, day)


@pytest.mark.parametrize(("folder", "warned"), [("work_date", True), ("day", False)])
def test_a_folder_named_like_a_column_is_warned_about(
    awork: Sandbox, destination: str, folder: str, warned: bool
) -> None:
    bounds = {"window_start": "2026-11-18", "window_end": "2026-11-19", "window_field": "startDateLocal"}
    result = export(f"{destination}/{folder}={{window_start}}", file_format="parquet", **bounds)
    assert result.state == "success"
    assert ("take the folder work_date=..." in result.logs) is warned


@pytest.mark.emulator
def test_a_bucket_as_destination(awork: Sandbox, s3_emulator: S3Emulator) -> None:
    bucket = s3_emulator.create_bucket("root-of-a-lake")
    for destination in (bucket, f"{bucket}/"):
        summary = export(destination, file_format="parquet").xcom("export")
        (file,) = manifest_of(destination).files
        assert summary["uris"] == [f"s3://root-of-a-lake/{file.name}"]
        assert set(s3_emulator.keys("root-of-a-lake")) == {"_manifest.json", file.name}


@pytest.mark.emulator
def test_an_unknown_connection_in_a_destination_fails_at_once(awork: Sandbox, s3_emulator: S3Emulator) -> None:
    s3_emulator.create_bucket("without-connection")
    since = len(awork.requests)
    result = export("s3://no_such_conn@without-connection/x")
    assert_refused(result, awork, since, "Airflow has no connection 'no_such_conn'")
    assert len(awork.requests) == since


def test_the_connection_of_awork_is_checked_before_the_destination_is_claimed(tmp_path: Path, destination: str) -> None:
    with connection_in_environment("not-a-url", "key"):
        result = export(destination)
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "host" in result.logs
    assert not (tmp_path / "out").exists()


def test_a_run_that_waited_looks_again_at_what_is_published(
    awork: Sandbox, destination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An explicit incremental window, which another run publishes between the first look and the claim."""
    changed = pendulum.parse(max(entry["updatedOn"] for entry in awork.store.entries()))
    assert isinstance(changed, pendulum.DateTime)
    window = {
        "incremental": "updatedOn",
        "window_start": changed.subtract(hours=1).replace(microsecond=0).isoformat(),
        "window_end": changed.add(seconds=1).replace(microsecond=0).isoformat(),
    }
    first = export(destination, **window)
    assert first.state == "success"
    published = AworkTimeEntriesToObjectStorageOperator.published

    def not_yet(*_: Any) -> None:
        monkeypatch.setattr(AworkTimeEntriesToObjectStorageOperator, "published", published)

    monkeypatch.setattr(AworkTimeEntriesToObjectStorageOperator, "published", not_yet)
    result = export(destination, **window)
    assert result.state == "success"
    assert "The set is published already" in result.logs
    assert result.xcom("export") == first.xcom("export")
    folder = ObjectStoragePath(result.xcom("export")["destination"])
    assert manifest_of(str(folder)).run.owner.run_id == first.run_id
    assert not (folder / "_writing.json").exists()
