"""The facts of a run that its window depends on, read once from Airflow's context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from airflow_provider_awork.version_compat import Partition, Schedule, partition_of, schedule_of


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """
    The partition, the data interval, the schedule and the zone of a run.

    :param partition: the run's partition; None if it has none.
    :param interval_start: start of its data interval; None if it has none.
    :param interval_end: end of its data interval; None if it has none.
    :param schedule: the cron expression and the zone of the timetable.
    :param dag_zone: the zone of the DAG.
    """

    partition: Partition | None = None
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    schedule: Schedule = field(default_factory=Schedule)
    dag_zone: tzinfo = UTC

    @property
    def interval(self) -> tuple[datetime, datetime] | None:
        """
        The data interval in the zone of the timetable, else of the DAG; None if there is none or it is empty.

        Runs of Airflow 3's ``schedule="@daily"`` have intervals of zero length, and manual runs may have none. Neither
        means that there is nothing to do.
        """
        if not self.interval_start or not self.interval_end or self.interval_end <= self.interval_start:
            return None
        return self.interval_start.astimezone(self.zone), self.interval_end.astimezone(self.zone)

    @property
    def zone(self) -> tzinfo:
        """The zone of the timetable, else of the DAG."""
        return self.schedule.zone or self.dag_zone


def read_run_facts(context: Mapping[str, Any]) -> RunFacts:
    """
    Read the facts of a run.

    :param context: Airflow's context of the running task.
    """
    return RunFacts(
        partition=partition_of(context),
        interval_start=context.get("data_interval_start"),
        interval_end=context.get("data_interval_end"),
        schedule=schedule_of(context),
        dag_zone=getattr(context.get("dag"), "timezone", None) or UTC,
    )


def zone_name(zone: tzinfo) -> str | None:
    """Return the name of a zone; None for a fixed offset, which has none."""
    return "UTC" if zone is UTC else getattr(zone, "key", None)
