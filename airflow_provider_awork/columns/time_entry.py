"""
Rows as data: the columns of a list's rows, the time entry's first of all. ``decoding`` turns raw rows into values.

The columns of a ``RowModel`` are the one list that everything here is made of: the types that rows are decoded with,
the Arrow schema, the CSV header and ``docs/columns.md``. ``TIME_ENTRY`` has one column for each leaf of awork's model
``TimeTracking`` (https://developers.awork.com/apiv1/time-entries/get-time-entries), then the derived ones. awork
leaves out what is null, so absent and null are the same here. Times stay as awork's text, which has up to seven
fraction digits; the derived timestamps have six, the seventh is cut off.

Nothing is dropped: keys that the model does not know, and values that do not fit their column's type, go to the column
``extra`` under their own path, such as ``{"task":{"lists":[1]}}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

RawEntry = msgspec.Raw | bytes
Values = dict[str, list[Any]]

DERIVED = "derived"


class ColumnType(StrEnum):
    """Logical type of a column."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer (64 bits)"
    NUMBER = "number (double)"
    JSON = "JSON text"
    TIMESTAMP_UTC = "timestamp (UTC)"
    TIMESTAMP_LOCAL = "timestamp (local, no zone)"
    DATE = "date"


TEXT, BOOLEAN, INTEGER, NUMBER, JSON, TIMESTAMP_UTC, TIMESTAMP_LOCAL, DATE = ColumnType


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column of a CSV or Parquet file.

    :param name: name in the file.
    :param type: logical type.
    :param path: where the value is in awork's JSON, such as ``project.company.name``, or ``derived``.
    :param description: meaning, from awork's OpenAPI document.
    """

    name: str
    type: ColumnType
    path: str
    description: str


class ObjectsInRows(Protocol):
    """The objects under one key of some rows, such as their projects."""

    def texts(self) -> list[str | None]:
        """The object of each row as JSON."""

    def values_of(self, name: str) -> list[Any]:
        """The values of a column that is within the objects."""


@dataclass(frozen=True, eq=False)
class RowModel:
    """
    What the rows of one list are as data.

    :param name: what one row is, such as ``time entry``.
    :param columns: the leaves of awork's model, then the derived columns, the last of which is ``extra``.
    :param derive: from the values of the row's own leaves, and the objects in it by their key, the values of the
        derived columns, and those of other columns that it replaces.
    :param distinct: text columns whose values hardly repeat: they gain nothing from a dictionary.
    """

    name: str
    columns: tuple[Column, ...]
    derive: Callable[[Values, Mapping[str, ObjectsInRows]], Values]
    distinct: frozenset[str]

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a Parquet file; timestamps have microseconds."""
        import pyarrow as pa

        types = {
            TEXT: pa.string(),
            JSON: pa.string(),
            BOOLEAN: pa.bool_(),
            INTEGER: pa.int64(),
            NUMBER: pa.float64(),
            TIMESTAMP_UTC: pa.timestamp("us", tz="UTC"),
            TIMESTAMP_LOCAL: pa.timestamp("us"),
            DATE: pa.date32(),
        }
        return pa.schema([pa.field(column.name, types[column.type]) for column in self.columns])

    def columns_markdown(self) -> str:
        """The documented table of columns, for ``docs/columns.md``."""
        lines = ["| Column | Type | awork's field | Meaning |", "|---|---|---|---|"]
        for column in self.columns:
            path = column.path if column.path == DERIVED else f"`{column.path}`"
            lines.append(f"| `{column.name}` | {column.type} | {path} | {column.description} |")
        return "\n".join(lines) + "\n"


# --- values as texts


def to_texts(column: Column, values: Sequence[Any]) -> list[str | None]:
    """
    Values of a column as texts, for CSV; null stays None.

    Timestamps are ISO 8601 with microseconds, with ``Z`` if in UTC; booleans are ``true`` and ``false``.
    """
    if column.type in (TEXT, JSON):
        return list(values)
    to_text = _TO_TEXT.get(column.type, str)
    return [None if value is None else to_text(value) for value in values]


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


_TO_TEXT: Mapping[ColumnType, Callable[[Any], str]] = {
    BOOLEAN: {True: "true", False: "false"}.__getitem__,
    TIMESTAMP_LOCAL: _iso,
    TIMESTAMP_UTC: lambda value: _iso(value) + "Z",
}


def json_text(raw: RawEntry) -> str | None:
    """JSON as text on one line; None for null."""
    text = str(raw, "utf-8")
    if "\n" in text or "\r" in text:
        text = str(on_one_line(text.encode()), "utf-8")
    return None if text == "null" else text


def on_one_line(json: bytes) -> bytes:
    """JSON without line breaks between its tokens; numbers, key order and escapes stay."""
    if b"\n" not in json and b"\r" not in json:
        return json
    try:
        return msgspec.json.format(json, indent=-1)
    except msgspec.DecodeError:  # it has half a surrogate pair; within texts, line breaks are escaped
        return json.replace(b"\r", b"").replace(b"\n", b"")


# --- the time entry


# Files of different versions are read together, so columns are only ever appended.
_TIME_ENTRY_COLUMNS: tuple[Column, ...] = (
    Column("id", TEXT, "id", "Id of the time entry."),
    Column("user_id", TEXT, "userId", "Id of the person; null once the person was deleted."),
    Column("project_id", TEXT, "projectId", "Id of the project; null without one."),
    Column("task_id", TEXT, "taskId", "Id of the task; null without one."),
    Column("type_of_work_id", TEXT, "typeOfWorkId", "Id of the type of work."),
    Column("note", TEXT, "note", "Note, free text."),
    Column("is_billable", BOOLEAN, "isBillable", "Whether the time is billable."),
    Column("is_billed", BOOLEAN, "isBilled", "Whether the time is billed."),
    Column("duration", INTEGER, "duration", "Seconds without breaks; 0 while a timer runs or is paused."),
    Column("break_duration", INTEGER, "breakDuration", "Seconds of all breaks."),
    Column("timezone", TEXT, "timezone", "IANA time zone the entry was made in."),
    Column("start_date_utc", TEXT, "startDateUtc", "UTC day of the start, at midnight, as awork sends it."),
    Column("start_time_utc", TEXT, "startTimeUtc", "UTC time of day of the start; null without a start time."),
    Column("end_date_utc", TEXT, "endDateUtc", "UTC day of the end, as awork sends it; null while running."),
    Column("end_time_utc", TEXT, "endTimeUtc", "UTC time of day of the end; null while running and without times."),
    Column("start_date_local", TEXT, "startDateLocal", "Day of the start in the entry's zone, at midnight."),
    Column("start_time_local", TEXT, "startTimeLocal", "Time of day of the start in the entry's zone."),
    Column("end_date_local", TEXT, "endDateLocal", "Day of the end in the entry's zone, at midnight."),
    Column("end_time_local", TEXT, "endTimeLocal", "Time of day of the end in the entry's zone."),
    Column("breaks", JSON, "breaks", "Breaks: start, end and seconds of each; the last one is open while paused."),
    Column("created_by", TEXT, "createdBy", "Id of who created the entry."),
    Column("created_on", TEXT, "createdOn", "When the entry was created (UTC), as awork sends it."),
    Column("updated_by", TEXT, "updatedBy", "Id of who last changed the entry."),
    Column("updated_on", TEXT, "updatedOn", "When the entry was last changed (UTC), as awork sends it."),
    Column("resource_version", INTEGER, "resourceVersion", "Version: .NET ticks (100 ns) of the last change."),
    Column("is_external", BOOLEAN, "isExternal", "Whether the entry comes from another workspace (awork Connect)."),
    Column("type_of_work_nested_id", TEXT, "typeOfWork.id", "Id in the type of work; equals type_of_work_id."),
    Column("type_of_work_name", TEXT, "typeOfWork.name", "Name of the type of work."),
    Column("type_of_work_icon", TEXT, "typeOfWork.icon", "Icon of the type of work."),
    Column("type_of_work_is_archived", BOOLEAN, "typeOfWork.isArchived", "Whether the type of work is archived."),
    Column("user_nested_id", TEXT, "user.id", "Id in the person; equals user_id."),
    Column("user_first_name", TEXT, "user.firstName", "First name of the person."),
    Column("user_last_name", TEXT, "user.lastName", "Last name of the person."),
    Column("user_has_image", BOOLEAN, "user.hasImage", "Whether the person has a profile image."),
    Column("user_is_external", BOOLEAN, "user.isExternal", "Whether the person is external."),
    Column("project_nested_id", TEXT, "project.id", "Id in the project; equals project_id."),
    Column("project_name", TEXT, "project.name", "Name of the project."),
    Column("project_project_key", TEXT, "project.projectKey", "Key of the project, such as NIKE."),
    Column("project_project_status_id", TEXT, "project.projectStatus.id", "Id of the project's status."),
    Column("project_project_status_name", TEXT, "project.projectStatus.name", "Name of the project's status."),
    Column(
        "project_project_status_description",
        TEXT,
        "project.projectStatus.description",
        "Description of the project's status.",
    ),
    Column(
        "project_project_status_type",
        TEXT,
        "project.projectStatus.type",
        "Type of the project's status, such as progress.",
    ),
    Column(
        "project_project_status_is_archived",
        BOOLEAN,
        "project.projectStatus.isArchived",
        "Whether the project's status is archived.",
    ),
    Column("project_company_id", TEXT, "project.company.id", "Id of the client."),
    Column("project_company_name", TEXT, "project.company.name", "Name of the client."),
    Column("project_company_has_image", BOOLEAN, "project.company.hasImage", "Whether the client has an image."),
    Column("project_company_description", TEXT, "project.company.description", "Description of the client."),
    Column("project_project_type_id", TEXT, "project.projectType.id", "Id of the project's type."),
    Column("project_project_type_name", TEXT, "project.projectType.name", "Name of the project's type."),
    Column("project_project_type_icon", TEXT, "project.projectType.icon", "Icon of the project's type."),
    Column(
        "project_project_type_is_archived",
        BOOLEAN,
        "project.projectType.isArchived",
        "Whether the project's type is archived.",
    ),
    Column("project_is_private", BOOLEAN, "project.isPrivate", "Whether the project is private."),
    Column("project_has_image", BOOLEAN, "project.hasImage", "Whether the project has an image."),
    Column("project_is_external", BOOLEAN, "project.isExternal", "Whether the project is external."),
    Column(
        "project_is_billable_by_default",
        BOOLEAN,
        "project.isBillableByDefault",
        "Whether times of the project are billable by default.",
    ),
    Column("project_created_by", TEXT, "project.createdBy", "Id of who created the project."),
    Column("task_nested_id", TEXT, "task.id", "Id in the task; equals task_id."),
    Column("task_name", TEXT, "task.name", "Name of the task."),
    Column("task_base_type", TEXT, "task.baseType", "private or projecttask."),
    Column("task_task_identifier", TEXT, "task.taskIdentifier", "Project key and task number, such as NIKE-42."),
    Column("task_task_status_id", TEXT, "task.taskStatusId", "Id of the task's status."),
    Column("task_type_of_work_id", TEXT, "task.typeOfWorkId", "Id of the task's type of work."),
    Column("task_project_id", TEXT, "task.projectId", "Id of the task's project; null for a private task."),
    Column(
        "task_project",
        JSON,
        "task.project",
        "Project of the task; null where it is, as usual, the same text as the entry's own project.",
    ),
    Column("task_planned_duration", INTEGER, "task.plannedDuration", "Planned seconds of the task."),
    Column("task_closed_on", TEXT, "task.closedOn", "When the task was closed (UTC), as awork sends it."),
    Column("task_task_status_nested_id", TEXT, "task.taskStatus.id", "Id in the status; equals task_task_status_id."),
    Column("task_task_status_name", TEXT, "task.taskStatus.name", "Name of the task's status."),
    Column("task_task_status_description", TEXT, "task.taskStatus.description", "Description of the task's status."),
    Column("task_task_status_type", TEXT, "task.taskStatus.type", "Type of the task's status, such as todo."),
    Column("task_task_status_order", NUMBER, "task.taskStatus.order", "Position of the task's status."),
    Column("task_task_status_icon", TEXT, "task.taskStatus.icon", "Icon of the task's status."),
    Column("task_created_by", TEXT, "task.createdBy", "Id of who created the task."),
    Column("task_correlation_id", TEXT, "task.correlationId", "Id of the parent task, or of the task itself."),
    Column("task_parent_id", TEXT, "task.parentId", "Id of the parent task; null unless it is a subtask."),
    Column("task_parent_task_id", TEXT, "task.parentTask.id", "Id in the parent task; equals task_parent_id."),
    Column("task_parent_task_name", TEXT, "task.parentTask.name", "Name of the parent task."),
    Column("started_at", TIMESTAMP_UTC, DERIVED, "start_date_utc and start_time_utc put together."),
    Column("ended_at", TIMESTAMP_UTC, DERIVED, "end_date_utc and end_time_utc put together."),
    Column("started_at_local", TIMESTAMP_LOCAL, DERIVED, "start_date_local and start_time_local put together."),
    Column("ended_at_local", TIMESTAMP_LOCAL, DERIVED, "end_date_local and end_time_local put together."),
    Column("work_date", DATE, DERIVED, "Day the work counts for: start_date_local as a date."),
    Column("created_at", TIMESTAMP_UTC, DERIVED, "created_on as a timestamp."),
    Column("updated_at", TIMESTAMP_UTC, DERIVED, "updated_on as a timestamp."),
    Column("is_running", BOOLEAN, DERIVED, "Timer runs: a start time, no end, duration 0, no open break."),
    Column("is_paused", BOOLEAN, DERIVED, "Timer is paused: as running, but the last break is open."),
    Column("is_duration_only", BOOLEAN, DERIVED, "Seconds were entered without a start and an end time."),
    Column("extra", JSON, DERIVED, "Keys the model does not know and values that do not fit their column; else null."),
)

_STATE_COLUMNS = (
    *("start_time_utc", "start_time_local", "end_time_utc", "end_time_local"),
    *("end_date_utc", "end_date_local", "duration", "breaks"),
)


def _derive(values: Values, objects: Mapping[str, ObjectsInRows]) -> Values:
    states = list(map(_state, *(values[name] for name in _STATE_COLUMNS)))
    return {
        "task_project": [
            None if of_task == own else of_task
            for of_task, own in zip(objects["task"].values_of("task_project"), objects["project"].texts(), strict=True)
        ],
        "started_at": list(map(_day_and_time, values["start_date_utc"], values["start_time_utc"])),
        "ended_at": list(map(_day_and_time, values["end_date_utc"], values["end_time_utc"])),
        "started_at_local": list(map(_day_and_time, values["start_date_local"], values["start_time_local"])),
        "ended_at_local": list(map(_day_and_time, values["end_date_local"], values["end_time_local"])),
        "work_date": list(map(_day, values["start_date_local"])),
        "created_at": list(map(instant, values["created_on"])),
        "updated_at": list(map(instant, values["updated_on"])),
        "is_running": [state == "running" for state in states],
        "is_paused": [state == "paused" for state in states],
        "is_duration_only": [state == "duration only" for state in states],
    }


def _state(
    start_time_utc: str | None,
    start_time_local: str | None,
    end_time_utc: str | None,
    end_time_local: str | None,
    end_date_utc: str | None,
    end_date_local: str | None,
    duration: int | None,
    breaks: str | None,
) -> str | None:
    """awork has no field for the state: this is how it shows in the others."""
    started = start_time_utc or start_time_local
    has_end_time = end_time_utc or end_time_local
    if not started and not has_end_time:
        return "duration only" if duration and duration > 0 else None
    if not started or has_end_time or end_date_utc or end_date_local or duration:
        return None
    return "paused" if _has_open_break(breaks) else "running"


class _Break(msgspec.Struct):
    endDate: Any = None


def _has_open_break(breaks: str | None) -> bool:
    try:
        decoded = msgspec.json.decode(breaks or "[]", type=list[_Break])
    except msgspec.DecodeError:
        return False
    return bool(decoded) and decoded[-1].endDate is None


def _day_and_time(day: str | None, time: str | None) -> datetime | None:
    """
    A day and a time of day as one timestamp.

    The day is sent at midnight; awork's document shows one with a time inside, which is not to be counted twice.
    """
    if day is None or time is None:
        return None
    try:
        combined = datetime.fromisoformat(f"{day[:10]}T{time}")
    except ValueError:
        return None
    return combined if combined.tzinfo is None else None


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def instant(text: str | None) -> datetime | None:
    """awork's text of an instant as a ``datetime`` in UTC without zone; None if it is none."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text.removesuffix("Z"))
        return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant  # some old ones have no zone
    except (ValueError, OverflowError):
        return None


TIME_ENTRY = RowModel(
    name="time entry",
    columns=_TIME_ENTRY_COLUMNS,
    derive=_derive,
    distinct=frozenset(
        [
            "id",
            "note",
            "created_on",
            "updated_on",
            "start_time_utc",
            "start_time_local",
            "end_time_utc",
            "end_time_local",
        ]
    ),
)
