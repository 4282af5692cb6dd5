"""Operators on time entries."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.exceptions import AworkConfigError, AworkTooLargeError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import (
    WINDOW_PARAMETERS,
    AworkBaseOperator,
    AworkStoppableOperator,
    AworkWindowOperator,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_provider_awork.billing.batch_changes import BatchReport
    from airflow_provider_awork.billing.entry_states import EntryKey

LOGGED_IDS = 100
FREE_FIELDS = ("task/project/",)  # objects whose fields the model does not name
TRANSFER = "airflow_provider_awork.transfers.awork_to_object_storage.AworkTimeEntriesToObjectStorageOperator"


class AworkTimeEntriesOperator(AworkWindowOperator):
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
        filterby: str | None = None,
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
        self.filterby = filterby
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.fields = fields
        self.limit = limit
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        import msgspec

        from airflow_provider_awork.client.client import time_entries_path
        from airflow_provider_awork.client.http import surrogates

        self._check_parameters()
        time_entries_path(project_id=self.project_id, task_id=self.awork_task_id, name_of_task_id="awork_task_id")
        window = self.window(context)
        reader = self.hook.read_time_entries(
            filterby=self.filterby,
            window=window,
            project_id=self.project_id,
            task_id=self.awork_task_id,
            page_size=self.limit,
        )
        entries: list[dict[str, Any]] = []
        size = 0
        unseen = self._undocumented_fields()
        for rows in reader:
            self._check_caps(max(reader.rows, reader.expected or 0), size)
            for row in rows[: None if self.limit is None else self.limit - len(entries)]:
                whole = surrogates.decode(row)
                unseen = {field for field in unseen if not has_path(whole, field)}
                entry = self._projected(whole)
                size += len(msgspec.json.encode(entry))
                entries.append(entry)
            self._check_caps(len(entries), size)
            if len(entries) == self.limit:
                break
        if unseen:
            self.log.warning(
                "fields: awork documents no %s, and no entry has it, so its values are None; fields are written as "
                "awork does, nested ones with a slash: %s",
                ", ".join(map(repr, sorted(unseen))),
                ", ".join(sorted(documented_fields())),
            )
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

    def _undocumented_fields(self) -> set[str]:
        """Fields that awork may have since, or that are misspelt: the entries tell."""
        known = documented_fields()
        return {field for field in self.fields or () if field not in known and not field.startswith(FREE_FIELDS)}

    def _projected(self, entry: dict[str, Any]) -> dict[str, Any]:
        return entry if self.fields is None else {field: value_at(entry, field) for field in self.fields}

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


class AworkBatchTimeEntriesOperator(AworkStoppableOperator):
    """
    Change many time entries by one of awork's batch operations, such as marking them as billed: exactly those, each
    once, and without harm when it runs again.

    The entries go through in chunks. Each chunk is read again right before it is changed:

    * Entries that are as asked already are left alone, and counted with who changed them last.
    * Entries that were changed since the export are left alone, too, and reported: what is on the invoice is no longer
      what is in awork.
    * Entries that are gone are reported.
    * Entries whose timer runs or is paused (a start time and no end time, whatever the duration) are not marked as
      billed, and reported: their time is not known yet. Leave them out of the export with ``duration gt 0``.

    So a run that was killed half way is simply run again: it finishes the rest and reports the whole. If an answer of
    awork is lost, the chunk is read again before anything else is sent. Whoever changes an entry between the last look
    at its chunk and the change (awork has no conditional writes), usually well under a second, is not noticed; if
    awork does not filter on ``updatedOn``, that is the whole reading of a chunk, seconds for plain ids and for entries
    far apart, and the log says so. Set ``max_active_tis_per_dag=1``, so that no two runs mark the same entries at the
    same time.

    Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-batch-by-operation

    :param operation: ``setIsBilled``, ``setIsBillable`` (False also clears *billed*), ``setTypeOfWork``,
        ``setProject`` (drops the task), ``setTask``, ``setUser`` or ``delete``. (templated)
    :param value: what the operation sets: True or False, or a GUID; none for ``delete``. (templated)
    :param time_entry_ids: which entries: GUIDs as a list, an XCom or a text with commas, or dicts as
        ``AworkTimeEntriesOperator`` gives them with the fields ``id``, ``createdOn``, ``updatedOn`` and
        ``resourceVersion``. Plain ids cost one request each (at the default pace 900 a minute), and whether an entry
        was changed since cannot be known; with ``createdOn`` a thousand entries share a request. (templated)
    :param manifest: instead of ids: the export of ``AworkTimeEntriesToObjectStorageOperator`` that holds the entries,
        as its output (``export.output``, which also proves that the set is still the same), its destination, or the
        path of its ``_manifest.json``. Its files are read and checked before the first change. (templated)
    :param chunk_size: entries of one request, at most 1000.
    :param require_all: change nothing unless every entry can be changed. All are looked at before the first change, and
        awork leaves a chunk alone if it refuses one of its entries; the chunks after it are then not tried.
    :param dry_run: only report what would change and, as ``failed``, what could not; nothing of it fails the task.
    :param ignore_not_found: entries that are gone are no failure.
    :param overwrite_changed: also change entries that were changed since the export.
    :param confirm_delete: ``delete`` needs True here; awork cannot bring deleted entries back.
    :param spool_folder: local folder for the files of the manifest; None takes the system's temporary one. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the report: ``entries``, ``changed``, ``already`` and ``already_by`` (users), ``to_change`` (of a dry run),
        ``failed`` (counts by kind), ``first_failed`` (ids). If the task fails it is the XCom ``report``; if an error
        ended it half way, ``unfinished`` are those that awork may have changed, ``not_reached`` those after them.
    :raises AworkBatchError: entries are not as asked: gone, changed since the export, running, refused by awork.
    :raises AworkConfigError: a parameter cannot work, such as a flag that is a text (flags are not templated), or the
        manifest is missing or of another workspace or set.
    :raises AworkPublishError: files of the manifest are missing or damaged.
    :raises AworkTransportError: awork's answers were lost again and again.

    .. code-block:: python

        mark_billed = AworkBatchTimeEntriesOperator(
            task_id="mark_billed",
            operation="setIsBilled",
            value=True,
            manifest="s3://aws_default@my-lake/awork/invoices/2026-11",
            max_active_tis_per_dag=1,
        )
    """

    template_fields: Sequence[str] = (
        "operation",
        "value",
        "time_entry_ids",
        "manifest",
        "spool_folder",
        "awork_conn_id",
    )
    template_fields_renderers = {"time_entry_ids": "json", "manifest": "json"}

    def __init__(
        self,
        *,
        operation: str,
        value: bool | str | None = None,
        time_entry_ids: Sequence[str | Mapping[str, Any]] | str | None = None,
        manifest: str | Mapping[str, Any] | ObjectStoragePath | None = None,
        chunk_size: int = 500,
        require_all: bool = False,
        dry_run: bool = False,
        ignore_not_found: bool = False,
        overwrite_changed: bool = False,
        confirm_delete: bool = False,
        spool_folder: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.value = value
        self.time_entry_ids = time_entry_ids
        self.manifest = manifest
        self.chunk_size = chunk_size
        self.require_all = require_all
        self.dry_run_only = dry_run  # dry_run is a method of every operator
        self.ignore_not_found = ignore_not_found
        self.overwrite_changed = overwrite_changed
        self.confirm_delete = confirm_delete
        self.spool_folder = spool_folder
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_awork.billing.batch_changes import BatchChange

        self._check_parameters()
        change = BatchChange(
            operation=self.operation,
            value=_flag_in(self.value) if str(self.operation).startswith("setIs") else self.value,
            chunk_size=self.chunk_size,
            require_all=self.require_all,
            dry_run=self.dry_run_only,
            ignore_not_found=self.ignore_not_found,
            overwrite_changed=self.overwrite_changed,
        )
        with self.stoppable(), self._keys() as keys:
            report = change.run(
                self.hook.client,
                keys,
                identity=self.hook.identity,
                on_stop=lambda part: self._leave_partial_report(context, part),
            )
        self._log_report(report)
        summary = report.to_dict()
        if self.dry_run_only:
            return summary
        if report.failures():
            context["ti"].xcom_push(key="report", value=summary)
        report.raise_for_failures()
        return summary

    def _leave_partial_report(self, context: Context, report: BatchReport) -> None:
        self._log_report(report)
        if self._is_stoppable:  # else the task is being stopped, perhaps in the middle of talking to Airflow
            context["ti"].xcom_push(key="report", value=report.to_dict())

    def _log_report(self, report: BatchReport) -> None:
        self.log.info("%s", report)
        for kind, ids in report.failed.items():
            self.log.warning("%s: %s", kind, ", ".join(ids[:LOGGED_IDS]) + (" ..." if len(ids) > LOGGED_IDS else ""))

    def _check_parameters(self) -> None:
        if (self.time_entry_ids is None) == (self.manifest is None):
            raise AworkConfigError(
                "time_entry_ids and manifest: pass exactly one of them. None can also be what an upstream task "
                "returned that was skipped."
            )
        if self.operation == "delete" and self.confirm_delete is not True and not self.dry_run_only:
            raise AworkConfigError(
                "confirm_delete: not True, and awork cannot bring deleted time entries back. Pass confirm_delete=True "
                "if that is meant; dry_run=True says what would be deleted"
            )

    @contextmanager
    def _keys(self) -> Iterator[Collection[EntryKey]]:
        from airflow_provider_awork.billing.entry_states import entry_keys
        from airflow_provider_awork.billing.published_keys import read_keys
        from airflow_provider_awork.files.spool import spool_folder

        if self.time_entry_ids is not None:
            yield entry_keys(_ids_in(self.time_entry_ids))
            return
        destination, sha256 = self._destination()
        with spool_folder(Path(self.spool_folder) if self.spool_folder else None) as folder:
            workspace = self.hook.identity.workspace_id
            keys = read_keys(destination, folder=folder, workspace_id=workspace, sha256=sha256)
            self.log.info("%d time entries in the set at %s", len(keys), destination)
            yield keys

    def _destination(self) -> tuple[ObjectStoragePath, str | None]:
        from airflow.sdk import ObjectStoragePath

        given = self.manifest
        summary: Mapping[str, Any] = given if isinstance(given, Mapping) else {"destination": given}
        prefix = str(summary.get("destination") or "").removesuffix("/").removesuffix("/_manifest.json")
        try:
            if not prefix:
                raise ValueError("it is empty")
            return ObjectStoragePath(prefix), summary.get("sha256")
        except ValueError as error:
            raise AworkConfigError(
                f"manifest: {self.manifest!r} is neither a transfer's output nor a prefix such as "
                f"s3://conn_id@bucket/prefix ({error})"
            ) from None


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
        entry = self.hook.create_time_entry(**_typed_fields(self.time_entry, "time_entry"))
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
        changes = _typed_fields(self.changes, "changes")
        if not changes:
            raise AworkConfigError("changes: is empty; name at least one field")
        entry = self.hook.update_time_entry(self.time_entry_id, **changes)
        self.log.info("Changed %s of time entry %s", ", ".join(changes), entry["id"])
        return str(entry["id"])


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
    from airflow_provider_awork.columns.time_entry import DERIVED, TIME_ENTRY

    paths = [column.path.split(".") for column in TIME_ENTRY.columns if column.path != DERIVED]
    return {"/".join(path[: depth + 1]) for path in paths for depth in range(len(path))}


def _ids_in(given: Any) -> Any:
    """A list as it is; a text that a template rendered is a list in Python's or JSON's way, or ids with commas."""
    if not isinstance(given, str):
        return given
    if not given.strip().startswith("["):
        return [part.strip() for part in given.split(",") if part.strip()]
    try:
        return ast.literal_eval(given.strip())
    except (ValueError, SyntaxError):
        raise AworkConfigError(f"time_entry_ids: {given[:100]!r} is not a list of ids") from None


def _typed_fields(fields: Any, name: str) -> dict[str, Any]:
    """The fields of an entry, where templates can give texts only, with the types that awork's fields need."""
    if not isinstance(fields, Mapping):
        raise AworkConfigError(f"{name}: {fields!r} is not a dict of awork's fields")
    readers = {"isBillable": _flag_in, "isBilled": _flag_in, "duration": _number_in}
    return {field: readers[field](value) if field in readers else value for field, value in fields.items()}


def _flag_in(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _number_in(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value
