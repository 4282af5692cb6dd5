"""The rows of a list as batches of raw JSON, and lists that awork sends as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from airflow_provider_awork.client.lists.pages import Page
from airflow_provider_awork.exceptions import AworkPagingError


class RowReader(Protocol):
    """
    Reads a list once: :class:`.paging.PageReader` or :class:`WholeList`.

    :ivar rows: rows delivered so far.
    :ivar expected: rows to expect in all, if known.
    :ivar frontier: ``createdOn`` of the last delivered row, if rows come in that order.
    :ivar rereads: how often pages were read again.
    """

    @property
    def rows(self) -> int: ...

    @property
    def expected(self) -> int | None: ...

    @property
    def frontier(self) -> str | None: ...

    @property
    def rereads(self) -> int: ...

    def __iter__(self) -> Iterator[list[msgspec.Raw]]: ...


class WholeList:
    """
    A list that does not page: one answer, in awork's order.

    :param fetch: gets the answer.
    :raises AworkPagingError: the answer reports more rows than it has, so the list pages after all.
    """

    def __init__(self, fetch: Callable[[], Page]) -> None:
        self.rows = 0
        self.expected: int | None = None
        self.frontier: str | None = None
        self.rereads = 0
        self._fetch = fetch

    def __iter__(self) -> Iterator[list[msgspec.Raw]]:
        page = self._fetch()
        self.rows = self.expected = len(page.rows)
        if page.total is not None and page.total > self.rows:
            raise AworkPagingError(f"awork sends {self.rows} rows of a list that should come whole, of {page.total}")
        if page.rows:
            yield page.rows
