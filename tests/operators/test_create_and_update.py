"""The operators that create and update one time entry, in real DAG runs against a local awork."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.operators.time_entries import AworkCreateTimeEntryOperator, AworkUpdateTimeEntryOperator
from airflow_provider_awork.sandbox import CutBody, RuleRequest, Sandbox
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")

Entry = dict[str, Any]


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=40, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture
def fields(awork: Sandbox) -> Entry:
    like = next(entry for entry in awork.store.entries() if {"projectId", "userId"} <= entry.keys())
    return {
        "userId": like["userId"],
        "typeOfWorkId": like["typeOfWorkId"],
        "projectId": like["projectId"],
        "timezone": "Europe/Berlin",
        "startDateLocal": "{{ params.day }}",
        "duration": "{{ params.hours * 3600 }}",
        "isBillable": "{{ params.billable }}",
        "note": "Standby {{ params.day }}",
    }


def run(dag: DAG) -> DagResult:
    return run_dag(dag)


def dag(dag_id: str, **default_args: Any) -> DAG:
    params = {"day": "2026-07-01", "hours": 2, "billable": False}
    return DAG(dag_id, schedule=None, start_date=START, params=params, default_args=default_args)


def by_id(awork: Sandbox, entry_id: str) -> Entry:
    return next(entry for entry in awork.store.entries() if entry["id"] == entry_id)


def is_create(request: RuleRequest) -> bool:
    return (request.method, request.path) == ("POST", "/timeentries")


def test_an_entry_is_created_then_updated(awork: Sandbox, fields: Entry) -> None:
    with dag("create_and_update") as both:
        create = AworkCreateTimeEntryOperator(task_id="create", time_entry=fields)
        AworkUpdateTimeEntryOperator(
            task_id="update", time_entry_id=create.output, changes={"note": None, "isBillable": "True"}
        )
    result = run(both)
    entry = by_id(awork, result.xcom("create"))
    assert result.xcom("update") == entry["id"]
    assert (entry["duration"], entry["isBillable"], "note" in entry) == (7200, True, False)
    assert entry["startDateLocal"] == "2026-07-01T00:00:00"
    assert entry["projectId"] == fields["projectId"]
    assert result.task("create").rendered_fields["time_entry"]["note"] == "Standby 2026-07-01"


def test_a_lost_answer_creates_no_second_entry_whatever_default_args_say(awork: Sandbox, fields: Entry) -> None:
    awork.faults.add(lambda request, _: CutBody(after_bytes=5) if is_create(request) else None)
    with dag("create_lost", retries=3, retry_delay=0) as once:
        AworkCreateTimeEntryOperator(task_id="create", time_entry=fields)
    result = run(once)
    assert (result.task("create").state, result.task("create").try_number) == ("failed", 1)
    assert "unknown whether awork did it" in result.logs
    assert awork.store.count() == 41


def test_mapped_it_has_no_retries_either(awork: Sandbox, fields: Entry) -> None:
    awork.faults.add(lambda request, _: CutBody(after_bytes=5) if is_create(request) else None)
    with dag("create_mapped", retries=3, retry_delay=0) as mapped:
        AworkCreateTimeEntryOperator.partial(task_id="create").expand(time_entry=[fields, fields])
    result = run(mapped)
    tries = [result.task("create", map_index=index) for index in (0, 1)]
    assert [(each.state, each.try_number) for each in tries] == [("failed", 1)] * 2
    assert awork.store.count() == 42


def test_retries_are_what_is_passed_to_the_operator_itself(fields: Entry) -> None:
    with dag("create_retries", retries=3) as retried:
        AworkCreateTimeEntryOperator(task_id="create", time_entry=fields, retries=1)
        AworkCreateTimeEntryOperator.partial(task_id="mapped", retries=2).expand(time_entry=[fields])
        AworkUpdateTimeEntryOperator(task_id="update", time_entry_id="", changes={})
    assert [retried.get_task(name).retries for name in ("create", "mapped", "update")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("time_entry", "said"),
    [
        ({}, "userId: awork needs it"),
        ({"userID": "x"}, "userID: not a field"),
        ({"duration": "2h"}, "duration: '2h'"),
        ({"isBillable": "yes"}, "isBillable: 'yes'"),
        ("{{ params.day }}", "is not a dict"),
    ],
)
def test_bad_fields_send_nothing(awork: Sandbox, time_entry: Any, said: str) -> None:
    with dag("create_bad") as bad:
        AworkCreateTimeEntryOperator(task_id="create", time_entry=time_entry)
    result = run(bad)
    assert result.task("create").state == "failed"
    assert said in result.logs
    assert not awork.requests


@pytest.mark.parametrize(
    ("time_entry_id", "changes", "said"),
    [
        ("abc", {"note": "x"}, "time_entry_id: 'abc' is not a GUID"),
        ("00000000-0000-4000-8000-000000000001", {"note": "x"}, "404 not-found"),
        ("00000000-0000-4000-8000-000000000001", {}, "changes: is empty"),
        ("00000000-0000-4000-8000-000000000001", {"createdOn": "x"}, "createdOn: not a field"),
    ],
)
def test_an_update_that_cannot_work_is_not_tried_again(
    awork: Sandbox, time_entry_id: str, changes: Entry, said: str
) -> None:
    with dag("update_bad", retries=2, retry_delay=0) as bad:
        AworkUpdateTimeEntryOperator(task_id="update", time_entry_id=time_entry_id, changes=changes)
    result = run(bad)
    assert (result.task("update").state, result.task("update").try_number) == ("failed", 1)
    assert said in result.logs
