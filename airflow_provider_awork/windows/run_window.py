"""
Where the window of a run comes from.

Airflow 3's ``schedule="@daily"`` has a data interval of zero length, and a manual run may have none at all: that is
never read as "nothing to do". A partition is a day or the longer period that its key names, seen in the timetable's
zone; where its length, its day or its hour is not certain, it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.version_compat import Partition, Schedule, partition_of, schedule_of

if TYPE_CHECKING:
    from airflow_provider_awork.windows.window import Window

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
    from airflow_provider_awork.windows.window import Window, check_field

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
        zone = schedule_of(context).zone or _dag_zone(context)
        start, end = first.astimezone(zone), last.astimezone(zone)
        return Window.of(field=field, start=start, end=end, timezone=timezone or _zone_name(zone))
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
    from airflow_provider_awork.windows.window import Window

    if end and length:
        raise AworkConfigError("window_end and window_length: pass one of them beside window_start")
    if start and length:
        return Window.of_length(field=field, start=start, length=length, timezone=timezone)
    if not (start and end):
        missing = "window_end" if start else "window_start"
        raise AworkConfigError(f"{missing}: missing; a window needs both bounds, so that a retry reads the same")
    return Window.of(field=field, start=start, end=end, timezone=timezone)


@dataclass(frozen=True, kw_only=True)
class _Key:
    """
    What a partition key says by itself.

    :param text: the key.
    :param day: the first day that it names; None if it is not of Airflow's forms.
    :param length: of the period that it names; None if it does not say.
    :param clock: the date and the time of day that it shows, in whatever zone; None if it shows no time.
    """

    text: str
    day: date | None = None
    length: str | None = None
    clock: datetime | None = None


def _read_key(text: str) -> _Key:
    for pattern, length in _KEYS:
        if match := pattern.fullmatch(text):
            parts = {name: int(number) for name, number in match.groupdict().items() if number}
            month = parts.get("month", 3 * parts.get("quarter", 1) - 2)
            try:
                day = date(parts["year"], month, parts.get("day", 1))
                return _Key(text=text, day=day, length=length, clock=None if length else datetime.fromisoformat(text))
            except ValueError:
                break
    return _Key(text=text)


def _partition_window(
    context: Mapping[str, Any], partition: Partition, field: str, length: str | None, timezone: str | None
) -> Window:
    from airflow_provider_awork.windows.window import INSTANT_FIELDS, Window, has_hours, parse_length, zone_named

    schedule = schedule_of(context)
    named_zone = zone_named(timezone) if timezone else None
    zone = schedule.zone or named_zone or _dag_zone(context)
    key = _read_key(partition.key)
    begins = _beginning(partition, key, zone)
    day = _named_day(partition, key, begins, schedule)
    length = _partition_length(schedule, key, length)
    start: date | datetime
    if field not in INSTANT_FIELDS:
        start = _first_day(day, key, begins, schedule, by_name=True)
    elif not has_hours(parse_length(length)):
        day = _first_day(day, key, begins, schedule, by_name=False)
        start = datetime.combine(day, time(), named_zone or zone)
    elif begins:
        start = begins
    else:
        raise AworkConfigError(
            f"partition key {key.text!r} does not tell the hour that it begins: pass window_start and window_end"
        )
    return Window.of_length(field=field, start=start, length=length, timezone=timezone or _zone_name(zone))


def _beginning(partition: Partition, key: _Key, zone: tzinfo) -> datetime | None:
    """The instant that a partition begins, in a zone; None where neither its date nor its key tells."""
    from airflow_provider_awork.client.lists.filters import is_repeated

    if partition.date:
        return partition.date.astimezone(zone)
    in_utc = partition.key_in_utc
    if _zone_name(zone) != "UTC" and (in_utc is None if key.clock else in_utc):
        raise AworkConfigError(
            f"partition key {key.text!r}: Airflow 3.2 writes it in UTC although days are in {zone} here, where it may "
            f"be another day. Let the timetable write key_format={_KEY_WITH_TIME!r} and the schedule start the run, or "
            "use timezone='UTC' there, or Airflow 3.3; or pass window_start and window_end"
        )
    if key.clock is None:
        return None
    if in_utc:
        return key.clock.replace(tzinfo=UTC).astimezone(zone)
    begins = key.clock.replace(tzinfo=zone)
    if is_repeated(begins):
        raise AworkConfigError(
            f"partition key {key.text!r} is not one instant in {zone}, where clocks change then: pass window_start and "
            "window_end"
        )
    return begins


def _named_day(partition: Partition, key: _Key, begins: datetime | None, schedule: Schedule) -> date:
    """The day that the key names; a key of another form is seen in the timetable's zone."""
    if key.day is None:
        if begins and schedule.zone:
            return begins.date()
        raise AworkConfigError(
            f"partition key {key.text!r} is not a day, month, quarter or year as Airflow writes them, and the "
            "timetable has no time zone to see its date in: pass window_start and window_end"
        )
    if partition.date and begins and schedule.zone and begins.date() != key.day:
        raise AworkConfigError(
            f"partition key {key.text!r} is not the partition date {begins.isoformat()} (in {schedule.zone}), so it is "
            "not certain which day is meant. Pass window_start and window_end"
        )
    return key.day


def _first_day(day: date, key: _Key, begins: datetime | None, schedule: Schedule, *, by_name: bool) -> date:
    """
    The day that a partition of days begins with.

    Where the timetable has no zone, the key may have been made in any: which day a time belongs to, and at which
    instant a day begins, is certain only if that is midnight in the zone that counts here.

    :param by_name: whether the name of the day is enough, because each entry has a zone of its own.
    """
    if begins is None or (by_name and key.clock is None):
        return day
    if schedule.zone is None and begins != datetime.combine(day, time(), begins.tzinfo):
        raise AworkConfigError(
            f"partition key {key.text!r} begins at {begins.isoformat()} in {begins.tzinfo}, which is not midnight of "
            "that day. Pass timezone= the zone that the key was made in, or window_start and window_end"
        )
    return begins.date()


def _partition_length(schedule: Schedule, key: _Key, given: str | None) -> str:
    """The length of the period that the key names, else the given one; a day only where the key or the cron says so."""
    from airflow_provider_awork.windows.window import parse_length

    if key.length in (None, "P1D"):
        if given:
            return given
        if _ONCE_A_DAY.fullmatch(schedule.cron) if schedule.cron else key.length:
            return "P1D"
        by_schedule = f" of the schedule {schedule.cron!r}" if schedule.cron else ""
        raise AworkConfigError(
            f"window_length: missing; partition key {key.text!r}{by_schedule} does not say how long the partition is. "
            "Pass window_length such as 'P1D' (a day), 'P1M' (a month) or 'PT1H' (an hour)"
        )
    if given and parse_length(given).in_words() != parse_length(key.length or "").in_words():
        raise AworkConfigError(
            f"window_length={given!r}: partition key {key.text!r} names a period of {key.length}; leave "
            "window_length out"
        )
    return key.length or ""


def _dag_zone(context: Mapping[str, Any]) -> tzinfo:
    return getattr(context.get("dag"), "timezone", None) or UTC


def _zone_name(zone: tzinfo) -> str | None:
    """Name of a zone; None for a fixed offset, which has none."""
    return "UTC" if zone is UTC else getattr(zone, "key", None)
