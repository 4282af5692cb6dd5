"""Some fields of time entries, by paths such as ``project/name``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_awork.columns.time_entry import TIME_ENTRY

FREE_FIELDS = ("task/project/",)  # objects whose fields the model does not name


class Projection:
    """
    Keeps some fields of each entry.

    :param fields: paths; None keeps entries as they are.
    :ivar unseen: fields that awork does not document and that no entry had so far: newer than this package, or
        misspelt.
    """

    def __init__(self, fields: Sequence[str] | None) -> None:
        self._fields = fields
        known = documented_fields()
        self.unseen = {field for field in fields or () if field not in known and not field.startswith(FREE_FIELDS)}

    def apply(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return exactly these fields, with None for what the entry does not have."""
        self.unseen = {field for field in self.unseen if not has_path(entry, field)}
        return entry if self._fields is None else {field: value_at(entry, field) for field in self._fields}


def value_at(entry: dict[str, Any], path: str) -> Any:
    """The value at a path such as ``project/name``; None where something on the way is missing."""
    value: Any = entry
    for key in path.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def has_path(entry: dict[str, Any], path: str) -> bool:
    """Whether there is a value, be it null, at a path such as ``project/name``."""
    parent, _, key = path.rpartition("/")
    holder = value_at(entry, parent) if parent else entry
    return isinstance(holder, dict) and key in holder


def documented_fields() -> set[str]:
    """The paths of awork's documented fields, those of the objects on the way included."""
    paths = [column.path.split(".") for column in TIME_ENTRY.leaves]
    return {"/".join(path[: depth + 1]) for path in paths for depth in range(len(path))}
