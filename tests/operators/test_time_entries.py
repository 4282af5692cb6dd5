"""The XCom operator in real DAG runs against a local awork."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=1500, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


def run(dag_id: str, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator(task_id="entries", retries=2, retry_delay=0, **parameters)
    return run_dag(dag)


def test_entries_as_awork_sent_them(awork: Sandbox) -> None:
    result = run("xcom_all", filterby="isBilled eq true", max_bytes=50_000_000)
    expected = {entry["id"]: entry for entry in awork.store.entries() if entry["isBilled"]}
    assert {entry["id"]: entry for entry in result.xcom("entries")} == expected


def test_fields_keep_exactly_these(awork: Sandbox) -> None:
    result = run("xcom_fields", fields=["id", "duration", "project/name", "user/lastName"])
    expected = {
        entry["id"]: {
            "id": entry["id"],
            "duration": entry.get("duration"),
            "project/name": entry.get("project", {}).get("name"),
            "user/lastName": entry.get("user", {}).get("lastName"),
        }
        for entry in awork.store.entries()
    }
    assert {entry["id"]: entry for entry in result.xcom("entries")} == expected


def test_a_field_that_nobody_knows_is_warned_about(awork: Sandbox) -> None:
    result = run("xcom_misspelt", fields=["idd", "project/nam", "id", "project", "breaks", "task/project/id"], limit=5)
    assert {entry["idd"] for entry in result.xcom("entries")} == {None}
    assert "awork does not document 'idd', 'project/nam', and no entry has it" in result.logs


def test_a_field_that_awork_has_since_is_taken_as_it_is(awork: Sandbox) -> None:
    entry = awork.store.entries()[0]
    awork.store.edit(entry["id"], brandNew="x")
    result = run("xcom_new_field", fields=["brandNew"])
    assert len(result.xcom("entries")) == 1500
    assert "awork does not document" not in result.logs


def test_limit(awork: Sandbox) -> None:
    assert len(run("xcom_limit", limit=7, fields=["id"]).xcom("entries")) == 7


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"max_entries": 1000, "fields": ["id"]}, "1500 time entries are more than max_entries=1000"),
        ({"max_bytes": 100_000}, "max_bytes=100000"),
    ],
)
def test_above_a_cap_nothing_is_pushed_and_the_transfer_is_named(
    awork: Sandbox, parameters: dict[str, Any], said: str
) -> None:
    result = run("xcom_caps", **parameters)
    task = result.task("entries")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "return_value" not in task.xcoms
    assert said in result.logs
    assert "AworkTimeEntriesToObjectStorageOperator" in result.logs


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"filterby": "isBillable = true"}, "invalid-filter-or-order"),
        ({"fields": "id"}, "fields"),
        ({"fields": [1]}, "fields: [1]"),
        ({"filterby": ["a"]}, "filterby: ['a'] is not text"),
        ({"awork_task_id": "abc"}, "awork_task_id: 'abc' is not a GUID"),
        ({"window_field": "start_date"}, "window_field: 'start_date' is not one of"),
        ({"limit": 0}, "limit"),
        ({"max_entries": -1}, "max_entries"),
        ({"window_start": "2026-11-01", "window_end": "2026-11-02"}, "window_field"),
        ({"window_field": "createdOn", "window_start": "2026-11-01"}, "window_end"),
        ({"window_field": "createdOn", "window_start": "2026-11-02", "window_end": "2026-11-01"}, "window_end"),
        ({"window_field": "createdOn", "window_start": "2026-11-01T00:00:00", "window_end": "2026-11-02"}, "time zone"),
        ({"window_field": "startDateLocal"}, "no data interval"),
        ({"awork_conn_id": "no_such_connection"}, "no_such_connection"),
    ],
)
def test_bad_input_fails_clearly_and_is_not_tried_again(awork: Sandbox, parameters: dict[str, Any], said: str) -> None:
    result = run("xcom_bad_input", **parameters)
    assert result.task("entries").state == "failed"
    assert said in result.logs
    assert result.task("entries").try_number == 1


def test_templates_are_rendered(awork: Sandbox) -> None:
    with DAG("xcom_templates", schedule=None, start_date=START, params={"billed": "true"}) as dag:
        AworkTimeEntriesOperator(task_id="entries", filterby="isBilled eq {{ params.billed }}", fields=["id"])
    result = run_dag(dag)
    assert result.task("entries").rendered_fields["filterby"] == "isBilled eq true"
    assert len(result.xcom("entries")) == sum(entry["isBilled"] for entry in awork.store.entries())
