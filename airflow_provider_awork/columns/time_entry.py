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
)
from airflow_provider_awork.columns.times import combine_day_and_time, parse_day, parse_instant

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
        "started_at": list(map(combine_day_and_time, values["start_date_utc"], values["start_time_utc"])),
        "ended_at": list(map(combine_day_and_time, values["end_date_utc"], values["end_time_utc"])),
        "started_at_local": list(map(combine_day_and_time, values["start_date_local"], values["start_time_local"])),
        "ended_at_local": list(map(combine_day_and_time, values["end_date_local"], values["end_time_local"])),
        "work_date": list(map(parse_day, values["start_date_local"])),
        "created_at": list(map(parse_instant, values["created_on"])),
        "updated_at": list(map(parse_instant, values["updated_on"])),
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
