"""Where the window of a run comes from, in real DAG runs of each kind."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

import airflow.sdk
import pendulum
import pytest
from airflow.sdk import DAG, Asset
from airflow.timetables.interval import DeltaDataIntervalTimetable

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.windows.resolution import resolve_window
from airflow_provider_awork.windows.run_facts import RunFacts, read_run_facts
from tests.helpers.airflow_harness import DagResult, connection_in_environment, data_interval_timetable, run_dag

BERLIN = "Europe/Berlin"
START = pendulum.datetime(2025, 1, 1)  # so that the zone of the DAGs is UTC where a test does not say otherwise


@pytest.fixture(scope="module")
def workspace() -> Iterator[Sandbox]:
    with Sandbox(entries=1500, seed=5) as sandbox:
        yield sandbox


@pytest.fixture
def awork(workspace: Sandbox) -> Iterator[Sandbox]:
    with connection_in_environment(workspace.url, workspace.token):
        yield workspace


@pytest.fixture(scope="module")
def day(workspace: Sandbox) -> pendulum.Date:
    """A day with entries."""
    days = sorted(entry["startDateLocal"][:10] for entry in workspace.store.entries() if entry.get("startDateLocal"))
    return pendulum.Date.fromisoformat(days[len(days) // 2])


def midnight(day: date) -> pendulum.DateTime:
    return pendulum.datetime(day.year, day.month, day.day, tz=BERLIN)


def dag_with(schedule: Any, *, dag_starts: datetime = START, **parameters: Any) -> DAG:
    with DAG("window_of_a_run", schedule=schedule, start_date=dag_starts, catchup=False) as dag:
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


def timetable_of(module: str, name: str, *arguments: Any, **parameters: Any) -> Any:
    """A timetable of ``airflow.timetables`` or of the task SDK, which tasks see as the DAG's author made it."""
    made_by = getattr(importlib.import_module(module), name, None)
    if made_by is None:
        pytest.skip(f"this Airflow has no {name} in {module}")
    return made_by(*arguments, **parameters)


CRON_MODULES = ["airflow.timetables.trigger", "airflow.sdk"]


@pytest.mark.parametrize("module", ["airflow.timetables.interval", "airflow.sdk"])
@pytest.mark.parametrize("zone", [BERLIN, pendulum.timezone(BERLIN)], ids=["text", "zone"])
def test_the_zone_of_days_is_the_timetables(awork: Sandbox, day: pendulum.Date, module: str, zone: Any) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    dag = dag_with(timetable_of(module, "CronDataIntervalTimetable", "0 0 * * *", timezone=zone))
    assert_has_day(run_dag(dag, logical_date=interval[0], data_interval=interval), awork, day)


@pytest.mark.parametrize("module", CRON_MODULES)
def test_a_timetable_of_several_crons_has_a_zone_too(awork: Sandbox, day: pendulum.Date, module: str) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    crons, interval_length = ("0 0 * * 1-5", "0 0 * * 6,0"), timedelta(days=1)
    dag = dag_with(
        timetable_of(module, "MultipleCronTriggerTimetable", *crons, timezone=BERLIN, interval=interval_length)
    )
    assert_has_day(run_dag(dag, logical_date=interval[0], data_interval=interval), awork, day)


def test_a_timetable_beside_assets_has_a_zone_too(awork: Sandbox, day: pendulum.Date) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    inner = data_interval_timetable("0 0 * * *", timezone=BERLIN)
    module = "airflow.sdk" if hasattr(airflow.sdk, "AssetOrTimeSchedule") else "airflow.timetables.assets"
    dag = dag_with(timetable_of(module, "AssetOrTimeSchedule", timetable=inner, assets=[Asset("orders")]))
    assert_has_day(run_dag(dag, logical_date=interval[0], data_interval=interval), awork, day)


def test_the_zone_of_days_is_the_dags_if_the_timetable_has_none(awork: Sandbox, day: pendulum.Date) -> None:
    interval = (midnight(day), midnight(day.add(days=1)))
    dag = dag_with(DeltaDataIntervalTimetable(timedelta(days=1)), dag_starts=START.in_timezone(BERLIN))
    assert_has_day(run_dag(dag, logical_date=interval[0], data_interval=interval), awork, day)


def test_a_timetable_with_an_offset_instead_of_a_zone() -> None:
    offset = pendulum.FixedTimezone(3600)
    interval = {"data_interval_start": datetime(2026, 11, 2, 23, tzinfo=UTC)}
    interval["data_interval_end"] = interval["data_interval_start"] + timedelta(days=1)
    timetable = data_interval_timetable("0 0 * * *", timezone=offset)
    window = resolve_window(read_run_facts({"dag": dag_with(timetable), **interval}), field="startDateLocal")
    assert window is not None
    assert (window.start, window.end) == (date(2026, 11, 3), date(2026, 11, 4))


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


def partition_timetable(
    cron: str, zone: str, key_format: str, *, module: str = "airflow.sdk", **parameters: Any
) -> Any:
    return timetable_of(module, "CronPartitionTimetable", cron, timezone=zone, key_format=key_format, **parameters)


def run_of_partition(dag: DAG, *, earliest: pendulum.DateTime) -> DagResult:
    """Run the first partition that Airflow's scheduler makes of a timetable, with the key and date it gives."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(earliest=earliest, latest=None, catchup=True)
    info = coerce_to_core_timetable(dag.timetable).next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info is not None
    return run_dag(dag, run_type="scheduled", partition_key=info.partition_key, partition_date=info.partition_date)


@pytest.fixture(scope="module")
def midnights() -> Iterator[Sandbox]:
    """Entries a quarter of an hour before and after each midnight in Berlin that the tests are about."""
    first_days = ("2025-03-30", "2025-03-31", "2025-10-26", "2025-10-27", "2026-01-01", "2026-02-01", "2026-03-01")
    with Sandbox() as sandbox:
        for first_day in first_days:
            for minutes in (-15, 15):
                start = midnight(date.fromisoformat(first_day)).add(minutes=minutes)
                sandbox.store.add(sandbox.make_entry(started_at=start, ended_at=start.add(minutes=5)))
        yield sandbox


@pytest.fixture
def around_midnight(midnights: Sandbox) -> Iterator[Sandbox]:
    with connection_in_environment(midnights.url, midnights.token):
        yield midnights


KEYS = {"day": "%Y-%m-%d", "instant": "%Y-%m-%dT%H:%M:%S"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26", "2025-12-31"], ids=["23 hours", "25 hours", "year end"])
@pytest.mark.parametrize(("cron", "offset"), [("0 0 * * *", 0), ("0 2 * * *", -1)], ids=["midnight", "the night after"])
@pytest.mark.parametrize("module", CRON_MODULES)
def test_a_partition_is_its_day_in_the_timetables_zone(
    around_midnight: Sandbox, module: str, key: str, day: str, cron: str, offset: int
) -> None:
    timetable = partition_timetable(cron, BERLIN, KEYS[key], module=module, run_offset=offset)
    first = midnight(date.fromisoformat(day))
    result = run_of_partition(dag_with(timetable), earliest=first.add(days=-offset))
    if key == "day" and tasks_see_only_the_key():
        assert result.task("entries").state == "failed"
        assert "writes it in UTC" in result.logs
    else:
        assert_has_day(result, around_midnight, first.date())


def tasks_see_only_the_key() -> bool:
    from airflow.sdk import Context

    return "partition_date" not in Context.__annotations__


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26"])
@pytest.mark.parametrize("module", CRON_MODULES)
def test_on_instants_a_partition_is_from_midnight_to_midnight(around_midnight: Sandbox, module: str, day: str) -> None:
    timetable = partition_timetable("0 0 * * *", BERLIN, KEYS["instant"], module=module)
    first = midnight(date.fromisoformat(day))
    run_of_partition(dag_with(timetable, window_field="createdOn"), earliest=first)
    bounds = [at.in_timezone("UTC").format("YYYY-MM-DDTHH:mm:ss") for at in (first, first.add(days=1))]
    filters = [request.query.get("filterby") for request in around_midnight.requests]
    assert f"createdOn ge datetime'{bounds[0]}' and createdOn lt datetime'{bounds[1]}'" in filters


@pytest.mark.parametrize("module", CRON_MODULES)
@pytest.mark.parametrize("zone", [BERLIN, "UTC"])
def test_the_partitions_of_hours_hold_each_entry_once(around_midnight: Sandbox, module: str, zone: str) -> None:
    expected = [entry for entry in around_midnight.store.entries() if entry["startDateLocal"][:10] == "2025-10-26"]
    found = []
    for entry in expected:
        hour = pendulum.parse(entry["createdOn"]).start_of("hour")
        timetable = partition_timetable("0 * * * *", zone, KEYS["instant"], module=module)
        parameters = {"window_field": "createdOn", "window_length": "PT1H"}
        found += run_of_partition(dag_with(timetable, **parameters), earliest=hour).xcom("entries")
    assert [entry["id"] for entry in found] == [entry["id"] for entry in expected]


@pytest.mark.parametrize("module", CRON_MODULES)
def test_the_length_of_a_partition_of_hours_is_not_guessed(around_midnight: Sandbox, module: str) -> None:
    timetable = partition_timetable("0 * * * *", BERLIN, KEYS["instant"], module=module)
    sent = len(around_midnight.requests)
    result = run_of_partition(dag_with(timetable, window_field="createdOn"), earliest=midnight(date(2025, 10, 26)))
    assert result.task("entries").state == "failed"
    assert "window_length: missing" in result.logs
    assert len(around_midnight.requests) == sent


@pytest.mark.parametrize("schedule", ["assets", None])
def test_a_key_of_another_dag_does_not_say_how_long_it_is(around_midnight: Sandbox, schedule: str | None) -> None:
    partitions = timetable_of("airflow.sdk", "PartitionedAssetTimetable", assets=Asset("hourly"))
    result = run_dag(
        dag_with(partitions if schedule else None, window_field="createdOn"),
        run_type="asset_triggered" if schedule else "manual",
        partition_key="2025-10-26T05:00:00",
    )
    assert result.task("entries").state == "failed"
    assert "window_length: missing" in result.logs


@pytest.mark.parametrize(("month", "rows"), [("2025-12", 1), ("2026-01", 2), ("2026-02", 2)])
def test_a_key_that_is_a_month_is_that_month(around_midnight: Sandbox, month: str, rows: int) -> None:
    timetable = partition_timetable("0 3 1 * *", "UTC", "%Y-%m", run_offset=-1)
    result = run_of_partition(dag_with(timetable), earliest=pendulum.parse(f"{month}-01").add(months=1))
    assert [entry["startDateLocal"][:7] for entry in result.xcom("entries")] == [month] * rows


def test_a_run_that_was_started_with_a_key_by_hand(around_midnight: Sandbox) -> None:
    timetable = partition_timetable("0 0 * * *", BERLIN, "%Y-%m-%d")
    result = run_dag(dag_with(timetable), partition_key="2025-10-26")
    assert_has_day(result, around_midnight, date(2025, 10, 26))


def test_a_run_of_a_partitioned_dag_that_was_started_without_a_key_names_the_field(around_midnight: Sandbox) -> None:
    timetable = partition_timetable("0 0 * * *", BERLIN, "%Y-%m-%d")
    result = run_dag(dag_with(timetable))
    assert result.task("entries").state == "failed"
    assert "partition_key: this run of a partitioned DAG was triggered without one" in result.logs
    assert "'Partition key' of the form" in result.logs
    assert "CronDataIntervalTimetable" not in result.logs


def of_partition(
    key: str,
    *,
    at: pendulum.DateTime | None = None,
    cron: str | None = None,
    zone: tzinfo | None = None,
    dag_zone: str = "UTC",
    run_type: str = "scheduled",
    only_key: bool = False,
    **parameters: Any,
) -> Any:
    """The bounds that a run with this partition gets, as Airflow 3.3, or 3.2 (``only_key``), tells tasks of it."""
    timetable = SimpleNamespace(timezone=zone or pendulum.timezone(BERLIN), expression=cron) if cron or zone else None
    context = {
        "dag_run": SimpleNamespace(partition_key=key, run_type=run_type),
        "dag": SimpleNamespace(timetable=timetable, timezone=pendulum.timezone(dag_zone)),
        "data_interval_start": midnight(date(2026, 1, 1)),
        "data_interval_end": midnight(date(2026, 2, 1)),
    }
    if not only_key:
        context["partition_date"] = at
    window = resolve_window(read_run_facts(context), **{"field": "startDateLocal", **parameters})
    assert window is not None
    return window.start, window.end


@pytest.mark.parametrize(
    ("key", "length", "first", "after"),
    [
        ("2026-03-29", None, date(2026, 3, 29), date(2026, 3, 30)),
        ("2026-03-23 (W13)", None, date(2026, 3, 23), date(2026, 3, 30)),
        ("2026-02", None, date(2026, 2, 1), date(2026, 3, 1)),
        ("2026-12", "P1M", date(2026, 12, 1), date(2027, 1, 1)),
        ("2026-Q4", None, date(2026, 10, 1), date(2027, 1, 1)),
        ("2026", None, date(2026, 1, 1), date(2027, 1, 1)),
        ("2026-03-29", "P1M", date(2026, 3, 29), date(2026, 4, 29)),
        ("2026-03-29T00:00:00", "P7D", date(2026, 3, 29), date(2026, 4, 5)),
    ],
)
def test_the_key_names_the_period(key: str, length: str | None, first: date, after: date) -> None:
    assert of_partition(key, length=length) == (first, after)


def test_a_partition_of_hours_begins_at_its_instant() -> None:
    at = pendulum.datetime(2026, 10, 25, 1)  # the second 02:00 in Berlin
    bounds = of_partition("2026-10-25T02:00:00", at=at, cron="0 * * * *", field="createdOn", length="PT1H")
    assert bounds == (at, at.add(hours=1))


@pytest.mark.parametrize("cron", ["0 0 1 * *", "0 0 * * 1", "0 * * * *", "0 6 * * 1-5", "@monthly"])
def test_the_length_of_a_partition_is_not_guessed(cron: str) -> None:
    with pytest.raises(AworkConfigError, match="window_length"):
        of_partition("2026-03-01", at=midnight(date(2026, 3, 1)), cron=cron)


@pytest.mark.parametrize(
    ("key", "parameters", "said"),
    [
        ("2026-03-29", {"at": midnight(date(2026, 3, 30)), "cron": "0 0 * * *"}, "is not the partition date"),
        ("2026-03", {"at": midnight(date(2026, 4, 1)), "cron": "0 0 1 * *"}, "is not the partition date"),
        ("2026-03", {"length": "P1D"}, "names a period of P1M"),
        ("2026-W13", {}, "2026-W13"),
        ("2026-02-30", {}, "2026-02-30"),
        ("north|2026-03-29", {"at": midnight(date(2026, 3, 29))}, "north"),
        ("2026-03-29", {"length": "a day"}, "'a day' is not an ISO 8601 duration"),
        ("2026-03-29", {"length": "PT1H"}, "in days"),
    ],
)
def test_a_partition_that_is_not_certain_is_an_error(key: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(AworkConfigError, match=re.escape(said)):
        of_partition(key, **parameters)


def test_a_key_of_another_form_is_seen_in_the_timetables_zone() -> None:
    at = midnight(date(2026, 3, 29)).in_timezone("UTC")
    assert of_partition("29.03.2026", at=at, cron="0 0 * * *") == (date(2026, 3, 29), date(2026, 3, 30))


OFFSET = pendulum.FixedTimezone(3600)
HOUR = {"field": "createdOn", "length": "PT1H"}
DAY = {"field": "createdOn", "length": "P1D"}
BY_ASSET = {"run_type": "asset_triggered"}


@pytest.mark.parametrize(
    ("key", "parameters", "start"),
    [
        # A key tells its hour where Airflow does not: 3.2, or a run by hand.
        ("2026-11-03T05:00:00", HOUR, datetime(2026, 11, 3, 5, tzinfo=UTC)),
        ("2026-11-03T05", HOUR, datetime(2026, 11, 3, 5, tzinfo=UTC)),
        ("2026-11-03T05:00:00", {**HOUR, **BY_ASSET, "only_key": True}, datetime(2026, 11, 3, 5, tzinfo=UTC)),
        ("2026-11-03T05:00:00", {**HOUR, "cron": "0 * * * *"}, datetime(2026, 11, 3, 4, tzinfo=UTC)),
        (
            "2026-11-03T05:00:00",
            {**HOUR, "cron": "0 * * * *", "only_key": True},
            datetime(2026, 11, 3, 5, tzinfo=UTC),
        ),
        # An hour that the date tells needs no zone.
        (
            "2026-11-03T00:00:00",
            {**HOUR, **BY_ASSET, "at": midnight(date(2026, 11, 3))},
            datetime(2026, 11, 2, 23, tzinfo=UTC),
        ),
        # Days of another DAG's schedule, in the zone that is said.
        (
            "2026-11-03T00:00:00",
            {**DAY, **BY_ASSET, "at": midnight(date(2026, 11, 3)), "timezone": BERLIN},
            datetime(2026, 11, 2, 23, tzinfo=UTC),
        ),
        (
            "2026-11-03",
            {**DAY, **BY_ASSET, "at": midnight(date(2026, 11, 3)), "dag_zone": BERLIN},
            datetime(2026, 11, 2, 23, tzinfo=UTC),
        ),
        # The name of a day is enough where each entry has its own zone.
        ("2026-11-03", {**BY_ASSET, "at": midnight(date(2026, 11, 3))}, date(2026, 11, 3)),
        # A timetable with an offset instead of a zone.
        ("2026-11-03", {"field": "createdOn", "zone": OFFSET}, datetime(2026, 11, 2, 23, tzinfo=UTC)),
        (
            "2026-11-02T23:00:00",
            {"field": "createdOn", "zone": OFFSET, "cron": "0 0 * * *", "only_key": True},
            datetime(2026, 11, 2, 23, tzinfo=UTC),
        ),
    ],
)
def test_where_a_partition_begins(key: str, parameters: dict[str, Any], start: date) -> None:
    assert of_partition(key, **parameters)[0] == start


@pytest.mark.parametrize(
    ("key", "parameters", "said"),
    [
        ("2026-11-03T05:00:00", {}, "window_length: missing"),
        ("2026-11-03T05:00:00", {"field": "createdOn", "cron": "0 * * * *"}, "window_length: missing"),
        ("2026-11-03", HOUR, "does not tell the hour"),
        ("2026-10-25T02:00:00", {**HOUR, "cron": "0 * * * *"}, "not one instant"),
        # Midnight in Berlin, but whose day is it in a DAG in UTC?
        ("2026-11-03T00:00:00", {**DAY, **BY_ASSET, "at": midnight(date(2026, 11, 3))}, "not midnight of that day"),
        ("2026-11-02T23:00:00", {**DAY, **BY_ASSET, "only_key": True}, "not midnight of that day"),
        ("2026-11-02T23:00:00", {"length": "P1D", **BY_ASSET, "only_key": True}, "not midnight of that day"),
        ("2026-11-03", {"field": "createdOn", **BY_ASSET, "at": midnight(date(2026, 11, 3))}, "not midnight of"),
        # Airflow 3.2: in UTC if a schedule made it, in whatever zone if somebody typed it.
        ("2026-11-02T23:00:00", {"cron": "0 0 * * *", "run_type": "manual", "only_key": True}, "writes it in UTC"),
        ("2026-11-02T23:00:00", {**DAY, **BY_ASSET, "timezone": BERLIN, "only_key": True}, "writes it in UTC"),
        ("2026-11-02", {"zone": OFFSET, "only_key": True}, "writes it in UTC"),
    ],
)
def test_where_a_partition_begins_is_not_guessed(key: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(AworkConfigError, match=re.escape(said)):
        of_partition(key, **parameters)


def test_a_start_and_a_length_make_a_window() -> None:
    window = resolve_window(RunFacts(), field="createdOn", start="2026-03-01", length="P1M", timezone=BERLIN)
    assert window is not None
    assert (window.start, window.end) == (midnight(date(2026, 3, 1)), midnight(date(2026, 4, 1)))


def test_a_length_beside_an_end_or_an_interval_is_an_error() -> None:
    with pytest.raises(AworkConfigError, match="pass one of them"):
        resolve_window(RunFacts(), field="createdOn", start="2026-03-01", end="2026-04-01", length="P1M")
    interval = {"data_interval_start": midnight(date(2026, 1, 1)), "data_interval_end": midnight(date(2026, 2, 1))}
    with pytest.raises(AworkConfigError, match="has a length already"):
        resolve_window(read_run_facts(interval), field="createdOn", length="P1M")


@pytest.mark.parametrize("missing", ["start", "end"])
def test_one_bound_alone_is_an_error(missing: str) -> None:
    bounds: dict[str, Any] = {"start": "2026-11-01", "end": "2026-11-02", missing: None}
    with pytest.raises(AworkConfigError, match=f"window_{missing}"):
        resolve_window(RunFacts(), field="createdOn", **bounds)


def test_an_interval_that_ends_before_it_starts_is_not_used() -> None:
    interval = {"data_interval_start": midnight(date(2026, 2, 1)), "data_interval_end": midnight(date(2026, 1, 1))}
    with pytest.raises(AworkConfigError, match="window_start"):
        resolve_window(read_run_facts(interval), field="createdOn")


def test_days_are_counted_over_the_change_to_summer_time() -> None:
    interval = {"data_interval_start": midnight(date(2026, 3, 29)), "data_interval_end": midnight(date(2026, 3, 30))}
    assert interval["data_interval_end"] - interval["data_interval_start"] == timedelta(hours=23)
    window = resolve_window(read_run_facts(interval), field="startDateLocal", timezone=BERLIN)
    assert window is not None
    assert (window.start, window.end) == (date(2026, 3, 29), date(2026, 3, 30))
