"""awork's time entries into object storage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.base_operator import AworkBaseOperator
from airflow_provider_awork.exceptions import AworkConfigError, AworkEmptyError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.run_window import resolve_window

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_awork.client.paging import PageReader
    from airflow_provider_awork.extract.marker import Owner
    from airflow_provider_awork.extract.windows import Window


class AworkTimeEntriesToObjectStorageOperator(AworkBaseOperator):
    """
    Stream time entries to object storage: complete, each once, in files that a manifest lists.

    Each run replaces the set of files at its destination as a whole. ``_manifest.json`` is written last and is the
    only definition of complete: a run that fails or is killed leaves the former set as it was. Memory does not grow
    with the number of entries. Give each window a destination of its own, as the example does.

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param destination: prefix as ``ObjectStoragePath`` takes it: ``s3://conn_id@bucket/prefix``, ``gs://``,
        ``abfs://``, ``file:///``. (templated)
    :param filterby: awork expression, such as ``isBillable eq true``, or a condition made with
        ``airflow_provider_awork.client.filters``. (templated)
    :param window_field: ``createdOn``, ``updatedOn`` (instants), ``startDateLocal`` (days in each entry's own zone) or
        ``startDateUtc`` (days in UTC). None exports everything. (templated)
    :param window_start: first instant or day of the window: ``date``, ``YYYY-MM-DD``, aware datetime or ISO text.
        Without both bounds the window is the run's partition or data interval. (templated)
    :param window_end: first instant or day after the window. (templated)
    :param window_length: ISO 8601 duration such as ``P1D``, ``P1M`` or ``PT1H``, counted by the calendar, of a window
        that has only a start: the run's partition, or ``window_start``. None takes the period that the partition's key
        names: a month for ``2026-03``, a day for ``2026-03-29``. (templated)
    :param timezone: IANA zone of the days; where the run's own bounds are used, by default the timetable's, else the
        DAG's. (templated)
    :param project_id: only entries of this project (GUID). (templated)
    :param file_format: ``ndjson`` (each entry byte for byte as awork sent it), ``csv`` or ``parquet`` (flat, typed
        columns; needs the extra ``parquet``). (templated)
    :param compression: ``gzip`` (default of NDJSON and CSV), ``zstd`` (default of Parquet; else needs the extra
        ``zstd``), ``snappy`` (Parquet only) or ``none``. (templated)
    :param max_rows_per_file: rows of a file at most; None writes one file.
    :param csv_formula_guard: put a quote before CSV cells that a spreadsheet would read as a formula.
    :param max_concurrent_requests: requests in flight; None takes the connection's.
    :param fail_if_empty: fail if nothing matches, instead of publishing an empty set.
    :param estimate: only report rows, requests and expected seconds; nothing is written.
    :param spool_folder: local folder for files on their way; None takes the system's temporary folder. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the manifest's summary: ``destination``, ``manifest``, ``files``, ``rows``, ``bytes``, ``window``,
        ``watermark`` (``createdOn`` of the last entry), ``requests``, ``seconds``.
    :raises AworkConfigError: a parameter cannot work, or there is no window where one is needed.
    :raises AworkMissingExtraError: a library is missing; the message has the line to run.
    :raises AworkRequestError: awork refuses the request.
    :raises AworkPagingError: entries cannot be read without losing some.
    :raises AworkPublishError: the destination cannot be written.
    :raises AworkEmptyError: nothing matches and ``fail_if_empty`` is set.

    .. code-block:: python

        export = AworkTimeEntriesToObjectStorageOperator(
            task_id="export",
            destination="s3://aws_default@my-lake/awork/work_date={{ data_interval_start | ds }}",
            window_field="startDateLocal",
            file_format="parquet",
        )
    """

    template_fields: Sequence[str] = (
        "destination",
        "filterby",
        "window_field",
        "window_start",
        "window_end",
        "window_length",
        "timezone",
        "project_id",
        "file_format",
        "compression",
        "spool_folder",
        "awork_conn_id",
    )
    ui_color = "#e6f4f1"

    def __init__(
        self,
        *,
        destination: str | ObjectStoragePath,
        filterby: str | None = None,
        window_field: str | None = None,
        window_start: date | datetime | str | None = None,
        window_end: date | datetime | str | None = None,
        window_length: str | None = None,
        timezone: str | None = None,
        project_id: str | None = None,
        file_format: str = "ndjson",
        compression: str | None = None,
        max_rows_per_file: int | None = 250_000,
        csv_formula_guard: bool = False,
        max_concurrent_requests: int | None = None,
        fail_if_empty: bool = False,
        estimate: bool = False,
        spool_folder: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.filterby = filterby
        self.window_field = window_field
        self.window_start = window_start
        self.window_end = window_end
        self.window_length = window_length
        self.timezone = timezone
        self.project_id = project_id
        self.file_format = file_format
        self.compression = compression
        self.max_rows_per_file = max_rows_per_file
        self.csv_formula_guard = csv_formula_guard
        self.max_concurrent_requests = max_concurrent_requests
        self.fail_if_empty = fail_if_empty
        self.estimate = estimate
        self.spool_folder = spool_folder
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_awork.extract.writers import check_format

        self._check_parameters()
        file_format, compression = check_format(self.file_format, self.compression)
        window = resolve_window(
            context,
            field=self.window_field,
            start=self.window_start,
            end=self.window_end,
            length=self.window_length,
            timezone=self.timezone,
        )
        if self.estimate:
            return self._estimate(window)
        return self._export(context, self._destination(), window, file_format, compression)

    def on_kill(self) -> None:
        """Let requests that wait fail, so that the run cleans up after itself within the grace period."""
        self.hook.close()

    def _export(
        self,
        context: Context,
        destination: ObjectStoragePath,
        window: Window | None,
        file_format: str,
        compression: str,
    ) -> dict[str, Any]:
        from airflow_provider_awork.extract.export import export_rows
        from airflow_provider_awork.extract.publish import Publisher
        from airflow_provider_awork.extract.spool import spool_folder

        started = time.monotonic()
        with (
            Publisher(destination, owner=_owner(context)) as publisher,
            spool_folder(Path(self.spool_folder) if self.spool_folder else None) as spool,
        ):
            reader = self._read(window)
            unknown_fields = export_rows(
                reader,
                publisher,
                session=self.hook.client.session,
                spool=spool,
                file_format=file_format,
                compression=compression,
                max_rows_per_file=self.max_rows_per_file,
                csv_formula_guard=self.csv_formula_guard,
            )
            if self.fail_if_empty and not reader.rows:
                raise AworkEmptyError(f"No time entry matches (filterby {self.filterby!r}, window {window})")
            manifest = publisher.commit(
                {
                    "format": file_format,
                    "compression": compression,
                    "window": window.to_dict() if window else None,
                    "filterby": self.filterby,
                    "watermark": reader.frontier and f"{reader.frontier}Z",
                    "source": self._source(),
                    "columns": columns_of(file_format),
                    "unknown_fields": unknown_fields,
                    "run": {
                        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
                        "seconds": round(time.monotonic() - started, 3),
                        "requests": self.hook.client.session.requests_sent,
                        "rereads": reader.rereads,
                    },
                }
            )
        summary = summary_of(manifest, str(destination))
        self.log.info(
            "%(rows)d time entries in %(files)d files, %(bytes)d bytes, %(requests)d requests, %(seconds).1f s: "
            "%(manifest)s",
            summary,
        )
        return summary

    def _destination(self) -> ObjectStoragePath:
        from airflow.sdk import ObjectStoragePath

        try:
            return ObjectStoragePath(self.destination)
        except ValueError as error:
            raise AworkConfigError(
                f"destination: {self.destination!r} is not a prefix such as s3://conn_id@bucket/prefix ({error})"
            ) from None

    def _read(self, window: Window | None) -> PageReader:
        return self.hook.read_time_entries(
            filterby=self.filterby,
            window=window,
            project_id=self.project_id,
            concurrency=self.max_concurrent_requests,
        )

    def _source(self) -> dict[str, Any]:
        return {
            "base_url": self.hook.config.base_url,
            "list": "timeentries" if not self.project_id else f"projects/{self.project_id}/timeentries",
            **self.hook.identity.to_dict(),
        }

    def _estimate(self, window: Window | None) -> dict[str, Any]:
        """Rows, requests and seconds that an export would take, from one request of one row."""
        started = time.monotonic()
        rows = self.hook.count_window(filterby=self.filterby, window=window, project_id=self.project_id)
        latency = time.monotonic() - started
        extras = self.hook.config.extras
        requests = ceil(rows / 990) + 3
        in_flight = self.max_concurrent_requests or extras.max_concurrent_requests
        seconds = max(
            requests * latency / in_flight, (requests - extras.requests_per_minute) * 60 / extras.requests_per_minute
        )
        estimate = {"rows": rows, "requests": requests, "seconds": round(seconds, 1)}
        self.log.info("Estimate: %(rows)d time entries, %(requests)d requests, about %(seconds).1f s", estimate)
        return estimate

    def _check_parameters(self) -> None:
        if not self.destination:
            raise AworkConfigError("destination: empty; pass a prefix such as s3://aws_default@bucket/awork")
        for name, most in (("max_rows_per_file", None), ("max_concurrent_requests", 50)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1 or (most and value > most)):
                upto = f" up to {most}" if most else ""
                raise AworkConfigError(f"{name}: {value!r} is not a positive whole number{upto}")


def columns_of(file_format: str) -> list[dict[str, str]] | None:
    """Names and types of the columns for the manifest; None for NDJSON, which has none."""
    from airflow_provider_awork.extract.model import TIME_ENTRY

    if file_format == "ndjson":
        return None
    return [{"name": column.name, "type": column.type.value} for column in TIME_ENTRY.columns]


def summary_of(manifest: dict[str, Any], destination: str) -> dict[str, Any]:
    """What an XCom should carry of a manifest."""
    return {
        "destination": destination,
        "manifest": f"{destination.rstrip('/')}/_manifest.json",
        "files": len(manifest["files"]),
        **{key: manifest[key] for key in ("rows", "bytes", "window", "watermark")},
        **{key: manifest["run"][key] for key in ("requests", "seconds")},
    }


def _owner(context: Context) -> Owner:
    from airflow_provider_awork.extract.marker import Owner

    instance = context["ti"]
    return Owner(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
    )
