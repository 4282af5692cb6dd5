"""Which time entries a change is meant for, in which version, and what the batch operations set on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from airflow_provider_awork.client.entries.arguments import checked_id
from airflow_provider_awork.client.entries.timers import has_open_timer
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.exceptions import AworkConfigError, AworkPagingError


class EntryKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    Which time entry, and what is known of it from an earlier reading, as awork sends it. None: not known, or null.

    :param id: GUID.
    """

    id: str
    created_on: str | None = None
    updated_on: str | None = None
    resource_version: int | None = None
    duration: int | float | None = None
    is_billable: bool | None = None
    user_id: str | None = None
    project_id: str | None = None
    task_id: str | None = None
    type_of_work_id: str | None = None
    start_date_local: str | None = None

    @property
    def has_content(self) -> bool:
        """Whether the fields that money rests on are known; awork sends these three of every entry."""
        return None not in (self.duration, self.is_billable, self.type_of_work_id)

    @property
    def content(self) -> dict[str, Any]:
        """The fields that money rests on, so that equal ones compare as equal."""
        ids = {name: getattr(self, name) for name in ("user_id", "project_id", "task_id", "type_of_work_id")}
        lower = {name: each.lower() if each else None for name, each in ids.items()}
        day = (self.start_date_local or "")[:10]
        return {"duration": self.duration or 0, "is_billable": bool(self.is_billable), "day": day, **lower}

    def differs_from(self, state: EntryKey) -> bool:
        """Whether the entry was changed in between, as far as both tell."""
        versions = (self.resource_version, state.resource_version)
        changes = tuple(each.updated_on and instant_key(each.updated_on) for each in (self, state))
        return any(None not in pair and pair[0] != pair[1] for pair in (versions, changes))


class EntryState(EntryKey, frozen=True, kw_only=True, rename="camel"):
    """
    A time entry as it is now: what the batch operations set, and who changed it last.

    Absent and null are the same; flags are then False.
    """

    updated_by: str | None = None
    is_billed: bool | None = None
    start_time_utc: str | None = None
    start_time_local: str | None = None
    end_time_utc: str | None = None
    end_time_local: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its timer runs or is paused; its duration is then not known yet."""
        return has_open_timer(self.start_time_utc, self.start_time_local, self.end_time_utc, self.end_time_local)

    def has(self, operation: str, value: bool | str | None) -> bool:
        """Whether a batch operation would leave the entry as it is. ``setIsBillable`` False also clears *billed*."""
        if operation == "setIsBilled":
            return bool(self.is_billed) is value
        if operation == "setIsBillable":
            return bool(self.is_billable) is value and (value is True or not self.is_billed)
        if operation == "setProject" and self.task_id:  # awork's operation also drops the task
            return False
        fields = {
            "setTypeOfWork": self.type_of_work_id,
            "setProject": self.project_id,
            "setTask": self.task_id,
            "setUser": self.user_id,
        }
        own = fields.get(operation)
        return own is not None and own.lower() == str(value).lower()


_SETS = {
    "setTypeOfWork": {"type_of_work_id"},
    "setIsBillable": {"is_billable"},
    "setProject": {"project_id", "task_id"},
    "setTask": {"task_id", "project_id"},
    "setUser": {"user_id"},
}


def differing_fields(before: EntryKey, after: EntryKey, ours: Mapping[str, bool | str | None]) -> set[str]:
    """
    Return the fields that money rests on and that differ, apart from what our own changes set.

    :param ours: what we set in between, by operation.
    """
    old, new = before.content, after.content
    differing = {name for name in old if old[name] != new[name]}
    for operation, value in ours.items():
        fields = _SETS.get(operation, set())
        target = str(value).lower()
        if not fields or target in {str(new[name]).lower() for name in fields}:
            differing -= fields
    return differing


def entry_keys(entries: Iterable[str | Mapping[str, Any]], name: str = "time_entry_ids") -> list[EntryKey]:
    """
    Return the keys of what a caller has: ids, or entries as awork sends them.

    :param entries: GUIDs, or dicts with ``id`` and perhaps ``createdOn``, ``updatedOn``, ``resourceVersion`` and the
        fields that money rests on.
    :param name: of the parameter, for messages.
    :return: each entry once, with all that is known of it, in order of ``createdOn``.
    :raises AworkConfigError: it is no list, something in it is neither, or an entry is there in two versions.

    >>> [key.created_on for key in entry_keys([{"id": "5b0d1f5e-3c1a-4a53-9d0b-2f6c3e1d7a90"}])]
    [None]
    """
    if isinstance(entries, str | bytes | Mapping) or not isinstance(entries, Iterable):
        raise AworkConfigError(f"{name}: {entries!r} is not a list of ids")
    keys: dict[str, EntryKey] = {}
    for key in (_entry_key(entry, name) for entry in entries):
        keys[key.id] = _merged(keys[key.id], key, name) if key.id in keys else key
    return sorted(keys.values(), key=lambda key: key.created_on or "")


def _merged(one: EntryKey, other: EntryKey, name: str) -> EntryKey:
    """Return one key with all that two have of the same entry."""
    fields = msgspec.structs.asdict(one)
    for field, value in msgspec.structs.asdict(other).items():
        if value is not None and fields[field] not in (None, value):
            raise AworkConfigError(
                f"{name}: {one.id} is in it twice, with two values of {field}\n"
                f"They are {fields[field]!r} and {value!r}: which of both versions is meant?"
            )
        fields[field] = fields[field] if value is None else value
    return EntryKey(**fields)


def _entry_key(entry: str | Mapping[str, Any], name: str) -> EntryKey:
    fields = {"id": entry} if isinstance(entry, str) else entry
    try:
        key = msgspec.convert(fields, EntryKey)
    except msgspec.ValidationError as error:
        raise AworkConfigError(
            f"{name}: {entry!r} is neither an id nor a dict with the id of a time entry ({error})"
        ) from None
    for date in (key.created_on, key.updated_on):
        try:
            instant_key(date or "1970-01-01T00:00:00")
        except AworkPagingError:
            raise AworkConfigError(f"{name}: {date!r} is not an instant as awork sends it, in {entry!r}") from None
    return msgspec.structs.replace(key, id=checked_id(key.id, name))
