"""Operators on time entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.base_operator import AworkBaseOperator
from airflow_provider_awork.exceptions import AworkConfigError, AworkTooLargeError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.run_window import resolve_window

if TYPE_CHECKING:
    from airflow.sdk import Context

TRANSFER = "airflow_provider_awork.transfers.awork_to_object_storage.AworkTimeEntriesToObjectStorageOperator"


class AworkTimeEntriesOperator(AworkBaseOperator):
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
        "window_field",
        "window_start",
        "window_end",
        "window_length",
        "timezone",
        "project_id",
        "awork_task_id",
        "awork_conn_id",
    )
    ui_color = "#e6f4f1"

    def __init__(
        self,
        *,
        filterby: str | None = None,
        window_field: str | None = None,
        window_start: date | datetime | str | None = None,
        window_end: date | datetime | str | None = None,
        window_length: str | None = None,
        timezone: str | None = None,
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
        self.window_field = window_field
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.timezone = timezone
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.fields = fields
        self.limit = limit
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        import msgspec

        from airflow_provider_awork.client import surrogates

        self._check_parameters()
        window = resolve_window(
            context,
            field=self.window_field,
            start=self.window_start,
            end=self.window_end,
            length=self.window_length,
            timezone=self.timezone,
        )
        reader = self.hook.read_time_entries(
            filterby=self.filterby,
            window=window,
            project_id=self.project_id,
            task_id=self.awork_task_id,
            page_size=self.limit,
        )
        entries: list[dict[str, Any]] = []
        size = 0
        for rows in reader:
            self._check_caps(max(reader.rows, reader.expected or 0), size)
            for row in rows[: None if self.limit is None else self.limit - len(entries)]:
                entry = self._projected(surrogates.decode(row))
                size += len(msgspec.json.encode(entry))
                entries.append(entry)
            self._check_caps(len(entries), size)
            if len(entries) == self.limit:
                break
        self.log.info("%d time entries, %d bytes of JSON, %s", len(entries), size, window or "no window")
        return entries

    def _check_parameters(self) -> None:
        if isinstance(self.fields, str) or self.fields == []:
            raise AworkConfigError(
                f"fields: {self.fields!r} is not a list of field names such as ['id', 'project/name']"
            )
        for name in ("limit", "max_entries", "max_bytes"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise AworkConfigError(f"{name}: {value!r} is not a positive whole number")

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


def value_at(entry: dict[str, Any], path: str) -> Any:
    """The value at a path such as ``project/name``; None where something on the way is missing."""
    value: Any = entry
    for key in path.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value
