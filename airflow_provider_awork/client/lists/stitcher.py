"""
From the frontier and a page to a decision: take the page's rows, read again wider, end, or fail.

The stitcher knows no threads, no clocks and no HTTP. Its state is what earlier pages have shown, in one small object
per subject: the delivered rows, the layout of further pages, the block being read, the sizes of pages, and a group of
rows with the same ``createdOn`` that crosses pages.
"""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass, field
from itertools import compress

import msgspec

from airflow_provider_awork.client.behaviour import AworkBehaviour
from airflow_provider_awork.client.lists import failures
from airflow_provider_awork.client.lists.delivered import Delivered
from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.plan import Layout, Position, anchor_of
from airflow_provider_awork.exceptions import AworkPagingError

log = logging.getLogger(__name__)

FRUITLESS_BLOCKS = 12
DISORDERLY_PAGES = 4
SURE_TIES = 8  # delivered rows that must come again in order before the order of a group is relied on


class Then(enum.Enum):
    """Where to go on after the rows of a page."""

    NEXT_PAGE = "read the next page of the block"
    NEW_BLOCK = "begin a block at the frontier"
    END = "nothing follows"


@dataclass(frozen=True, slots=True)
class Take:
    """
    The page continues the frontier: deliver its rows after the frontier.

    :param rows: those rows; may be none.
    :param then: where to go on.
    :param may_be_last: the page is short, and no total shows whether it is the last one.
    """

    rows: list[msgspec.Raw]
    then: Then = Then.NEXT_PAGE
    may_be_last: bool = False


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """The page is no use: throw it away and begin a block at the frontier."""


@dataclass(frozen=True, slots=True)
class End:
    """The page is empty, and nothing can follow."""


@dataclass(frozen=True, slots=True)
class Fail:
    """
    The list cannot be read exactly.

    :param error: why.
    :param suspect: the page whose anchor awork may have read otherwise than meant.
    """

    error: AworkPagingError
    suspect: PageRequest | None = None


Result = Take | ReadAgain | End | Fail


@dataclass(slots=True)
class BlockState:
    """
    The block being read.

    :param anchor: of its pages.
    :param before: how many rows come under the anchor up to the frontier.
    :param rows_at_start: rows delivered before the block.
    :param totals: the different totals that its pages reported.
    :param is_exhausted: the page before was short and brought no row.
    :param is_capped: the page before may have been cut by a cap that the server does not report.
    """

    anchor: str | None = None
    before: int = 0
    rows_at_start: int = 0
    totals: set[int | None] = field(default_factory=set)
    is_exhausted: bool = False
    is_capped: bool = False


@dataclass(slots=True)
class PageSizes:
    """
    What pages have shown of their sizes.

    :param largest: rows of the largest page.
    :param short_pages: pages in a row that lacked rows.
    """

    largest: int = 0
    short_pages: int = 0


@dataclass(slots=True)
class CrossingGroup:
    """
    The last group of rows with the same ``createdOn`` within which a page started.

    :param instant: their ``createdOn``.
    :param disorders: pages in a row that did not show the group in the order of before.
    """

    instant: str | None = None
    disorders: int = 0


class Stitcher:
    """
    Decides about pages, one after the other.

    :param behaviour: what is assumed of awork.
    :param page_size: rows of the largest page to request.
    """

    def __init__(self, behaviour: AworkBehaviour, page_size: int) -> None:
        self.behaviour = behaviour
        self.layout = Layout(cap=page_size)
        self.delivered = Delivered()
        self.block = BlockState()
        self.sizes = PageSizes()
        self.group = CrossingGroup()
        self.expected: int | None = None
        self.rereads = 0

    # -- blocks --------------------------------------------------------------------------------------------------

    def next_position(self) -> Position:
        """Return where the next block begins: at the frontier, or further back if the frontier did not come back."""
        delivered = self.delivered
        if delivered.frontier is None:
            return Position(None, 0, self.expected)
        anchor, before = self.block.anchor, self.block.before
        if self.behaviour.anchor_on_created_on:
            anchor = anchor_of(delivered.key_back(self.layout.reach_back))
            if anchor != self.block.anchor:
                before = delivered.count_from(anchor)
        remaining = None if self.expected is None else self.expected - delivered.rows
        return Position(anchor, before, None if remaining is None else before + remaining)

    def begin_block(self, position: Position) -> None:
        """Begin a block at a position."""
        self.delivered.forget(position.anchor)
        self.block = BlockState(position.anchor, position.before, rows_at_start=self.delivered.rows)

    def end_block(self, *, is_complete: bool) -> Fail | None:
        """
        End a block after which more may follow; fail after too many that brought no row.

        :param is_complete: whether all its pages continued the frontier.
        """
        if is_complete:
            self.layout.narrow()
        if self.delivered.rows > self.block.rows_at_start:
            self.layout.fruitless_blocks = 0
            return None
        self.layout.fruitless_blocks += 1
        if self.layout.fruitless_blocks <= FRUITLESS_BLOCKS:
            return None
        return Fail(failures.nothing_continues(self.delivered.frontier, self.layout.fruitless_blocks))

    # -- pages ---------------------------------------------------------------------------------------------------

    def stitch(self, request: PageRequest, page: Page) -> Result:
        """Decide about the next page of the block, and move the frontier if its rows are taken."""
        if not page.keys:
            return self._take_undated(request, page) if page.rows else self._pass_empty(request, page)
        if fail := self._check_order(request, page):
            return fail
        size = self._size_used(request, page)
        is_capped = page.size is None and len(page.rows) == self.sizes.largest < request.size
        if not self._continues(request, page):
            if self.group.disorders > DISORDERLY_PAGES:
                return Fail(failures.disorderly_group(self.delivered.frontier))
            if is_capped or self.block.is_capped:
                self._learn_cap(self.sizes.largest)
            return self._read_again_wider(request)
        self.layout.misses = 0
        if page.lacks_rows(request.number, size) and (refused := self._refuse_short(page, size)):
            return refused
        return self._take(request, page, size, is_capped=is_capped)

    def _take_undated(self, request: PageRequest, page: Page) -> Result:
        """Take the rows of a list without ``createdOn``, if they are all there is."""
        more = len(page.rows) >= request.size if page.total is None else page.total > len(page.rows)
        if self.delivered.frontier is not None or more:
            return Fail(failures.undated_rows())
        self.delivered.rows = self.expected = len(page.rows)
        return Take(page.rows, Then.END)

    def _pass_empty(self, request: PageRequest, page: Page) -> Result:
        if self.delivered.frontier is None:
            if not page.total:
                self.expected = 0
                return End()
            if self.layout.fruitless_blocks == FRUITLESS_BLOCKS:
                return Fail(failures.no_rows(page.total))
            return ReadAgain()
        # An empty page after a short page that brought no row shows that nothing follows. Otherwise rows may have moved
        # to lower positions meanwhile.
        if self.block.is_exhausted:
            return End()
        if page.total is not None:
            self.block.before = min(self.block.before, page.total)
        return self._read_again_wider(request)

    def _check_order(self, request: PageRequest, page: Page) -> Fail | None:
        if not page.in_order:
            return Fail(failures.wrong_order())
        # An anchor in another zone than UTC may be up to an hour early: its zone can have an hour twice.
        is_exact = self.behaviour.literal_timezone == "UTC"
        if is_exact and request.anchor and page.keys[0] < request.anchor:
            return Fail(failures.row_before_anchor(request, page))
        return None

    def _size_used(self, request: PageRequest, page: Page) -> int:
        """Return the page size that the server used; learn a cap below the size asked for."""
        if page.size is not None and 0 < page.size < request.size:
            self._learn_cap(page.size)
            return page.size
        return request.size

    def _learn_cap(self, rows: int) -> None:
        log.info("awork caps pages at %d rows", rows)
        self.layout.cap = rows

    # -- does a page continue the frontier? ----------------------------------------------------------------------

    def _continues(self, request: PageRequest, page: Page) -> bool:
        """Whether nothing can lie between the frontier and the page."""
        frontier = self.delivered.frontier
        if frontier is None or page.keys[0] < frontier:
            return True
        tied = self.delivered.tied_ids(page)
        is_delivered = [row_id in self.delivered for row_id in tied]
        if request.number == 1 or not any(is_delivered):
            return any(is_delivered)
        # The page starts within a group of rows with the same createdOn, so only the order of ids shows which of them
        # come before it. That is not relied on for a group that fits into a page: it is read again first.
        if self.group.instant != frontier:
            self.group.instant = frontier
            self.layout.overlap = max(self.layout.overlap, SURE_TIES)
            return False
        if self.behaviour.order_by_id and self._is_in_order_of_ids(tied, is_delivered):
            self.group.disorders = 0
            return True
        # Once or twice it may be a row that was deleted between two answers.
        self.group.disorders += len(tied) > 1
        return False

    def _is_in_order_of_ids(self, tied: list[str], is_delivered: list[bool]) -> bool:
        """
        Whether a page that starts within a group shows that the group has kept its order.

        The delivered rows must come first, as they were delivered, and so many that it cannot be by chance.

        :param tied: ids of the page's rows of the group.
        :param is_delivered: which of them have been delivered.
        """
        group = self.delivered.ids_at_frontier()
        again = set(compress(tied, is_delivered))
        in_order = [row_id for row_id in group if row_id in again]
        enough = min(SURE_TIES, len(group), self.layout.largest_overlap)
        return len(again) >= enough and tied[: len(again)] == in_order

    def _read_again_wider(self, request: PageRequest) -> ReadAgain | Fail:
        """Let pages overlap more after a page that does not continue the frontier, and look further back for it."""
        layout, block = self.layout, self.block
        layout.widen()
        self.rereads += 1
        log.debug(
            "Rows changed while paging: reading again from %s, pages overlap by %d",
            self.delivered.frontier,
            layout.overlap,
        )
        if request.start:
            if request.start < block.before:  # it was to overlap the frontier, so rows before it were removed
                layout.misses += 1
                block.before = max(0, request.start - layout.cap * 2 ** min(layout.misses, 8) // 4)
            return ReadAgain()
        if layout.reach_back >= len(self.delivered):
            return Fail(failures.rows_left(len(self.delivered)), suspect=request)
        layout.reach_back = max(layout.cap // 2, layout.reach_back * 4)
        return ReadAgain()

    # -- taking a page's rows ------------------------------------------------------------------------------------

    def _refuse_short(self, page: Page, size: int) -> ReadAgain | Fail | None:
        """
        Refuse a page with fewer rows than asked for although more match. It may be no whole snapshot.

        The first time, the page is requested again: rows and total may have been counted apart. The second time, it may
        be a cap that the server does not report. The third time, rows are missing.
        """
        if self.behaviour.accept_short_pages:
            log.warning("A page of %d rows where %d were due: accepted, as the connection says", len(page.rows), size)
            return None
        self.sizes.short_pages += 1
        if self.sizes.short_pages == 2 and page.size is None:
            self.layout.cap = len(page.rows)
        if self.sizes.short_pages <= 2:
            return ReadAgain()
        return Fail(failures.short_page(page, size))

    def _take(self, request: PageRequest, page: Page, size: int, *, is_capped: bool) -> Take:
        block, sizes = self.block, self.sizes
        sizes.largest = max(sizes.largest, len(page.rows))
        is_sure = page.size is not None or size <= sizes.largest
        # A server that caps pages without reporting it starts them earlier than it was asked to.
        size_of_start = size if is_sure else sizes.largest
        block.before = (request.number - 1) * size_of_start + len(page.rows)
        block.totals.add(page.total)
        rows = self.delivered.take(page)
        if rows:
            self.layout.reach_back = 1
            sizes.short_pages = 0
        reached = (request.number - 1) * size + len(page.rows)
        self.expected = None if page.total is None else self.delivered.rows + max(0, page.total - reached)
        if is_capped and rows:
            self._learn_cap(len(page.rows))
            return Take(rows, Then.NEW_BLOCK)
        is_short = len(page.rows) < size
        if is_short and is_sure and page.total is not None and reached >= page.total and len(block.totals) == 1:
            return Take(rows, Then.END)
        block.is_exhausted, block.is_capped = is_short and not rows, not is_sure
        return Take(
            rows,
            then=Then.NEW_BLOCK if size < request.size else Then.NEXT_PAGE,
            may_be_last=is_short and page.total is None,
        )
