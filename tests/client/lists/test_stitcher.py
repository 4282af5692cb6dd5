"""From frontier and page to a decision: one table for each rule, with pages of five rows."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from airflow_provider_awork.client.behaviour import AworkBehaviour
from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.plan import Layout, Position
from airflow_provider_awork.client.lists.stitcher import (
    FRUITLESS_BLOCKS,
    End,
    Fail,
    ReadAgain,
    Result,
    Stitcher,
    Take,
    Then,
)
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError
from tests.helpers.changing_server import page_of

SIZE = 5
START = Position(None, 0, None)


def request(number: int, size: int = SIZE, *, anchor: int | None = None) -> PageRequest:
    return PageRequest(None if anchor is None else second(anchor), number, size)


def second(number: int) -> str:
    return f"2026-01-01T00:00:{number:02}"


def spread(ids: str, *, start: int = 0) -> list[tuple[float, str]]:
    """Rows one second apart."""
    return list(zip(itertools.count(start), ids, strict=False))


def group(ids: str, *, at: int) -> list[tuple[float, str]]:
    """Rows of one instant."""
    return [(at, row_id) for row_id in ids]


def page(rows: list[tuple[float, str]], total: int | None = 20, size: int | None = SIZE) -> Page:
    return page_of(rows, total=total, size=size)


def take(ids: str, then: Then = Then.NEXT_PAGE, *, may_be_last: bool = False) -> Take:
    return Take([msgspec.Raw(msgspec.json.encode(row_id)) for row_id in ids], then, may_be_last)


def stitcher_after(*pages: tuple[PageRequest, Page], **behaviour: Any) -> Stitcher:
    """A stitcher that has taken pages of one block."""
    stitcher = Stitcher(AworkBehaviour(**behaviour), SIZE)
    stitcher.begin_block(START)
    for asked, answer in pages:
        assert isinstance(stitcher.stitch(asked, answer), Take)
    return stitcher


FIRST = (request(1), page(spread("abcde")))  # the frontier is row e, of second 4


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        pytest.param(spread("efg", start=4) + spread("hi", start=7), take("fghi"), id="a delivered row"),
        pytest.param(spread("defgh", start=3), take("fgh"), id="an earlier row"),
        pytest.param([(3.5, "x"), *spread("fghi", start=5)], take("fghi"), id="an earlier row, edited in meanwhile"),
        pytest.param([*group("ex", at=4), *spread("fgh", start=5)], take("xfgh"), id="a later row of the same instant"),
        pytest.param(spread("abcde"), take(""), id="only delivered rows"),
        pytest.param(spread("fghij", start=5), ReadAgain(), id="a gap may lie between"),
        pytest.param([*group("x", at=4), *spread("fghi", start=5)], ReadAgain(), id="an unknown row of the instant"),
    ],
)
def test_a_page_continues_the_frontier(rows: list[tuple[float, str]], result: Result) -> None:
    assert stitcher_after(FIRST).stitch(request(1), page(rows)) == result


def first(total: int | None) -> tuple[PageRequest, Page]:
    return request(1), page(spread("abcde"), total)


@pytest.mark.parametrize(
    ("history", "asked", "answer", "result"),
    [
        # a total shows the end
        ([], request(1), page(spread("abc"), total=3), take("abc", Then.END)),
        ([first(7)], request(2, 4), page(spread("def", start=3), total=7, size=4), take("f", Then.END)),
        ([first(9)], request(2, 4), page(spread("defg", start=3), total=9, size=4), take("fg")),
        # totals that differ within a block show nothing
        ([first(8)], request(2, 4), page(spread("def", start=3), total=7, size=4), take("f")),
        # without totals, the newest row shows it
        ([], request(1), page(spread("abc"), total=None), take("abc", may_be_last=True)),
        ([], request(1), page(spread("abcde"), total=None), take("abcde")),
        # a list without rows
        ([], request(1), page([], total=0), End()),
        ([], request(1), page([], total=None), End()),
        ([], request(1), page([], total=3), ReadAgain()),
        # an empty page is the end only after a short page that brought no row
        ([first(None)], request(2), page([], total=None), ReadAgain()),
        ([first(None), (request(1), page(spread("cde", start=2), None))], request(2), page([], None), End()),
        ([first(None), (request(1), page(spread("def", start=3), None))], request(2), page([], None), ReadAgain()),
    ],
)
def test_the_end(history: list[tuple[PageRequest, Page]], asked: PageRequest, answer: Page, result: Result) -> None:
    assert stitcher_after(*history).stitch(asked, answer) == result


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (page(spread("abcde"), total=12), 12),
        (page(spread("abcde"), total=5), 5),
        (page(spread("abcde"), total=None), None),
        (page([], total=0), 0),
    ],
)
def test_rows_to_expect(answer: Page, expected: int | None) -> None:
    stitcher = stitcher_after()
    stitcher.stitch(request(1), answer)
    assert stitcher.expected == expected


GAP = spread("yz", start=50)


@pytest.mark.parametrize(
    ("asked", "before", "layout", "changed", "before_then"),
    [
        # page 1 under an anchor: look further back for the frontier
        (request(1), 5, Layout(SIZE), Layout(SIZE, reach_back=4), 5),
        (request(1), 5, Layout(SIZE, reach_back=3), Layout(SIZE, reach_back=12), 5),
        (request(1, 100), 5, Layout(100), Layout(100, overlap=8, reach_back=50), 5),
        # a page that was to overlap the frontier: rows before it were removed
        (request(3, 100), 210, Layout(100), Layout(100, overlap=8, misses=1), 150),
        (request(3, 100), 210, Layout(100, misses=1), Layout(100, overlap=8, misses=2), 100),
        (request(3, 100), 210, Layout(100, misses=9), Layout(100, overlap=8, misses=10), 0),
        # a page that was not: the page before it brought too little
        (request(3, 100), 200, Layout(100, overlap=8), Layout(100, overlap=25), 200),
    ],
)
def test_after_a_page_that_does_not_continue(
    asked: PageRequest, before: int, layout: Layout, changed: Layout, before_then: int
) -> None:
    stitcher = stitcher_after(FIRST)
    stitcher.layout, stitcher.block.before = layout, before

    assert stitcher.stitch(asked, page(GAP, size=asked.size)) == ReadAgain()
    assert (stitcher.layout, stitcher.block.before, stitcher.rereads) == (changed, before_then, 1)


def test_a_page_that_continues_ends_a_series_of_misses() -> None:
    stitcher = stitcher_after(FIRST)
    stitcher.layout.misses, stitcher.layout.reach_back = 3, 4

    assert stitcher.stitch(request(1), page(spread("efghi", start=4))) == take("fghi")
    assert stitcher.layout == Layout(SIZE)


@pytest.mark.parametrize(
    ("behaviour", "size", "results", "cap"),
    [
        # rows and total may have been counted apart, or the server caps pages without reporting it
        ({}, None, [ReadAgain(), ReadAgain(), Fail], 3),
        ({}, SIZE, [ReadAgain(), ReadAgain(), Fail], SIZE),
        ({"accept_short_pages": True}, SIZE, [take("abc"), take(""), take("")], SIZE),
    ],
)
def test_short_pages_although_more_match(
    behaviour: dict[str, Any], size: int | None, results: list[Any], cap: int
) -> None:
    stitcher = stitcher_after(**behaviour)
    for result in results:
        found = stitcher.stitch(request(1), page(spread("abc"), size=size))
        assert found == result or isinstance(found, result)
    assert stitcher.layout.cap == cap


def test_a_reported_cap_is_learnt_and_ends_the_block() -> None:
    stitcher = stitcher_after()

    assert stitcher.stitch(request(1), page(spread("abc"), size=3)) == take("abc", Then.NEW_BLOCK)
    assert stitcher.layout.cap == 3


@pytest.mark.parametrize(
    ("answer", "result", "cap"),
    [
        # again as many rows as the largest page: the server caps pages
        (page(spread("bcd", start=1), total=None, size=None), take("d", Then.NEW_BLOCK), 3),
        (page(spread("def", start=3), total=None, size=None), ReadAgain(), 3),
        # fewer rows: this may be the last page
        (page([(1, "b"), (3, "d")], total=None, size=None), take("d", may_be_last=True), SIZE),
    ],
)
def test_a_cap_that_is_not_reported(answer: Page, result: Result, cap: int) -> None:
    stitcher = stitcher_after((request(1), page(spread("abc"), total=None, size=None)))

    assert stitcher.stitch(request(2, 4), answer) == result
    assert stitcher.layout.cap == cap


EDGE = (request(1), page([*spread("a"), *group("bcde", at=1)]))  # the frontier lies within a group of second 1


@pytest.mark.parametrize(
    ("tied", "results"),
    [
        pytest.param("defg", [ReadAgain(), take("fg")], id="in the order of before"),
        pytest.param("cdef", [ReadAgain(), take("f")], id="more of it"),
        pytest.param("edfg", [ReadAgain()] * 5 + [Fail], id="delivered rows in another order"),
        pytest.param("fdeg", [ReadAgain()] * 5 + [Fail], id="an unknown row before delivered rows"),
        pytest.param("efgh", [ReadAgain()] * 5 + [Fail], id="too few delivered rows"),
    ],
)
def test_a_page_that_starts_within_a_group(tied: str, results: list[Any]) -> None:
    stitcher = stitcher_after(EDGE)
    stitcher.layout.cap = 8  # two rows must come again
    for result in results:
        found = stitcher.stitch(request(2, 4), page(group(tied, at=1), size=4))
        assert found == result or isinstance(found, result)


def test_the_order_of_ids_is_not_relied_on_if_awork_does_not_keep_it() -> None:
    stitcher = stitcher_after(EDGE, order_by_id=False)
    found = [stitcher.stitch(request(2, 4), page(group("cdefg", at=1), size=4)) for _ in range(6)]

    assert found[:-1] == [ReadAgain()] * 5
    assert isinstance(found[-1], Fail)


ANCHORED = request(1, anchor=2)


@pytest.mark.parametrize(
    ("asked", "answer", "behaviour", "message"),
    [
        (request(1), page([(1, "a"), (0, "b")]), {}, "orderby=createdOn.*order_by_id to false"),
        (ANCHORED, page(spread("abcde")), {}, "brought a row of .*literal_timezone"),
        (ANCHORED, page(spread("abcde")), {"literal_timezone": "Europe/Berlin"}, None),
        (ANCHORED, page(spread("cdefg", start=2)), {}, None),
        (request(1), Page([msgspec.Raw(b"{}")] * 2, [], [], total=2), {}, None),
        (request(1), Page([msgspec.Raw(b"{}")] * 2, [], [], total=3), {}, "rows without createdOn"),
        (request(1), Page([msgspec.Raw(b"{}")] * 5, [], [], total=None), {}, "rows without createdOn"),
    ],
)
def test_what_cannot_be_read_exactly_fails(
    asked: PageRequest, answer: Page, behaviour: dict[str, Any], message: str | None
) -> None:
    result = stitcher_after(**behaviour).stitch(asked, answer)
    if message is None:
        assert isinstance(result, Take)
        return
    assert isinstance(result, Fail)
    with pytest.raises(AworkPagingError, match=message):
        raise result.error


def test_no_delivered_row_that_comes_back_fails() -> None:
    stitcher = stitcher_after(FIRST)
    results = [stitcher.stitch(ANCHORED, page(GAP)) for _ in range(3)]

    assert results[:2] == [ReadAgain(), ReadAgain()]
    assert isinstance(results[2], Fail)
    assert results[2].suspect == ANCHORED
    assert not isinstance(results[2].error, AworkAssumptionError)
    assert "none of the last 5 delivered rows is in the list any more" in str(results[2].error)


@pytest.mark.parametrize(
    ("is_complete", "brought_rows", "layout", "changed"),
    [
        (True, True, Layout(SIZE, overlap=8, fruitless_blocks=3), Layout(SIZE, overlap=4)),
        (True, False, Layout(SIZE, overlap=8), Layout(SIZE, overlap=4, fruitless_blocks=1)),
        (False, True, Layout(SIZE, overlap=8, fruitless_blocks=3), Layout(SIZE, overlap=8)),
        (False, False, Layout(SIZE, overlap=8), Layout(SIZE, overlap=8, fruitless_blocks=1)),
    ],
)
def test_the_end_of_a_block(is_complete: bool, brought_rows: bool, layout: Layout, changed: Layout) -> None:
    stitcher = stitcher_after(*[FIRST] * brought_rows)
    stitcher.layout = layout

    assert stitcher.end_block(is_complete=is_complete) is None
    assert stitcher.layout == changed


def test_many_blocks_without_a_row_fail() -> None:
    stitcher = stitcher_after()
    results = [stitcher.end_block(is_complete=False) for _ in range(FRUITLESS_BLOCKS + 1)]

    assert results[:-1] == [None] * FRUITLESS_BLOCKS
    assert isinstance(results[-1], Fail)


@pytest.mark.parametrize(
    ("behaviour", "reach_back", "position"),
    [
        # at the second of the frontier, with the rows of that second
        ({}, 1, Position(second(1), before=4, total=19)),
        # further back, but not further than what is remembered
        ({}, 5, Position(second(0), before=5, total=20)),
        ({}, 99, Position(second(0), before=5, total=20)),
        ({"anchor_on_created_on": False}, 1, Position(None, before=5, total=20)),
    ],
)
def test_where_the_next_block_begins(behaviour: dict[str, Any], reach_back: int, position: Position) -> None:
    stitcher = stitcher_after(EDGE, **behaviour)
    stitcher.layout.reach_back = reach_back

    assert stitcher.next_position() == position


def test_under_the_same_anchor_page_numbers_go_on() -> None:
    stitcher = stitcher_after(EDGE)
    stitcher.begin_block(Position(second(1), before=4, total=19))
    stitcher.stitch(request(1, anchor=1), page(group("bcdef", at=1), total=19))

    assert stitcher.next_position() == Position(second(1), before=5, total=19)


def test_before_the_first_row_a_block_begins_at_the_start() -> None:
    assert stitcher_after().next_position() == START
