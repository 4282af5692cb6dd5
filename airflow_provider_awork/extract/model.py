"""
Rows as data: the columns of a list's rows, and raw rows as values of those columns; the time entry's first of all.

The columns of a ``RowModel`` are the one list that everything here is made of: the types that rows are decoded with,
the Arrow schema, the CSV header and the tables in the README. ``TIME_ENTRY`` has one column for each leaf of awork's
model ``TimeTracking`` (https://developers.awork.com/apiv1/time-entries/get-time-entries), then the derived ones. awork
leaves out what is null, so absent and null are the same here. Times stay as awork's text, which has up to seven
fraction digits; the derived timestamps have six, the seventh is cut off.

Nothing is dropped: keys that the model does not know, and values that do not fit their column's type, go to the column
``extra`` under their own path, such as ``{"task":{"lists":[1]}}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from airflow_provider_awork.exceptions import AworkTransportError

if TYPE_CHECKING:
    import pyarrow as pa

RawEntry = msgspec.Raw | bytes
Values = dict[str, list[Any]]
Parts = Mapping[str, Sequence[RawEntry]]
Extra = dict[str, Any] | msgspec.Raw

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


@dataclass(frozen=True, eq=False)
class RowModel:
    """
    What the rows of one list are as data.

    :param name: what one row is, such as ``time entry``.
    :param columns: the leaves of awork's model, then the derived columns, the last of which is ``extra``.
    :param derive: from the values of the leaves, and the raw objects in each row by their key, the values of the
        derived columns, and those of other columns that it replaces.
    :param distinct: text columns whose values hardly repeat: they gain nothing from a dictionary.
    """

    name: str
    columns: tuple[Column, ...]
    derive: Callable[[Values, Parts], Values]
    distinct: frozenset[str]

    def decode(self, entries: Sequence[RawEntry], unknown_fields: Counter[str]) -> Values:
        """
        Decode raw rows to the values of each column, in the order of ``columns``.

        Timestamps are ``datetime`` without zone, those of the type ``TIMESTAMP_UTC`` in UTC. A date or time that
        cannot be read gives a null timestamp; its text column has it still.

        :param entries: rows as awork sent them.
        :param unknown_fields: is added to: how many rows had this path in ``extra``.
        :raises AworkTransportError: a row is not valid UTF-8, so the answer was damaged on its way.
        """
        try:
            return self._decode(entries, unknown_fields)
        except UnicodeDecodeError as error:
            raise AworkTransportError(
                f"A {self.name} is not valid UTF-8: {error.reason} at byte {error.start}"
            ) from error

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

    def to_arrow(self, entries: Sequence[RawEntry], unknown_fields: Counter[str]) -> pa.RecordBatch:
        """Raw rows as an Arrow record batch of ``arrow_schema``; parameters and errors as in ``decode``."""
        import pyarrow as pa

        values, schema = self.decode(entries, unknown_fields), self.arrow_schema
        return pa.record_batch([pa.array(values[field.name], field.type) for field in schema], schema)

    def to_texts(self, entries: Sequence[RawEntry], unknown_fields: Counter[str]) -> dict[str, list[str | None]]:
        """
        Raw rows as the texts of each column, for CSV: the values of the Arrow batch, null being None.

        Timestamps are ISO 8601 with microseconds, with ``Z`` if in UTC; booleans are ``true`` and ``false``. Parameters
        and errors as in ``decode``.
        """
        values = self.decode(entries, unknown_fields)
        return {column.name: _texts(column.type, values[column.name]) for column in self.columns}

    def columns_markdown(self) -> str:
        """The documented table of columns, for the README."""
        lines = ["| Column | Type | awork's field | Meaning |", "|---|---|---|---|"]
        for column in self.columns:
            path = column.path if column.path == DERIVED else f"`{column.path}`"
            lines.append(f"| `{column.name}` | {column.type} | {path} | {column.description} |")
        return "\n".join(lines) + "\n"

    @cached_property
    def _leaves(self) -> list[Column]:
        return [column for column in self.columns if column.path != DERIVED]

    @cached_property
    def _own_columns(self) -> list[Column]:
        return [column for column in self._leaves if "." not in column.path]

    @cached_property
    def _parts(self) -> dict[str, _Part]:
        keys = dict.fromkeys(column.path.partition(".")[0] for column in self._leaves if "." in column.path)
        return {key: _Part(key, [c for c in self._leaves if c.path.startswith(f"{key}.")]) for key in keys}

    @cached_property
    def _row(self) -> _ObjectModel:
        own = {column.path: column.type for column in self._own_columns}
        return _ObjectModel("", own | dict.fromkeys(self._parts, JSON), {})

    def _decode(self, entries: Sequence[RawEntry], unknown_fields: Counter[str]) -> Values:
        structs: list[Any] = []
        extras: list[Extra | None] = []
        for entry in entries:
            struct, extra, unknown = self._row.decode(entry)
            structs.append(struct)
            extras.append(extra)
            if unknown:
                unknown_fields.update(unknown)
        values: Values = {column.name: list(map(attrgetter(column.path), structs)) for column in self._own_columns}
        values |= {
            column.name: list(map(_text, values[column.name])) for column in self._own_columns if column.type is JSON
        }
        raw_parts = {key: list(map(attrgetter(key), structs)) for key in self._parts}
        for key, part in self._parts.items():
            decoded = [part.decode(bytes(raw)) for raw in raw_parts[key]]
            by_column = zip(*(leaves for leaves, _, _ in decoded), strict=True) if decoded else [()] * len(part.columns)
            values |= {column.name: list(leaves) for column, leaves in zip(part.columns, by_column, strict=True)}
            for index, (_, rest, unknown) in enumerate(decoded):
                if unknown:
                    extras[index] = {**cast(dict[str, Any], extras[index] or {}), key: rest}
                    unknown_fields.update(unknown)
        values |= self.derive(values, raw_parts)
        values["extra"] = [_text(msgspec.json.encode(extra)) if extra else None for extra in extras]
        return {column.name: values[column.name] for column in self.columns}


# --- decoding


_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_PYTHON_TYPES: Mapping[ColumnType, Any] = {
    TEXT: str | None,
    BOOLEAN: bool | None,
    INTEGER: _INT64 | None,
    NUMBER: float | None,
    JSON: msgspec.Raw,  # msgspec takes no union with it; null arrives as its text
}
_NULL = msgspec.Raw(b"null")
_LEAF_DECODERS = {kind: msgspec.json.Decoder(python_type) for kind, python_type in _PYTHON_TYPES.items()}
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _ObjectModel:
    """
    One JSON object of the model: its leaves, and the objects in it.

    :param path: where the object is in the entry; empty for the entry itself.
    :param leaves: type of each leaf by its key.
    :param objects: further objects by their keys.
    """

    def __init__(self, path: str, leaves: Mapping[str, ColumnType], objects: Mapping[str, _ObjectModel]) -> None:
        self.prefix = f"{path}." if path else ""
        self.leaves = leaves
        self.objects = objects
        fields = [(key, _PYTHON_TYPES[kind], _NULL if kind is JSON else None) for key, kind in leaves.items()]
        fields += [(key, inner.struct | None, None) for key, inner in objects.items()]
        self.struct: Any = msgspec.defstruct(path or "entry", fields, forbid_unknown_fields=True, gc=False)
        self.decoder = msgspec.json.Decoder(self.struct | None)
        self.absent = self.struct()

    def decode(self, raw: RawEntry) -> tuple[Any, Extra | None, list[str]]:
        """The object as a struct, what did not fit into it, and the paths of that."""
        try:
            return self.decoder.decode(raw) or self.absent, None, []
        except msgspec.DecodeError:
            return self._decode_key_by_key(raw)

    def _decode_key_by_key(self, raw: RawEntry) -> tuple[Any, Extra | None, list[str]]:
        try:
            members = _MEMBERS.decode(raw)
        except msgspec.ValidationError:  # not an object
            return self.absent, msgspec.Raw(raw), [self.prefix.rstrip(".") or "(entry)"]
        fitting: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        unknown: list[str] = []
        for key, value in members.items():
            fitting[key], rest, paths = self._decode_member(key, value)
            if rest is not None:
                extra[key] = rest
                unknown += paths
        known = self.leaves.keys() | self.objects.keys()
        return self.struct(**{key: fitting[key] for key in fitting.keys() & known}), extra or None, unknown

    def _decode_member(self, key: str, value: msgspec.Raw) -> tuple[Any, Extra | None, list[str]]:
        if key in self.objects:
            return self.objects[key].decode(value)
        absent = _NULL if self.leaves.get(key) is JSON else None
        if _text(value) is None:
            return absent, None, []
        try:
            return _LEAF_DECODERS[self.leaves[key]].decode(value), None, []
        except (KeyError, msgspec.DecodeError):  # an unknown key, or a value of another type
            return absent, value, [self.prefix + key]


def _object_model(path: str, leaves: Sequence[Column]) -> _ObjectModel:
    prefix = f"{path}."
    below = {column.path.removeprefix(prefix): column.type for column in leaves if column.path.startswith(prefix)}
    own = {key: kind for key, kind in below.items() if "." not in key}
    objects = dict.fromkeys(key.partition(".")[0] for key in below if "." in key)
    return _ObjectModel(path, own, {key: _object_model(prefix + key, leaves) for key in objects})


class _Part:
    """An object within the row, such as its project. The same ones come again and again, so they are remembered."""

    def __init__(self, key: str, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.decode = lru_cache(maxsize=4000)(self._decode)
        self._model = _object_model(key, columns)
        self._paths = [column.path.split(".")[1:] for column in columns]

    def _decode(self, raw: bytes) -> tuple[tuple[Any, ...], Extra | None, list[str]]:
        """The leaves of the object, what did not fit into it, and the paths of that."""
        struct, extra, unknown = self._model.decode(raw)
        leaves = (_leaf(struct, path) for path in self._paths)
        return tuple(_text(leaf) if isinstance(leaf, msgspec.Raw) else leaf for leaf in leaves), extra, unknown


def _leaf(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = None if value is None else getattr(value, key)
    return value


def _text(raw: RawEntry) -> str | None:
    """JSON as text; None for null."""
    text = str(raw, "utf-8")
    return None if text == "null" else text


# --- values as texts


def _texts(kind: ColumnType, values: list[Any]) -> list[str | None]:
    if kind in (TEXT, JSON):
        return values
    to_text = _TO_TEXT.get(kind, str)
    return [None if value is None else to_text(value) for value in values]


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


_TO_TEXT: Mapping[ColumnType, Callable[[Any], str]] = {
    BOOLEAN: {True: "true", False: "false"}.__getitem__,
    TIMESTAMP_LOCAL: _iso,
    TIMESTAMP_UTC: lambda value: _iso(value) + "Z",
}


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


def _derive(values: Values, parts: Parts) -> Values:
    states = list(map(_state, *(values[name] for name in _STATE_COLUMNS)))
    return {
        "task_project": [
            None if raw is None or raw == _text(project) else raw
            for raw, project in zip(values["task_project"], parts["project"], strict=True)
        ],
        "started_at": list(map(_day_and_time, values["start_date_utc"], values["start_time_utc"])),
        "ended_at": list(map(_day_and_time, values["end_date_utc"], values["end_time_utc"])),
        "started_at_local": list(map(_day_and_time, values["start_date_local"], values["start_time_local"])),
        "ended_at_local": list(map(_day_and_time, values["end_date_local"], values["end_time_local"])),
        "work_date": list(map(_day, values["start_date_local"])),
        "created_at": list(map(_instant, values["created_on"])),
        "updated_at": list(map(_instant, values["updated_on"])),
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
    except msgspec.ValidationError:
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


def _instant(text: str | None) -> datetime | None:
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
