"""
Where the window of a run comes from.

Airflow 3's ``schedule="@daily"`` has a data interval of zero length, and a manual run may have none at all: that is
never read as "nothing to do".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_awork.exceptions import AworkConfigError

if TYPE_CHECKING:
    from airflow_provider_awork.extract.windows import Window


def resolve_window(
    context: Mapping[str, Any],
    *,
    field: str | None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    timezone: str | None = None,
) -> Window | None:
    """
    The window of a task instance: explicit bounds, else the partition date, else the run's data interval.

    :param context: Airflow's context of the running task.
    :param field: the field that the window is on; None for no window.
    :param start: explicit first instant or day; with ``end`` it wins over everything else.
    :param end: explicit first instant or day after the window.
    :param timezone: IANA zone of days. Where a run's bounds are used, it defaults to the DAG's own.
    :raises AworkConfigError: bounds that cannot work, or none where one is needed. It fails the task at once.
    """
    from airflow_provider_awork.extract.windows import Window

    start, end = start or None, end or None
    if field is None:
        Window.of(field=None, start=start, end=end)  # refuses bounds without a field
        return None
    if start or end:
        if not (start and end):
            missing = "window_end" if start else "window_start"
            raise AworkConfigError(f"{missing}: missing; a window needs both bounds, so that a retry reads the same")
        return Window.of(field=field, start=start, end=end, timezone=timezone)
    zone = timezone or _dag_timezone(context)
    day = _partition_day(context, zone)
    if day:
        return Window.of(field=field, start=day, end=day + timedelta(days=1), timezone=zone)
    first, last = context.get("data_interval_start"), context.get("data_interval_end")
    if first and last and last > first:
        return Window.of(field=field, start=first, end=last, timezone=zone)
    had = "an empty data interval" if first and last else "no data interval"
    raise AworkConfigError(
        f"window_field={field!r} needs a window, but this run has {had} and no partition. Pass window_start and "
        "window_end, set window_field=None to export everything, or schedule the DAG with "
        "airflow.timetables.interval.CronDataIntervalTimetable "
        '(schedule="@daily" has empty intervals in Airflow 3).'
    )


def _partition_day(context: Mapping[str, Any], zone: str | None) -> date | None:
    """The day of the run's partition; Airflow 3.2 tells tasks only its key, which must then be ``YYYY-MM-DD``."""
    instant = context.get("partition_date")
    if instant:
        return date.fromisoformat((instant.astimezone(ZoneInfo(zone)) if zone else instant).date().isoformat())
    key = getattr(context.get("dag_run"), "partition_key", None)
    if not key:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", key):
        raise AworkConfigError(f"partition key {key!r} is not a day (YYYY-MM-DD): pass window_start and window_end")
    return date.fromisoformat(key)


def _dag_timezone(context: Mapping[str, Any]) -> str | None:
    zone = getattr(context.get("dag"), "timezone", None)
    return getattr(zone, "name", None) or getattr(zone, "key", None)
