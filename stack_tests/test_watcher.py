"""An asset watcher starts runs when time entries change, also if its triggerer is lost meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi, wait_for
from stack_tests.stack import AirflowStack


def wait_for_polls(awork: Sandbox, count: int) -> None:
    """Wait for so many further answers to the watcher; what it asks at its start does not count."""

    def polls() -> int:
        asked = [request for request in awork.requests if "watch me" in request.query.get("filterby", "")]
        return sum(request.query.get("pageSize") == "1000" and request.ended is not None for request in asked)

    before = polls()
    wait_for(f"{count} polls", lambda: polls() >= before + count)


def told(airflow: RestApi, *, at_least: int = 0) -> list[dict[str, Any]]:
    """What each run so far was told of, oldest first."""
    runs = wait_for(f"{at_least} runs", lambda: airflow.runs("watch"), lambda runs: len(runs) >= at_least)
    for run in runs:
        airflow.succeeded("watch", run["dag_run_id"])
    return [event for run in runs for event in airflow.xcom("watch", run["dag_run_id"], "tell")]


@pytest.fixture(autouse=True)
def _watcher(stack: AirflowStack, awork: Sandbox) -> None:
    wait_for_polls(awork, 1)


def test_each_change_starts_one_run(airflow: RestApi, awork: Sandbox) -> None:
    before = len(told(airflow))
    entry = awork.make_entry(note="watch me: created")
    awork.store.add(entry)
    created = told(airflow, at_least=before + 1)[-1]
    assert (created["created"], created["changed"]) == (1, 1)
    awork.store.edit(entry["id"], note="watch me: edited")
    edited = told(airflow, at_least=before + 2)[-1]
    assert (edited["created"], edited["changed"], edited["since"]) == (0, 1, created["watermark"])
    wait_for_polls(awork, 3)
    assert told(airflow)[before:] == [created, edited]


def test_a_lost_triggerer_misses_no_change(airflow: RestApi, awork: Sandbox, stack: AirflowStack) -> None:
    """What was told right before may come once more, with the same id; all else comes once."""
    awork.store.add(awork.make_entry(note="watch me: right before"))
    known = {event["event_id"] for event in told(airflow, at_least=len(told(airflow)) + 1)}
    stack.kill_triggerer()
    awork.store.add(awork.make_entry(note="watch me: while it is away"), awork.make_entry(note="watch me: too"))
    stack.start_triggerer()

    def fresh() -> list[dict[str, Any]]:
        return [event for event in stack.watcher_events() if event["event_id"] not in known]

    (missed,) = wait_for("the change", fresh)
    assert missed["changed"] == 2
    awork.store.add(awork.make_entry(note="watch me: after that"))
    wait_for("the next change", fresh, lambda events: len(events) > 1)
    wait_for_polls(awork, 3)
    assert [event["changed"] for event in fresh()] == [2, 1]
    times = Counter(event["event_id"] for event in stack.watcher_events())
    assert max(times.values()) <= 2
    wait_for("the runs", lambda: told(airflow), lambda events: {event["event_id"] for event in events} == times.keys())
