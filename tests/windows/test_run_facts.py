"""Facts of a run from contexts of each kind, as a table."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest

from airflow_provider_awork.version_compat import Partition, Schedule
from airflow_provider_awork.windows.run_facts import RunFacts, read_run_facts

BERLIN, TOKYO = pendulum.timezone("Europe/Berlin"), pendulum.timezone("Asia/Tokyo")
DAY, NEXT_DAY = pendulum.datetime(2026, 11, 1), pendulum.datetime(2026, 11, 2)
RUN = SimpleNamespace(partition_key="2026-11-01", run_type="scheduled")


def dag(timetable: Any = None, zone: Any = BERLIN) -> SimpleNamespace:
    return SimpleNamespace(timetable=timetable, timezone=zone)


@pytest.mark.parametrize(
    ("context", "facts"),
    [
        ({}, RunFacts()),
        ({"dag": dag()}, RunFacts(dag_zone=BERLIN)),
        (
            {"dag": dag(SimpleNamespace(expression="0 0 * * *", timezone="Asia/Tokyo"))},
            RunFacts(schedule=Schedule(cron="0 0 * * *", zone=TOKYO), dag_zone=BERLIN),
        ),
        (
            {"data_interval_start": DAY, "data_interval_end": NEXT_DAY},
            RunFacts(interval_start=DAY, interval_end=NEXT_DAY),
        ),
        ({"dag_run": SimpleNamespace(partition_key=None)}, RunFacts()),
        (
            {"dag_run": RUN, "partition_date": DAY},
            RunFacts(partition=Partition(key="2026-11-01", date=DAY, key_in_utc=False)),
        ),
        ({"dag_run": RUN}, RunFacts(partition=Partition(key="2026-11-01", date=None, key_in_utc=True))),
    ],
    ids=["nothing", "zone of the DAG", "schedule", "interval", "no partition", "partition", "partition in 3.2"],
)
def test_the_facts_of_a_context(context: dict[str, Any], facts: RunFacts) -> None:
    assert read_run_facts(context) == facts


@pytest.mark.parametrize(
    ("facts", "interval"),
    [
        (RunFacts(), None),
        (RunFacts(interval_start=DAY), None),
        (RunFacts(interval_start=DAY, interval_end=DAY), None),
        (RunFacts(interval_start=NEXT_DAY, interval_end=DAY), None),
        (RunFacts(interval_start=DAY, interval_end=NEXT_DAY), (DAY, NEXT_DAY)),
    ],
)
def test_an_interval_that_is_missing_or_empty_is_none(facts: RunFacts, interval: Any) -> None:
    assert facts.interval == interval


def test_an_interval_is_in_the_timetables_zone_else_the_dags() -> None:
    bounds = {"interval_start": DAY, "interval_end": NEXT_DAY}
    of_dag = RunFacts(**bounds, dag_zone=BERLIN)
    of_timetable = RunFacts(**bounds, dag_zone=BERLIN, schedule=Schedule(zone=TOKYO))

    assert [facts.interval and facts.interval[0].tzinfo for facts in (of_dag, of_timetable)] == [BERLIN, TOKYO]
    assert RunFacts(**bounds).zone is UTC
