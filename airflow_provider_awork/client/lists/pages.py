"""A page of a list: the request and the answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

PAGE_SIZE = 1000  # rows; awork's largest


@dataclass(frozen=True)
class PageRequest:
    """
    One page to ask for.

    :param anchor: second in UTC (``YYYY-MM-DDTHH:MM:SS``) from which on rows are wanted; None for all.
    :param number: page number, from 1.
    :param size: page size.
    :param newest_first: whether to order by ``createdOn`` descending.
    """

    anchor: str | None
    number: int
    size: int
    newest_first: bool = False

    @property
    def start(self) -> int:
        """How many rows come before the page, under its anchor."""
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class Page:
    """
    One answer.

    :param rows: the raw JSON of each row.
    :param ids: the rows' ids.
    :param keys: the rows' ``createdOn`` as :func:`.instant_key`; empty if rows have none.
    :param total: how many rows match, if the answer reports it (``aw-totalitems``).
    :param size: the page size that the server used, if the answer reports it (``aw-pagesize``).
    :param values: a further field of each row, if it is read.
    """

    rows: list[msgspec.Raw]
    ids: list[str]
    keys: list[str]
    total: int | None = None
    size: int | None = None
    values: list[str | None] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        """Whether the rows come in order of ``createdOn``."""
        return self.keys == sorted(self.keys)

    def lacks_rows(self, number: int, size: int) -> bool:
        """Whether the page is shorter than a page of this number and size can be, as more rows match."""
        reached = (number - 1) * size + len(self.rows)
        return len(self.rows) < size and self.total is not None and reached < self.total
