"""
The period that a partition covers, from its key, its date and the schedule.

A partition is a day or the longer period that its key names, seen in the timetable's zone. Where its length, its day or
its hour is not certain, that is an error and never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo

from airflow_provider_awork.client.lists.literals import is_repeated
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.version_compat import Partition, Schedule
from airflow_provider_awork.windows.run_facts import RunFacts, zone_name
from airflow_provider_awork.windows.window import INSTANT_FIELDS, Window, has_hours, parse_length, zone_named

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


@dataclass(frozen=True, kw_only=True)
class PartitionKey:
    """
    A partition key, and the period that it names by itself.

    :param text: the key.
    :param day: the first day that it names; None if it is not of Airflow's forms.
    :param length: of the period that it names; None if it does not say.
    :param clock: the date and the time of day that it shows, in whatever zone; None if it shows no time.
    """

    text: str
    day: date | None = None
    length: str | None = None
    clock: datetime | None = None


def read_key(text: str) -> PartitionKey:
    """Read what a key says; only its text if it is not of Airflow's forms."""
    for pattern, length in _KEYS:
        if match := pattern.fullmatch(text):
            parts = {name: int(number) for name, number in match.groupdict().items() if number}
            month = parts.get("month", 3 * parts.get("quarter", 1) - 2)
            try:
                day = date(parts["year"], month, parts.get("day", 1))
                clock = None if length else datetime.fromisoformat(text)
                return PartitionKey(text=text, day=day, length=length, clock=clock)
            except ValueError:
                break
    return PartitionKey(text=text)


def partition_window(
    partition: Partition, facts: RunFacts, *, field: str, length: str | None, timezone: str | None
) -> Window:
    """
    Return the window of a partition.

    :param partition: the run's partition.
    :param facts: of the run: its schedule and the DAG's zone.
    :param field: the field that the window is on.
    :param length: ISO 8601 duration; None for the length that the key or the schedule says.
    :param timezone: IANA zone of days; None for the timetable's, else the DAG's.
    :raises AworkConfigError: the key does not say for certain which period it is.
    """
    schedule = facts.schedule
    named_zone = zone_named(timezone) if timezone else None
    zone = schedule.zone or named_zone or facts.dag_zone
    key = read_key(partition.key)
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
    return Window.of_length(field=field, start=start, length=length, timezone=timezone or zone_name(zone))


def _beginning(partition: Partition, key: PartitionKey, zone: tzinfo) -> datetime | None:
    """The instant that a partition begins, in a zone; None where neither its date nor its key tells."""
    if partition.date:
        return partition.date.astimezone(zone)
    in_utc = partition.key_in_utc
    if zone_name(zone) != "UTC" and (in_utc is None if key.clock else in_utc):
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


def _named_day(partition: Partition, key: PartitionKey, begins: datetime | None, schedule: Schedule) -> date:
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


def _first_day(day: date, key: PartitionKey, begins: datetime | None, schedule: Schedule, *, by_name: bool) -> date:
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


def _partition_length(schedule: Schedule, key: PartitionKey, given: str | None) -> str:
    """The length of the period that the key names, else the given one; a day only where the key or the cron says so."""
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
