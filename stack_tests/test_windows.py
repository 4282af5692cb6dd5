"""Runs that own a window: the nightly partition, and a backfill by mapped tasks."""

from __future__ import annotations

from pathlib import Path

import pendulum

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.exports import assert_only_the_set, exported_ids
from stack_tests.rest_api import RestApi, wait_for

BERLIN = "Europe/Berlin"


def worked_on(awork: Sandbox, start: pendulum.Date, end: pendulum.Date) -> list[str]:
    """Ids of the entries of some days, sorted."""
    return sorted(awork.store.ids(lambda entry: str(start) <= entry["startDateLocal"][:10] < str(end)))


def test_nightly_run_exports_yesterday(airflow: RestApi, awork: Sandbox, output: Path) -> None:
    airflow.patch("/api/v2/dags/nightly", is_paused=False)
    (run,) = wait_for("the scheduled run", lambda: airflow.runs("nightly"))
    night = pendulum.parse(run["run_after"]).in_timezone(BERLIN)
    assert (night.hour, night.minute) == (2, 0)
    yesterday = night.subtract(days=1).date()
    assert run["partition_key"] == str(yesterday)
    airflow.succeeded("nightly", run["dag_run_id"])
    expected = worked_on(awork, yesterday, yesterday.add(days=1))
    assert exported_ids(output / "nightly" / str(yesterday)) == expected
    assert len(expected) >= 2


def test_backfill_of_twelve_months_is_exact(airflow: RestApi, awork: Sandbox, output: Path) -> None:
    airflow.post("/api/v2/pools", name="awork", slots=2)
    first = pendulum.today(BERLIN).start_of("month").subtract(months=13).date()
    months = [(first.add(months=number), first.add(months=number + 1)) for number in range(12)]
    run_id = airflow.start_run("backfill", conf={"windows": [[str(start), str(end)] for start, end in months]})
    airflow.succeeded("backfill", run_id)

    exports = [each for each in airflow.task_instances("backfill", run_id) if each["task_id"] == "export"]
    assert {each["rendered_map_index"] for each in exports} == {str(start) for start, _ in months}
    for start, end in months:
        folder = output / "backfill" / str(start)
        assert exported_ids(folder) == worked_on(awork, start, end)
        assert_only_the_set(folder)
    rows = [airflow.xcom("backfill", run_id, "export", map_index=each["map_index"])["rows"] for each in exports]
    assert len(rows) == 12
    assert sum(rows) == len(worked_on(awork, first, first.add(months=12)))
    assert min(rows) > 0
