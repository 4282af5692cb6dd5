"""
The sandbox's data: JSON texts in SQLite, with columns for what is often filtered and ordered.

Narrow tables hold the columns, others the texts, so that paging over 100,000 entries touches a thousand texts only.
"""

# ruff: noqa: S608 - names in SQL come from TABLES, values are bound
from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Any

import msgspec

from airflow_provider_awork.sandbox import models
from airflow_provider_awork.sandbox.filter_sql import Parameter, Scope, Sql
from airflow_provider_awork.sandbox.instants import format_instant, parse_ticks, to_ticks
from airflow_provider_awork.sandbox.models import Kind, Model

Entry = dict[str, Any]
PreparedRow = tuple[Parameter, ...]

_ENTRY_COLUMNS = (
    "id", "userId", "projectId", "taskId", "typeOfWorkId", "createdOn", "createdBy", "updatedOn", "updatedBy",
    "isBillable", "isBilled", "isExternal", "startDateUtc", "startTimeUtc", "endDateUtc", "endTimeUtc",
    "startDateLocal", "startTimeLocal", "endDateLocal", "endTimeLocal", "timezone", "duration", "breakDuration",
    "resourceVersion",
)  # fmt: skip
_ENTRY_INDEXES = ("createdOn", "updatedOn", "startDateLocal", "startDateUtc", "projectId", "taskId", "userId")
_BATCH = 2000
_TOTALS_KEPT = 1000


@dataclass(frozen=True)
class Table:
    """
    One resource in the store.

    :param name: of the table and of awork's path.
    :param properties: all that can be filtered.
    :param columns: the properties with a column.
    :param indexes: the columns with an index.
    """

    name: str
    properties: Model
    columns: tuple[str, ...] = ("id",)
    indexes: tuple[str, ...] = ()

    @cached_property
    def converters(self) -> tuple[tuple[str, Callable[[Any], Parameter]], ...]:
        """How the value of each column comes from a field."""
        return tuple((name, _CONVERTERS[self.properties[name.lower()].kind]) for name in self.columns)

    @cached_property
    def scope(self) -> Scope:
        """For the translation of filters."""
        return Scope(
            self.properties,
            document=f"(SELECT text FROM {self.name}_text WHERE row = {self.name}.row)",
            column={column: f'{self.name}."{column}"' for column in self.columns},
            collections=_TASK_TAGS if self.name == "timeentries" else {},
        )


# Tags left the entries on 2026-03-24; filters still reach them through the task.
_TASK_TAGS = {
    "task/tags": (
        '(SELECT text FROM projecttasks JOIN projecttasks_text USING (row) WHERE id = timeentries."taskId")',
        "$.tags",
    )
}

TABLES = {
    table.name: table
    for table in (
        Table("timeentries", models.TIME_ENTRY, _ENTRY_COLUMNS, _ENTRY_INDEXES),
        Table("users", models.USER),
        Table("companies", models.COMPANY),
        Table("projects", models.PROJECT),
        Table("projecttasks", models.TASK),
        Table("teams", models.TEAM),
        Table("typeofwork", models.TYPE_OF_WORK),
        Table("projecttypes", models.PROJECT_TYPE),
        Table("projectstatuses", models.PROJECT_STATUS),
        Table("absences", models.ABSENCE),
        Table("taskstatuses", models.TASK_STATUS),
        Table("tasklists", models.TASK_LIST),
        Table("retainers", models.RETAINER),
        Table("workflows", models.WORKFLOW),
        Table("projectroles", models.PROJECT_ROLE),
        Table("projectmilestones", models.MILESTONE),
        Table("workspaceabsences", models.WORKSPACE_ABSENCE),
        Table("timebookings", models.TIME_BOOKING),
    )
}


@dataclass(frozen=True)
class Snapshot:
    """A page as one consistent read: the JSON texts of its rows, and how many rows match in all."""

    texts: list[bytes]
    total: int


class Store:
    """
    The data of one workspace; safe to use from any thread.

    :param file: path of a new SQLite file; None: in memory.
    :param clock: tells the time of changes; by default this machine's.
    :raises FileExistsError: the file is there already.
    """

    def __init__(self, *, file: Path | None = None, clock: Callable[[], datetime] | None = None) -> None:
        if file is not None and file.exists():
            raise FileExistsError(f"{file} exists; delete it or name another file for the sandbox's store")
        self._lock = RLock()
        self._totals: dict[tuple[str, Sql], int] = {}
        self._last_change = 0
        self._clock = clock or partial(datetime.now, UTC)
        self._connection = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        for name, function in _FUNCTIONS.items():
            self._connection.create_function(name, -1, function, deterministic=True)
        for table in TABLES.values():
            self._create(table)

    def _create(self, table: Table) -> None:
        columns = ", ".join(f'"{column}"' for column in table.columns[1:])
        self._connection.executescript(
            f"CREATE TABLE {table.name} (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE{columns and ', ' + columns});"
            f"CREATE TABLE {table.name}_text (row INTEGER PRIMARY KEY, text TEXT NOT NULL);"
            + "".join(f'CREATE INDEX {table.name}_{c} ON {table.name} ("{c}", id);' for c in table.indexes)
        )

    def close(self) -> None:
        """Give the memory or the file back."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and changed in the block happens at once, or not at all if it raises; others wait."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._totals.clear()
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def add(self, *entries: Mapping[str, Any] | str) -> None:
        """
        Add time entries: mappings, or JSON texts that are served byte for byte as given.

        :raises ValueError: an entry has no ``id`` or no readable ``createdOn``, or its id is there already.
        """
        self.add_rows("timeentries", entries)

    def add_rows(self, table: str, rows: Iterable[Mapping[str, Any] | str]) -> None:
        """Add rows of any resource, all or none; see :meth:`add`."""
        self.add_prepared(table, prepare_rows(table, rows))

    def add_prepared(self, table: str, rows: Iterable[PreparedRow]) -> None:
        """Add rows of :func:`prepare_rows`, all or none."""
        prepared = iter(rows)
        with self.transaction():
            row = int(self._one(f"SELECT coalesce(max(row), 0) FROM {table}"))
            while batch := list(islice(prepared, _BATCH)):
                self._insert(TABLES[table], row, batch)
                row += len(batch)

    def _insert(self, table: Table, last_row: int, batch: Sequence[PreparedRow]) -> None:
        columns = ", ".join(f'"{column}"' for column in table.columns)
        marks = ", ".join("?" for _ in table.columns)
        numbered = [(row, *values) for row, values in enumerate(batch, last_row + 1)]
        try:
            self._connection.executemany(
                f"INSERT INTO {table.name} (row, {columns}) VALUES (?, {marks})", (row[:-1] for row in numbered)
            )
        except sqlite3.IntegrityError as error:
            raise ValueError(f"an id is in {table.name} already, or twice among the new rows") from error
        self._connection.executemany(
            f"INSERT INTO {table.name}_text (row, text) VALUES (?, ?)", ((row[0], row[-1]) for row in numbered)
        )

    def delete(self, ids: Iterable[str]) -> int:
        """Delete entries as awork does, without a trace; returns how many there were."""
        if isinstance(ids, str):
            raise TypeError("ids is a collection of ids, not one id")
        with self.transaction():
            found = [self._row(entry_id) for entry_id in set(ids)]
            rows = [(row,) for row in found if row is not None]
            self._connection.executemany("DELETE FROM timeentries WHERE row = ?", rows)
            self._connection.executemany("DELETE FROM timeentries_text WHERE row = ?", rows)
        return len(rows)

    def edit(self, entry_id: str, **changes: Any) -> Entry:
        """
        Change fields of an entry (None removes one); ``updatedOn`` and ``resourceVersion`` follow unless given.

        :return: the entry as it is now.
        :raises KeyError: there is no such entry.
        """
        with self.transaction():
            row = self._row(entry_id)
            if row is None:
                raise KeyError(entry_id)
            now = self.next_change()
            stamps = {"updatedOn": format_instant(now), "resourceVersion": now}
            entry = {**json.loads(self._text(row)), **stamps, **changes}
            entry = {name: value for name, value in entry.items() if value is not None}
            *values, text = _prepare(TABLES["timeentries"], entry)
            assignments = ", ".join(f'"{column}" = ?' for column in _ENTRY_COLUMNS)
            self._connection.execute(f"UPDATE timeentries SET {assignments} WHERE row = ?", (*values, row))
            self._connection.execute("UPDATE timeentries_text SET text = ? WHERE row = ?", (text, row))
        return entry

    def next_change(self) -> int:
        """The ticks of a change that happens now; no two changes have the same."""
        self._last_change = max(to_ticks(self._clock()), self._last_change + 1)
        return self._last_change

    def _row(self, entry_id: str) -> int | None:
        found = self._connection.execute("SELECT row FROM timeentries WHERE id = ?", (entry_id.lower(),)).fetchone()
        return int(found[0]) if found else None

    def _text(self, row: int) -> str:
        return str(self._one("SELECT text FROM timeentries_text WHERE row = ?", (row,)))

    def _one(self, sql: str, parameters: Sequence[Parameter] = ()) -> Any:
        return self._connection.execute(sql, parameters).fetchone()[0]

    def count(self) -> int:
        """How many time entries there are."""
        with self._lock:
            return int(self._one("SELECT count(*) FROM timeentries"))

    def ids(self, where: Callable[[Entry], bool] | None = None) -> list[str]:
        """The ids of the entries that the Python predicate accepts (all if None), in order of insertion."""
        if where is not None:
            return [entry["id"] for entry in self.entries() if where(entry)]
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT id FROM timeentries ORDER BY row")]

    def entries(self) -> list[Entry]:
        """All time entries as dicts, in order of insertion."""
        return [json.loads(text) for text in self.texts().values()]

    def texts(self, table: str = "timeentries") -> dict[str, bytes]:
        """The JSON text of each row, byte for byte as it is served, by id in order of insertion."""
        sql = f"SELECT id, CAST(text AS BLOB) FROM {table} JOIN {table}_text USING (row) ORDER BY row"
        with self._lock:
            return dict(self._connection.execute(sql).fetchall())

    def find(self, table: str, row_id: str) -> bytes | None:
        """The JSON text of one row of any resource."""
        sql = f"SELECT CAST(text AS BLOB) FROM {table} JOIN {table}_text USING (row) WHERE id = ?"
        with self._lock:
            found = self._connection.execute(sql, (row_id.lower(),)).fetchone()
        return bytes(found[0]) if found else None

    def refers(self, column: str, value: str) -> bool:
        """Whether any time entry has this value in this column."""
        with self._lock:
            sql = f'SELECT EXISTS (SELECT 1 FROM timeentries WHERE "{column}" = ?)'
            return bool(self._one(sql, (value.lower(),)))

    def page(self, table: str, *, where: Sql, order: Sequence[str], limit: int, offset: int) -> Snapshot:
        """
        One page of the rows that match.

        :param order: SQL terms; ties come in order of insertion.
        """
        terms = ", ".join([*order, f"{table}.row"])
        sql = (
            f"SELECT CAST(text AS BLOB) FROM (SELECT row, row_number() OVER () AS place FROM (SELECT row FROM {table}"
            f" WHERE {where.text} ORDER BY {terms} LIMIT ? OFFSET ?)) JOIN {table}_text USING (row) ORDER BY place"
        )
        with self._lock:
            rows = self._connection.execute(sql, (*where.parameters, limit, offset)).fetchall()
            return Snapshot([row[0] for row in rows], self._total(table, where))

    def _total(self, table: str, where: Sql) -> int:
        key = (table, where)
        if len(self._totals) > _TOTALS_KEPT:
            self._totals.clear()
        if key not in self._totals:
            sql = f"SELECT count(*) FROM {table} WHERE {where.text}"
            self._totals[key] = int(self._one(sql, where.parameters))
        return self._totals[key]


def compact_json(value: Any) -> str:
    """JSON as awork writes it: no blanks, no escapes for letters."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON has as an escape only
        return json.dumps(value, separators=(",", ":"))


def prepare_rows(table: str, rows: Iterable[Mapping[str, Any] | str]) -> Iterator[PreparedRow]:
    """The values of the columns, and the text, of each row of a table."""
    return (_prepare(TABLES[table], row) for row in rows)


def _prepare(table: Table, row: Mapping[str, Any] | str) -> PreparedRow:
    """The values of the columns, and the text."""
    fields = json.loads(row) if isinstance(row, str) else row
    text = row if isinstance(row, str) else compact_json(row)
    if not fields.get("id"):
        raise ValueError(f"a row of {table.name} needs an id, has {fields.get('id')!r}")
    if _ticks(fields.get("createdOn")) is None:
        raise ValueError(f"{table.name} {fields['id']}: createdOn {fields.get('createdOn')!r} is no UTC date-time")
    return *(convert(fields.get(name)) for name, convert in table.converters), text


def _ticks(value: Any) -> int | None:
    try:
        return parse_ticks(value)
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _day(text: str) -> int | None:
    return _ticks(text)


def _number(value: Any) -> int | float | None:
    usable = isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63)
    return value if usable else None


# A value that is not of the property's kind is null for filters; tests store such entries on purpose.
_CONVERTERS: dict[Kind, Callable[[Any], Parameter]] = {
    Kind.INSTANT: _ticks,
    Kind.DATE: lambda value: _day(value) if isinstance(value, str) else None,
    Kind.GUID: lambda value: value.lower() if isinstance(value, str) else None,
    Kind.STRING: lambda value: value if isinstance(value, str) else None,
    Kind.BOOL: _number,
    Kind.NUMBER: _number,
}


def _text_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Null for null, as SQL's own functions do."""
    return lambda *texts: function(*texts) if all(isinstance(text, str) for text in texts) else None


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ticks": _ticks,
    "tolower": _text_function(str.lower),
    "startswith": _text_function(str.startswith),
    "endswith": _text_function(str.endswith),
    "substringof": _text_function(lambda text, needle: needle in text),
}
