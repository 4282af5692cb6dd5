"""
Raw rows as values of the columns of a ``RowModel``: as lists, as Arrow batches, or as the cells of a text file.

Half of a row are objects that come again and again: its person, its project, its task. Each distinct one is decoded,
and made an Arrow value or a cell, once; rows then only point to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import groupby, islice, repeat
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.columns.leftovers import Leftover, Leftovers
from airflow_provider_awork.columns.model import (
    BOOLEAN,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    Column,
    ColumnType,
    RawEntry,
    RowModel,
    Values,
    column_name,
    text_or_none,
)
from airflow_provider_awork.exceptions import AworkTransportError

if TYPE_CHECKING:
    import pyarrow as pa

Extra = dict[str, Any] | msgspec.Raw
ToCells = Callable[[Sequence[Column], Sequence[Sequence[Any]]], list[Any]]

LONGEST_NUMBER = 100  # characters of a whole number with a fraction or an exponent
MOST_OBJECTS = 4_000  # that are remembered under one key; each takes some kilobytes

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


class RowDecoder:
    """
    Decodes the rows of one list; keep it for all of them, as it remembers the objects in them.

    Timestamps are ``datetime`` without zone, those of the type ``TIMESTAMP_UTC`` in UTC. A date or time that cannot be
    read gives a null timestamp; its text column has it still. Each method takes rows as awork sent them and raises
    ``AworkTransportError`` if one is not valid UTF-8, as then the answer was damaged on its way.

    :param model: what the rows are.
    :param leftovers: is added to: what the rows have in ``extra``.
    """

    def __init__(self, model: RowModel, leftovers: Leftovers) -> None:
        keys = dict.fromkeys(column.path.partition(".")[0] for column in model.leaves if "." in column.path)
        self.model = model
        self._leftovers = leftovers
        self._own_columns = [column for column in model.leaves if "." not in column.path]
        self._objects = {key: _Objects(key, model) for key in keys}
        self._ids_beside = {
            key: column_name(model.repeated_ids[f"{key}.id"]) for key in keys if f"{key}.id" in model.repeated_ids
        }
        own = {column.path: column.type for column in self._own_columns}
        self._row = _ObjectModel("", own | dict.fromkeys(keys, JSON), {})

    def decode(self, entries: Sequence[RawEntry]) -> Values:
        """The values of each column, in the order of the model's columns."""
        values = self._read(entries)
        for objects in self._objects.values():
            values = {column.name: objects.values_of(column.name) for column in objects.columns} | values
        return {column.name: values[column.name] for column in self.model.columns}

    def to_arrow(self, entries: Sequence[RawEntry]) -> pa.RecordBatch:
        """An Arrow record batch of the model's ``arrow_schema``."""
        import pyarrow as pa

        values, schema = self._read(entries), self.model.arrow_schema
        arrays = {name: pa.array(column, schema.field(name).type) for name, column in values.items()}
        for objects in self._objects.values():
            arrays = objects.to_arrow(schema) | arrays
        return pa.record_batch([arrays[name] for name in schema.names], schema)

    def to_cells(self, entries: Sequence[RawEntry], to_cells: ToCells) -> list[list[Any]]:
        """
        Return the cells of the rows: one list for each run of neighbouring columns that are, or are not, in one object.

        :param to_cells: makes one cell per row from the columns of a run and the values of each; the same at each
            call. It sees the values of objects that come again only once.
        """
        values = self._read(entries)
        cells = []
        for key, run in groupby(self.model.columns, lambda column: self._object_key(column, values)):
            columns = tuple(run)
            if key is None:
                cells.append(to_cells(columns, [values[column.name] for column in columns]))
            else:
                cells.append(self._objects[key].to_cells(columns, to_cells))
        return cells

    @staticmethod
    def _object_key(column: Column, values: Values) -> str | None:
        """Return the key of the object that has the value of a column; None if the row itself has it."""
        return None if column.name in values else column.path.partition(".")[0]

    def _read(self, entries: Sequence[RawEntry]) -> Values:
        """The values of the columns that are not within objects, or replace one that is; points to the objects."""
        try:
            structs, extras, leftovers = self._decode_rows(entries)
            columns = zip(*map(msgspec.structs.astuple, structs), strict=True) if structs else repeat(())
            values = {column.name: list(next(columns)) for column in self._own_columns}
            for (key, objects), raws in zip(self._objects.items(), columns, strict=False):
                objects.point_to(raws)
                for row, extra, of_object in objects.unfitting():
                    extras[row] = _with_members(extras.get(row), {key: extra})
                    self._leftovers.add(of_object, values["id"][row])
            for key, beside in self._ids_beside.items():
                for row, other_id in self._objects[key].other_ids(values[beside]):
                    extras[row] = _with_members(extras.get(row), {key: {"id": other_id}})
                    self._leftovers.unknown_fields[f"{key}.id"] += 1
            json_columns = [column.name for column in self._own_columns if column.type is JSON]
            values |= {name: list(map(text_or_none, values[name])) for name in json_columns}
            values |= self.model.derive(values, self._objects)
            for row, of_row in leftovers.items():
                self._leftovers.add(of_row, values["id"][row])
                misfits = {path for path, is_misfit in of_row if is_misfit}
                for name in self.model.columns_resting_on(misfits):
                    values[name][row] = None
        except UnicodeDecodeError as error:
            raise AworkTransportError(
                f"A {self.model.name} is not valid UTF-8: {error.reason} at byte {error.start}"
            ) from error
        values["extra"] = [None] * len(structs)
        for row, extra in extras.items():
            values["extra"][row] = text_or_none(msgspec.json.encode(extra))
        return values

    def _decode_rows(
        self, entries: Sequence[RawEntry]
    ) -> tuple[list[Any], dict[int, Extra], dict[int, list[Leftover]]]:
        """The rows as structs, and what did not fit into them by the number of the row."""
        try:
            return [row or self._row.absent for row in map(self._row.decoder.decode, entries)], {}, {}
        except msgspec.DecodeError:
            pass
        structs: list[Any] = []
        extras: dict[int, Extra] = {}
        leftovers: dict[int, list[Leftover]] = {}
        for number, entry in enumerate(entries):
            struct, extra, of_row = self._row.decode(entry)
            structs.append(struct)
            if extra is not None:
                extras[number] = extra
                leftovers[number] = of_row
        return structs, extras, leftovers


class _Objects:
    """The distinct objects under one key of the rows, by number, and which one each of the current rows has."""

    def __init__(self, key: str, model: RowModel) -> None:
        inside = f"{key}."
        self.columns = [column for column in model.columns if column.path.startswith(inside)]
        self._model = _object_model(key, [leaf for leaf in model.leaves if leaf.path.startswith(inside)])
        self._paths = [column.path.split(".")[1:] for column in self.columns]
        self._repeated_ids = [
            (path.split(".")[1:], beside.split(".")[1:])
            for path, beside in model.repeated_ids.items()
            if beside.startswith(inside)
        ]
        self._has_id = f"{key}.id" in model.repeated_ids
        self._forget()

    def _forget(self) -> None:
        self._numbers = _Numbers(self._add)
        self._current: list[int] = []
        self._texts: list[str | None] = []
        self._values: Values = {column.name: [] for column in self.columns}
        self._ids: list[str | None] = []
        self._unfitting: dict[int, tuple[Extra, list[Leftover]]] = {}
        self._arrays: pa.RecordBatch | None = None
        self._cells: dict[Sequence[Column], list[Any]] = {}

    def _add(self, raw: bytes) -> None:
        struct, extra, leftovers = self._model.decode(raw)
        for path, values in zip(self._paths, self._values.values(), strict=True):
            leaf = _leaf(struct, path)
            values.append(text_or_none(leaf) if isinstance(leaf, msgspec.Raw) else leaf)
        if self._has_id:
            self._ids.append(struct.id)
        for path, beside in self._repeated_ids:
            if (other_id := _leaf(struct, path)) not in (None, _leaf(struct, beside)):
                extra = _with_members(extra, _nested(path, other_id))
                leftovers = [*leftovers, Leftover(self._model.prefix + ".".join(path), is_misfit=False)]
        if extra is not None:
            self._unfitting[len(self._numbers)] = extra, leftovers

    def point_to(self, raws: Iterable[msgspec.Raw]) -> None:
        """Take the objects of further rows, which become the current ones."""
        if len(self._numbers) > MOST_OBJECTS:
            self._forget()
        self._current = list(map(self._numbers.__getitem__, map(bytes, raws)))

    def unfitting(self) -> Iterable[tuple[int, Extra, list[Leftover]]]:
        """The rows whose object does not fit the model, with what does not."""
        if not self._unfitting:
            return
        for row, number in enumerate(self._current):
            if number in self._unfitting:
                yield row, *self._unfitting[number]

    def other_ids(self, ids: Sequence[str | None]) -> Iterable[tuple[int, str]]:
        """The rows whose object has another id than the row says, with the id in the object."""
        inside = list(map(self._ids.__getitem__, self._current))
        if inside != ids:  # by far the most rows agree
            for row, (own, other) in enumerate(zip(inside, ids, strict=True)):
                if own is not None and own != other:
                    yield row, own

    def texts(self) -> list[str | None]:
        """The object of each row as JSON."""
        self._texts += map(text_or_none, islice(self._numbers, len(self._texts), None))
        return [self._texts[number] for number in self._current]

    def values_of(self, name: str) -> list[Any]:
        """The values of a column."""
        values = self._values[name]
        return [values[number] for number in self._current]

    def to_arrow(self, schema: pa.Schema) -> dict[str, pa.Array]:
        import pyarrow as pa

        known = 0 if self._arrays is None else self._arrays.num_rows
        if known < len(self._numbers) or self._arrays is None:
            fields = [schema.field(name) for name in self._values]
            added = [pa.array(self._values[field.name][known:], field.type) for field in fields]
            if self._arrays is not None:
                added = [pa.concat_arrays(pair) for pair in zip(self._arrays.columns, added, strict=True)]
            self._arrays = pa.record_batch(added, pa.schema(fields))
        current = self._arrays.take(pa.array(self._current, pa.int32()))
        return dict(zip(self._values, current.columns, strict=True))

    def to_cells(self, columns: Sequence[Column], to_cells: ToCells) -> list[Any]:
        known = self._cells.setdefault(columns, [])
        if len(known) < len(self._numbers):
            known += to_cells(columns, [self._values[column.name][len(known) :] for column in columns])
        return [known[number] for number in self._current]


class _Numbers(dict[bytes, int]):
    """Numbers raw objects in the order in which they are first asked for."""

    def __init__(self, add: Callable[[bytes], None]) -> None:
        super().__init__()
        self._add = add

    def __missing__(self, raw: bytes) -> int:
        number = len(self)
        self._add(raw)
        self[raw] = number
        return number


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

    def decode(self, raw: RawEntry) -> tuple[Any, Extra | None, list[Leftover]]:
        """The object as a struct, what did not fit into it, and where that was."""
        try:
            return self.decoder.decode(raw) or self.absent, None, []
        except msgspec.DecodeError:
            return self._decode_key_by_key(raw)

    def _decode_key_by_key(self, raw: RawEntry) -> tuple[Any, Extra | None, list[Leftover]]:
        try:
            members = json_text.split_object(raw)
        except msgspec.ValidationError:  # not an object
            return self.absent, msgspec.Raw(raw), [Leftover(self.prefix.rstrip(".") or "(entry)", is_misfit=True)]
        fitting: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        leftovers: list[Leftover] = []
        for key, value in members.items():
            fitting[key], rest, of_member = self._decode_member(key, value)
            if rest is not None:
                extra[key] = rest
                leftovers += of_member
        known = self.leaves.keys() | self.objects.keys()
        return self.struct(**{key: fitting[key] for key in fitting.keys() & known}), extra or None, leftovers

    def _decode_member(self, key: str, value: msgspec.Raw) -> tuple[Any, Extra | None, list[Leftover]]:
        if key in self.objects:
            return self.objects[key].decode(value)
        kind = self.leaves.get(key)
        is_json = kind is JSON
        absent = _NULL if is_json else None
        if text_or_none(value) is None:
            return absent, None, []
        if is_json:
            return value, None, []
        leftover = Leftover(self.prefix + key, is_misfit=kind is not None)
        if kind is None:
            return None, value, [leftover]
        try:
            return _LEAF_DECODERS[kind].decode(value), None, []
        except msgspec.DecodeError:
            whole = _whole_number(bytes(value)) if kind is INTEGER else None
            return whole, None if whole is not None else value, [leftover]


def _whole_number(raw: bytes) -> int | None:
    """Return the whole number of 64 bits that is written with a fraction or an exponent, such as ``3.6e3``."""
    if raw[:1] not in b"-0123456789" or len(raw) > LONGEST_NUMBER:
        return None
    try:
        number = Decimal(raw.decode())
    except InvalidOperation:  # the exponent has too many digits
        return None
    # Looked at first: an int of an exponent of a billion would fill the memory.
    if number.adjusted() > 18 or number != (whole := int(number)):
        return None
    return whole if -(2**63) <= whole < 2**63 else None


def _object_model(path: str, leaves: Sequence[Column]) -> _ObjectModel:
    prefix = f"{path}."
    below = {column.path.removeprefix(prefix): column.type for column in leaves if column.path.startswith(prefix)}
    own = {key: kind for key, kind in below.items() if "." not in key}
    objects = dict.fromkeys(key.partition(".")[0] for key in below if "." in key)
    return _ObjectModel(path, own, {key: _object_model(prefix + key, leaves) for key in objects})


def _leaf(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = None if value is None else getattr(value, key)
    return value


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    """The object that has a value at a path."""
    for key in reversed(path):
        value = {key: value}
    return cast(dict[str, Any], value)


def _with_members(extra: Extra | None, members: Mapping[str, Any]) -> dict[str, Any]:
    """What did not fit into an object, with further members of it; objects in it are put together."""
    merged = dict(cast(dict[str, Any], extra or {}))
    for key, value in members.items():
        inner = merged.get(key)
        merged[key] = _with_members(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
