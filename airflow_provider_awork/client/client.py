"""awork's lists, and what a run needs to know of a workspace. Source: https://developers.awork.com/apiv1"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import msgspec

from airflow_provider_awork.client.entries.operations import TimeEntryOperations
from airflow_provider_awork.client.http.config import AworkConfig
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.identity import Identity
from airflow_provider_awork.client.lists import checks
from airflow_provider_awork.client.lists.answers import decode_page, decode_whole_list
from airflow_provider_awork.client.lists.filters import all_of, datetime_literal
from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page, PageRequest
from airflow_provider_awork.client.lists.paging import PageReader
from airflow_provider_awork.client.lists.rows import WholeList
from airflow_provider_awork.client.me import read_identity, server_time
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkFilterError,
    AworkPagingError,
)

log = logging.getLogger(__name__)

# Seconds. Clients of triggers live for weeks, and a zone may differ from the assumed one for a part of the year only.
PROOF_HOLDS = 3600.0


class AworkClient(TimeEntryOperations):
    """
    The API of one workspace: lists, who asks, and the operations on time entries.

    :param config: the connection's settings.
    :param session: sends the requests; by default one made from the settings.
    """

    def __init__(self, config: AworkConfig, *, session: AworkSession | None = None) -> None:
        super().__init__(session or AworkSession(config))
        self.config = config
        self._proofs: dict[str, float] = {}
        self._proving = Lock()

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
                "orderby": self._orderby(request),
                "filterby": all_of(filterby, request.anchor and self._since(request.anchor)),
            }
            try:
                return self.session.get(path, query, parse=decode_page)
            except AworkFilterError as error:
                if request.newest_first:  # nothing rests on it
                    log.info("The end of %s is found without its newest rows: %s", path, error)
                    return Page([], [], [])
                raise checks.explain_refusal(
                    self.session,
                    path,
                    error,
                    filterby=filterby,
                    anchored=request.anchor is not None,
                    order_by_id=extras.behaviour.order_by_id,
                ) from error

        return PageReader(
            fetch,
            concurrency=concurrency or extras.max_concurrent_requests,
            page_size=page_size,
            behaviour=extras.behaviour,
        )

    def read_whole_list(self, path: str, *, params: Mapping[str, Any] | None = None) -> WholeList:
        """
        A list endpoint that does not page, in one request.

        :param path: path below the base URL.
        :param params: query parameters.
        :raises AworkRequestError: awork refuses the request.
        """
        return WholeList(lambda: self.session.get(path, params, parse=decode_whole_list))

    def read_list_in_order(
        self, path: str, *, orderby: str, filterby: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterator[list[msgspec.Raw]]:
        """
        A list endpoint in an order of one's own, page by page.

        Rows that move between pages meanwhile can be lost, none comes twice: for looking at lists, not for copying
        them. The end is what the answer's total says, without one an empty page.

        :param orderby: awork's terms, such as ``updatedOn desc``.
        :raises AworkPagingError: a page brings nothing but rows of the pages before, so the end is unknown.
        """
        reached, seen = 0, set[str]()
        chosen = {**(params or {}), "pageSize": PAGE_SIZE, "orderby": orderby, "filterby": all_of(filterby)}
        for number in itertools.count(1):
            page = self.session.get(path, {**chosen, "page": number}, parse=decode_page)
            rows = [row for row, row_id in zip(page.rows, page.ids, strict=True) if row_id not in seen]
            reached += len(page.rows)
            is_last = not page.rows or (page.total is not None and reached >= page.total)
            if rows:
                yield rows
            elif not is_last:
                raise AworkPagingError(
                    f"GET {path}: page {number} has only rows of the pages before, so nothing tells where the list "
                    "ends. Leave orderby out: then it is read completely, or fails."
                )
            if is_last:
                return
            seen.update(filter(None, page.ids))  # some rows have none

    def count(self, path: str, *, filterby: str | None = None) -> int:
        """
        How many rows of a list match: one request of one row.

        :raises AworkPagingError: the answer has no ``aw-totalitems``.
        """
        page = self.session.get(path, {"page": 1, "pageSize": 1, "filterby": all_of(filterby)}, parse=decode_page)
        if page.total is None:
            raise AworkPagingError(f"GET {path}: the answer has no aw-totalitems header, so rows cannot be counted")
        return page.total

    # -- who asks, and what awork does ---------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Who asks, and what it may see; see :func:`.read_identity`."""
        return read_identity(self.session)

    def server_time(self) -> datetime:
        """awork's clock; see :func:`.me.server_time`."""
        return server_time(self.session)

    def check_literals(self, *, field: str = "createdOn", bounds: Iterable[datetime] = ()) -> None:
        """
        Prove that awork filters on a field of instants, in the assumed zone, at the newest entry
        (:func:`.checks.check_literals`) and at the bounds of a window (:func:`.checks.check_bound`).

        A proof holds for an hour. Threads that share the client wait for one.

        :raises AworkAssumptionError: it does not; the message names the way out.
        """
        zone = self.config.extras.behaviour.literal_timezone
        with self._proving:
            if not self._is_proven(field) and self._find_newest(field):
                self._proofs[field] = time.monotonic()
            for bound in bounds:
                if not self._is_proven(at := f"{field} {bound}"):
                    checks.check_bound(self.session, zone=zone, field=field, bound=bound)
                    self._proofs[at] = time.monotonic()

    def _is_proven(self, what: str) -> bool:
        proven = self._proofs.get(what)
        return proven is not None and time.monotonic() - proven < PROOF_HOLDS

    def _find_newest(self, field: str) -> checks.Probe | None:
        try:
            return checks.check_literals(self.session, zone=self.config.extras.behaviour.literal_timezone, field=field)
        except AworkFilterError as error:
            raise AworkAssumptionError(
                f"awork does not filter time entries by {field} ({error}). Export a rolling window instead, such as "
                "the last 60 days by window_field='startDateLocal', to a prefix of each run, and upsert by id."
            ) from error

    def _orderby(self, request: PageRequest) -> str:
        if request.newest_first:
            return "createdOn desc"
        return "createdOn,id" if self.config.extras.behaviour.order_by_id else "createdOn"

    def _since(self, anchor: str) -> str:
        instant = datetime.fromisoformat(anchor).replace(tzinfo=UTC)
        return f"createdOn ge {datetime_literal(instant, zone=self.config.extras.behaviour.literal_timezone)}"
