"""
The window of a run: from explicit bounds, else from its partition, else from its data interval.

A run that has none of them is an error, never "nothing to do".
"""

from __future__ import annotations

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.windows.partition import partition_window
from airflow_provider_awork.windows.run_facts import RunFacts, zone_name
from airflow_provider_awork.windows.window import Bound, Window, check_field


def resolve_window(
    facts: RunFacts,
    *,
    field: str | None,
    start: Bound | None = None,
    end: Bound | None = None,
    length: str | None = None,
    timezone: str | None = None,
) -> Window | None:
    """
    Return the window of a run: explicit bounds, else the run's partition, else its data interval.

    :param facts: of the run.
    :param field: the field that the window is on; None for no window.
    :param start: explicit first instant or day; with ``end`` or ``length`` it wins over everything else.
    :param end: explicit first instant or day after the window.
    :param length: ISO 8601 duration, such as ``P1M``, of a window that has only a start: the run's partition, or
        ``start``. None: the period that the partition's key names.
    :param timezone: IANA zone of days. Where a run's bounds are used, it defaults to the timetable's, else the DAG's.
    :raises AworkConfigError: bounds that cannot work, or none where one is needed. It fails the task at once.
    """
    start, end, length = start or None, end or None, length or None  # templates render an absent bound as ""
    if field is None:
        Window.of(field=None, start=start, end=end or length)  # refuses bounds without a field
        return None
    check_field(field)
    if start or end:
        return explicit_window(field=field, start=start, end=end, length=length, timezone=timezone)
    if facts.partition:
        return partition_window(facts.partition, facts, field=field, length=length, timezone=timezone)
    if facts.interval:
        return _interval_window(facts, facts.interval, field, length, timezone)
    raise _no_window(facts, field)


def explicit_window(
    *,
    field: str | None,
    start: Bound | None,
    end: Bound | None,
    length: str | None = None,
    timezone: str | None = None,
    may_be_open: bool = False,
) -> Window:
    """
    Make a window of bounds that somebody passed.

    :param field: the field that the window is on; None for no window, which takes no bounds.
    :param start: first instant or day.
    :param end: first instant or day after the window.
    :param length: ISO 8601 duration, instead of ``end``.
    :param timezone: IANA zone of days.
    :param may_be_open: whether a bound may be missing. A task needs both, so that a retry reads the same.
    :raises AworkConfigError: a bound is missing or cannot work.
    """
    if end and length:
        raise AworkConfigError("window_end and window_length: pass one of them beside window_start")
    if field and start and length:
        return Window.of_length(field=field, start=start, length=length, timezone=timezone)
    if not may_be_open and not (start and end):
        missing = "window_end" if start else "window_start"
        raise AworkConfigError(f"{missing}: missing; a window needs both bounds, so that a retry reads the same")
    return Window.of(field=field, start=start, end=end, timezone=timezone)


def _interval_window(
    facts: RunFacts, interval: tuple[Bound, Bound], field: str, length: str | None, timezone: str | None
) -> Window:
    if length:
        raise AworkConfigError(
            f"window_length={length!r}: this run has no partition but a data interval, which has a length already. "
            "Leave window_length out, or pass window_start"
        )
    start, end = interval
    return Window.of(field=field, start=start, end=end, timezone=timezone or zone_name(facts.zone))


def _no_window(facts: RunFacts, field: str) -> AworkConfigError:
    if facts.schedule.is_partitioned:
        return AworkConfigError(
            "partition_key: this run of a partitioned DAG was triggered without one\n"
            "Trigger it with the field 'Partition key' of the form (partition_key in the REST API), or pass "
            "window_start and window_end."
        )
    had = "an empty data interval" if facts.interval_start and facts.interval_end else "no data interval"
    return AworkConfigError(
        f"window_field={field!r} needs a window, but this run has {had} and no partition. Pass window_start and "
        "window_end, set window_field=None to export everything, or schedule the DAG with "
        "airflow.timetables.interval.CronDataIntervalTimetable "
        '(schedule="@daily" has empty intervals in Airflow 3).'
    )
