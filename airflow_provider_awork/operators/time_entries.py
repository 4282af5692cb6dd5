"""Operators on time entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import filter_text
from airflow_provider_awork.client.lists.resources import time_entries_path
from airflow_provider_awork.client.selection import SELECTION, refuse_blank_parameters
from airflow_provider_awork.exceptions import AworkConfigError, AworkTooLargeError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import WINDOW_PARAMETERS, AworkBaseOperator, AworkCompleteWindowOperator
from airflow_provider_awork.operators.batch_time_entries import AworkBatchTimeEntriesOperator
from airflow_provider_awork.operators.projection import Projection, documented_fields, value_at
from airflow_provider_awork.operators.rendered import read_entry_fields

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

__all__ = [
    "AworkBatchTimeEntriesOperator",
    "AworkCreateTimeEntryOperator",
    "AworkTimeEntriesOperator",
    "AworkUpdateTimeEntryOperator",
    "value_at",
]

TRANSFER = "airflow_provider_awork.transfers.awork_to_object_storage.AworkTimeEntriesToObjectStorageOperator"


class AworkTimeEntriesOperator(AworkCompleteWindowOperator):
    """
    Pull a small number of time entries into XCom: a list of dicts, complete and in order of ``createdOn``.

    XCom is stored in Airflow's database, at about a second and 20 MB of memory for each MB. So there are caps, above
    which the task fails before anything is pushed; larger results belong in object storage, see
    ``AworkTimeEntriesToObjectStorageOperator``.

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression, such as ``isBillable eq true and isBilled eq false``, or a condition made with
        ``airflow_provider_awork.client.filters``. (templated)
    :param window_field: ``createdOn``, ``updatedOn`` (instants), ``startDateLocal`` (days in each entry's own zone) or
        ``startDateUtc`` (days in UTC). None reads everything. (templated)
    :param window_start: first instant or day of the window: ``date``, ``YYYY-MM-DD``, aware datetime or ISO text.
        Without both bounds the window is the run's partition or data interval. (templated)
    :param window_end: first instant or day after the window. (templated)
    :param window_length: ISO 8601 duration such as ``P1D``, ``P1M`` or ``PT1H``, counted by the calendar, of a window
        that has only a start: the run's partition, or ``window_start``. None takes the period that the partition's key
        names: a month for ``2026-03``, a day for ``2026-03-29``. (templated)
    :param timezone: IANA zone of the days; where the run's own bounds are used, by default the timetable's, else the
        DAG's. (templated)
    :param lookback: how late awork may commit an entry. A window on ``createdOn`` or ``updatedOn`` is complete so long
        after its end, by awork's clock: the task waits for that, and fails if the end is further away than that.
    :param open_window: do not wait, and take a window that is not complete.
    :param project_id: only entries of this project (GUID). (templated)
    :param awork_task_id: only entries of this awork task (GUID). (templated)
    :param fields: keep only these fields, nested ones with a slash: ``["id", "duration", "project/name"]``. The dicts
        then have exactly these keys, with None for what awork left out. None keeps entries as awork sent them.
    :param limit: at most so many entries, the oldest ones.
    :param max_entries: more entries than this fail the task.
    :param max_bytes: more bytes of JSON than this fail the task.
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :raises AworkTooLargeError: the result is above a cap.
    :raises AworkConfigError: a parameter cannot work, or there is no window where one is needed.
    :raises AworkRequestError: awork refuses the request.

    .. code-block:: python

        entries = AworkTimeEntriesOperator(
            task_id="entries",
            window_field="startDateLocal",
            window_start="2026-11-01",
            window_end="2026-11-08",
            fields=["id", "duration", "project/name"],
        )
    """

    template_fields: Sequence[str] = (
        "filterby",
        *WINDOW_PARAMETERS,
        "project_id",
        "awork_task_id",
        "awork_conn_id",
    )

    def __init__(
        self,
        *,
        filterby: str | Condition | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        fields: Sequence[str] | None = None,
        limit: int | None = None,
        max_entries: int = 10_000,
        max_bytes: int = 5_000_000,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filterby = filter_text(filterby)
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.fields = fields
        self.limit = limit
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        self._check_parameters()
        window = self.window(context)
        self.await_completeness(window)
        reader = self.hook.read_time_entries(
            filterby=self.filterby,
            window=window,
            project_id=self.project_id,
            task_id=self.awork_task_id,
            limit=self.limit,
        )
        projection = Projection(self.fields)
        entries: list[dict[str, Any]] = []
        size = 0
        for rows in reader:
            self._check_caps(max(reader.rows, reader.expected or 0), size)
            for row in rows:
                entry = projection.apply(json_text.decode(row))
                size += len(msgspec.json.encode(entry))
                entries.append(entry)
            self._check_caps(len(entries), size)
        self._warn_of(projection.unseen)
        self.log.info("%d time entries, %d bytes of JSON, %s", len(entries), size, window or "no window")
        return entries

    def _check_parameters(self) -> None:
        names = self.fields if isinstance(self.fields, list | tuple) else ()
        if self.fields is not None and not (names and all(isinstance(name, str) for name in names)):
            raise AworkConfigError(
                f"fields: {self.fields!r} is not a list of field names such as ['id', 'project/name']"
            )
        for name in ("limit", "max_entries", "max_bytes"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise AworkConfigError(f"{name}: {value!r} is not a positive whole number")
        self.check_completeness()
        refuse_blank_parameters(self, *SELECTION)
        time_entries_path(project_id=self.project_id, task_id=self.awork_task_id, name_of_task_id="awork_task_id")

    def _warn_of(self, unseen: Collection[str]) -> None:
        if unseen:
            self.log.warning(
                "fields: awork does not document %s, and no entry has it, so its values are None. Write fields as "
                "awork does, nested ones with a slash: %s",
                ", ".join(map(repr, sorted(unseen))),
                ", ".join(sorted(documented_fields())),
            )

    def _check_caps(self, entries: int, size: int) -> None:
        if self.limit is not None:
            entries = min(entries, self.limit)
        if entries > self.max_entries:
            raise AworkTooLargeError(
                f"{entries} time entries are more than max_entries={self.max_entries} for XCom. Write them to object "
                f"storage with {TRANSFER}, or narrow filterby or the window."
            )
        if size > self.max_bytes:
            raise AworkTooLargeError(
                f"{size} bytes of JSON after {entries} time entries are more than max_bytes={self.max_bytes} for XCom. "
                f"Keep fewer fields with fields=[...], or write to object storage with {TRANSFER}."
            )


class AworkCreateTimeEntryOperator(AworkBaseOperator):
    """
    Create one time entry, at most once.

    awork knows no idempotency key: if the answer is lost, nobody knows whether the entry is there, and another try
    would create a second one. So the task has no retries, whatever ``default_args`` say, unless you pass ``retries`` to
    this operator. Clearing the task creates the entry again, too.

    Source: https://developers.awork.com/apiv1/time-entries/post-time-entry

    :param time_entry: the fields, with awork's names: ``userId``, ``typeOfWorkId``, ``timezone`` and the day of the
        start are needed; see :meth:`.AworkHook.create_time_entry`. Texts of templates are read as what the field needs.
        (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the id of the new entry.
    :raises AworkConfigError: a field is missing or cannot work; nothing was sent.
    :raises AworkValidationError: awork refuses a field.
    :raises AworkTransportError: the answer is lost; whether the entry was created is unknown.

    .. code-block:: python

        book_standby = AworkCreateTimeEntryOperator(
            task_id="book_standby",
            time_entry={
                "userId": "{{ params.user_id }}",
                "typeOfWorkId": "{{ params.type_of_work_id }}",
                "timezone": "Europe/Berlin",
                "startDateLocal": "{{ ds }}",
                "duration": 3600,
                "note": "Standby",
            },
        )
    """

    template_fields: Sequence[str] = ("time_entry", "awork_conn_id")
    template_fields_renderers = {"time_entry": "json"}

    def __init__(
        self, *, time_entry: Mapping[str, Any], awork_conn_id: str = AworkHook.default_conn_name, **kwargs: Any
    ) -> None:
        # Airflow fills default_args in further up, for what is not here yet.
        super().__init__(**{"retries": 0, **kwargs})
        self.time_entry = time_entry
        self.awork_conn_id = awork_conn_id

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """As of any operator; mapped, too, it has no retries unless you pass them."""
        return super().partial(**{"retries": 0, **kwargs})

    def execute(self, context: Context) -> str:
        entry = self.hook.create_time_entry(**read_entry_fields(self.time_entry, "time_entry"))
        self.log.info("Created time entry %s", entry["id"])
        return str(entry["id"])


class AworkUpdateTimeEntryOperator(AworkBaseOperator):
    """
    Change some fields of one time entry and keep the others: read, modify, write, since awork's PUT clears what is left
    out.

    Running it again gives the same entry. What somebody else changes between the read and the write is overwritten.
    A changed time of the start keeps the end; a start on another day keeps the duration and moves the end, unless a
    date of the end is passed; a changed ``duration`` keeps the start and moves the end.

    Source: https://developers.awork.com/apiv1/time-entries/put-time-entry-by-id

    :param time_entry_id: GUID. (templated)
    :param changes: the fields that change, with awork's names, as for :meth:`.AworkHook.update_time_entry`; None clears
        a field. Texts of templates are read as what the field needs. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the id of the entry.
    :raises AworkConfigError: a field cannot work, or a finished entry would be left as a running timer; nothing was
        changed.
    :raises AworkNotFoundError: there is no such entry, or not for this key.

    .. code-block:: python

        correct = AworkUpdateTimeEntryOperator(
            task_id="correct",
            time_entry_id="{{ params.time_entry_id }}",
            changes={"note": "Checked on {{ ds }}", "isBillable": True},
        )
    """

    template_fields: Sequence[str] = ("time_entry_id", "changes", "awork_conn_id")
    template_fields_renderers = {"changes": "json"}

    def __init__(
        self,
        *,
        time_entry_id: str,
        changes: Mapping[str, Any],
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.time_entry_id = time_entry_id
        self.changes = changes
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> str:
        changes = read_entry_fields(self.changes, "changes")
        if not changes:
            raise AworkConfigError("changes: is empty; name at least one field")
        entry = self.hook.update_time_entry(self.time_entry_id, **changes)
        self.log.info("Changed %s of time entry %s", ", ".join(changes), entry["id"])
        return str(entry["id"])
