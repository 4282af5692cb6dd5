"""The hook: an Airflow connection of type ``awork`` as a client of one workspace."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import all_of, filter_text
from airflow_provider_awork.client.lists.pages import PAGE_SIZE
from airflow_provider_awork.client.lists.resources import find_endpoint, time_entries_path
from airflow_provider_awork.client.selection import refuse_blank
from airflow_provider_awork.exceptions import AworkConfigError, AworkNotFoundError, AworkPermissionError
from airflow_provider_awork.hooks.base import AworkConnectionHook
from airflow_provider_awork.hooks.connection_form import connection_form_widgets, ui_field_behaviour
from airflow_provider_awork.hooks.operations import EntryOperationsMixin
from airflow_provider_awork.windows.resolution import explicit_window
from airflow_provider_awork.windows.window import INSTANT_FIELDS, Window

if TYPE_CHECKING:
    from datetime import date, datetime

    from airflow_provider_awork.client.lists.checked_reader import CheckedReader

log = logging.getLogger(__name__)


class AworkHook(EntryOperationsMixin, AworkConnectionHook):
    """
    Talks to awork with the key of an Airflow connection.

    One hook holds one pool of HTTP connections and one pacing below awork's rate limit. Nothing is opened before the
    first request.

    :param awork_conn_id: Airflow connection of type ``awork``: ``password`` is the API key, ``host`` the base URL
        (empty: ``https://api.awork.com/api/v1``), extras as in the connection form.
    :param single_try: each read is one request, whose failure is raised at once; for those who ask at intervals.

    .. code-block:: python

        from airflow.sdk import task


        @task
        def hours_today() -> float:
            from airflow_provider_awork.hooks.awork import AworkHook

            entries = AworkHook().get_time_entries(filterby="startDateLocal ge today")
            return sum(entry.get("duration", 0) for entry in entries) / 3600
    """

    # Airflow 3.1 looks for these two in the class itself, not in its bases.

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The standard fields of the form, for Airflow 3.1; later versions read the provider's metadata."""
        return ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The extra fields of the form, for Airflow 3.1; later versions read the provider's metadata."""
        return connection_form_widgets()

    def get_time_entries(
        self,
        *,
        filterby: str | Condition | None = None,
        window_field: str | None = None,
        window_start: date | datetime | str | None = None,
        window_end: date | datetime | str | None = None,
        timezone: str | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Time entries as awork sent them, complete and in order of ``createdOn``, in constant memory.

        Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

        :param filterby: awork expression, such as ``isBillable eq true``, or a condition made with
            ``airflow_provider_awork.client.filters``.
        :param window_field: ``createdOn``, ``updatedOn`` (instants), ``startDateLocal`` (days in each entry's own
            zone) or ``startDateUtc`` (days in UTC); None for no window.
        :param window_start: first instant or day of the window, as ``date``, ``YYYY-MM-DD``, aware datetime or ISO
            text.
        :param window_end: first instant or day after the window.
        :param timezone: IANA zone in which an aware datetime must be midnight for a window of days.
        :param project_id: only entries of this project (GUID).
        :param task_id: only entries of this task (GUID).
        :param limit: at most so many entries, the oldest ones.
        :raises AworkConfigError: a parameter cannot work.
        :raises AworkRequestError: awork refuses the request, for example a bad filter or key.
        :raises AworkPagingError: entries cannot be read without losing some.
        """
        if limit is not None and limit < 1:
            raise AworkConfigError(f"limit: {limit} is not a positive number")
        reader = self.read_time_entries(
            filterby=filterby,
            window=explicit_window(
                field=window_field, start=window_start, end=window_end, timezone=timezone, may_be_open=True
            ),
            project_id=project_id,
            task_id=task_id,
            limit=limit,
        )
        for rows in reader:
            for row in rows:
                yield json_text.decode(row)

    def read_time_entries(
        self,
        *,
        filterby: str | Condition | None = None,
        window: Window | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
        page_size: int | None = None,
        concurrency: int | None = None,
        limit: int | None = None,
    ) -> CheckedReader:
        """
        Time entries as batches of raw JSON, for those who write them elsewhere; else as :meth:`get_time_entries`.

        Reads who asks (once per hook). A window is checked by each row, and by the rows next to its bounds.

        :param window: what to read; None for everything.
        :param page_size: rows of a page, at most 1000; None takes ``limit``, else 1000.
        :param concurrency: requests in flight; None takes the connection's.
        :param limit: at most so many entries, the oldest ones.
        """
        path = time_entries_path(project_id=project_id, task_id=task_id)
        refuse_blank("filterby", filterby)
        bounds = window.bounds(self.config.extras.behaviour.literal_timezone) if window else None
        self.warn_if_entries_are_hidden()
        size = min(max(page_size or limit or PAGE_SIZE, 2), PAGE_SIZE)
        return self.client.read_list(
            path, filterby=filterby, bounds=bounds, page_size=size, concurrency=concurrency, limit=limit
        )

    def count_time_entries(
        self,
        *,
        filterby: str | Condition | None = None,
        window_field: str | None = None,
        window_start: date | datetime | str | None = None,
        window_end: date | datetime | str | None = None,
        timezone: str | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
    ) -> int:
        """
        How many time entries match: one request of one row. Parameters as for :meth:`get_time_entries`.

        A window of instants also proves, once an hour, that awork reads datetime literals in the assumed time zone.

        :raises AworkAssumptionError: it does not.
        :raises AworkPagingError: awork's answer does not tell (no ``aw-totalitems``).
        """
        window = explicit_window(
            field=window_field, start=window_start, end=window_end, timezone=timezone, may_be_open=True
        )
        return self.count_window(filterby=filterby, window=window, project_id=project_id, task_id=task_id)

    def count_window(
        self,
        *,
        filterby: str | Condition | None = None,
        window: Window | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
    ) -> int:
        """How many time entries match a window that is known already; else as :meth:`count_time_entries`."""
        path = time_entries_path(project_id=project_id, task_id=task_id)
        expression = self._restricted(filterby, window)
        if window and window.field in INSTANT_FIELDS:
            self.client.check_literals(field=window.field, bounds=window.instants)
        return self.client.count(path, filterby=expression)

    def get_simplified_time_entries(
        self, *, filterby: str | Condition | None = None, grouping: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Time entries with fewer fields, complete and in order of ``createdOn``, in constant memory.

        They lack note, end, breaks, ``timezone``, ``updatedOn`` and ``resourceVersion``.
        Source: https://developers.awork.com/apiv1/time-entries/get-time-entries-simplified

        :param filterby: awork expression, or a condition.
        :param grouping: awork documents neither its values nor its effect.
        :raises AworkPagingError: entries cannot be read without losing some.
        """
        return self.get_list("timeentries/simplified", filterby=filterby, params={"grouping": grouping})

    # -- other lists ---------------------------------------------------------------------------------------------

    def get_list(
        self,
        path: str,
        *,
        filterby: str | Condition | None = None,
        orderby: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Any list endpoint of awork: ``users``, ``projects``, ``companies``, ``typeofwork``, ``teams`` ...

        Complete and in order of ``createdOn`` if the endpoint pages and its rows have ``createdOn``. Lists that awork
        does not page (``roles``, ``timereports``, ``projects/<id>/milestones`` ...) are read in one request, in awork's
        order. An endpoint that awork's document does not have is read as one that pages.

        :param path: path below the base URL, without a slash at its start.
        :param filterby: awork expression, or a condition. Lists that awork does not page take neither a filter nor an
            order.
        :param orderby: an order of one's own. Rows that move between pages meanwhile can then be lost; none comes
            twice.
        :param params: further query parameters, such as ``{"showArchived": "true"}``.
        :raises AworkConfigError: a filter or an order for a list that awork does not page: awork would ignore it and
            report no error; or a list of texts, such as ``webhooks/eventtypes``.
        :raises AworkPagingError: the rows need several pages but have no ``createdOn``, or nothing tells where the list
            ends.
        """
        refuse_blank("filterby", filterby)
        path = path.strip("/")
        endpoint = find_endpoint(path)
        if endpoint and endpoint.row_schema == "string":
            raise AworkConfigError(
                f"path: awork returns texts at {path}, not objects\nRead it with hook.client.session.get(path)."
            )
        is_whole = endpoint is not None and not endpoint.is_paged
        if endpoint and is_whole:
            for name, value in (("filterby", filter_text(filterby)), ("orderby", orderby)):
                if value:
                    raise AworkConfigError(
                        f"{name}: awork returns this list whole and would ignore it\n"
                        f"Leave out {name} for {endpoint.path}."
                    )
        self.sees_all_rows(path)
        if is_whole:
            batches = iter(self.client.read_whole_list(path, params=params))
        elif orderby:
            batches = self.client.read_list_in_order(path, orderby=orderby, filterby=filterby, params=params)
        else:
            batches = iter(self.client.read_list(path, filterby=filterby, params=params))
        for rows in batches:
            for row in rows:
                yield json_text.decode(row)

    def read_list(
        self,
        path: str,
        *,
        filterby: str | Condition | None = None,
        params: Mapping[str, Any] | None = None,
        whole: bool = False,
        concurrency: int | None = None,
    ) -> CheckedReader:
        """
        Any list endpoint as batches of raw JSON, for those who write them elsewhere; else as :meth:`get_list`.

        :param whole: whether awork sends it whole, so that it is read in one request.
        :param concurrency: requests in flight; None takes the connection's.
        """
        refuse_blank("filterby", filterby)
        self.sees_all_rows(path)
        if whole:
            return self.client.read_whole_list(path, params=params)
        return self.client.read_list(path, filterby=filterby, params=params, concurrency=concurrency)

    def get_api_user_ids(self) -> frozenset[str] | None:
        """
        The ids of the workspace's API users, which awork lists among its users without marking them.

        :return: None if the key may not read them (an administrator may, and *read* on ``workspace-manage-config``).
        """
        try:
            return frozenset(user["id"] for user in self.get_list("apiusers"))
        except (AworkPermissionError, AworkNotFoundError) as error:
            log.warning("Which users are API users is unknown: %s", error)
            return None

    def _restricted(self, filterby: str | Condition | None, window: Window | None) -> str | None:
        refuse_blank("filterby", filterby)
        if window is None:
            return all_of(filterby)
        return window.restrict(filterby, literal_timezone=self.config.extras.behaviour.literal_timezone)
