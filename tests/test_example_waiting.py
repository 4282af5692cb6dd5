"""The example DAGs that wait for awork or start when something changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pendulum
import pytest

from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.faults import RuleRequest
from airflow_provider_awork.sandbox.store import Store
from tests.helpers.airflow_harness import connection_in_environment, run_dag
from tests.helpers.examples import load

BERLIN = "Europe/Berlin"


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with (
        Sandbox(entries=300, seed=9, end=pendulum.date(2026, 10, 29)) as sandbox,
        connection_in_environment(sandbox.url, sandbox.token),
    ):
        yield sandbox


def test_month_close_waits_for_timers_and_people(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    dag = load("awork_month_close")
    for sensor, timeout in (("timers_stopped", 60), ("everybody_booked", 0.3)):
        settings = dag.task_dict[sensor]
        attributes = getattr(settings, "partial_kwargs", None)
        if attributes is None:
            settings.poke_interval, settings.timeout = 0.1, timeout
        else:
            attributes |= {"poke_interval": 0.1, "timeout": timeout}
    running = {"endDateUtc": None, "endTimeUtc": None, "endDateLocal": None, "endTimeLocal": None, "duration": 0}
    awork.store.add(awork.make_entry(started_at=pendulum.datetime(2026, 10, 28, 8), **running))
    polls = []

    def stop(request: RuleRequest, store: Store) -> None:
        if "endTimeUtc eq null" not in request.query.get("filterby", ""):
            return
        polls.append(request)
        if len(polls) == 2:
            for entry in store.entries():
                if "startTimeUtc" in entry and "endTimeUtc" not in entry:
                    store.edit(entry["id"], endDateUtc=entry["startDateUtc"], endTimeUtc="23:00:00")

    awork.faults.add(stop)
    start, end = (pendulum.datetime(2026, month, 1, tz=BERLIN) for month in (10, 11))
    result = run_dag(dag, logical_date=end, data_interval=(start, end))
    awork.faults.clear()
    assert (result.task("timers_stopped").state, len(polls)) == ("success", 2)
    booked = [each.state for (task_id, _), each in result.task_instances.items() if task_id == "everybody_booked"]
    assert len(booked) == len(awork.store.texts("users")) - 1
    assert {"success"} <= set(booked) <= {"success", "skipped"}
    october = awork.store.ids(lambda entry: entry.get("startDateLocal", "").startswith("2026-10"))
    assert result.xcom("export")["rows"] == len(october)


def test_on_change_counts_again(awork: Sandbox) -> None:
    payload = {"event_id": "abc", "changed": 3}
    awork.settings.now = pendulum.datetime(2026, 10, 22)
    result = run_dag(
        load("awork_on_change"),
        run_type="asset_triggered",
        asset_events={"awork_billable_entries": {"from_trigger": True, "payload": payload}},
    )
    assert result.xcom("changes") == {"abc": 3}
    counted = [
        entry["duration"]
        for entry in awork.store.entries()
        if entry["isBillable"] and entry.get("startDateLocal", "") >= "2026-10-01"
    ]
    assert sum(result.xcom("hours_by_client").values()) == pytest.approx(sum(counted) / 3600, abs=0.1)
