"""From a position to requests: one table for each rule."""

from __future__ import annotations

from itertools import pairwise

import pytest

from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.plan import Layout, Position, page_around, plan_block, position_after
from tests.helpers.changing_server import page_of

ANCHOR = "2026-01-01T00:00:05"


@pytest.mark.parametrize(
    ("before", "total", "layout", "pages"),
    [
        # the first page, and a list that fits into it
        (0, 0, Layout(), [(1, 1000)]),
        (0, 1000, Layout(), [(1, 1000)]),
        # each page begins two rows before its neighbour ends
        (0, 1001, Layout(), [(1, 1000), (2, 998)]),
        (0, 2990, Layout(), [(1, 1000), (2, 998), (3, 997)]),
        # without a total, as many as a block has
        (0, None, Layout(), [(1, 1000), *zip(range(2, 11), range(998, 989, -1), strict=True)]),
        # the larger the overlap, the faster the pages shrink
        (0, 4000, Layout(overlap=100), [(1, 1000), (2, 900), (3, 850), (4, 816), (5, 791), (6, 771)]),
        # a page that would bring too little is left out
        (0, None, Layout(cap=20, overlap=5), [(1, 20), (2, 15), (3, 12)]),
        # far from the start, the first page is the one around the overlapping rows that reaches furthest
        (2502, 9000, Layout(), [(4, 833), (5, 832), (6, 831), (7, 830), (8, 829), (9, 828), (10, 827), (11, 826)]),
        (502, 900, Layout(), [(1, 1000)]),
        (503, 900, Layout(), [(2, 501)]),
        # reaching back starts at the anchor
        (2502, 2600, Layout(reach_back=2), [(1, 1000), (2, 998), (3, 997)]),
        # after a miss, a block is short
        (0, 9000, Layout(misses=1), [(1, 1000), (2, 998)]),
        # after a block that brought no row, two pages more show whether the list ends
        (0, 500, Layout(fruitless_blocks=1), [(1, 1000), (2, 1000), (3, 1000)]),
    ],
)  # fmt: skip
def test_pages_of_a_block(before: int, total: int | None, layout: Layout, pages: list[tuple[int, int]]) -> None:
    assert plan_block(Position(ANCHOR, before, total), layout) == [PageRequest(ANCHOR, *page) for page in pages]


@pytest.mark.parametrize("overlap", [2, 8, 32, 250])
@pytest.mark.parametrize("before", [0, 700, 2500, 12_345])
@pytest.mark.parametrize("cap", [1000, 100])
def test_neighbours_overlap_by_at_least_the_overlap(cap: int, before: int, overlap: int) -> None:
    layout = Layout(cap=cap, overlap=min(overlap, cap // 4))
    pages = plan_block(Position(None, before, None), layout)

    assert pages[0].start <= max(0, before - layout.overlap)
    for earlier, later in pairwise(pages):
        assert later.start <= earlier.start + earlier.size - layout.overlap
        assert later.start + later.size > earlier.start + earlier.size


@pytest.mark.parametrize(
    ("start", "cap", "number", "size"),
    [(1000, 1000, 2, 1000), (2500, 1000, 4, 833), (999, 1000, 2, 999), (7, 10, 2, 7)],
)
def test_the_page_around_a_row(start: int, cap: int, number: int, size: int) -> None:
    assert page_around(start, cap) == (number, size)
    assert (number - 1) * size <= start < number * size


@pytest.mark.parametrize(
    ("layout", "largest", "wider", "narrower"),
    [
        (Layout(), 250, 8, 2),
        (Layout(overlap=8), 250, 32, 4),
        (Layout(overlap=250), 250, 250, 125),
        (Layout(cap=100, overlap=8), 25, 25, 4),
        (Layout(cap=5), 2, 2, 2),
    ],
)
def test_overlaps(layout: Layout, largest: int, wider: int, narrower: int) -> None:
    widened, narrowed = Layout(layout.cap, layout.overlap), Layout(layout.cap, layout.overlap)
    widened.widen()
    narrowed.narrow()

    assert (layout.largest_overlap, widened.overlap, narrowed.overlap) == (largest, wider, narrower)


LAST = PageRequest(None, 2, 5)  # rows 5 to 9
ROWS = [(5, "f"), (6, "g"), (7, "h"), (8, "i"), (8, "j")]  # (second, id)


@pytest.mark.parametrize(
    ("page", "is_anchored", "position"),
    [
        (page_of(ROWS, total=14), True, Position("2026-01-01T00:00:08", before=2, total=6)),
        (page_of(ROWS, total=14), False, Position(None, before=10, total=14)),
        # nothing follows
        (page_of(ROWS, total=10), True, None),
        (page_of(ROWS, total=10), False, None),
        # not known: a short page, no total, no rows
        (page_of(ROWS[:4], total=14), True, None),
        (page_of(ROWS, total=None), True, None),
        (page_of([], total=14), True, None),
        # all rows are of one second, which began on an earlier page
        (page_of([(5, each) for each in "fghij"], total=14), True, None),
        (page_of([(5, each) for each in "fghij"], total=14), False, Position(None, before=10, total=14)),
    ],
)
def test_where_the_next_block_begins(page: Page, is_anchored: bool, position: Position | None) -> None:
    assert position_after(LAST, page, is_anchored=is_anchored) == position
