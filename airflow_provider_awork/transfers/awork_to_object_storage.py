"""awork's time entries, and its other lists, into object storage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.client.lists.resources import find_resource, time_entries_path
from airflow_provider_awork.columns.lists import LIST_MODELS
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.formats import FileFormat
from airflow_provider_awork.operators.base import WINDOW_PARAMETERS, AworkCompleteWindowOperator
from airflow_provider_awork.transfers.base import AworkToObjectStorageOperator
from airflow_provider_awork.transfers.destination import has_placeholders
from airflow_provider_awork.transfers.export import Export
from airflow_provider_awork.transfers.incremental import IncrementalLoad, begin_load

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_awork.client.lists.resources import ListEndpoint
    from airflow_provider_awork.windows.window import Window


class AworkTimeEntriesToObjectStorageOperator(AworkToObjectStorageOperator, AworkCompleteWindowOperator):
    """
    Stream time entries to object storage: complete, each once, in files that a manifest lists.

    Each run replaces the set of files at its destination as a whole, and only a set of the same list, filter and
    window. ``_manifest.json`` is written last and is the only definition of complete: a run that fails or is killed
    leaves the former set as it was. Memory does not grow with the number of entries. Give each window a destination of
    its own, as the example does.

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param destination: prefix as ``ObjectStoragePath`` takes it: ``s3://conn_id@bucket/prefix``, ``gs://``,
        ``abfs://``, ``file:///``. ``{window_start}``, ``{window_end}`` and ``{partition_key}`` are filled in once the
        window of the run is known: days as ``2026-11-26``, instants as ``20261126T015500Z``. (templated)
    :param filterby: awork expression, such as ``isBillable eq true``, or a condition made with
        ``airflow_provider_awork.client.filters``. (templated)
    :param window_field: ``createdOn`` (an instant), ``startDateLocal`` (days in each entry's own zone) or
        ``startDateUtc`` (days in UTC). None exports everything; for ``updatedOn`` see
        ``incremental``. (templated)
    :param window_start: first instant or day of the window: ``date``, ``YYYY-MM-DD``, aware datetime or ISO text.
        Without both bounds the window is the run's partition or data interval. (templated)
    :param window_end: first instant or day after the window. (templated)
    :param window_length: ISO 8601 duration such as ``P1D``, ``P1M`` or ``PT1H``, counted by the calendar, of a window
        that has only a start: the run's partition, or ``window_start``. None takes the period that the partition's key
        names: a month for ``2026-03``, a day for ``2026-03-29``. (templated)
    :param timezone: IANA zone of the days; where the run's own bounds are used, by default the timetable's, else the
        DAG's. (templated)
    :param incremental: ``updatedOn`` takes what changed since the run before, by the watermark of the one asset in
        ``outlets``, and writes it to ``<destination>/from=<watermark>_to=<watermark>/``. Readers upsert by id, the
        newest ``resourceVersion`` wins. Before Airflow 3.3 it needs ``window_start`` and ``window_end``; with them it
        neither reads nor moves a watermark. It takes the whole workspace: no filters, no ``window_field``. A window
        whose set is published already is not read again: entries that changed since have left it.
    :param lookback: how late awork may commit a change. A window on ``createdOn`` or ``updatedOn`` is complete so long
        after its end, by awork's clock: the task waits for that, and fails if the end is further away than that. The
        window of an incremental run ends so long before its start.
    :param open_window: do not wait, and take a window that is not complete; the manifest then has ``open_window``. Not
        with ``incremental``.
    :param initial_window_start: where the first incremental run starts; None takes everything. (templated)
    :param project_id: only entries of this project (GUID). (templated)
    :param file_format: ``ndjson`` (each entry byte for byte as awork sent it), ``csv`` or ``parquet`` (flat, typed
        columns; needs the extra ``parquet``). (templated)
    :param compression: ``gzip`` (default of NDJSON and CSV), ``zstd`` (default of Parquet; else needs the extra
        ``zstd``), ``snappy`` (Parquet only) or ``none``. (templated)
    :param max_rows_per_file: rows of a file at most; None writes one file.
    :param csv_formula_guard: put ``'`` before CSV cells that a spreadsheet would run as a formula: those that begin
        with ``=``, ``+``, ``-`` or ``@`` of any width, also behind blanks and invisible characters.
    :param csv_bom: begin each CSV file with the UTF-8 byte order mark, by which Excel knows that umlauts are UTF-8.
    :param allow_misfits: in Parquet and CSV, publish even if a ``duration``, ``isBillable`` or ``isBilled`` is a value
        that its column cannot hold, such as the text ``"540"``; the column is then null. By default this fails. Misfits
        of other fields are only warned about. All are kept in ``extra`` and counted as ``misfits`` in the XCom and the
        manifest. Whole numbers written as ``3600.0`` or ``3.6e3`` fit.
    :param max_concurrent_requests: requests in flight, 50 at most; None takes the connection's.
    :param fail_if_empty: fail if nothing matches, instead of publishing an empty set.
    :param replace: ``successor``: replace only a set of the same identity (workspace, list, filter, window) by a key
        that sees no less; ``any``: replace any set, such as that of a rolling window, with a warning.
    :param max_shrink: the largest share of the former rows that a successor may lack; else it fails and changes
        nothing. None for any; sets of fewer than 20 rows may shrink to any size.
    :param estimate: only report rows, requests and expected seconds; nothing is written or remembered. Not with
        ``incremental``, nor with ``outlets``, whose DAGs the success would start.
    :param spool_folder: local folder for files on their way; None takes the system's temporary folder. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the manifest's summary: ``destination``, ``manifest``, ``files``, ``uris`` (of the files, without the id of
        a connection), ``sha256`` (of the set), ``rows``, ``bytes``, ``window``, ``watermark`` (``createdOn`` of the
        last entry), ``requests``, ``seconds``; with ``estimate`` the ``rows``, ``requests`` and ``seconds`` to expect.
    :raises AworkConfigError: a parameter cannot work, or there is no window where one is needed.
    :raises AworkMissingExtraError: a library is missing; the message has the line to run.
    :raises AworkRequestError: awork refuses the request.
    :raises AworkPagingError: entries cannot be read without losing some.
    :raises AworkPublishError: the destination cannot be written.
    :raises AworkShrunkSetError: the set would lose too many of its rows.
    :raises AworkEmptyError: nothing matches and ``fail_if_empty`` is set.

    .. code-block:: python

        export = AworkTimeEntriesToObjectStorageOperator(
            task_id="export",
            destination="s3://aws_default@my-lake/awork/day={window_start}",
            window_field="startDateLocal",
            file_format="parquet",
        )
    """

    template_fields: Sequence[str] = (
        *AworkToObjectStorageOperator.template_fields,
        *WINDOW_PARAMETERS,
        "initial_window_start",
        "project_id",
    )
    flags: Sequence[str] = (*AworkToObjectStorageOperator.flags, "estimate", "allow_misfits")
    texts: Sequence[str] = (*AworkToObjectStorageOperator.texts, "initial_window_start")

    def __init__(
        self,
        *,
        incremental: str | None = None,
        initial_window_start: date | datetime | str | None = None,
        project_id: str | None = None,
        estimate: bool = False,
        allow_misfits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.incremental = incremental
        self.initial_window_start = initial_window_start
        self.project_id = project_id
        self.estimate = estimate
        self.allow_misfits = allow_misfits

    def execute(self, context: Context) -> dict[str, Any]:
        output = self.checked_output()
        self.check_completeness()
        self._check_incremental()
        self._check_estimate()
        load = self._begin_load(context, output.locate()) if self.incremental else None
        window = load.window if load else self.window(context)
        if self.estimate:
            return self._estimate(window)
        export = self._time_entries(window, folder=load.folder if load else "")
        summary = self.published(context, export, output) if load else None
        summary = summary or self.publish(context, export, output)
        if load:
            load.finish()
        return summary

    def await_complete(self, export: Export) -> Export:
        return replace(export, open_window=self.await_completeness(export.window))

    def _begin_load(self, context: Context, destination: ObjectStoragePath) -> IncrementalLoad:
        return begin_load(
            context,
            hook=self.hook,
            destination=destination,
            outlets=self.outlets,
            lookback=self.lookback,
            initial_window_start=self.initial_window_start,
            window_start=self.window_start,
            window_end=self.window_end,
            window_length=self.window_length,
            timezone=self.timezone,
        )

    def _check_incremental(self) -> None:
        if not self.incremental:
            if self.window_field == "updatedOn":
                raise AworkConfigError(
                    "window_field: windows on updatedOn cannot be repeated: an entry that is edited leaves its window, "
                    "so that another run replaces the files by fewer entries. Pass incremental='updatedOn' instead, "
                    "alone or with window_start and window_end, which writes each window to a folder of its own"
                )
            if self.initial_window_start is not None:
                raise AworkConfigError("initial_window_start: only for incremental='updatedOn'")
            return
        if self.incremental != "updatedOn":
            raise AworkConfigError(f"incremental: {self.incremental!r} is not 'updatedOn'")
        if self.window_field:
            raise AworkConfigError("window_field and incremental: pass one of them; incremental is on updatedOn")
        if has_placeholders(self.destination):
            raise AworkConfigError(
                "destination and incremental: placeholders change from run to run, and all runs share a watermark\n"
                "Leave them out: each window is written to a folder of its own below the destination."
            )
        for name in ("filterby", "project_id"):
            if getattr(self, name):
                raise AworkConfigError(
                    f"{name} and incremental: an entry that no longer matches is not delivered again, so your tables "
                    "would keep its old state. Leave it out and filter where the entries are read"
                )
        if self.window_length and not (self.window_start or self.window_end):
            raise AworkConfigError(
                f"window_length: {self.window_length!r} needs window_start; without one, an incremental run takes all "
                "since the run before"
            )
        if self.open_window:
            raise AworkConfigError(
                "open_window and incremental: a window is not read again, so what comes into it later would be missed\n"
                "Leave open_window out: an incremental run takes only what is complete."
            )

    def _check_estimate(self) -> None:
        if not self.estimate:
            return
        if self.incremental:
            raise AworkConfigError(
                "estimate and incremental: pass one of them; the window of an incremental run is chosen and kept when "
                "it begins. AworkHook().count_time_entries(window_field='updatedOn', window_start=...) counts changes"
            )
        if self.outlets:
            raise AworkConfigError(
                f"estimate and outlets: an estimate writes nothing, but its success would start what waits for "
                f"{self.outlets}. Leave outlets out of it"
            )

    def _time_entries(self, window: Window | None, *, folder: str = "") -> Export:
        return Export(
            list_path=time_entries_path(project_id=self.project_id),
            model=TIME_ENTRY,
            filterby=self.filterby,
            window=window,
            folder=folder,
            read=lambda: self.hook.read_time_entries(
                filterby=self.filterby,
                window=window,
                project_id=self.project_id,
                concurrency=self.max_concurrent_requests,
            ),
        )

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


class AworkListToObjectStorageOperator(AworkToObjectStorageOperator):
    """
    Copy one of awork's other lists to object storage, so that time entries can be joined: people, projects, tasks ...

    Complete, each row once, published as a set as by :class:`AworkTimeEntriesToObjectStorageOperator`. Lists that awork
    does not page are read in one request. awork has no list of all tasks: ``projecttasks`` holds the project tasks that
    the key may see.

    Source: https://developers.awork.com/apiv1

    :param resource: which list: ``users``, ``apiusers``, ``teams``, ``companies``, ``projects``, ``projecttypes``,
        ``projectstatuses``, ``workflows``, ``typeofwork``, ``projecttasks``, ``allavailabletasks``, ``taskschedules``,
        ``projectmilestones``, ``projectroles``, ``roles``, ``absences``, ``workspaceabsences``, ``absenceregions``,
        ``timebookings``, ``customfielddefinitions``; by project only: ``projectmembers``, ``tasklists``,
        ``taskstatuses``, ``retainers``. (templated)
    :param destination: prefix as ``ObjectStoragePath`` takes it; ``{partition_key}`` is filled in. (templated)
    :param project_id: the list of this project (GUID); CSV and Parquet repeat it as ``of_project_id`` where rows may
        lack it. (templated)
    :param show_archived: also archived rows, which older time entries refer to.
    :param query_params: further query parameters by awork's name, such as ``{"includeUserIds": "false"}``. (templated)
    :param filterby: awork expression, or a condition made with ``airflow_provider_awork.client.filters``. (templated)
    :param file_format: ``ndjson`` (each row byte for byte as awork sent it), ``csv`` or ``parquet`` (flat, typed
        columns; needs the extra ``parquet``). In the latter, users have the column ``is_api_user``. (templated)
    :param compression: ``gzip`` (default of NDJSON and CSV), ``zstd`` (default of Parquet; else needs the extra
        ``zstd``), ``snappy`` (Parquet only) or ``none``. (templated)
    :param max_rows_per_file: rows of a file at most; None writes one file.
    :param csv_formula_guard: put ``'`` before CSV cells that a spreadsheet would run as a formula: those that begin
        with ``=``, ``+``, ``-`` or ``@`` of any width, also behind blanks and invisible characters.
    :param csv_bom: begin each CSV file with the UTF-8 byte order mark, by which Excel knows that umlauts are UTF-8.
    :param max_concurrent_requests: requests in flight, 50 at most; None takes the connection's.
    :param fail_if_empty: fail if nothing matches, instead of publishing an empty set.
    :param replace: ``successor`` or ``any``, as for time entries.
    :param max_shrink: the largest share of the former rows that a successor may lack; None for any.
    :param spool_folder: local folder for files on their way; None takes the system's temporary folder. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the manifest's summary, as of the time entries'.
    :raises AworkConfigError: a parameter cannot work; an unknown resource's message has the known ones.
    :raises AworkMissingExtraError: a library is missing; the message has the line to run.
    :raises AworkRequestError: awork refuses the request.
    :raises AworkPagingError: rows cannot be read without losing some.
    :raises AworkPublishError: the destination cannot be written.
    :raises AworkShrunkSetError: the set would lose too many of its rows.
    :raises AworkEmptyError: nothing matches and ``fail_if_empty`` is set.

    .. code-block:: python

        people = AworkListToObjectStorageOperator(
            task_id="people",
            resource="users",
            destination="s3://aws_default@my-lake/awork/users",
            file_format="parquet",
        )
    """

    template_fields: Sequence[str] = (
        *AworkToObjectStorageOperator.template_fields,
        "resource",
        "project_id",
        "query_params",
    )
    flags: Sequence[str] = (*AworkToObjectStorageOperator.flags, "show_archived")

    def __init__(
        self,
        *,
        resource: str,
        project_id: str | None = None,
        show_archived: bool = True,
        query_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.project_id = project_id
        self.show_archived = show_archived
        self.query_params = query_params

    def execute(self, context: Context) -> dict[str, Any]:
        output = self.checked_output()
        resource = find_resource(self.resource)
        endpoint = resource.endpoint(self.project_id)
        self._check_list_parameters(endpoint)
        export = self._rows(
            endpoint,
            path=resource.fill_path(self.project_id),
            query=self._query(resource.params, endpoint),
            file_format=output.kind.file_format,
        )
        return self.publish(context, export, output)

    def _rows(self, endpoint: ListEndpoint, *, path: str, query: Mapping[str, Any], file_format: FileFormat) -> Export:
        model = LIST_MODELS[self.resource]
        marks_api_users = model.marks_api_users and file_format is not FileFormat.NDJSON
        return Export(
            list_path=path,
            filterby=self.filterby,
            model=model.to_row_model(project_id=self.project_id),
            decode=lambda: model.to_row_model(
                project_id=self.project_id,
                api_user_ids=self.hook.get_api_user_ids() if marks_api_users else None,
            ),
            query_params=query,
            sees_all_rows=self.hook.sees_all_rows(path),
            read=lambda: self.hook.read_list(
                path,
                filterby=self.filterby,
                params=query,
                whole=not endpoint.is_paged,
                concurrency=self.max_concurrent_requests,
            ),
        )

    def _query(self, params: Mapping[str, str], endpoint: ListEndpoint) -> dict[str, Any]:
        """The query parameters that the endpoint takes, then the caller's."""
        offered = {**params, "showArchived": self.show_archived}
        query = {name: value for name, value in offered.items() if name in endpoint.parameters}
        query |= self.query_params or {}
        return {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}

    def _check_list_parameters(self, endpoint: ListEndpoint) -> None:
        if self.filterby and not endpoint.is_paged:
            raise AworkConfigError(f"filterby: awork sends {self.resource} whole and filters nothing; leave it out")
        if not self.show_archived and "showArchived" not in endpoint.parameters:
            raise AworkConfigError(f"show_archived: awork does not tell archived {self.resource} apart; leave it out")
        reserved = {"page", "pageSize", "orderby", "filterby", "showArchived"} & set(self.query_params or ())
        if reserved:
            raise AworkConfigError(
                f"query_params: {', '.join(sorted(reserved))} cannot be passed; use filterby and show_archived"
            )
