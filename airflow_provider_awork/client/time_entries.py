"""awork's lists, and what a run needs to know of a workspace. Source: https://developers.awork.com/apiv1"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from airflow_provider_awork.client.arguments import checked_id
from airflow_provider_awork.client.config import AworkConfig
from airflow_provider_awork.client.filters import all_of, datetime_literal
from airflow_provider_awork.client.operations import TIME_ENTRIES, TimeEntryOperations
from airflow_provider_awork.client.paging import PAGE_SIZE, Page, PageReader, PageRequest, instant_key
from airflow_provider_awork.client.session import Answer, AworkSession, decode_body, decode_json
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkConfigError,
    AworkFilterError,
    AworkPagingError,
    AworkRequestError,
    AworkTransportError,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    Who asks, and what it may see: missing rights shrink awork's lists in silence.

    :param workspace_id: id of the workspace that the key belongs to.
    :param workspace_name: its name.
    :param user_id: id of the user or API user.
    :param name: its name.
    :param sees_all_entries: whether it may list other people's entries (administrator, or *write* on the feature
        ``project-timetracking``); None where awork does not tell.
    """

    workspace_id: str | None
    workspace_name: str | None
    user_id: str | None
    name: str
    sees_all_entries: bool | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class AworkClient(TimeEntryOperations):
    """
    The API of one workspace: lists, who asks, and the operations on time entries.

    :param config: the connection's settings.
    :param session: sends the requests; by default one made from the settings.
    """

    def __init__(self, config: AworkConfig, *, session: AworkSession | None = None) -> None:
        super().__init__(session or AworkSession(config))
        self.config = config

    def close(self) -> None:
        self.session.close()

    # -- lists ---------------------------------------------------------------------------------------------------

    def read_list(
        self,
        path: str,
        *,
        filterby: str | None = None,
        params: Mapping[str, Any] | None = None,
        page_size: int = PAGE_SIZE,
        concurrency: int | None = None,
    ) -> PageReader:
        """
        A list endpoint as batches of raw rows, complete and in order of ``createdOn``; see :mod:`.paging`.

        Endpoints that do not page, and rows without ``createdOn``, are read in one request.

        :param path: path below the base URL.
        :param filterby: awork expression.
        :param params: further query parameters, such as ``showArchived``.
        :param page_size: rows of a page, at most 1000.
        :param concurrency: requests in flight; None takes the connection's.
        :raises AworkRequestError: awork refuses the request.
        :raises AworkPagingError: it cannot be read without losing rows.
        """
        extras = self.config.extras

        def fetch(request: PageRequest) -> Page:
            query = {
                **(params or {}),
                "page": request.number,
                "pageSize": request.size,
                "orderby": "createdOn,id" if extras.order_by_id else "createdOn",
                "filterby": all_of(filterby, request.anchor and self._since(request.anchor)),
            }
            try:
                return self.session.get(path, query, parse=decode_page)
            except AworkFilterError as error:
                raise self._explained(error, path, filterby, request) from error

        return PageReader(
            fetch,
            concurrency=concurrency or extras.max_concurrent_requests,
            page_size=page_size,
            order_by_id=extras.order_by_id,
            anchored=extras.anchor_on_created_on,
            exact_anchor=extras.literal_timezone == "UTC",
            accept_short_pages=extras.accept_short_pages,
        )

    def read_list_in_order(
        self, path: str, *, orderby: str, filterby: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterator[list[msgspec.Raw]]:
        """
        A list endpoint in an order of one's own, page by page.

        Rows that move between pages meanwhile can be lost: for looking at lists, not for copying them.

        :param orderby: awork's terms, such as ``updatedOn desc``.
        """
        number, reached = 1, 0
        while True:
            query = {**(params or {}), "page": number, "pageSize": PAGE_SIZE, "orderby": orderby, "filterby": filterby}
            page = self.session.get(path, query, parse=decode_page)
            reached += len(page.rows)
            if page.rows:
                yield page.rows
            if not page.rows or page.total is None or reached >= page.total:
                return
            number += 1

    def count(self, path: str, *, filterby: str | None = None) -> int:
        """
        How many rows of a list match: one request of one row.

        :raises AworkPagingError: the answer has no ``aw-totalitems``.
        """
        page = self.session.get(path, {"page": 1, "pageSize": 1, "filterby": filterby}, parse=decode_page)
        if page.total is None:
            raise AworkPagingError(f"GET {path}: the answer has no aw-totalitems header, so rows cannot be counted")
        return page.total

    # -- who asks, and what awork does ---------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Read ``/me`` and ``/me/permissions``."""
        me = self.session.get("me", parse=decode_json) or {}
        workspace = me.get("workspace") or {}
        return Identity(
            workspace_id=workspace.get("id"),
            workspace_name=workspace.get("name"),
            user_id=me.get("id"),
            name=" ".join(filter(None, (me.get("firstName"), me.get("lastName")))) or "without a name",
            sees_all_entries=self._sees_all_entries(),
        )

    def check_literal_timezone(self) -> None:
        """
        Prove that awork reads datetime literals in the assumed zone, by asking for the newest entry's own second.

        :raises AworkAssumptionError: it does not; the message names the connection extra.
        """
        newest = self.session.get(
            TIME_ENTRIES, {"page": 1, "pageSize": 1, "orderby": "createdOn desc"}, parse=decode_page
        )
        if not newest.keys:
            return
        second = datetime.fromisoformat(newest.keys[0][:19]).replace(tzinfo=UTC)
        zone = self.config.extras.literal_timezone
        own_second = (
            f"createdOn ge {datetime_literal(second, zone=zone)} and "
            f"createdOn lt {datetime_literal(second + timedelta(seconds=1), zone=zone)}"
        )
        found = self.session.get(
            TIME_ENTRIES, {"page": 1, "pageSize": 1, "filterby": own_second}, parse=decode_page
        ).keys
        # Another entry may happen to lie where the literals were read wrongly.
        wrong = bool(found) and found[0][:19] != newest.keys[0][:19]
        if wrong or (not found and self._still_there(newest.ids[0])):
            raise AworkAssumptionError(
                f"awork does not find its newest entry (created on {second:%Y-%m-%dT%H:%M:%SZ}) in its own second: it "
                f"does not read datetime literals in {zone}. Set the connection extra literal_timezone to its zone."
            )

    def _still_there(self, time_entry_id: str) -> bool:
        try:
            self.get_time_entry(time_entry_id)
        except AworkRequestError:
            return False
        return True

    def _sees_all_entries(self) -> bool | None:
        try:
            answer = self.session.get("me/permissions", parse=decode_json) or {}
        except AworkRequestError as error:
            log.warning("What this key may see is unknown: %s", error)
            return None
        rights = answer.get("userPermission") or {}
        if "isAdmin" not in rights and "permissions" not in rights:
            return None
        levels = {
            level.lower()
            for permission in rights.get("permissions") or ()
            if permission.get("feature") == "project-timetracking"
            for level in permission.get("accessLevels") or ()
        }
        return bool(rights.get("isAdmin")) or "write" in levels

    def _since(self, anchor: str) -> str:
        instant = datetime.fromisoformat(anchor).replace(tzinfo=UTC)
        return f"createdOn ge {datetime_literal(instant, zone=self.config.extras.literal_timezone)}"

    def _explained(
        self, error: AworkFilterError, path: str, filterby: str | None, request: PageRequest
    ) -> AworkRequestError | AworkAssumptionError:
        """Why awork refused a page: our own order, our own filter, or the filter that was passed in."""

        def accepted(orderby: str | None) -> bool:
            query = {"page": 1, "pageSize": 1, "filterby": filterby, "orderby": orderby}
            try:
                self.session.get(path, query, parse=decode_page)
            except AworkFilterError:
                return False
            return True

        if request.anchor:
            return AworkAssumptionError(
                f"awork does not filter {path} by createdOn ({error}). Set the connection extra anchor_on_created_on "
                "to false: pages are then found by offset alone, with more requests when entries change."
            )
        if not accepted(None):
            return error
        if self.config.extras.order_by_id and accepted("createdOn"):
            return AworkAssumptionError(
                f"awork does not order {path} by a second term ({error}). Set the extra order_by_id to false."
            )
        return AworkAssumptionError(f"awork does not order {path} by createdOn ({error}): it cannot be read exactly.")


class _Key(msgspec.Struct, gc=False):
    id: str = ""
    createdOn: str = ""


_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_keys = msgspec.json.Decoder(list[_Key]).decode


def decode_page(answer: Answer) -> Page:
    """
    Split a list's body into raw rows without decoding them; only ``id`` and ``createdOn`` are read.

    :raises AworkTransportError: the body is not a JSON array of objects with ids.
    """
    rows = decode_body(_decode_rows, answer)
    keys = decode_body(_decode_keys, answer)
    dated = sum(1 for key in keys if key.createdOn)
    if dated not in (0, len(keys)) or (dated and not all(key.id for key in keys)):
        raise AworkTransportError("some rows of the answer lack id or createdOn")
    return Page(
        rows=rows,
        ids=[key.id for key in keys],
        keys=[instant_key(key.createdOn) for key in keys] if dated else [],
        total=_count(answer, "aw-totalitems"),
        size=_count(answer, "aw-pagesize"),
    )


def _count(answer: Answer, header: str) -> int | None:
    value = answer.headers.get(header, "")
    return int(value) if value.isdecimal() else None


def list_path(*, project_id: str | None = None, task_id: str | None = None) -> str:
    """
    The path that lists time entries: all, or those of one project or task.

    :raises AworkConfigError: both are given, or one is not a GUID.
    """
    if project_id and task_id:
        raise AworkConfigError("project_id and task_id: pass one of them; a task belongs to one project")
    if project_id:
        return f"projects/{checked_id(project_id, 'project_id')}/{TIME_ENTRIES}"
    if task_id:
        return f"tasks/{checked_id(task_id, 'task_id')}/{TIME_ENTRIES}"
    return TIME_ENTRIES
