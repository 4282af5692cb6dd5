"""
From a position in a list to the requests of a block: pure arithmetic.

Each page of a block is a little smaller than the page before, so it starts some rows before its neighbour ends::

    row          0          998   1000       1994  1996
    1 of 1000    |------------------|
    2 of  998                |---------------------|
    3 of  997                                 |---------------------
                             overlap: 2      overlap: 2

Pages have no other way to overlap: awork computes the first row of a page as ``(page - 1) * pageSize``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page, PageRequest

BLOCK_PAGES = 10
BLOCK_PAGES_AFTER_MISS = 2
LEAST_OVERLAP = 2  # rows: the first of them usually has an earlier createdOn than the frontier
LARGEST_OVERLAP = 0.25  # of a page: any page that begins so far before the frontier can reach beyond it
PAGES_PAST_END = 2


@dataclass(frozen=True, slots=True)
class Position:
    """
    Where reading continues.

    :param anchor: second in UTC from which on rows are requested; None for the whole list.
    :param before: how many rows come under the anchor up to the frontier.
    :param total: how many rows come under the anchor in all; None if unknown.
    """

    anchor: str | None
    before: int
    total: int | None


@dataclass(eq=False, slots=True)
class Block:
    """Pages that are requested together from one position on; each continues the page before."""

    position: Position
    pages: list[PageRequest]


@dataclass(slots=True)
class Layout:
    """
    How to lay pages over a list. The stitcher changes it when pages do not fit together.

    :param cap: rows of the largest page.
    :param overlap: rows that neighbouring pages share.
    :param misses: pages in a row that were to overlap the frontier and did not.
    :param reach_back: how many delivered rows back the next anchor lies; 1 is the frontier.
    :param fruitless_blocks: blocks in a row that brought no row.
    """

    cap: int = PAGE_SIZE
    overlap: int = LEAST_OVERLAP
    misses: int = 0
    reach_back: int = 1
    fruitless_blocks: int = 0

    @property
    def largest_overlap(self) -> int:
        return max(LEAST_OVERLAP, int(self.cap * LARGEST_OVERLAP))

    def widen(self) -> None:
        """Let pages overlap more, up to the largest overlap."""
        self.overlap = min(self.overlap * 4, self.largest_overlap)

    def narrow(self) -> None:
        """Let pages overlap less, down to the least overlap."""
        self.overlap = max(LEAST_OVERLAP, self.overlap // 2)


def plan_block(position: Position, layout: Layout) -> list[PageRequest]:
    """
    Plan pages from a position on, each overlapping the page before by at least ``layout.overlap`` rows.

    A block ends after :data:`BLOCK_PAGES`, with the list, or where smaller pages would bring too little.
    """
    number, size = 1, layout.cap
    start = position.before - layout.overlap
    if layout.reach_back == 1 and 2 * start > layout.cap:
        number, size = page_around(start, layout.cap)
    pages = [PageRequest(position.anchor, number, size)]
    most = BLOCK_PAGES_AFTER_MISS if layout.misses else BLOCK_PAGES
    while len(pages) < most and (position.total is None or number * size < position.total):
        smaller = size - math.ceil(layout.overlap / number)
        gain = (number + 1) * smaller - number * size
        if smaller <= layout.cap // 2 or gain <= layout.cap // 4:
            break
        number, size = number + 1, smaller
        pages.append(PageRequest(position.anchor, number, size))
    if layout.fruitless_blocks:
        # They show whether anything follows a short page that brings no row.
        pages += [PageRequest(position.anchor, number + further, size) for further in range(1, PAGES_PAST_END + 1)]
    return pages


def page_around(start: int, cap: int) -> tuple[int, int]:
    """
    Return number and size of the page that begins at row ``start`` or a little before it, and reaches furthest.

    >>> page_around(2500, 1000)  # its rows are 2499 to 3331
    (4, 833)
    """
    size = max(range(cap // 2 + 1, cap + 1), key=lambda size: size - start % size)
    return start // size + 1, size


def position_after(last: PageRequest, page: Page, *, is_anchored: bool) -> Position | None:
    """
    Return where the block after a page begins; None if nothing follows it or its answer does not show the place.

    :param last: the last page of a block.
    :param page: its answer.
    :param is_anchored: whether the list can be filtered on ``createdOn``.
    """
    if not page.keys or len(page.rows) < last.size or page.total is None:
        return None
    reached = last.start + last.size
    remaining = page.total - reached
    if remaining <= 0:
        return None
    if not is_anchored:
        return Position(None, reached, page.total)
    anchor = anchor_of(page.keys[-1])
    first = bisect_left(page.keys, anchor)
    if first == 0:  # a burst of rows in one second that began on an earlier page
        return None
    before = len(page.rows) - first
    return Position(anchor, before, before + remaining)


def anchor_of(key: str) -> str:
    """Return the second of an :func:`.instant_key`."""
    return key[:19]
