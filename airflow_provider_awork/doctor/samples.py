"""Some pages of the list of time entries, asked for as an export does; all checks look at these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_sample
from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import AworkFilterError

ORDERS = ("createdOn,id", "createdOn", None)


class NotProvenError(Exception):
    """The workspace has nothing to prove an assumption with."""


class NotCheckedError(Exception):
    """What a check rests on failed."""


@dataclass(frozen=True)
class Sample:
    """
    One page as awork sent it.

    :param number: of the page.
    :param size: that was asked for.
    :param page: its rows.
    :param headers: of the answer.
    """

    number: int
    size: int
    page: Page
    headers: Mapping[str, str]

    @property
    def size_used(self) -> int:
        """The page size that awork says it used, if that is a lower cap, else the one asked for."""
        return min(self.page.size or self.size, self.size)

    @property
    def lacks_rows(self) -> bool:
        return self.page.lacks_rows(self.number, self.size_used)


class Samples:
    """
    Reads pages of time entries when a check first asks for them.

    :param session: sends the requests.
    """

    def __init__(self, session: AworkSession) -> None:
        self._session = session
        #: The order that awork accepted, of those that an export uses; None: it refused all.
        self.orderby: str | None = None

    def read(self, number: int, size: int, **query: str | None) -> Sample:
        """One page."""

        def parse(answer: Answer) -> Sample:
            return Sample(number, size, decode_sample(answer), answer.headers)

        return self._session.get(TIME_ENTRIES, {"page": number, "pageSize": size, **query}, parse=parse)

    @cached_property
    def first(self) -> Sample:
        """The first page, in the best order that awork accepts."""
        *orders, without = ORDERS
        for self.orderby in orders:
            try:
                return self.read(1, PAGE_SIZE, orderby=self.orderby)
            except AworkFilterError:
                continue
        self.orderby = without
        return self.read(1, PAGE_SIZE)

    @cached_property
    def all(self) -> list[Sample]:
        """The first page, one from the middle and the last one."""
        pages = -(-(self.first.page.total or 0) // self.page_size)
        others = sorted({number for number in ((pages + 1) // 2, pages) if number > 1})
        return [self.first, *(self.read(number, self.page_size, orderby=self.orderby) for number in others)]

    @cached_property
    def page_size(self) -> int:
        """Rows of the largest page that awork sends, as far as it shows."""
        first = self.first
        if first.page.size is not None or not first.lacks_rows:
            return first.size_used
        # A cap that awork does not report, or rows that are missing: a cap can be filled.
        rows = len(first.page.rows)
        return rows if rows and len(self.read(1, rows, orderby=self.orderby).page.rows) == rows else PAGE_SIZE

    @property
    def total(self) -> int:
        """How many entries there are, as far as it shows."""
        return self.first.page.total or len(self.first.page.rows)

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """
        The sampled entries, decoded.

        :raises NotProvenError: there are none.
        """
        entries = [json_text.decode(row) for sample in self.all for row in sample.page.rows]
        if not entries:
            raise NotProvenError("no time entry is visible")
        return entries
