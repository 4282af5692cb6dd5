"""The client of a workspace: lists, identity, clock and time entries. Source: https://developers.awork.com/apiv1"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_awork.client.entries.operations import TimeEntryOperations
from airflow_provider_awork.client.http.config import AworkConfig
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.identity import Identity
from airflow_provider_awork.client.key_access import KeyAccess
from airflow_provider_awork.client.lists.answers import decode_page, decode_whole_list
from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.client.lists.checked_reader import CheckedReader
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import all_of, filter_text
from airflow_provider_awork.client.lists.page_source import PageSource
from airflow_provider_awork.client.lists.pages import PAGE_SIZE
from airflow_provider_awork.client.lists.paging import PageReader
from airflow_provider_awork.client.lists.proofs import LiteralProofs
from airflow_provider_awork.client.lists.rows import WholeList
from airflow_provider_awork.client.me import read_identity
from airflow_provider_awork.exceptions import AworkPagingError


class AworkClient(TimeEntryOperations):
    """
    The API of one workspace.

    :param config: the connection's settings.
    :param session: sends the requests; made from the settings by default.

    Attribute ``access``: who asks and what the key may see, read once.
    """

    def __init__(self, config: AworkConfig, *, session: AworkSession | None = None) -> None:
        super().__init__(session or AworkSession(config))
        self.config = config
        self.access = KeyAccess(self.session)
        self._proofs = LiteralProofs(self.session, zone=config.extras.behaviour.literal_timezone)

    def close(self) -> None:
        self.session.close()

    # -- lists ---------------------------------------------------------------------------------------------------

    def read_list(
        self,
        path: str,
        *,
        filterby: str | Condition | None = None,
        params: Mapping[str, Any] | None = None,
        bounds: Bounds | None = None,
        page_size: int = PAGE_SIZE,
        concurrency: int | None = None,
        limit: int | None = None,
    ) -> CheckedReader:
        """
        Read a list as batches of raw rows, complete and in order of ``createdOn``; see :mod:`.paging`.

        Endpoints that do not page, and rows without ``createdOn``, are read in one request. The key's permissions are
        read before the first page, and again after the last one.

        :param path: path below the base URL.
        :param filterby: awork expression, or a condition.
        :param params: further query parameters, such as ``showArchived``.
        :param bounds: a window, which is checked by each row, and by the rows next to its bounds.
        :param page_size: rows of a page, at most 1000.
        :param concurrency: requests in flight; None takes the connection's.
        :param limit: at most so many rows, the oldest ones; None for all.
        :raises AworkRequestError: awork refuses the request.
        :raises AworkConfigError: the key lost permissions during the read.
        :raises AworkPagingError: the list cannot be read without losing rows.
        """
        reader = self.read_pages(
            path, filterby=filterby, params=params, bounds=bounds, page_size=page_size, concurrency=concurrency
        )
        return CheckedReader(reader, self.access, limit=limit)

    def read_pages(
        self,
        path: str,
        *,
        filterby: str | Condition | None = None,
        params: Mapping[str, Any] | None = None,
        bounds: Bounds | None = None,
        page_size: int = PAGE_SIZE,
        concurrency: int | None = None,
    ) -> PageReader:
        """Read a list as :meth:`read_list` does, for callers that check the key's permissions around several reads."""
        extras = self.config.extras
        source = PageSource(
            session=self.session,
            path=path,
            behaviour=extras.behaviour,
            filterby=filter_text(filterby),
            params=params or {},
            bounds=bounds,
        )
        return PageReader(
            source.fetch,
            concurrency=concurrency or extras.max_concurrent_requests,
            page_size=page_size,
            behaviour=extras.behaviour,
            beside=source.check_bounds if bounds else None,
            check_anchor=source.check_anchor,
        )

    def read_whole_list(self, path: str, *, params: Mapping[str, Any] | None = None) -> CheckedReader:
        """
        Read a list that does not page, in one request, between two of the key's permissions.

        :param path: path below the base URL.
        :param params: query parameters.
        :raises AworkRequestError: awork refuses the request.
        """
        reader = WholeList(lambda: self.session.get(path, params, parse=decode_whole_list))
        return CheckedReader(reader, self.access)

    def read_list_in_order(
        self,
        path: str,
        *,
        orderby: str,
        filterby: str | Condition | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[list[msgspec.Raw]]:
        """
        Read a list in another order, page by page.

        Rows that move between pages can be lost, but none comes twice. Use it to look at lists, not to copy them. The
        list ends where the total says, without a total at an empty page. Permissions are checked as in
        :meth:`read_list`.

        :param orderby: awork's terms, such as ``updatedOn desc``.
        :raises AworkPagingError: a page brings nothing but rows of the pages before, so the end is unknown.
        """
        return self.access.checked(self._pages_in_order(path, orderby=orderby, filterby=filterby, params=params))

    def _pages_in_order(
        self, path: str, *, orderby: str, filterby: str | Condition | None, params: Mapping[str, Any] | None
    ) -> Iterator[list[msgspec.Raw]]:
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
                    f"GET {path}: page {number} has only rows of the pages before, so nothing shows where the list "
                    "ends. Leave orderby out: then it is read completely, or fails."
                )
            if is_last:
                return
            seen.update(filter(None, page.ids))  # some rows have none

    def count(self, path: str, *, filterby: str | Condition | None = None) -> int:
        """
        Count the rows of a list that match, with one request of one row.

        :raises AworkPagingError: the answer has no ``aw-totalitems``.
        """
        page = self.session.get(path, {"page": 1, "pageSize": 1, "filterby": all_of(filterby)}, parse=decode_page)
        if page.total is None:
            raise AworkPagingError(f"GET {path}: the answer has no aw-totalitems header, so rows cannot be counted")
        return page.total

    # -- the workspace -----------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Read who the key belongs to and what it may see; :attr:`access` keeps what was read once."""
        return read_identity(self.session)

    def server_time(self) -> datetime:
        """Read awork's clock; see :meth:`.KeyAccess.server_time`."""
        return self.access.server_time()

    def check_literals(self, *, field: str = "createdOn", bounds: Iterable[datetime] = ()) -> None:
        """
        Prove that awork filters on a field of instants in the assumed zone; see :class:`.proofs.LiteralProofs`.

        :raises AworkAssumptionError: awork does not; the message names the way out.
        """
        self._proofs.require(field, bounds)
