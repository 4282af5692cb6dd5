"""
The model of a list's rows: its columns, their types, and their values as texts.

The columns of a ``RowModel`` are the one list from which the types for decoding, the Arrow schema, the CSV header and
``docs/columns.md`` are made. awork leaves out what is null, so absent and null are the same here. ``decoding`` turns
raw rows into values.

Nothing is dropped: keys that the model does not know, and values that do not fit their column's type, go to the column
``extra`` under their own path, such as ``{"task":{"lists":[1]}}``. No derived column rests on a value that misfits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_awork.client.http import json_text

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


def column_name(path: str) -> str:
    """
    Name the column of a path: its keys in snake_case, each without the name of the object it is in.

    >>> column_name("task.taskStatus.name"), column_name("task.parentTask.name")
    ('task_status_name', 'task_parent_name')
    """
    keys = [re.sub("[A-Z]", lambda match: "_" + match[0].lower(), key) for key in path.split(".")]
    parts = keys[:1]
    for parent, key in pairwise(keys):
        parts.append(key.removesuffix(f"_{parent}"))
        if key.startswith(f"{parent}_") and parts[-2] == parent:
            del parts[-2]
    return "_".join(parts)


def leaf_column(path: str, kind: ColumnType, description: str) -> Column:
    """The column of a leaf of awork's model."""
    return Column(column_name(path), kind, path, description)


def find_repeated_ids(paths: Collection[str]) -> dict[str, str]:
    """
    Find the ids inside objects that repeat an id beside the object.

    :return: path of the id beside the object by the path of the id inside.

    >>> find_repeated_ids(["userId", "user.id", "task.parentId", "task.parentTask.id", "task.company.id"])
    {'user.id': 'userId', 'task.parentTask.id': 'task.parentId'}
    """
    repeated = {}
    for path in paths:
        owner = path.removesuffix(".id")
        for beside in (f"{owner}Id", f"{owner.removesuffix('Task')}Id"):
            if owner != path and beside in paths:
                repeated[path] = beside
                break
    return repeated


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
    :param leaves: the columns of the leaves of awork's model.
    :param derived: the derived columns, the last of which is ``extra``.
    :param derive: from the values of the row's own leaves, and the objects in it by their key, the values of the
        derived columns, and those of other columns that it replaces.
    :param rests_on: paths of the row's own leaves that a derived column rests on; it is null if one misfits. A column
        without an entry is null by itself where a leaf is.
    :param strict: paths whose misfits fail an export, unless the caller allows them.
    :param distinct: text columns whose values hardly repeat: they gain nothing from a dictionary.
    """

    name: str
    leaves: tuple[Column, ...]
    derived: tuple[Column, ...]
    derive: Callable[[Values, Mapping[str, ObjectsInRows]], Values]
    distinct: frozenset[str]
    rests_on: Mapping[str, Set[str]] = field(default_factory=dict)
    strict: frozenset[str] = frozenset()

    @cached_property
    def repeated_ids(self) -> Mapping[str, str]:
        """The leaves that have no column, as they repeat another leaf; they go to ``extra`` where they differ."""
        return find_repeated_ids([column.path for column in self.leaves])

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a file."""
        return (*(column for column in self.leaves if column.path not in self.repeated_ids), *self.derived)

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

    def columns_resting_on(self, paths: Set[str]) -> Iterator[str]:
        """The names of the derived columns that rest on one of these leaves."""
        return (name for name, basis in self.rests_on.items() if not basis.isdisjoint(paths))

    def columns_markdown(self) -> str:
        """The documented table of columns, for ``docs/columns.md``."""
        lines = ["| Column | Type | awork's field | Meaning |", "|---|---|---|---|"]
        for column in self.columns:
            path = column.path if column.path == DERIVED else f"`{column.path}`"
            lines.append(f"| `{column.name}` | {column.type} | {path} | {column.description} |")
        return "\n".join(lines) + "\n"


def to_texts(column: Column, values: Sequence[Any]) -> list[str | None]:
    """
    Values of a column as texts, for CSV; null stays None.

    Timestamps are ISO 8601 with microseconds, with ``Z`` if in UTC; booleans are ``true`` and ``false``.
    """
    if column.type in (TEXT, JSON):
        return list(values)
    if column.type is BOOLEAN:
        return [_BOOLEAN_TEXTS[value] for value in values]
    if column.type in (TIMESTAMP_UTC, TIMESTAMP_LOCAL):
        zone = "Z" if column.type is TIMESTAMP_UTC else ""
        # msgspec writes six digits of a fraction, or none if it is 0.
        return [text and f"{text if '.' in text else text + '.000000'}{zone}" for text in _iso_texts(values)]
    if column.type is DATE:
        return _iso_texts(values)
    return [None if value is None else str(value) for value in values]


def _iso_texts(values: Sequence[Any]) -> list[str | None]:
    """Write days or instants in ISO 8601. ``isoformat`` takes fifty times as long."""
    return msgspec.json.decode(msgspec.json.encode(values), type=list[str | None])


_BOOLEAN_TEXTS = {True: "true", False: "false", None: None}


def text_or_none(raw: RawEntry) -> str | None:
    """JSON as text on one line; None for null."""
    text = str(raw, "utf-8")
    if "\n" in text or "\r" in text:
        text = str(json_text.put_on_one_line(text.encode()), "utf-8")
    return None if text == "null" else text
