"""
A list endpoint as batches of rows: complete, in order of ``createdOn``, each row once, whatever changes meanwhile.

awork pages by offset only, so rows that come and go move all later rows, and totals do not show it. One fact can be
relied on: an answer is a snapshot, so it has all matching rows between its first and its last. Therefore neighbouring
pages must overlap, and are stitched together where they do:

* Rows come in order of ``createdOn,id``, and ``createdOn`` never changes. The *frontier* is the last delivered row. All
  rows up to it that existed all along have been delivered.
* A page *continues* the frontier if it has a delivered row or starts at an earlier ``createdOn``. Then its rows after
  the frontier are the next ones. Otherwise rows may lie between, and the page is thrown away.
* The pages of a *block* are requested together, each a little smaller than the page before (1000, 998, 997 ... rows),
  so each starts some rows before its neighbour ends. After a page that does not continue the frontier, pages overlap
  more, and the next block starts further back and is short.
* After a block, and after a page that does not continue, reading starts anew with ``createdOn ge <second of the
  frontier>``, the *anchor*. Positions under it are small, and changes in older rows move nothing. If a burst of rows
  fills a second, the anchor stays and page numbers go on until the second is exhausted.

Without totals, only pages that bring no row show the end, and a list that grows with each request would have none.
Therefore the newest row is requested once a page may be the last, and a page that reaches beyond that row is the last.
This does not depend on clocks: a row that existed all along is not later than the newest one.

The last page of a block is requested first: its last row shows the anchor of the next block, whose pages can then be
requested while this block is read.

The life of a page::

    position --plan--> requests --prefetcher--> answers --stitcher--> Take: deliver rows, move the frontier
        ^                                                    |          |
        |                                                    |          +--> next page, new block, or the end
        +------------ new block at the frontier <------------+--> ReadAgain: throw it away, overlap more
                                                             +--> End, Fail
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import assert_never

import msgspec

from airflow_provider_awork.client.behaviour import DEFAULT_BEHAVIOUR, AworkBehaviour
from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page, PageRequest
from airflow_provider_awork.client.lists.plan import Block, Position, plan_block, position_after
from airflow_provider_awork.client.lists.prefetcher import Prefetcher
from airflow_provider_awork.client.lists.stitcher import End, Fail, ReadAgain, Stitcher, Take, Then

NEWEST_ROWS = 10


class PageReader:
    """
    Reads a list endpoint; iterate once.

    :param fetch: gets one page; called from several threads.
    :param concurrency: how many requests may be in flight.
    :param page_size: rows of the largest page. A lower cap of the server is learnt.
    :param behaviour: what is assumed of awork.
    :param beside: a check that runs beside the first page; rows are delivered once it has passed.
    :param check_anchor: raises if awork reads the anchor of a page otherwise than meant.
    :raises AworkAssumptionError: the server does not behave as assumed; the message names the way out.
    :raises AworkPagingError: pages do not fit together.
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest], Page],
        *,
        concurrency: int = 8,
        page_size: int = PAGE_SIZE,
        behaviour: AworkBehaviour = DEFAULT_BEHAVIOUR,
        beside: Callable[[], None] | None = None,
        check_anchor: Callable[[PageRequest], None] | None = None,
    ) -> None:
        self._fetch = fetch
        self._beside = beside
        self._check_anchor = check_anchor
        self._prefetcher = Prefetcher(fetch, concurrency)
        self._is_anchored = behaviour.anchor_on_created_on
        self._stitcher = Stitcher(behaviour, page_size)
        # createdOn of the newest row, for a list without totals.
        self._newest: str | None = None
        self._newest_requested = False

    @property
    def rows(self) -> int:
        """Rows delivered so far."""
        return self._stitcher.delivered.rows

    @property
    def expected(self) -> int | None:
        """Rows to expect in all, if the server's totals show it."""
        return self._stitcher.expected

    @property
    def frontier(self) -> str | None:
        """``createdOn`` of the last delivered row, as :func:`.instant_key`."""
        return self._stitcher.delivered.frontier

    @property
    def rereads(self) -> int:
        """How often pages did not fit together and were read again."""
        return self._stitcher.rereads

    def __iter__(self) -> Iterator[list[msgspec.Raw]]:
        try:
            beside = self._prefetcher.run(self._beside) if self._beside else None
            block: Block | None = self._first_block()
            if beside:
                beside.result()
            while block:
                block = yield from self._read_block(block)
        finally:
            self._prefetcher.close()

    def _read_block(self, block: Block) -> Generator[list[msgspec.Raw], None, Block | None]:
        """Deliver the rows that the pages of a block bring, and return the next block; None after the last."""
        following: Block | None = None
        for request in block.pages:
            page = self._prefetcher.answer(block, request)
            match self._stitcher.stitch(request, page):
                case Take(rows, then, may_be_last):
                    if rows:
                        yield from self._prefetcher.deliver(rows)
                    if then is Then.END or (may_be_last and self._is_beyond_newest(page)):
                        return None
                    if then is Then.NEW_BLOCK:
                        break
                case ReadAgain():
                    break
                case End():
                    return None
                case Fail(error, suspect):
                    if suspect and self._check_anchor:
                        self._check_anchor(suspect)
                    raise error
                case unexpected:
                    assert_never(unexpected)
            following = following or self._request_following(block)
        else:
            return self._next_block(following, is_complete=True)
        return self._next_block(None, is_complete=False)

    # -- blocks --------------------------------------------------------------------------------------------------

    def _first_block(self) -> Block:
        """Request the first page alone: its total shows how many pages to request with it."""
        position = Position(anchor=None, before=0, total=None)
        pages = plan_block(position, self._stitcher.layout)
        block = Block(position, pages[:1])
        self._prefetcher.queue(block, block.pages)
        first = self._prefetcher.wait(block, pages[0])
        if len(first.rows) == pages[0].size:
            block.pages = plan_block(replace(position, total=first.total), self._stitcher.layout)
            self._prefetcher.queue(block, block.pages[1:])
        return block

    def _next_block(self, following: Block | None, *, is_complete: bool) -> Block:
        """Go on with the block requested ahead, if there is one, else with a block that starts at the frontier."""
        if failed := self._stitcher.end_block(is_complete=is_complete):
            raise failed.error
        if following is None:
            self._prefetcher.drop()
            following = self._request_block(self._stitcher.next_position())
        self._stitcher.begin_block(following.position)
        return following

    def _request_following(self, block: Block) -> Block | None:
        """Request the next block as soon as the answer to the last page of this one shows its anchor."""
        page = self._prefetcher.early_answer(block)
        if page is None:
            return None
        position = position_after(block.pages[-1], page, is_anchored=self._is_anchored)
        return None if position is None else self._request_block(position)

    def _request_block(self, position: Position) -> Block:
        block = Block(position, plan_block(position, self._stitcher.layout))
        self._prefetcher.queue(block, block.pages)
        return block

    # -- the end of a list without totals ------------------------------------------------------------------------

    def _is_beyond_newest(self, page: Page) -> bool:
        """
        Whether a page has a row that was created after the newest row was requested.

        The newest row is requested once, for the first page that may be the last. If the newest rows do not come newest
        first, or are older than the delivered rows, the end is not known.
        """
        if not self._newest_requested:
            self._newest_requested = True
            keys = self._fetch(PageRequest(None, 1, NEWEST_ROWS, newest_first=True)).keys
            if keys and keys == sorted(keys, reverse=True) and keys[0] >= page.keys[-1]:
                self._newest = keys[0]
        return self._newest is not None and page.keys[-1] > self._newest
