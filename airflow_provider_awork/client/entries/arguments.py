"""
Arguments of operations, checked before anything is sent, and turned into the JSON that awork takes.

Source: schemas ``TimeEntryPostForm``, ``TimeTrackingPutForm`` and ``TimeEntryBatchOperationForm`` of awork's
OpenAPI document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from itertools import product
from typing import Any
from uuid import UUID

from airflow_provider_awork.client.entries.models import BATCH_OPERATIONS
from airflow_provider_awork.client.entries.timers import TIME_FIELDS, has_open_timer
from airflow_provider_awork.client.zones import is_zone_name
from airflow_provider_awork.exceptions import AworkConfigError

Body = dict[str, Any]

LONGEST_DURATION = 2**31 - 1
EDGES = ("start", "end")
GROUPS = ("Utc", "Local")
INSTANTS = {"started_at": "start", "ended_at": "end"}
# What each batch operation sets; delete sets nothing.
BATCH_FIELDS = {
    "setTypeOfWork": "newTypeOfWorkId",
    "setIsBillable": "isBillable",
    "setIsBilled": "isBilled",
    "setProject": "newProjectId",
    "setTask": "newTaskId",
    "setUser": "newUserId",
}
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,7})?)?")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)(T00:00(:00(\.0+)?)?Z?)?")


def checked_id(value: str, name: str = "time_entry_id") -> str:
    """
    An id as awork writes them.

    :raises AworkConfigError: it is not a GUID.
    """
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise AworkConfigError(f"{name}: {value!r} is not a GUID as awork uses for ids") from None


def checked_ids(values: Iterable[str], name: str = "time_entry_ids") -> list[str]:
    """
    Ids, each once, in the order given.

    :raises AworkConfigError: there is none, or one is not a GUID.
    """
    if isinstance(values, str):
        raise AworkConfigError(f"{name}: {values!r} is one text; pass a list of ids")
    ids = list(dict.fromkeys(checked_id(value, name) for value in values))
    if not ids:
        raise AworkConfigError(f"{name}: is empty; awork needs at least one id")
    return ids


def checked_flag(value: Any, name: str) -> bool:
    """
    True or False, and nothing that merely counts as it: the text ``False`` is true for Python.

    :raises AworkConfigError: it is neither.
    """
    if not isinstance(value, bool):
        raise AworkConfigError(f"{name}: {value!r} is neither True nor False")
    return value


def batch_body(operation: str, ids: Iterable[str], value: bool | str | None, *, require_all: bool) -> Body:
    """
    The body of ``POST /timeentries/batch/{operation}``.

    :raises AworkConfigError: an argument cannot work; the message names it.
    """
    if operation not in BATCH_OPERATIONS:
        raise AworkConfigError(f"operation: {operation!r} is none of awork's: {', '.join(BATCH_OPERATIONS)}")
    body: Body = {"timeEntryIds": checked_ids(ids)}
    field = BATCH_FIELDS.get(operation)
    if field:
        if value is None:
            raise AworkConfigError(f"value: {operation} needs one: what {field} is to be")
        check: Callable[[Any, str], Any] = checked_flag if field.startswith("is") else checked_id
        body[field] = check(value, "value")
    elif value is not None:
        raise AworkConfigError(f"value: {operation} takes none, not {value!r}")
    if require_all:
        body["requireAllTimeEntries"] = True
    return body


def new_entry(fields: Mapping[str, Any]) -> Body:
    """
    The body of ``POST /timeentries``.

    :raises AworkConfigError: a field is missing or cannot work; the message names it.
    """
    body = _without_nulls(entry_fields(fields))
    _require(body, "userId", "typeOfWorkId", "timezone")
    _require_day(body, "start")
    return body


def replaced_entry(fields: Mapping[str, Any]) -> Body:
    """
    The body of ``PUT /timeentries/{timeEntryId}`` from all its fields.

    :raises AworkConfigError: a field is missing or cannot work; the message names it.
    """
    body = _without_nulls(entry_fields(fields))
    _require(body, "typeOfWorkId", "timezone")
    _require_day(body, *EDGES)
    return body


def changed_entry(entry: Mapping[str, Any], changes: Body) -> Body:
    """
    The body of ``PUT /timeentries/{timeEntryId}``: an entry as awork sent it, with changes from :func:`entry_fields`.

    Read-only fields are dropped, times are kept in one group. A new ``duration`` or another day of the start drops the
    end, because awork lets the end win; another or no ``projectId`` drops the task and another ``taskId`` the project,
    as in awork's batch operations.

    :raises AworkConfigError: the changes do not fit the entry.
    """
    kept = {name: entry[name] for name in _PLAIN if entry.get(name) is not None and name != "duration"}
    if "projectId" in changes and changes["projectId"] != entry.get("projectId"):
        kept.pop("taskId", None)
    if "taskId" in changes and changes["taskId"] not in (None, entry.get("taskId")):
        kept.pop("projectId", None)
    body = _without_nulls({**kept, **_kept_times(entry, changes), **changes})
    _require_day(body, *EDGES)
    if _is_open(body) and not body.get("duration") and not _is_open(entry):
        raise AworkConfigError(
            "duration: without one above 0 and without an end, the time entry would count as a running timer; pass one "
            "of them, or delete the entry"
        )
    return body


def _kept_times(entry: Mapping[str, Any], changes: Body) -> Body:
    """What stays of the times, so that the duration stays unless a change of times is asked for."""
    group = _group_of(changes) or ("Utc" if entry.get("startTimeUtc") else "Local")
    start_date, start_time, end_date, end_time = (f"{edge}{part}{group}" for edge in EDGES for part in ("Date", "Time"))
    names = (start_date, start_time, end_date, end_time)
    kept = {name: entry[name] for name in names if entry.get(name) is not None}
    times = {**kept, **changes}
    moves = (times.get(start_date) or "")[:10] != kept.get(start_date, "")[:10] and end_date not in changes
    if changes.get("duration") is not None or moves or not (times.get(start_time) and times.get(end_time)):
        starts = {name: value for name, value in kept.items() if name.startswith("start")}
        return {**starts, "duration": entry.get("duration") or None}
    return kept


def _is_open(entry: Mapping[str, Any]) -> bool:
    return has_open_timer(*(entry.get(name) for name in TIME_FIELDS))


def entry_fields(fields: Mapping[str, Any]) -> Body:
    """
    Fields as awork takes them; None stays None.

    :raises AworkConfigError: a field is unknown or has a value that cannot work, or both groups of times are given.
    """
    body: Body = {}
    for name, value in fields.items():
        if name in INSTANTS:
            body |= _instant_fields(name, value, fields)
        elif name in _CHECKS:
            body[name] = None if value is None else _CHECKS[name](value, name)
        else:
            raise AworkConfigError(f"{name}: not a field of a time entry; known: {', '.join([*_CHECKS, *INSTANTS])}")
    _check_times(body)
    return body


def _instant_fields(name: str, value: Any, fields: Mapping[str, Any]) -> Body:
    edge = INSTANTS[name]
    date_name, time_name = f"{edge}DateUtc", f"{edge}TimeUtc"
    twice = [each for each in (date_name, time_name) if each in fields]
    if twice:
        raise AworkConfigError(f"{name}: pass it or {twice[0]}, not both")
    if value is None:
        return {date_name: None, time_name: None}
    moment = _moment(value, name).astimezone(UTC)
    return {date_name: f"{moment:%Y-%m-%d}T00:00:00Z", time_name: moment.time().isoformat()}


def _moment(value: Any, name: str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise AworkConfigError(f"{name}: {value!r} is not an ISO date and time") from None
    if not isinstance(value, datetime):
        raise AworkConfigError(f"{name}: {value!r} is not a datetime; a day alone goes into startDateLocal")
    if value.tzinfo is None:
        raise AworkConfigError(
            f"{name}: {value.isoformat()} has no time zone; wall-clock times go into ...Local fields"
        )
    return value


def _check_times(body: Body) -> None:
    given = {group: [name for name in body if name.endswith(group)] for group in GROUPS}
    if all(given.values()):
        raise AworkConfigError(
            f"{given['Utc'][0]} and {given['Local'][0]}: pass UTC or local fields, not both; started_at and ended_at "
            "count as UTC"
        )
    start, end = (_combined(body, edge) for edge in EDGES)
    if start and end and end < start:
        raise AworkConfigError(f"endDateUtc: the end {end} is before the start {start}")


def _combined(body: Body, edge: str) -> str | None:
    """UTC only: around the end of summer time an earlier wall clock can be a later instant."""
    day, moment = body.get(f"{edge}DateUtc"), body.get(f"{edge}TimeUtc")
    return f"{day[:10]}T{moment}" if day and moment else None


def _group_of(body: Body) -> str | None:
    return next((group for group in GROUPS if any(name.endswith(group) for name in body)), None)


def _require_day(body: Body, *edges: str) -> None:
    """At least one of the edges has a date, and none has a time of day without its date."""
    for edge, group in product(EDGES, GROUPS):
        if f"{edge}Time{group}" in body and f"{edge}Date{group}" not in body:
            raise AworkConfigError(f"{edge}Time{group}: needs {edge}Date{group} too")
    if not any(f"{edge}Date{group}" in body for edge, group in product(edges, GROUPS)):
        raise AworkConfigError("startDateLocal: awork needs the day; pass it, or startDateUtc, or started_at")


def _require(body: Body, *names: str) -> None:
    for name in names:
        if name not in body:
            raise AworkConfigError(f"{name}: awork needs it")


def _without_nulls(body: Body) -> Body:
    return {name: value for name, value in body.items() if value is not None}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise AworkConfigError(f"{name}: {value!r} is no text")
    return value


def _zone(value: Any, name: str) -> str:
    if not is_zone_name(value):
        raise AworkConfigError(f"{name}: {value!r} is not an IANA time zone such as Europe/Berlin")
    return str(value)


def _seconds(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_DURATION:
        raise AworkConfigError(f"{name}: {value!r} is not a whole number of seconds from 0 to {LONGEST_DURATION}")
    return value


def _day(value: Any, name: str) -> str:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise AworkConfigError(f"{name}: {value!r} is not a date; for an instant pass started_at or ended_at")
    text = str(value)
    found = _MIDNIGHT.fullmatch(text)
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        day = None
    if day is None:
        time_name = name.replace("Date", "Time")
        raise AworkConfigError(f"{name}: {text!r} is not a day as YYYY-MM-DD; the time of day goes into {time_name}")
    return f"{day}T00:00:00{'Z' if name.endswith('Utc') else ''}"


def _time_of_day(value: Any, name: str) -> str:
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise AworkConfigError(f"{name}: {value} has a time zone; pass started_at or ended_at instead")
        return value.isoformat()
    try:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValueError
        time.fromisoformat(value)
    except ValueError:
        raise AworkConfigError(f"{name}: {value!r} is not a time of day as HH:MM[:SS[.fffffff]]") from None
    return value if value.count(":") == 2 else f"{value}:00"


# Fields that are no times, in the order of awork's document.
_PLAIN: dict[str, Callable[[Any, str], Any]] = {
    "isBillable": checked_flag,
    "isBilled": checked_flag,
    "taskId": checked_id,
    "projectId": checked_id,
    "note": _text,
    "timezone": _zone,
    "duration": _seconds,
    "typeOfWorkId": checked_id,
    "userId": checked_id,
}
_CHECKS = _PLAIN | {
    f"{edge}{part}{group}": check
    for edge in EDGES
    for part, check in (("Date", _day), ("Time", _time_of_day))
    for group in GROUPS
}
