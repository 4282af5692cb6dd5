"""
What changes time entries, with awork's rules. Facts: sections 8 and 9.3 of the API facts.

Where they are thin: the old setters change all entries or none, and answer 404 if one is unknown (``delete`` passes
over those); with ``requireAllTimeEntries`` and a failure, the unchanged entries are in none of the lists, or in ``ok``
if the settings say so; an entry of somebody else without a project needs an administrator; time-tracking settings
refuse nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Literal
from uuid import UUID, uuid4

from airflow_provider_awork.sandbox.entry_times import TIME_FIELDS, completed_times, instant_of
from airflow_provider_awork.sandbox.errors import ApiError
from airflow_provider_awork.sandbox.filter_sql import Sql
from airflow_provider_awork.sandbox.forms import BatchForm, EntryForm, NewEntryForm
from airflow_provider_awork.sandbox.instants import TICKS_PER_DAY, TICKS_PER_SECOND, format_instant, to_ticks
from airflow_provider_awork.sandbox.nested_objects import REFERENCES, nested_object
from airflow_provider_awork.sandbox.settings import Settings
from airflow_provider_awork.sandbox.store import Store

Entry = dict[str, Any]
Changes = dict[str, Any]
Outcome = Literal["ok", "notFound", "unauthorized", "badRequest"]

# What each batch operation sets, by the field of its form.
BATCH_FIELDS = {
    "delete": None,
    "setTypeOfWork": "newTypeOfWorkId",
    "setIsBillable": "isBillable",
    "setIsBilled": "isBilled",
    "setProject": "newProjectId",
    "setTask": "newTaskId",
    "setUser": "newUserId",
}
_NEEDS_ADMIN_IF_BILLED = {"delete", "setProject", "setTask", "setUser"}


class EntryChanges:
    """
    The changes, each in one transaction.

    :param store: the data.
    :param settings: read anew for each change.
    :param me: id of the user that the token stands for.
    """

    def __init__(self, *, store: Store, settings: Settings, me: str) -> None:
        self._store = store
        self._settings = settings
        self._me = me

    @property
    def _is_admin(self) -> bool:
        return self._settings.admin and not self._settings.missing_permissions

    # -- one entry -----------------------------------------------------------------------------------------------

    def create(self, form: NewEntryForm) -> Entry:
        """The new entry."""
        with self._store.transaction():
            now = self._store.next_change()
            stamp = format_instant(now)
            entry = {
                "id": str(uuid4()),
                **self._fields(form, default_billable=True),
                **completed_times(form),
                "breakDuration": 0,
                "breaks": [],
                "createdBy": self._me,
                "createdOn": stamp,
                "updatedBy": self._me,
                "updatedOn": stamp,
                "resourceVersion": now,
                "isExternal": False,
            }
            entry = {name: value for name, value in entry.items() if value is not None}
            self._require_editable(entry)
            self._store.add(entry)
        return entry

    def replace(self, entry_id: str, form: EntryForm) -> Entry:
        """The entry with all its fields replaced; breaks stay."""
        with self._store.transaction():
            entry = self._require(entry_id)
            times = completed_times(form, breaks=entry.get("breakDuration", 0))
            if is_open(entry) and times.get("endTimeUtc"):
                raise ApiError(400, "invalid-operation", "Only the start of a running time entry can change.")
            fields = self._fields(form, default_billable=False)
            protected = ("projectId", "taskId", "userId")
            if entry["isBilled"] and any(fields[name] != entry.get(name) for name in (*protected, "isBilled")):
                self._require_admin("The time entry is billed.")
            cleared: Changes = dict.fromkeys(TIME_FIELDS)
            return self._store.edit(entry_id, **{**cleared, **fields, **times, "updatedBy": self._me})

    def delete(self, entry_id: str) -> None:
        """Delete one entry."""
        with self._store.transaction():
            if self._require(entry_id)["isBilled"]:
                self._require_admin("The time entry is billed.")
            self._store.delete([entry_id])

    def remove_breaks(self, entry_id: str) -> Entry:
        """The entry without breaks; a paused timer runs on."""
        with self._store.transaction():
            entry = self._require(entry_id)
            start, end = instant_of(entry, "start"), instant_of(entry, "end")
            changes: Changes = {"breaks": [], "breakDuration": 0, "updatedBy": self._me}
            if start is not None and end is not None:
                changes["duration"] = (end - start) // TICKS_PER_SECOND
            return self._store.edit(entry_id, **changes)

    def last(self, user_id: str) -> bytes | None:
        """The entry that a user started last and not in the future; a missing start time counts as 00:00."""
        if user_id != self._me and not self._is_admin:
            raise ApiError(401, "unauthorized", "Only administrators may read the last time entry of somebody else.")
        now = to_ticks(self._settings.now or self._settings.clock)
        today = now - now % TICKS_PER_DAY
        clock = format_instant(now)[11:-1]
        where = Sql(
            '"userId" = ? AND ("startDateUtc" < ? OR ("startDateUtc" = ? AND coalesce("startTimeUtc", \'\') <= ?))',
            (user_id, today, today, clock),
        )
        order = ['"startDateUtc" DESC', "coalesce(\"startTimeUtc\", '') DESC"]
        texts = self._store.page("timeentries", where=where, order=order, limit=1, offset=0).texts
        return texts[0] if texts else None

    # -- many entries --------------------------------------------------------------------------------------------

    def batch(self, operation: str, form: BatchForm) -> dict[str, Any]:
        """awork's ``MultiStatusResult``."""
        if operation not in BATCH_FIELDS:
            raise ApiError(404, "not-found", f"There is no operation {operation!r}.")
        result: dict[Outcome, list[str]] = {"ok": [], "notFound": [], "unauthorized": [], "badRequest": []}
        with self._store.transaction():
            change = self._batch_change(operation, form)
            for entry_id in _texts(form.timeEntryIds):
                result[self._outcome(self._find(entry_id), operation, change)].append(entry_id)
            changed = result["ok"]
            is_atomic = form.requireAllTimeEntries and self._settings.knows_require_all
            if is_atomic and any(result[name] for name in result if name != "ok"):
                changed = []
                result["ok"] = result["ok"] if self._settings.lists_unchanged_as_ok else []
            self._apply(changed, change)
        return {name: {"ids": ids} for name, ids in result.items()}

    def _batch_change(self, operation: str, form: BatchForm) -> Changes | None:
        """The fields that an operation sets; None: it deletes."""
        field = BATCH_FIELDS[operation]
        if field is None:
            return None
        value = getattr(form, field)
        if value is None:
            raise ApiError(400, "validation-failed", f"{field} is required for {operation}.", field=field)
        if isinstance(value, bool):
            return {field: value} | ({"isBilled": False} if (field, value) == ("isBillable", False) else {})
        reference = field[3].lower() + field[4:]
        change = self._reference(reference, str(value), field=field)
        if reference == "projectId":
            change |= {"taskId": None, "task": None}
        if reference == "taskId" and change["task"].get("projectId"):
            change |= {"projectId": change["task"]["projectId"], "project": change["task"]["project"]}
        return change

    def _outcome(self, entry: Entry | None, operation: str, change: Changes | None) -> Outcome:
        if entry is None:
            return "notFound"
        billed = entry["isBilled"]
        unbills = change is not None and change.get("isBilled") is False
        if not self._may_edit(entry) or (
            billed and not self._is_admin and (unbills or operation in _NEEDS_ADMIN_IF_BILLED)
        ):
            return "unauthorized"
        if operation == "setIsBilled" and not unbills and not entry["isBillable"] and not self._is_admin:
            return "badRequest"
        return "ok"

    def delete_many(self, ids: Iterable[UUID]) -> None:
        """The deprecated ``/timeentries/delete``."""
        with self._store.transaction():
            entries = [entry for entry_id in _texts(ids) if (entry := self._find(entry_id))]
            for entry in entries:
                self._require_editable(entry)
            if any(entry["isBilled"] for entry in entries):
                self._require_admin("Some of the time entries are billed.")
            self._store.delete(entry["id"] for entry in entries)

    def set_billable(self, ids: Iterable[UUID]) -> None:
        self._set_all(ids, {"isBillable": True})

    def set_unbillable(self, ids: Iterable[UUID]) -> None:
        def check(entry: Entry) -> None:
            if entry["isBilled"]:
                raise ApiError(400, "invalid-operation", f"The time entry {entry['id']} is billed.")

        self._set_all(ids, {"isBillable": False}, check)

    def set_billed(self, ids: Iterable[UUID]) -> None:
        def check(entry: Entry) -> None:
            if not entry["isBillable"] and not self._is_admin:
                raise ApiError(400, "invalid-operation", f"The time entry {entry['id']} is not billable.")

        self._set_all(ids, {"isBilled": True}, check)

    def set_unbilled(self, ids: Iterable[UUID]) -> None:
        self._set_all(ids, {"isBilled": False}, lambda _: self._require_admin("The time entry is billed."))

    def set_type_of_work(self, ids: Iterable[UUID], type_of_work_id: UUID) -> None:
        change = self._reference("typeOfWorkId", str(type_of_work_id), field="typeOfWorkId")
        self._set_all(ids, change)

    def _set_all(self, ids: Iterable[UUID], change: Changes, check: Callable[[Entry], None] | None = None) -> None:
        """Change all or none; entries that are so already stay as they are, without a look at permissions."""
        with self._store.transaction():
            entries = [self._known(entry_id) for entry_id in _texts(ids)]
            others = [entry for entry in entries if any(entry.get(name) != value for name, value in change.items())]
            for entry in others:
                self._require_editable(entry)
                if check:
                    check(entry)
            self._apply([entry["id"] for entry in others], change)

    # -- rules ---------------------------------------------------------------------------------------------------

    def _apply(self, ids: Iterable[str], change: Changes | None) -> None:
        if change is None:
            self._store.delete(list(ids))
            return
        for entry_id in ids:
            self._store.edit(entry_id, **change, updatedBy=self._me)

    def _fields(self, form: EntryForm, *, default_billable: bool) -> Changes:
        """The fields of a form that are no times, with the objects that belong to its ids."""
        fields: Changes = {"note": form.note, "timezone": form.timezone, "isBilled": form.isBilled}
        for name, (nested, _) in REFERENCES.items():
            value = getattr(form, name)
            fields |= {name: None, nested: None} if value is None else self._reference(name, str(value), field=name)
        task = fields["task"] or {}
        if task.get("projectId"):
            fields |= {"projectId": task["projectId"], "project": task["project"]}
        project = fields["project"] or {}
        by_default = default_billable and bool(project.get("isBillableByDefault"))
        fields["isBillable"] = by_default if form.isBillable is None else form.isBillable
        if fields["isBilled"] and not fields["isBillable"] and not self._is_admin:
            raise ApiError(400, "invalid-operation", "What is not billable cannot be billed.", field="isBilled")
        return fields

    def _reference(self, name: str, row_id: str, *, field: str) -> Changes:
        nested = nested_object(self._store, name, row_id)
        if nested is None:
            raise ApiError(400, "validation-failed", f"There is no {REFERENCES[name][0]} {row_id}.", field=field)
        return {name: row_id, REFERENCES[name][0]: nested}

    def _may_edit(self, entry: Entry) -> bool:
        if entry.get("userId") == self._me:
            return True
        return self._is_admin or (bool(entry.get("projectId")) and not self._settings.missing_permissions)

    def _require_editable(self, entry: Entry) -> None:
        if not self._may_edit(entry):
            raise ApiError(401, "unauthorized", f"The time entry {entry['id']} belongs to somebody else.")

    def _require_admin(self, why: str) -> None:
        if not self._is_admin:
            raise ApiError(401, "unauthorized", f"{why} That needs an administrator.")

    def _require(self, entry_id: str) -> Entry:
        """An entry that the token may change."""
        entry = self._known(entry_id)
        self._require_editable(entry)
        return entry

    def _known(self, entry_id: str) -> Entry:
        entry = self._find(entry_id)
        if entry is None:
            raise ApiError(404, "not-found", f"There is no time entry {entry_id}.")
        return entry

    def _find(self, entry_id: str) -> Entry | None:
        text = self._store.find("timeentries", entry_id)
        if text is None:
            return None
        return {"isBillable": False, "isBilled": False, **json.loads(text)}


def is_open(entry: Entry) -> bool:
    """Whether its timer runs or is paused."""
    return bool(entry.get("startTimeUtc")) and not entry.get("endTimeUtc")


def _texts(ids: Iterable[UUID]) -> list[str]:
    return list(dict.fromkeys(str(each) for each in ids))
