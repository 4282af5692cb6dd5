"""Where the window of a run comes from, in real DAG runs of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.run_window import resolve_window
from airflow_provider_awork.sandbox import Sandbox
from tests.airflow_harness import DagResult, connection_in_environment, data_interval_timetable, run_dag

BERLIN = "Europe/Berlin"
START = pendulum.datetime(2025, 1, 1, tz=BERLIN)


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=1500, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture(scope="module")
def day(awork: Sandbox) -> pendulum.Date:
    """A day with entries."""
    days = sorted(entry["startDateLocal"][:10] for entry in awork.store.entries() if entry.get("startDateLocal"))
    return pendulum.Date.fromisoformat(days[len(days) // 2])


def midnight(day: date) -> pendulum.DateTime:
    return pendulum.datetime(day.year, day.month, day.day, tz=BERLIN)


def dag_with(schedule: Any, **parameters: Any) -> DAG:
    with DAG("window_of_a_run", schedule=schedule, start_date=START, catchup=False) as dag:
        AworkTimeEntriesOperator(
            task_id="entries",
            **{"window_field": "startDateLocal", "fields": ["id", "startDateLocal"], "retries": 1, **parameters},
        )
    return dag


def assert_has_day(result: DagResult, awork: Sandbox, day: date) -> None:
    expected = {
        entry["id"] for entry in awork.store.entries() if entry.get("startDateLocal", "")[:10] == day.isoformat()
    }
    assert expected
    assert {entry["id"] for entry in result.xcom("entries")} == expected


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_data_interval(awork: Sandbox, day: pendulum.Date, run_type: str) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    dag = dag_with(data_interval_timetable("0 0 * * *", timezone=BERLIN), timezone=BERLIN)
    result = run_dag(dag, logical_date=interval[0], data_interval=interval, run_type=run_type)
    assert_has_day(result, awork, day)


def test_the_zone_of_days_is_the_dags_if_not_said(awork: Sandbox, day: pendulum.Date) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    dag = dag_with(data_interval_timetable("0 0 * * *", timezone=BERLIN))
    assert_has_day(run_dag(dag, logical_date=interval[0], data_interval=interval), awork, day)


def test_explicit_bounds_win(awork: Sandbox, day: pendulum.Date) -> None:
    other = (midnight(day.add(days=10)), midnight(day.add(days=11)))
    dag = dag_with(
        data_interval_timetable("0 0 * * *", timezone=BERLIN),
        window_start="{{ params.day }}",
        window_end="{{ macros.ds_add(params.day, 1) }}",
    )
    dag.params["day"] = str(day)
    assert_has_day(run_dag(dag, logical_date=other[0], data_interval=other), awork, day)


def test_at_daily_has_empty_intervals_and_fails_with_what_to_pass(awork: Sandbox, day: pendulum.Date) -> None:
    result = run_dag(dag_with("@daily"), logical_date=midnight(day), run_type="scheduled")
    task = result.task("entries")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "an empty data interval" in result.logs
    assert "CronDataIntervalTimetable" in result.logs


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_run_without_interval_fails_with_what_to_pass(awork: Sandbox, run_type: str) -> None:
    result = run_dag(dag_with(None), run_type=run_type)
    task = result.task("entries")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "window_start" in result.logs
    assert "return_value" not in task.xcoms


def test_an_interval_that_is_not_of_days_fails_on_a_field_of_days(awork: Sandbox, day: pendulum.Date) -> None:
    interval = (midnight(day).add(hours=1), midnight(day).add(hours=2))
    dag = dag_with(data_interval_timetable("0 * * * *", timezone=BERLIN))
    result = run_dag(dag, logical_date=interval[0], data_interval=interval)
    assert result.task("entries").state == "failed"
    assert "not midnight" in result.logs


def test_an_hourly_interval_works_on_instants(awork: Sandbox) -> None:
    created = pendulum.parse(sorted(entry["createdOn"] for entry in awork.store.entries())[700])
    assert isinstance(created, pendulum.DateTime)
    hour = created.start_of("hour")
    dag = dag_with(data_interval_timetable("0 * * * *"), window_field="createdOn", fields=["id", "createdOn"])
    result = run_dag(dag, logical_date=hour, data_interval=(hour, hour.add(hours=1)))
    created_in_hour = [each["createdOn"] for each in result.xcom("entries")]
    assert created_in_hour
    assert all(each.startswith(hour.format("YYYY-MM-DDTHH")) for each in created_in_hour)


def test_no_window_reads_everything_in_any_run(awork: Sandbox) -> None:
    result = run_dag(dag_with(None, window_field=None, fields=["id"]))
    assert len(result.xcom("entries")) == 1500


def test_the_partition_date_comes_before_the_data_interval() -> None:
    interval = {"data_interval_start": midnight(date(2026, 1, 1)), "data_interval_end": midnight(date(2026, 2, 1))}
    window = resolve_window(
        {"partition_date": midnight(date(2026, 3, 29)), **interval}, field="startDateLocal", timezone=BERLIN
    )
    assert window is not None
    assert (window.start, window.end) == (date(2026, 3, 29), date(2026, 3, 30))


def test_the_partition_key_is_the_day_where_there_is_no_partition_date() -> None:
    window = resolve_window({"dag_run": SimpleNamespace(partition_key="2026-03-29")}, field="startDateLocal")
    assert window is not None
    assert (window.start, window.end) == (date(2026, 3, 29), date(2026, 3, 30))


def test_a_partition_key_that_is_no_day_is_not_guessed() -> None:
    with pytest.raises(AworkConfigError, match="2026-W13"):
        resolve_window({"dag_run": SimpleNamespace(partition_key="2026-W13")}, field="startDateLocal")


@pytest.mark.parametrize("missing", ["start", "end"])
def test_one_bound_alone_is_an_error(missing: str) -> None:
    bounds: dict[str, Any] = {"start": "2026-11-01", "end": "2026-11-02", missing: None}
    with pytest.raises(AworkConfigError, match=f"window_{missing}"):
        resolve_window({}, field="createdOn", **bounds)


def test_an_interval_that_ends_before_it_starts_is_not_used() -> None:
    interval = {"data_interval_start": midnight(date(2026, 2, 1)), "data_interval_end": midnight(date(2026, 1, 1))}
    with pytest.raises(AworkConfigError, match="window_start"):
        resolve_window(interval, field="createdOn")


def test_days_are_counted_over_the_change_to_summer_time() -> None:
    interval = {"data_interval_start": midnight(date(2026, 3, 29)), "data_interval_end": midnight(date(2026, 3, 30))}
    assert interval["data_interval_end"] - interval["data_interval_start"] == timedelta(hours=23)
    window = resolve_window(interval, field="startDateLocal", timezone=BERLIN)
    assert window is not None
    assert (window.start, window.end) == (date(2026, 3, 29), date(2026, 3, 30))
