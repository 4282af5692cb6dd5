"""The hook: an Airflow connection of type ``awork`` as a client of one workspace."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from airflow.sdk import BaseHook

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.exceptions import AworkConfigError, AworkError, is_missing_connection
from airflow_provider_awork.get_provider_info import CONNECTION_TYPE
from airflow_provider_awork.version_compat import in_thread

if TYPE_CHECKING:
    from datetime import date, datetime

    from airflow.sdk import Connection

    from airflow_provider_awork.client.client import AworkClient
    from airflow_provider_awork.client.entries.models import (
        BatchOperation,
        BatchResult,
        NewTimeEntry,
        TimeEntryChanges,
        TimeEntryReplacement,
    )
    from airflow_provider_awork.client.http.config import AworkConfig
    from airflow_provider_awork.client.http.oauth import OAuthClient
    from airflow_provider_awork.client.identity import Identity
    from airflow_provider_awork.client.lists.paging import PageReader
    from airflow_provider_awork.client.lists.rows import RowReader
    from airflow_provider_awork.hooks.token_store import TokenStore
    from airflow_provider_awork.windows.window import Window

log = logging.getLogger(__name__)


class AworkHook(BaseHook):
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

    conn_name_attr = "awork_conn_id"
    default_conn_name = "awork_default"
    conn_type = CONNECTION_TYPE["connection-type"]
    hook_name = CONNECTION_TYPE["hook-name"]

    def __init__(self, awork_conn_id: str = default_conn_name, *, single_try: bool = False) -> None:
        super().__init__()
        self.awork_conn_id = awork_conn_id
        self.single_try = single_try

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The standard fields of the form, for Airflow 3.1; later versions read the provider's metadata."""
        from airflow_provider_awork.hooks.connection_form import ui_field_behaviour

        return ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The extra fields of the form, for Airflow 3.1; later versions read the provider's metadata."""
        from airflow_provider_awork.hooks.connection_form import connection_form_widgets

        return connection_form_widgets()

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """
        The Airflow connection.

        :raises AworkConfigError: there is none of that name.
        """
        try:
            return super().get_connection(conn_id)
        except Exception as error:
            if not is_missing_connection(error):
                raise
            raise AworkConfigError(
                f"awork_conn_id: Airflow has no connection {conn_id!r}. Create it with the type awork and the API key "
                f"as password (or as AIRFLOW_CONN_{conn_id.upper()}), or pass the name of another one"
            ) from error

    @cached_property
    def config(self) -> AworkConfig:
        """
        The connection's settings, with the API key or, for OAuth, the access token that is stored at first use.

        :raises AworkConfigError: a field of the connection has a value that cannot work.
        """
        from airflow_provider_awork.hooks.connection import config_of

        return config_of(self.get_connection(self.awork_conn_id))

    def oauth_client(self) -> tuple[OAuthClient, TokenStore]:
        """
        The connection's OAuth client, and where its tokens are stored; only for who refreshes them.

        :raises AworkConfigError: the connection does not use OAuth, or a field has a value that cannot work.
        """
        from airflow_provider_awork.hooks.connection import oauth_client_of

        return oauth_client_of(self.get_connection(self.awork_conn_id))

    @cached_property
    def client(self) -> AworkClient:
        """The client, made at first use."""
        from airflow_provider_awork.client.client import AworkClient
        from airflow_provider_awork.client.http.retries import RetryRules
        from airflow_provider_awork.client.http.session import AworkSession

        if self.single_try:  # pollers read the connection again themselves
            return AworkClient(self.config, session=AworkSession(self.config, retry=RetryRules.single_try()))
        return AworkClient(self.config, session=AworkSession(self.config, read_token=self._read_token))

    def _impatient(self) -> AworkHook:
        """Return a hook for the same connection that gives up within about ten seconds."""
        from airflow_provider_awork.client.client import AworkClient
        from airflow_provider_awork.client.http.session import impatient_session

        hook = AworkHook(self.awork_conn_id)
        hook.client = AworkClient(self.config, session=impatient_session(self.config))
        return hook

    def _read_token(self) -> str:
        """Read the key or access token that the connection has now."""
        from airflow_provider_awork.hooks.connection import config_of

        return config_of(self.get_connection(self.awork_conn_id)).token

    def get_conn(self) -> AworkClient:
        """
        The client of this hook's workspace.

        :raises AworkConfigError: a field of the connection has a value that cannot work.
        """
        return self.client

    async def aget_conn(self) -> AworkClient:
        """:meth:`get_conn` for code on an event loop, such as triggers."""
        return await in_thread(self.get_conn)

    def close(self) -> None:
        """Close the connections; requests that wait fail."""
        if "client" in self.__dict__:
            self.client.close()

    @cached_property
    def identity(self) -> Identity:
        """
        Who asks and what it may see, read once; a warning is logged if other people's entries are hidden.

        :raises AworkAuthenticationError: the key is not valid.
        """
        identity = self.client.identity()
        log.info("awork workspace %r (%s), as %s", identity.workspace_name, identity.workspace_id, identity.name)
        if identity.sees_all_entries is False:
            log.warning(
                "%s may not see other people's time entries in %r: the result holds only its own. Give it a role with "
                "write permission on project time tracking, or use an administrator's API key.",
                identity.name,
                identity.workspace_name,
            )
        return identity

    def test_connection(self) -> tuple[bool, str]:
        """
        Read ``/me``: what the Test button of the connection form does.

        Gives up within about ten seconds and after two tries.

        :return: whether it worked, and the workspace and identity or the reason.
        """
        from airflow_provider_awork.hooks.connection import without_transient_id

        try:
            with contextlib.closing(self._impatient()) as hook:
                identity = hook.identity
        except (AworkError, OSError) as error:
            return False, without_transient_id(str(error), self.awork_conn_id)
        own = "" if identity.sees_all_entries is not False else "; sees only its own time entries"
        return True, f"Connected to awork workspace {identity.workspace_name!r} as {identity.name}{own}"

    # -- time entries --------------------------------------------------------------------------------------------

    def get_time_entries(
        self,
        *,
        filterby: str | None = None,
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
            window=make_window(window_field, window_start, window_end, timezone),
            project_id=project_id,
            task_id=task_id,
            page_size=None if limit is None else limit,
        )
        left = limit
        for rows in reader:
            for row in rows[:left]:
                yield json_text.decode(row)
            if left is not None:
                left -= len(rows)
                if left <= 0:
                    return

    def read_time_entries(
        self,
        *,
        filterby: str | None = None,
        window: Window | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
        page_size: int | None = None,
        concurrency: int | None = None,
    ) -> PageReader:
        """
        Time entries as batches of raw JSON, for those who write them elsewhere; else as :meth:`get_time_entries`.

        Reads who asks (once per hook) and, for a window of instants, proves that awork reads datetime literals in
        the assumed time zone, at its bounds and now.

        :param window: what to read; None for everything.
        :param page_size: rows of a page, at most 1000 (the default).
        :param concurrency: requests in flight; None takes the connection's.
        """
        from airflow_provider_awork.client.lists.pages import PAGE_SIZE
        from airflow_provider_awork.client.lists.resources import time_entries_path
        from airflow_provider_awork.windows.window import INSTANT_FIELDS

        path = time_entries_path(project_id=project_id, task_id=task_id)
        expression = self._restricted(filterby, window)
        _ = self.identity
        if window and window.field in INSTANT_FIELDS:
            self.client.check_literals(field=window.field, bounds=window.instants)
        size = min(max(page_size or PAGE_SIZE, 2), PAGE_SIZE)
        return self.client.read_list(path, filterby=expression, page_size=size, concurrency=concurrency)

    def count_time_entries(
        self,
        *,
        filterby: str | None = None,
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
        window = make_window(window_field, window_start, window_end, timezone)
        return self.count_window(filterby=filterby, window=window, project_id=project_id, task_id=task_id)

    def count_window(
        self,
        *,
        filterby: str | None = None,
        window: Window | None = None,
        project_id: str | None = None,
        task_id: str | None = None,
    ) -> int:
        """How many time entries match a window that is known already; else as :meth:`count_time_entries`."""
        from airflow_provider_awork.client.lists.resources import time_entries_path
        from airflow_provider_awork.windows.window import INSTANT_FIELDS

        path = time_entries_path(project_id=project_id, task_id=task_id)
        expression = self._restricted(filterby, window)
        if window and window.field in INSTANT_FIELDS:
            self.client.check_literals(field=window.field, bounds=window.instants)
        return self.client.count(path, filterby=expression)

    def get_time_entry(self, time_entry_id: str) -> dict[str, Any]:
        """
        One time entry. Source: https://developers.awork.com/apiv1/time-entries/get-time-entry-by-id

        :param time_entry_id: GUID.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.get_time_entry(time_entry_id)

    def get_simplified_time_entries(
        self, *, filterby: str | None = None, grouping: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Time entries with fewer fields, complete and in order of ``createdOn``, in constant memory.

        They lack note, end, breaks, ``timezone``, ``updatedOn`` and ``resourceVersion``.
        Source: https://developers.awork.com/apiv1/time-entries/get-time-entries-simplified

        :param filterby: awork expression.
        :param grouping: awork documents neither its values nor its effect.
        :raises AworkPagingError: entries cannot be read without losing some.
        """
        _ = self.identity
        return self.get_list("timeentries/simplified", filterby=filterby, params={"grouping": grouping})

    def get_my_last_time_entry(self, *, user_id: str | None = None) -> dict[str, Any] | None:
        """
        The time entry that the key's own user started last; starts in the future do not count.

        Source: https://developers.awork.com/apiv1/time-entries/get-my-last-time-entries

        :param user_id: another user (GUID); that needs an administrator's key.
        :return: None if there is none.
        """
        return self.client.get_my_last_time_entry(user_id=user_id)

    def get_last_time_entry(self, user_id: str) -> dict[str, Any] | None:
        """
        The time entry that a user started last; starts in the future do not count.

        Source: https://developers.awork.com/apiv1/time-entries/get-last-time-entries-by-user-id

        :param user_id: GUID; another user than the key's own needs an administrator's key.
        :return: None if there is none; awork is reported to answer so for unknown users too.
        """
        return self.client.get_last_time_entry(user_id)

    # -- changes of time entries ---------------------------------------------------------------------------------
    # Each is sent once, and only again after a 429, which says that nothing was done. AworkTransportError and
    # AworkServerError leave open whether awork carried it out: a retry of the task may do it twice.

    def create_time_entry(self, **fields: Unpack[NewTimeEntry]) -> dict[str, Any]:
        """
        Create a time entry; called twice, it is there twice.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entry

        .. code-block:: python

            hook.create_time_entry(
                userId=user_id,
                typeOfWorkId=type_of_work_id,
                projectId=project_id,
                timezone="Europe/Berlin",
                startDateLocal="2026-11-02",
                duration=2 * 3600,
                note="Workshop",
            )

        :param fields: awork's names: ``userId``, ``typeOfWorkId``, ``timezone`` (IANA) and the day of the start are
            needed. Times are UTC (``startDateUtc`` ..., or aware datetimes as ``started_at``, ``ended_at``) or local
            (``startDateLocal`` ...), not both; ``duration`` is in seconds. See
            :class:`~airflow_provider_awork.client.entries.models.NewTimeEntry`.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field is missing or cannot work; nothing was sent.
        :raises AworkValidationError: awork refuses a field.
        :raises AworkTransportError: the answer is lost; whether the entry was created is unknown.
        """
        return self.client.create_time_entry(**fields)

    def replace_time_entry(self, time_entry_id: str, **fields: Unpack[TimeEntryReplacement]) -> dict[str, Any]:
        """
        Replace all fields of a time entry: what is not passed is cleared. To change some, see
        :meth:`update_time_entry`.

        Source: https://developers.awork.com/apiv1/time-entries/put-time-entry-by-id

        :param time_entry_id: GUID.
        :param fields: as for :meth:`create_time_entry`, without ``userId`` if the user was deleted.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field is missing or cannot work; nothing was sent.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.replace_time_entry(time_entry_id, **fields)

    def update_time_entry(self, time_entry_id: str, **changes: Unpack[TimeEntryChanges]) -> dict[str, Any]:
        """
        Change some fields of a time entry and keep the others: read, modify, write.

        Read-only fields are not sent back. awork has no conditional writes: what somebody else changes between the read
        and the write is overwritten. Another ``projectId`` drops the task, and another ``taskId`` lets awork take the
        task's project.

        The time stays as it is unless its change is asked for: a changed time of the start keeps the end; a start on
        another day keeps the duration and moves the end, unless a date of the end is passed; a changed ``duration``
        keeps the start and moves the end.

        :param time_entry_id: GUID.
        :param changes: awork's names, as for :meth:`create_time_entry`; None clears a field.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field cannot work, or a finished entry would be left with a start time alone, as a
            running timer; nothing was changed.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.update_time_entry(time_entry_id, **changes)

    def delete_time_entry(self, time_entry_id: str) -> None:
        """
        Delete a time entry for good; a billed one needs an administrator's key.

        Source: https://developers.awork.com/apiv1/time-entries/delete-time-entry-by-id

        :param time_entry_id: GUID.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        self.client.delete_time_entry(time_entry_id)

    def remove_breaks(self, time_entry_id: str) -> dict[str, Any]:
        """
        Remove all breaks of a time entry; a paused timer runs on.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entry-remove-breaks

        :param time_entry_id: GUID.
        :return: the entry as awork stored it.
        """
        return self.client.remove_breaks(time_entry_id)

    def batch_time_entries(
        self,
        operation: BatchOperation,
        time_entry_ids: Iterable[str],
        *,
        value: bool | str | None = None,
        require_all: bool = False,
    ) -> BatchResult:
        """
        Change many time entries in one request, with a result for each.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-batch-by-operation

        .. code-block:: python

            hook.batch_time_entries("setIsBilled", ids, value=True).raise_for_failures()

        :param operation: ``delete``, ``setTypeOfWork``, ``setIsBillable`` (False also clears *billed*),
            ``setIsBilled``, ``setProject`` (drops the task), ``setTask`` (sets the project of a project task) or
            ``setUser``.
        :param time_entry_ids: GUIDs, sent in one request; awork states no limit, keep to some hundreds.
        :param value: what the operation sets: True or False, a GUID, or None for ``delete``.
        :param require_all: awork leaves every entry unchanged if one cannot be changed.
        :return: the ids by outcome. Ids that failed raise nothing here: look at it, or call its
            ``raise_for_failures()``.
        :raises AworkConfigError: an argument cannot work; nothing was sent.
        :raises AworkTransportError: the answer is lost; what was changed is unknown.
        """
        return self.client.batch_time_entries(operation, time_entry_ids, value=value, require_all=require_all)

    def delete_time_entries(self, time_entry_ids: Iterable[str]) -> None:
        """
        Delete time entries. Deprecated by awork: :meth:`batch_time_entries` with ``delete`` says what became of each.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-delete
        """
        self.client.delete_time_entries(time_entry_ids)

    def set_time_entries_billable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make time entries billable. Deprecated by awork for :meth:`batch_time_entries` with ``setIsBillable``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-billable
        """
        self.client.set_time_entries_billable(time_entry_ids)

    def set_time_entries_unbillable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make time entries unbillable; awork refuses if one is billed. Deprecated by awork for :meth:`batch_time_entries`
        with ``setIsBillable``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-unbillable
        """
        self.client.set_time_entries_unbillable(time_entry_ids)

    def set_time_entries_billed(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark time entries as billed. Deprecated by awork for :meth:`batch_time_entries` with ``setIsBilled``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-billed
        """
        self.client.set_time_entries_billed(time_entry_ids)

    def set_time_entries_unbilled(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark time entries as not billed; needs an administrator's key. Deprecated by awork for
        :meth:`batch_time_entries` with ``setIsBilled``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-un-billed
        """
        self.client.set_time_entries_unbilled(time_entry_ids)

    def set_time_entries_type_of_work(self, time_entry_ids: Iterable[str], *, type_of_work_id: str) -> None:
        """
        Give time entries another type of work. Deprecated by awork for :meth:`batch_time_entries` with
        ``setTypeOfWork``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-type-of-work
        """
        self.client.set_time_entries_type_of_work(time_entry_ids, type_of_work_id=type_of_work_id)

    # -- other lists ---------------------------------------------------------------------------------------------

    def get_list(
        self,
        path: str,
        *,
        filterby: str | None = None,
        orderby: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Any list endpoint of awork: ``users``, ``projects``, ``companies``, ``typeofwork``, ``teams`` ...

        Complete and in order of ``createdOn`` if the endpoint pages and its rows have ``createdOn``. Lists that awork
        does not page (``roles``, ``timereports``, ``projects/<id>/milestones`` ...) are read in one request, in awork's
        order. An endpoint that awork's document does not have is read as one that pages.

        :param path: path below the base URL, without a slash at its start.
        :param filterby: awork expression; lists that awork does not page take neither a filter nor an order.
        :param orderby: an order of one's own. Rows that move between pages meanwhile can then be lost; none comes
            twice.
        :param params: further query parameters, such as ``{"showArchived": "true"}``.
        :raises AworkConfigError: a filter or an order for a list that awork does not page: awork would ignore it and
            report no error; or a list of texts, such as ``webhooks/eventtypes``.
        :raises AworkPagingError: the rows need several pages but have no ``createdOn``, or nothing tells where the list
            ends.
        """
        from airflow_provider_awork.client.lists.resources import find_endpoint

        path = path.strip("/")
        endpoint = find_endpoint(path)
        if endpoint and endpoint.row_schema == "string":
            raise AworkConfigError(
                f"path: awork returns texts at {path}, not objects\nRead it with hook.client.session.get(path)."
            )
        if endpoint and not endpoint.is_paged:
            for name, value in (("filterby", filterby), ("orderby", orderby)):
                if value:
                    raise AworkConfigError(
                        f"{name}: awork returns this list whole and would ignore it\n"
                        f"Leave out {name} for {endpoint.path}."
                    )
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
        filterby: str | None = None,
        params: Mapping[str, Any] | None = None,
        whole: bool = False,
        concurrency: int | None = None,
    ) -> RowReader:
        """
        Any list endpoint as batches of raw JSON, for those who write them elsewhere; else as :meth:`get_list`.

        Reads who asks (once per hook).

        :param whole: whether awork sends it whole, so that it is read in one request.
        :param concurrency: requests in flight; None takes the connection's.
        """
        _ = self.identity
        if whole:
            return self.client.read_whole_list(path, params=params)
        return self.client.read_list(path, filterby=filterby, params=params, concurrency=concurrency)

    def get_api_user_ids(self) -> frozenset[str] | None:
        """
        The ids of the workspace's API users, which awork lists among its users without marking them.

        :return: None if the key may not read them (an administrator may, and *read* on ``workspace-manage-config``).
        """
        from airflow_provider_awork.exceptions import AworkNotFoundError, AworkPermissionError

        try:
            return frozenset(user["id"] for user in self.get_list("apiusers"))
        except (AworkPermissionError, AworkNotFoundError) as error:
            log.warning("Which users are API users is unknown: %s", error)
            return None

    def _restricted(self, filterby: str | None, window: Window | None) -> str | None:
        from airflow_provider_awork.client.lists.filters import all_of

        if window is None:
            return all_of(filterby)
        return window.restrict(filterby, literal_timezone=self.config.extras.behaviour.literal_timezone)


def make_window(
    field: str | None,
    start: date | datetime | str | None,
    end: date | datetime | str | None,
    timezone: str | None,
) -> Window | None:
    """The window that four parameters describe; None if they describe none."""
    from airflow_provider_awork.windows.window import Window

    if field is None and start is None and end is None:
        return None
    return Window.of(field=field, start=start, end=end, timezone=timezone)
