"""
Where the window of a run comes from.

Airflow 3's ``schedule="@daily"`` has a data interval of zero length, and a manual run may have none at all: that is
never read as "nothing to do". A partition is a day or the longer period that its key names, seen in the timetable's
zone; where its length is not certain, it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.version_compat import Partition, partition_of

if TYPE_CHECKING:
    from airflow_provider_awork.extract.windows import Window

# The keys that Airflow's timetables and mappers write, and the length of what they name. A key with a time of day does
# not say how long its partition is.
_KEYS = (
    (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"), "P1D"),
    (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T\d\d(:\d\d(:\d\d)?)?"), None),
    (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d) \(W\d\d\)"), "P1W"),
    (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)"), "P1M"),
    (re.compile(r"(?P<year>\d{4})-Q(?P<quarter>[1-4])"), "P3M"),
    (re.compile(r"(?P<year>\d{4})"), "P1Y"),
)
_KEY_WITH_TIME = "%Y-%m-%dT%H:%M:%S"
_ONCE_A_DAY = re.compile(r"@daily|\d+ \d+ \* \* \*")


def resolve_window(
    context: Mapping[str, Any],
    *,
    field: str | None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    length: str | None = None,
    timezone: str | None = None,
) -> Window | None:
    """
    The window of a task instance: explicit bounds, else the run's partition, else its data interval.

    :param context: Airflow's context of the running task.
    :param field: the field that the window is on; None for no window.
    :param start: explicit first instant or day; with ``end`` or ``length`` it wins over everything else.
    :param end: explicit first instant or day after the window.
    :param length: ISO 8601 duration, such as ``P1M``, of a window that has only a start: the run's partition, or
        ``start``. None: the period that the partition's key names.
    :param timezone: IANA zone of days. Where a run's bounds are used, it defaults to the timetable's, else the DAG's.
    :raises AworkConfigError: bounds that cannot work, or none where one is needed. It fails the task at once.
    """
    from airflow_provider_awork.extract.windows import Window, check_field

    start, end, length = start or None, end or None, length or None
    if field is None:
        Window.of(field=None, start=start, end=end or length)  # refuses bounds without a field
        return None
    check_field(field)
    if start or end:
        return explicit_window(field, start, end, length, timezone)
    partition = partition_of(context)
    if partition:
        return _partition_window(context, partition, field, length, timezone)
    first, last = context.get("data_interval_start"), context.get("data_interval_end")
    if first and last and last > first:
        if length:
            raise AworkConfigError(
                f"window_length={length!r}: this run has no partition but a data interval, which has a length already. "
                "Leave window_length out, or pass window_start"
            )
        return Window.of(field=field, start=first, end=last, timezone=timezone or _dag_timezone(context))
    had = "an empty data interval" if first and last else "no data interval"
    raise AworkConfigError(
        f"window_field={field!r} needs a window, but this run has {had} and no partition. Pass window_start and "
        "window_end, set window_field=None to export everything, or schedule the DAG with "
        "airflow.timetables.interval.CronDataIntervalTimetable "
        '(schedule="@daily" has empty intervals in Airflow 3).'
    )


def explicit_window(
    field: str,
    start: date | datetime | str | None,
    end: date | datetime | str | None,
    length: str | None,
    timezone: str | None,
) -> Window:
    """A window of bounds that were passed; see :func:`resolve_window`."""
    from airflow_provider_awork.extract.windows import Window

    if end and length:
        raise AworkConfigError("window_end and window_length: pass one of them beside window_start")
    if start and length:
        return Window.of_length(field=field, start=start, length=length, timezone=timezone)
    if not (start and end):
        missing = "window_end" if start else "window_start"
        raise AworkConfigError(f"{missing}: missing; a window needs both bounds, so that a retry reads the same")
    return Window.of(field=field, start=start, end=end, timezone=timezone)


def _partition_window(
    context: Mapping[str, Any], partition: Partition, field: str, length: str | None, timezone: str | None
) -> Window:
    from airflow_provider_awork.extract.windows import INSTANT_FIELDS, Window, has_hours, parse_length

    zone = _timetable_zone(context)
    key, instant = _seen_in(zone, partition)
    day, named = _named_period(key) or (instant.date() if instant else None, None)
    if day is None:
        raise AworkConfigError(
            f"partition key {key!r} is not a day, month, quarter or year as Airflow writes them, and the timetable has "
            "no time zone to see its date in: pass window_start and window_end"
        )
    if instant and instant.date() != day:
        raise AworkConfigError(
            f"partition key {key!r} is not the partition date {instant.isoformat()} (in {zone}), so it is not certain "
            "which day is meant. Pass window_start and window_end"
        )
    length = _partition_length(context, key, named, length)
    days = timezone or _zone_name(zone) or _dag_timezone(context)
    start: date | datetime = day
    if instant and has_hours(parse_length(length)):
        start = instant
    elif field in INSTANT_FIELDS and zone and not days:  # a fixed offset has no name
        start = datetime.combine(day, time(), zone)
    return Window.of_length(field=field, start=start, length=length, timezone=days)


def _seen_in(zone: tzinfo | None, partition: Partition) -> tuple[str, datetime | None]:
    """The partition's key, and its date in the timetable's zone where both are known."""
    if partition.date:
        return partition.key, partition.date.astimezone(zone) if zone else None
    if not partition.key_in_utc or _zone_name(zone) in (None, "UTC"):
        return partition.key, None
    try:
        instant = datetime.strptime(partition.key, _KEY_WITH_TIME).replace(tzinfo=UTC).astimezone(zone)
    except ValueError:
        raise AworkConfigError(
            f"partition key {partition.key!r}: Airflow 3.2 writes it in UTC although the timetable is in {zone}, where "
            f"it may be another day. Let the timetable write key_format={_KEY_WITH_TIME!r}, or use timezone='UTC' "
            "there, or Airflow 3.3"
        ) from None
    return instant.strftime(_KEY_WITH_TIME), instant


def _named_period(key: str) -> tuple[date, str | None] | None:
    """First day and length of the period that a key names; None if it is not one of Airflow's forms."""
    for pattern, length in _KEYS:
        if match := pattern.fullmatch(key):
            parts = {name: int(text) for name, text in match.groupdict().items() if text}
            month = parts.get("month", 3 * parts.get("quarter", 1) - 2)
            try:
                return date(parts["year"], month, parts.get("day", 1)), length
            except ValueError:
                return None
    return None


def _partition_length(context: Mapping[str, Any], key: str, named: str | None, given: str | None) -> str:
    """The given length, else that of the period that the key names; a day only where the schedule is daily."""
    from airflow_provider_awork.extract.windows import parse_length

    if named in (None, "P1D"):
        return given or _checked_day(context, key)
    if given and parse_length(given).in_words() != parse_length(named or "").in_words():
        raise AworkConfigError(
            f"window_length={given!r}: partition key {key!r} names a period of {named}; leave window_length out"
        )
    return named or ""


def _checked_day(context: Mapping[str, Any], key: str) -> str:
    cron = getattr(getattr(context.get("dag"), "timetable", None), "expression", None)
    if cron and not _ONCE_A_DAY.fullmatch(cron):
        raise AworkConfigError(
            f"window_length: missing; partition key {key!r} of the schedule {cron!r} does not say how long "
            "the partition is. Pass window_length such as 'P1D' (a day), 'P1M' (a month) or 'PT1H' (an hour)"
        )
    return "P1D"


def _timetable_zone(context: Mapping[str, Any]) -> tzinfo | None:
    zone = getattr(getattr(context.get("dag"), "timetable", None), "timezone", None)
    return ZoneInfo(zone) if isinstance(zone, str) else zone


def _dag_timezone(context: Mapping[str, Any]) -> str | None:
    return _zone_name(getattr(context.get("dag"), "timezone", None))


def _zone_name(zone: tzinfo | None) -> str | None:
    """IANA name of a zone; None for a fixed offset, which has none."""
    return getattr(zone, "key", None)
