"""
A list endpoint as batches of rows: complete, in order of ``createdOn``, each row once, whatever changes meanwhile.

awork pages by offset only, so rows that come and go move all later ones, and totals do not show it. What can be
relied on is that one answer is one snapshot: all matching rows between its first and its last. So neighbouring pages
must overlap, and are stitched where they do:

* Rows come in order of ``createdOn,id``; ``createdOn`` never changes. The *frontier* is the last delivered row. All
  rows up to it that existed all along have been delivered.
* A page *continues* the frontier if it has a delivered row or starts at an earlier ``createdOn``. Then its rows after
  the frontier are the next ones; otherwise something may lie between, and the page is thrown away.
* Pages of a *block* are requested together, each a little smaller than the one before (1000, 998, 997 ... rows):
  page k then starts some rows before its neighbour ends. A page that does not continue makes this overlap larger, and
  the next block start further back and be short.
* After a block, and after a page that does not continue, reading starts anew with ``createdOn ge <second of the
  frontier>``, the *anchor*: positions are small there, and changes in older rows move nothing. A burst of rows in one
  second is left only when it is exhausted: the anchor stays, the page numbers go on.

Without totals only pages that bring nothing tell the end, and a list that grows with each look at it would have none.
So once a page may be the last, the newest row is asked for, and a page that reaches beyond that is the last: rows that
existed all along are not later, whatever the clocks say.

The last page of a block is requested first: its last row tells the anchor of the next block, whose pages can then be
requested while this block is read.
"""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import compress

import msgspec

from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page, PageRequest
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError

log = logging.getLogger(__name__)

BLOCK_PAGES = 10
LEAST_OVERLAP = 2  # rows: the first of them is, as a rule, of an earlier createdOn than the frontier
LARGEST_OVERLAP = 0.25  # of a page: any page that begins so far before the frontier can reach beyond it
REMEMBERED_ROWS = 2 * PAGE_SIZE
FRUITLESS_BLOCKS = 12
DISORDERLY_PAGES = 4
SURE_TIES = 8
NEWEST_ROWS = 10
FIRST_PAGES_AHEAD = 4
RECENT_PAGES = 16


@dataclass(eq=False)
class _Block:
    """
    Pages that are requested together under one anchor, each continuing the one before.

    ``position`` is the row number of the frontier under the anchor; ``following`` the block requested ahead.
    """

    pages: list[PageRequest]
    position: int
    unsent: list[PageRequest]
    answers: dict[PageRequest, Future[Page]] = field(default_factory=dict)
    totals: set[int | None] = field(default_factory=set)
    following: _Block | None = None
    complete: bool = False


class PageReader:
    """
    Reads a list endpoint; iterate once.

    :param fetch: gets one page; called from several threads.
    :param concurrency: how many requests may be in flight.
    :param page_size: rows of the largest page. A lower cap of the server is learnt.
    :param order_by_id: whether ``fetch`` orders equal ``createdOn`` by id. If not, a group of them must fit in a page.
    :param anchored: whether ``fetch`` may filter on ``createdOn``; if not, pages are found by offset alone.
    :param exact_anchor: whether a row from before the anchor is a fault (literals read in another time zone).
    :param accept_short_pages: go on after pages that lack rows although more match, instead of failing.
    :raises AworkAssumptionError: the server does not behave as this rests on; the message names the way out.
    :raises AworkPagingError: pages do not fit together.
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest], Page],
        *,
        concurrency: int = 8,
        page_size: int = PAGE_SIZE,
        order_by_id: bool = True,
        anchored: bool = True,
        exact_anchor: bool = True,
        accept_short_pages: bool = False,
    ) -> None:
        #: Rows delivered so far.
        self.rows = 0
        #: Rows to expect in all, as far as the server's totals tell.
        self.expected: int | None = None
        #: ``createdOn`` of the last delivered row, as :func:`instant_key`.
        self.frontier: str | None = None
        #: How often pages did not fit together and were read again.
        self.rereads = 0
        self._fetch = fetch
        self._concurrency = concurrency
        self._cap = page_size
        self._order_by_id = order_by_id
        self._anchored = anchored
        self._exact_anchor = exact_anchor
        self._accept_short_pages = accept_short_pages
        self._overlap = LEAST_OVERLAP
        self._largest_page = 0
        self._misses = 0
        self._long_ties: str | None = None
        self._disorders = 0
        self._reach_back = 1
        self._short_pages = 0
        self._fruitless = 0
        # How long the latest answers took, and the caller with the rows of each.
        self._answer_seconds: deque[float] = deque(maxlen=RECENT_PAGES)
        self._work_seconds: deque[float] = deque(maxlen=RECENT_PAGES)
        # The newest row's key, for a list without totals; None while it is not known.
        self._newest: str | None = None
        self._newest_asked = False
        # Delivered rows that a later page may bring back, oldest first: key by id.
        self._recent: dict[str, str] = {}

    def __iter__(self) -> Iterator[list[msgspec.Raw]]:
        self._pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="awork-page")
        try:
            yield from self._read()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> Generator[list[msgspec.Raw], None, None]:
        block = self._first_block()
        while True:
            before = self.rows
            finished = yield from self._read_block(block)
            if finished:
                return
            self._fruitless = 0 if self.rows > before else self._fruitless + 1
            if self._fruitless > FRUITLESS_BLOCKS:
                raise AworkPagingError(
                    f"no page continues the row created on {self.frontier} after {self._fruitless} tries: rows "
                    "around it are being deleted or moved faster than they can be read, or answers are not "
                    "snapshots in the order asked for. Run again when the workspace is quieter."
                )
            block = self._next_block(block)

    def _read_block(self, block: _Block) -> Generator[list[msgspec.Raw], None, bool]:
        """Deliver what the pages of a block add. Returns True when nothing can follow."""
        unproductive = after_unsure = False
        for request in block.pages:
            page = self._answer(block, request)
            if not page.keys:
                return (yield from self._without_keys(block, request, page, unproductive))
            self._check_order(request, page)
            size = self._size_used(request, page)
            capped = page.size is None and len(page.rows) == self._largest_page < request.size
            if not self._continues(request, page):
                if capped or after_unsure:
                    self._learn_cap(self._largest_page)
                self._widen(block, request)
                return False
            self._misses = 0
            short = len(page.rows) < size
            reached = (request.number - 1) * size + len(page.rows)
            if page.lacks_rows(request.number, size) and not self._accepts_short(page, size):
                return False
            self._largest_page = max(self._largest_page, len(page.rows))
            # A server that caps pages without saying so starts them earlier than it was asked to.
            sure = page.size is not None or size <= self._largest_page
            block.position = reached if sure else (request.number - 1) * self._largest_page + len(page.rows)
            block.totals.add(page.total)
            added = self._take(page)
            self._estimate(page, reached)
            if added:
                started = time.monotonic()
                yield added
                self._work_seconds.append(time.monotonic() - started)
            if capped and added:
                self._learn_cap(len(page.rows))
                return False
            if short and page.total is None and self._is_beyond_newest(page):
                return True
            if short and sure and page.total is not None and reached >= page.total and len(block.totals) == 1:
                return True
            if size < request.size:
                return False
            unproductive, after_unsure = short and not added, not sure
            self._request_following(block)
        block.complete = True
        self._overlap = max(LEAST_OVERLAP, self._overlap // 2)
        return False

    # -- what a page tells ---------------------------------------------------------------------------------------

    def _without_keys(
        self, block: _Block, request: PageRequest, page: Page, unproductive: bool
    ) -> Generator[list[msgspec.Raw], None, bool]:
        """An empty page, or the rows of an endpoint that have no ``createdOn``."""
        if page.rows:
            more = len(page.rows) >= request.size if page.total is None else page.total > len(page.rows)
            if self.frontier is not None or more:
                raise AworkPagingError("rows without createdOn cannot be read in several pages without losing some")
            self.rows = self.expected = len(page.rows)
            yield page.rows
            return True
        if self.frontier is None and not page.total:
            self.expected = 0
            return True
        if self.frontier is None and self._fruitless == FRUITLESS_BLOCKS:
            raise AworkPagingError(f"awork says that {page.total} rows match, but sends none")
        # After a short page that brought nothing new, an empty one says that nothing follows. Otherwise rows may have
        # moved to lower positions meanwhile.
        if self.frontier is not None and not unproductive:
            if page.total is not None:
                block.position = min(block.position, page.total)
            self._widen(block, request)
        return unproductive

    def _check_order(self, request: PageRequest, page: Page) -> None:
        if not page.in_order:
            raise AworkAssumptionError(
                "awork does not keep the order that was asked for (orderby=createdOn): pages cannot be read exactly. "
                "If only the second term is at fault, set the connection extra order_by_id to false."
            )
        if self._exact_anchor and request.anchor and page.keys[0] < request.anchor:
            raise AworkAssumptionError(
                f"createdOn ge datetime'{request.anchor}' brought a row of {page.keys[0]}: awork does not read "
                "datetime literals in the assumed time zone. Set the connection extra literal_timezone to the zone "
                "it uses, or anchor_on_created_on to false."
            )

    def _size_used(self, request: PageRequest, page: Page) -> int:
        """The page size that the server used; a cap below ours is learnt."""
        if page.size is not None and 0 < page.size < request.size:
            self._learn_cap(page.size)
            return page.size
        return request.size

    @property
    def _largest_overlap(self) -> int:
        return max(LEAST_OVERLAP, int(self._cap * LARGEST_OVERLAP))

    def _learn_cap(self, rows: int) -> None:
        log.info("awork caps pages at %d rows", rows)
        self._cap = rows

    def _continues(self, request: PageRequest, page: Page) -> bool:
        if self.frontier is None or page.keys[0] < self.frontier:
            return True
        tied = page.ids[: bisect_right(page.keys, self.frontier)]
        delivered = [each in self._recent for each in tied]
        if request.number == 1 or not any(delivered):
            return any(delivered)
        # The page starts within a group of rows with the same createdOn, so only the order of ids tells which of them
        # come before it. That is not relied on for a group that a page can hold whole: it is read again first.
        if self._long_ties != self.frontier:
            self._long_ties = self.frontier
            self._overlap = max(self._overlap, SURE_TIES)
            return False
        if self._order_by_id and self._in_order_of_ids(tied, delivered):
            self._disorders = 0
            return True
        # Once or twice it may be a row that was deleted between two answers.
        self._disorders += len(tied) > 1
        if self._disorders > DISORDERLY_PAGES:
            raise AworkPagingError(
                f"a group of rows created on {self.frontier} does not fit into one page, and awork does not keep "
                "rows with the same createdOn in one order (orderby=createdOn,id): some could be lost. "
                "Check the connection extra order_by_id, or export around that instant with a filter that makes "
                "the group smaller."
            )
        return False

    def _in_order_of_ids(self, tied: list[str], delivered: list[bool]) -> bool:
        """
        Whether a page that starts within a group of equal createdOn shows that the group has kept its order.

        The delivered rows must come first, as they were delivered, and so many that it cannot be by chance.

        :param tied: ids of the page's rows of the group.
        :param delivered: which of them have been delivered.
        """
        ties = [each for each, key in self._recent.items() if key == self.frontier]
        again = set(compress(tied, delivered))
        in_order = [each for each in ties if each in again]
        return len(again) >= min(SURE_TIES, len(ties), self._largest_overlap) and tied[: len(again)] == in_order

    def _accepts_short(self, page: Page, size: int) -> bool:
        """
        Whether to use a page with fewer rows than asked although more match. It may be no whole snapshot.

        The first time, the page is thrown away and asked for again: rows and total may have been counted apart. The
        second time, it may be a cap that the server does not report. Then rows are missing.
        """
        if self._accept_short_pages:
            log.warning("A page of %d rows where %d were due: accepted, as the connection says", len(page.rows), size)
            return True
        self._short_pages += 1
        if self._short_pages == 2 and page.size is None:
            self._cap = len(page.rows)
        elif self._short_pages > 2:
            raise AworkAssumptionError(
                f"awork sends a page of {len(page.rows)} rows where {size} were asked for and more match "
                f"({page.total} in all): rows may be missing in between. Ask awork's support about it; to go on "
                "without these rows, set the connection extra accept_short_pages to true."
            )
        return False

    def _widen(self, block: _Block, request: PageRequest) -> None:
        """A page did not continue the frontier: let pages overlap more, and look further back for the frontier."""
        self._overlap = min(self._overlap * 4, self._largest_overlap)
        self.rereads += 1
        log.debug("Rows changed while paging: reading again from %s, pages overlap by %d", self.frontier, self._overlap)
        start = (request.number - 1) * request.size
        if start and start < block.position:  # it should have overlapped, so rows before it went
            self._misses += 1
            block.position = max(0, start - self._cap * 2 ** min(self._misses, 8) // 4)
        if start:
            return
        if self._reach_back >= len(self._recent):
            raise AworkAssumptionError(
                f"none of the last {len(self._recent)} delivered rows comes back when asking for createdOn ge "
                f"datetime'{request.anchor}': awork does not read datetime literals in the assumed time zone (set "
                "the connection extra literal_timezone, or anchor_on_created_on to false), or all of them were "
                "deleted or left the filter during this run (run again)."
            )
        self._reach_back = max(self._cap // 2, self._reach_back * 4)

    def _is_beyond_newest(self, page: Page) -> bool:
        """
        Whether a page has a row that was created after the list was asked for its newest one: at the first such page.

        If the newest rows do not come newest first, or are older than what is delivered already, nothing is known.
        """
        if not self._newest_asked:
            self._newest_asked = True
            keys = self._fetch(PageRequest(None, 1, NEWEST_ROWS, newest_first=True)).keys
            if keys and keys == sorted(keys, reverse=True) and keys[0] >= page.keys[-1]:
                self._newest = keys[0]
        return self._newest is not None and page.keys[-1] > self._newest

    # -- delivering ----------------------------------------------------------------------------------------------

    def _take(self, page: Page) -> list[msgspec.Raw]:
        """The rows of a page after the frontier; moves the frontier to the page's last row."""
        start = 0 if self.frontier is None else bisect_left(page.keys, self.frontier)
        taken = [index for index in range(start, len(page.rows)) if page.ids[index] not in self._recent]
        if not taken:
            return []
        self._recent.update((page.ids[index], page.keys[index]) for index in taken)
        self.frontier = page.keys[-1]
        self.rows += len(taken)
        self._reach_back = 1
        self._short_pages = 0
        return [page.rows[index] for index in taken]

    def _estimate(self, page: Page, reached: int) -> None:
        self.expected = None if page.total is None else self.rows + max(0, page.total - reached)

    # -- what to ask for -----------------------------------------------------------------------------------------

    def _first_block(self) -> _Block:
        """The first page is requested alone: it tells how many pages to request with it."""
        pages = self._plan(None, 0, None)
        block = _Block(pages[:1], 0, unsent=pages[:1])
        self._send(block)
        first = block.answers[pages[0]].result()
        if len(first.rows) == pages[0].size:
            block.pages = pages if first.total is None else self._plan(None, 0, first.total)
            block.unsent = block.pages[:0:-1][:1] + block.pages[1:-1]
        return block

    def _next_block(self, block: _Block) -> _Block:
        """The block requested ahead if it fits, else one that starts at the frontier."""
        if block.complete and block.following:
            self._forget(block.following.pages[0].anchor)
            return block.following
        for abandoned in filter(None, (block, block.following)):
            for answer in abandoned.answers.values():
                answer.cancel()
        if self.frontier is None:
            return self._block(None, 0, self.expected)
        anchor = self._anchor(list(self._recent.values())[-min(self._reach_back, len(self._recent))])
        position = block.position
        if anchor != block.pages[0].anchor:
            position = sum(key >= (anchor or "") for key in self._recent.values())
        self._forget(anchor)
        return self._block(anchor, position, None if self.expected is None else self.expected - self.rows)

    def _request_following(self, block: _Block) -> None:
        """Request the next block as soon as the last page of this one tells its anchor."""
        last = block.pages[-1]
        answer = block.answers.get(last)
        if block.following or block.unsent or answer is None or not answer.done() or answer.exception():
            return
        page = answer.result()
        if not page.keys or len(page.rows) < last.size or page.total is None:
            return
        anchor = self._anchor(page.keys[-1])
        position = last.number * last.size
        remaining = page.total - position
        if anchor is not None:
            first = bisect_left(page.keys, anchor)
            if first == 0:  # a burst that began on an earlier page
                return
            position = len(page.rows) - first
        if remaining > 0:
            block.following = self._block(anchor, position, remaining)

    def _block(self, anchor: str | None, position: int, remaining: int | None) -> _Block:
        pages = self._plan(anchor, position, None if remaining is None else position + remaining)
        return _Block(pages, position, unsent=pages[-1:] + pages[:-1])

    def _plan(self, anchor: str | None, position: int, expected: int | None) -> list[PageRequest]:
        """
        Pages from the frontier on, each overlapping the one before by at least ``self._overlap`` rows.

        :param position: rows up to the frontier under the anchor.
        :param expected: rows under the anchor.
        """
        number, size = 1, self._cap
        if self._reach_back == 1 and 2 * (position - self._overlap) > self._cap:
            number, size = self._page_around(position - self._overlap)
        pages = [PageRequest(anchor, number, size)]
        most = 2 if self._misses else BLOCK_PAGES
        while len(pages) < most and (expected is None or number * size < expected):
            smaller = size - math.ceil(self._overlap / number)
            gain = (number + 1) * smaller - number * size
            if smaller <= self._cap // 2 or gain <= self._cap // 4:
                break
            number, size = number + 1, smaller
            pages.append(PageRequest(anchor, number, size))
        if self._fruitless:
            # Tell whether anything follows a short page that brought nothing new.
            pages += [PageRequest(anchor, number + further, size) for further in (1, 2)]
        return pages

    def _page_around(self, start: int) -> tuple[int, int]:
        """Number and size of the page that begins at row ``start`` or a little before, and reaches furthest."""
        size = max(range(self._cap // 2 + 1, self._cap + 1), key=lambda size: size - start % size)
        return start // size + 1, size

    def _anchor(self, key: str) -> str | None:
        return key[:19] if self._anchored else None

    def _forget(self, anchor: str | None) -> None:
        """Keep the delivered rows that can come back under the anchor, and some more to reach back to."""
        keys = list(self._recent.values())
        from_anchor = bisect_left(keys, anchor) if anchor else len(keys)
        keep = min(from_anchor, bisect_left(keys, self.frontier or ""), max(0, len(keys) - REMEMBERED_ROWS))
        self._recent = dict(list(self._recent.items())[keep:])

    # -- requests in flight --------------------------------------------------------------------------------------

    def _answer(self, block: _Block, request: PageRequest) -> Page:
        if self.rows or request not in block.answers:
            self._send(block)
        page = block.answers.pop(request).result()
        if self.rows:  # the first rows may be all that the caller wants
            self._send(block)
        return page

    def _send(self, block: _Block) -> None:
        """Send what is wanted, in order."""
        chain = [each for each in (block, block.following) if each]
        room = self._pages_ahead() - sum(len(each.answers) for each in chain)
        for each in chain:
            while each.unsent and room > 0:
                request = each.unsent.pop(0)
                each.answers[request] = self._pool.submit(self._timed_fetch, request)
                room -= 1

    def _pages_ahead(self) -> int:
        """
        How many answers may be in flight or wait to be read: as many as the caller works off while one comes, and two
        to spare, as a page is megabytes.

        The quickest answer counts: what the others took longer, they may have waited for each other.
        """
        if not self._work_seconds:
            return min(FIRST_PAGES_AHEAD, self._concurrency + 1)
        work = sum(self._work_seconds) / len(self._work_seconds)
        return min(math.ceil(min(self._answer_seconds) / max(work, 1e-6)) + 2, self._concurrency + 1)

    def _timed_fetch(self, request: PageRequest) -> Page:
        started = time.monotonic()
        page = self._fetch(request)
        self._answer_seconds.append(time.monotonic() - started)
        return page
