"""
The columns of a time entry.

There is one column for each leaf of awork's model ``TimeTracking``
(https://developers.awork.com/apiv1/time-entries/get-time-entries), then the derived ones. Times stay as awork's text,
which has up to seven fraction digits; the derived timestamps have six, the seventh is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider_awork.client.entries.timers import TIME_FIELDS, has_open_timer
from airflow_provider_awork.columns.model import (
    BOOLEAN,
    DATE,
    DERIVED,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TIMESTAMP_LOCAL,
    TIMESTAMP_UTC,
    Column,
    ObjectsInRows,
    RowModel,
    Values,
    column_name,
    leaf_column,
)
from airflow_provider_awork.columns.times import combine_day_and_time, parse_day, parse_instant

# Files of different versions are read together, so columns are only ever appended.
_LEAVES: tuple[Column, ...] = (
    leaf_column("id", TEXT, "Id of the time entry."),
    leaf_column("userId", TEXT, "Id of the person; null once the person was deleted."),
    leaf_column("projectId", TEXT, "Id of the project; null without one."),
    leaf_column("taskId", TEXT, "Id of the task; null without one."),
    leaf_column("typeOfWorkId", TEXT, "Id of the type of work."),
    leaf_column("note", TEXT, "Note, free text."),
    leaf_column("isBillable", BOOLEAN, "Whether the time is billable."),
    leaf_column("isBilled", BOOLEAN, "Whether the time is billed."),
    leaf_column("duration", INTEGER, "Seconds without breaks; 0 while a timer runs or is paused."),
    leaf_column("breakDuration", INTEGER, "Seconds of all breaks."),
    leaf_column("timezone", TEXT, "IANA time zone the entry was made in."),
    leaf_column("startDateUtc", TEXT, "UTC day of the start, at midnight, as awork sends it."),
    leaf_column("startTimeUtc", TEXT, "UTC time of day of the start; null without a start time."),
    leaf_column("endDateUtc", TEXT, "UTC day of the end, as awork sends it; null while running."),
    leaf_column("endTimeUtc", TEXT, "UTC time of day of the end; null while running and without times."),
    leaf_column("startDateLocal", TEXT, "Day of the start in the entry's zone, at midnight."),
    leaf_column("startTimeLocal", TEXT, "Time of day of the start in the entry's zone."),
    leaf_column("endDateLocal", TEXT, "Day of the end in the entry's zone, at midnight."),
    leaf_column("endTimeLocal", TEXT, "Time of day of the end in the entry's zone."),
    leaf_column("breaks", JSON, "Breaks: start, end and seconds of each; the last one is open while paused."),
    leaf_column("createdBy", TEXT, "Id of who created the entry."),
    leaf_column("createdOn", TEXT, "When the entry was created (UTC), as awork sends it."),
    leaf_column("updatedBy", TEXT, "Id of who last changed the entry."),
    leaf_column("updatedOn", TEXT, "When the entry was last changed (UTC), as awork sends it."),
    leaf_column("resourceVersion", INTEGER, "Version: .NET ticks (100 ns) of the last change."),
    leaf_column("isExternal", BOOLEAN, "Whether the entry comes from another workspace (awork Connect)."),
    leaf_column("typeOfWork.id", TEXT, "Id in the type of work."),
    leaf_column("typeOfWork.name", TEXT, "Name of the type of work."),
    leaf_column("typeOfWork.icon", TEXT, "Icon of the type of work."),
    leaf_column("typeOfWork.isArchived", BOOLEAN, "Whether the type of work is archived."),
    leaf_column("user.id", TEXT, "Id in the person."),
    leaf_column("user.firstName", TEXT, "First name of the person."),
    leaf_column("user.lastName", TEXT, "Last name of the person."),
    leaf_column("user.hasImage", BOOLEAN, "Whether the person has a profile image."),
    leaf_column("user.isExternal", BOOLEAN, "Whether the person is external."),
    leaf_column("project.id", TEXT, "Id in the project."),
    leaf_column("project.name", TEXT, "Name of the project."),
    leaf_column("project.projectKey", TEXT, "Key of the project, such as NIKE."),
    leaf_column("project.projectStatus.id", TEXT, "Id of the project's status."),
    leaf_column("project.projectStatus.name", TEXT, "Name of the project's status."),
    leaf_column("project.projectStatus.description", TEXT, "Description of the project's status."),
    leaf_column("project.projectStatus.type", TEXT, "Type of the project's status, such as progress."),
    leaf_column("project.projectStatus.isArchived", BOOLEAN, "Whether the project's status is archived."),
    leaf_column("project.company.id", TEXT, "Id of the client."),
    leaf_column("project.company.name", TEXT, "Name of the client."),
    leaf_column("project.company.hasImage", BOOLEAN, "Whether the client has an image."),
    leaf_column("project.company.description", TEXT, "Description of the client."),
    leaf_column("project.projectType.id", TEXT, "Id of the project's type."),
    leaf_column("project.projectType.name", TEXT, "Name of the project's type."),
    leaf_column("project.projectType.icon", TEXT, "Icon of the project's type."),
    leaf_column("project.projectType.isArchived", BOOLEAN, "Whether the project's type is archived."),
    leaf_column("project.isPrivate", BOOLEAN, "Whether the project is private."),
    leaf_column("project.hasImage", BOOLEAN, "Whether the project has an image."),
    leaf_column("project.isExternal", BOOLEAN, "Whether the project is external."),
    leaf_column("project.isBillableByDefault", BOOLEAN, "Whether times of the project are billable by default."),
    leaf_column("project.createdBy", TEXT, "Id of who created the project."),
    leaf_column("task.id", TEXT, "Id in the task."),
    leaf_column("task.name", TEXT, "Name of the task."),
    leaf_column("task.baseType", TEXT, "private or projecttask."),
    leaf_column("task.taskIdentifier", TEXT, "Project key and task number, such as NIKE-42."),
    leaf_column("task.taskStatusId", TEXT, "Id of the task's status."),
    leaf_column("task.typeOfWorkId", TEXT, "Id of the task's type of work."),
    leaf_column("task.projectId", TEXT, "Id of the task's project; null for a private task."),
    leaf_column(
        "task.project",
        JSON,
        "The task's project; null if its text equals, as usual, that of the entry's project.",
    ),
    leaf_column("task.plannedDuration", INTEGER, "Planned seconds of the task."),
    leaf_column("task.closedOn", TEXT, "When the task was closed (UTC), as awork sends it."),
    leaf_column("task.taskStatus.id", TEXT, "Id in the status."),
    leaf_column("task.taskStatus.name", TEXT, "Name of the task's status."),
    leaf_column("task.taskStatus.description", TEXT, "Description of the task's status."),
    leaf_column("task.taskStatus.type", TEXT, "Type of the task's status, such as todo."),
    leaf_column("task.taskStatus.order", NUMBER, "Position of the task's status."),
    leaf_column("task.taskStatus.icon", TEXT, "Icon of the task's status."),
    leaf_column("task.createdBy", TEXT, "Id of who created the task."),
    leaf_column("task.correlationId", TEXT, "Id of the parent task, or of the task itself."),
    leaf_column("task.parentId", TEXT, "Id of the parent task; null unless it is a subtask."),
    leaf_column("task.parentTask.id", TEXT, "Id in the parent task."),
    leaf_column("task.parentTask.name", TEXT, "Name of the parent task."),
)

_DERIVED: tuple[Column, ...] = (
    Column("started_at", TIMESTAMP_UTC, DERIVED, "start_date_utc and start_time_utc put together."),
    Column("ended_at", TIMESTAMP_UTC, DERIVED, "end_date_utc and end_time_utc put together."),
    Column("started_at_local", TIMESTAMP_LOCAL, DERIVED, "start_date_local and start_time_local put together."),
    Column("ended_at_local", TIMESTAMP_LOCAL, DERIVED, "end_date_local and end_time_local put together."),
    Column("work_date", DATE, DERIVED, "Day the work counts for: start_date_local as a date."),
    Column("created_at", TIMESTAMP_UTC, DERIVED, "created_on as a timestamp."),
    Column("updated_at", TIMESTAMP_UTC, DERIVED, "updated_on as a timestamp."),
    Column(
        "is_running", BOOLEAN, DERIVED, "Timer runs: a start time, no end time (whatever the duration), no open break."
    ),
    Column("is_paused", BOOLEAN, DERIVED, "Timer is paused: a start time, no end time, and the last break is open."),
    Column("is_duration_only", BOOLEAN, DERIVED, "Seconds were entered without a start and an end time."),
    Column("extra", JSON, DERIVED, "Keys the model does not know and values that do not fit their column; else null."),
)

_STATE_FIELDS = (*TIME_FIELDS, "duration", "breaks")
_STATE_COLUMNS = tuple(map(column_name, _STATE_FIELDS))


def _derive(values: Values, objects: Mapping[str, ObjectsInRows]) -> Values:
    states = list(map(_state, *(values[name] for name in _STATE_COLUMNS)))
    return {
        "task_project": [
            None if of_task == own else of_task
            for of_task, own in zip(objects["task"].values_of("task_project"), objects["project"].texts(), strict=True)
        ],
        "started_at": list(map(combine_day_and_time, values["start_date_utc"], values["start_time_utc"])),
        "ended_at": list(map(combine_day_and_time, values["end_date_utc"], values["end_time_utc"])),
        "started_at_local": list(map(combine_day_and_time, values["start_date_local"], values["start_time_local"])),
        "ended_at_local": list(map(combine_day_and_time, values["end_date_local"], values["end_time_local"])),
        "work_date": list(map(parse_day, values["start_date_local"])),
        "created_at": list(map(parse_instant, values["created_on"])),
        "updated_at": list(map(parse_instant, values["updated_on"])),
        "is_running": [state and state == "running" for state in states],
        "is_paused": [state and state == "paused" for state in states],
        "is_duration_only": [state and state == "duration only" for state in states],
    }


def _state(
    start_time_utc: str | None,
    start_time_local: str | None,
    end_time_utc: str | None,
    end_time_local: str | None,
    duration: int | None,
    breaks: str | None,
) -> str | None:
    """Return the state, for which awork has no field; None if the breaks of an open timer cannot be read."""
    if has_open_timer(start_time_utc, start_time_local, end_time_utc, end_time_local):
        return _open_state(breaks)
    if start_time_utc or start_time_local or end_time_utc or end_time_local or not duration or duration < 0:
        return "finished"
    return "duration only"


class _Break(msgspec.Struct):
    endDate: Any = None


def _open_state(breaks: str | None) -> str | None:
    try:
        decoded = msgspec.json.decode(breaks or "[]", type=list[_Break])
    except msgspec.DecodeError:
        return None
    return "paused" if decoded and decoded[-1].endDate is None else "running"


TIME_ENTRY = RowModel(
    name="time entry",
    leaves=_LEAVES,
    derived=_DERIVED,
    derive=_derive,
    rests_on=dict.fromkeys(["is_running", "is_paused", "is_duration_only"], frozenset(_STATE_FIELDS)),
    strict=frozenset({"duration", "isBillable", "isBilled"}),
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
