"""
The times of a time entry, completed in both groups from the one that was given.

Facts: sections 8.1 to 9.2 of the API facts.

end = start + duration + breaks; the end wins over the duration. Where the facts are thin: a wall clock that shows the
same time twice means the first, and without a start time only the day and the duration count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from airflow_provider_awork.sandbox.errors import ApiError
from airflow_provider_awork.sandbox.forms import EntryForm
from airflow_provider_awork.sandbox.instants import TICKS_PER_SECOND, from_ticks, parse_ticks, split, to_ticks

GROUPS = ("Utc", "Local")
TIME_FIELDS = tuple(
    f"{edge}{part}{group}" for edge in ("start", "end") for part in ("Date", "Time") for group in GROUPS
)


@dataclass(frozen=True)
class _Edge:
    """One end of an entry: its day, and its instant in ticks if a time of day was given."""

    day: str | None
    instant: int | None


def completed_times(form: EntryForm, *, breaks: int = 0) -> dict[str, Any]:
    """
    The eight fields of start and end as far as they are known, and ``duration``.

    :param breaks: seconds of the entry's breaks.
    :raises ApiError: the times are of both groups or do not fit together.
    """
    if form.timezone not in available_timezones():
        raise ApiError(400, "validation-failed", f"{form.timezone!r} is no IANA time zone.", field="timezone")
    zone = ZoneInfo(form.timezone)
    group = _group(form)
    start, end = _edge(form, "start", group, zone), _edge(form, "end", group, zone)
    length = None if form.duration is None else (form.duration + breaks) * TICKS_PER_SECOND
    if start.instant is None and end.instant is not None and start.day is None and length:
        start = _Edge(end.day, end.instant - length)
    if start.day is None:
        raise ApiError(400, "validation-failed", "The start date is required.", field="startDate")
    if start.instant is None:
        return _day_only(start.day, form, end)
    if end.instant is None and length:
        end = _Edge(None, start.instant + length)
    if end.instant is None:
        return {**split("start", start.instant, zone), "duration": 0}
    seconds = (end.instant - start.instant) // TICKS_PER_SECOND - breaks
    if seconds < 0:
        raise ApiError(
            400, "date-dependency", "The end is before the start, or the breaks are longer.", field="endDate"
        )
    return {**split("start", start.instant, zone), **split("end", end.instant, zone), "duration": seconds}


def _day_only(day: str, form: EntryForm, end: _Edge) -> dict[str, Any]:
    if end.instant is not None:
        raise ApiError(400, "validation-failed", "An end needs a start time.", field="startTime")
    midnight = f"{day}T00:00:00"
    return {"startDateUtc": f"{midnight}Z", "startDateLocal": midnight, "duration": form.duration or 0}


def instant_of(entry: Mapping[str, Any], edge: str) -> int | None:
    """The instant of an entry's start or end in ticks; None without a time of day."""
    day, moment = entry.get(f"{edge}DateUtc"), entry.get(f"{edge}TimeUtc")
    return parse_ticks(f"{day[:10]}T{moment}") if day and moment else None


def _group(form: EntryForm) -> str:
    given = [group for group in GROUPS if any(getattr(form, name) for name in TIME_FIELDS if name.endswith(group))]
    if len(given) == 2:
        raise ApiError(400, "validation-failed", "UTC and local times cannot be mixed.", field="startDateLocal")
    return given[0] if given else "Utc"


def _edge(form: EntryForm, edge: str, group: str, zone: tzinfo) -> _Edge:
    day, moment = getattr(form, f"{edge}Date{group}"), getattr(form, f"{edge}Time{group}")
    name = f"{edge}Date{group}"
    if day is None:
        if moment is not None:
            raise ApiError(400, "validation-failed", f"{name} is required with a time.", field=name)
        return _Edge(None, None)
    try:
        day = date.fromisoformat(day[:10]).isoformat()
        if moment is None:
            return _Edge(day, None)
        time.fromisoformat(moment)
        ticks = parse_ticks(f"{day}T{moment}{':00' if moment.count(':') == 1 else ''}")
    except ValueError as error:
        raise ApiError(400, "validation-failed", f"{name} or its time is unreadable: {error}.", field=name) from error
    return _Edge(day, ticks if group == "Utc" else _utc(ticks, zone))


def _utc(local_ticks: int, zone: tzinfo) -> int:
    wall_clock = from_ticks(local_ticks).replace(tzinfo=zone)
    fraction = local_ticks % TICKS_PER_SECOND
    return to_ticks(wall_clock.astimezone(UTC).replace(microsecond=0)) + fraction
