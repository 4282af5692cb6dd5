"""The paging rule against a list that changes before every answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_awork.client.behaviour import AworkBehaviour
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.paging import PageReader
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError
from tests.helpers.changing_server import ChangingServer, assert_exact, read_ids

SECOND = 1_000_000
Change = Callable[[ChangingServer], None]


def spread(count: int, *, step: int = SECOND, start: int = 0) -> list[int]:
    return [start + index * step for index in range(count)]


def delete_oldest(server: ChangingServer) -> None:
    for _ in range(5):
        server.delete(0)


def delete_anywhere(server: ChangingServer) -> None:
    for _ in range(5):
        server.delete(server.random.randrange(1 << 30))


def insert_at_either_end(server: ChangingServer) -> None:
    server.insert(-len(server.requests) - 1)
    server.insert(30_000 * SECOND + len(server.requests))


def one_in_one_out(server: ChangingServer) -> None:
    server.delete(server.random.randrange(1 << 30))
    server.insert(server.random.randrange(10_000 * SECOND))


CHANGES = [delete_oldest, delete_anywhere, insert_at_either_end, one_in_one_out]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 1999, 2000, 9909, 9910, 9911, 9955, 10_000, 50_000])
def test_unchanging_list_is_read_whole_with_few_requests(count: int) -> None:
    server = ChangingServer(spread(count))
    ids = read_ids(server)
    assert ids == [row_id for _, row_id in server.rows]
    assert len(server.requests) <= math.ceil(count / 1000) * 1.02 + 3


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_exact_while_rows_come_and_go(change: Change, concurrency: int) -> None:
    server = ChangingServer(spread(10_000), change=change)
    assert_exact(server, read_ids(server, concurrency=concurrency))


@pytest.mark.parametrize("change", CHANGES)
def test_exact_without_anchors(change: Change) -> None:
    server = ChangingServer(spread(10_000), change=change)
    assert_exact(server, read_ids(server, behaviour=AworkBehaviour(anchor_on_created_on=False)))
    assert {request.anchor for request in server.requests} == {None}


@pytest.mark.parametrize("burst", [spread(3500, step=250), [7] * 3500], ids=["one second", "one instant"])
@pytest.mark.parametrize("change", CHANGES)
def test_exact_across_a_burst(burst: list[int], change: Change) -> None:
    instants = [*spread(3000), *(3000 * SECOND + each for each in burst), *spread(3000, start=3001 * SECOND)]
    server = ChangingServer(instants, change=change)
    assert_exact(server, read_ids(server))


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("cap", [1000, 100])
@pytest.mark.parametrize("change", [insert_at_either_end, one_in_one_out])
def test_a_list_without_totals_that_grows_with_each_look_has_an_end(change: Change, cap: int, says_size: bool) -> None:
    server = ChangingServer(spread(2_500), cap=cap, says_total=False, says_size=says_size, change=change)
    assert_exact(server, read_ids(server))


def test_a_list_without_totals_is_read_with_few_requests() -> None:
    server = ChangingServer(spread(50_000), says_total=False)
    assert read_ids(server) == [row_id for _, row_id in server.rows]
    # Two blocks are asked for before it is known that nothing follows.
    assert len(server.requests) <= 50 * 1.02 + 2 * 12 + 3


def test_newest_rows_that_come_oldest_first_end_nothing() -> None:
    server = ChangingServer(spread(2_500), says_total=False, ignores_descending=True)
    assert read_ids(server) == [row_id for _, row_id in server.rows]


def test_ties_in_no_stable_order_fail_if_they_do_not_fit_a_page() -> None:
    server = ChangingServer([*spread(3000), *[3000 * SECOND] * 3500], shuffles_ties=True)
    with pytest.raises(AworkPagingError, match=r"2026-01-01T00:50:00.*order_by_id"):
        read_ids(server)


@pytest.mark.parametrize("order_by_id", [True, False])
@pytest.mark.parametrize("group", [2, 300])
def test_ties_in_no_stable_order_are_exact_if_they_fit_a_page(group: int, order_by_id: bool) -> None:
    server = ChangingServer([index // group * SECOND for index in range(10_000)], shuffles_ties=True)
    assert_exact(server, read_ids(server, behaviour=AworkBehaviour(order_by_id=order_by_id)))


@pytest.mark.parametrize("order_by_id", [True, False])
@pytest.mark.parametrize("group", [50, 90, 101, 110, 130, 180])
def test_ties_in_no_stable_order_are_never_lost_by_chance(group: int, order_by_id: bool) -> None:
    """A little more than fits into a page is the hard case: few rows come twice, and soon look as if in order."""
    for seed in range(20):
        spot = 7 * seed
        instants = [*spread(spot), *[spot * SECOND] * group, *[(spot + 1 + index) * SECOND for index in range(150)]]
        server = ChangingServer(instants, cap=100, shuffles_ties=True, seed=seed)
        if group < 100:
            assert_exact(server, read_ids(server, behaviour=AworkBehaviour(order_by_id=order_by_id)))
        else:
            with pytest.raises(AworkPagingError, match="order_by_id"):
                read_ids(server, behaviour=AworkBehaviour(order_by_id=order_by_id))


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("cap", [1000, 100, 37])
def test_caps_and_missing_headers(cap: int, says_total: bool, says_size: bool) -> None:
    server = ChangingServer(
        spread(4_000), cap=cap, says_total=says_total, says_size=says_size, change=one_in_one_out, seed=cap
    )
    assert_exact(server, read_ids(server))


@pytest.mark.parametrize("seed", [46, 47, 48, 49, 50])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_small_pages_that_say_nothing_of_themselves(concurrency: int, seed: int) -> None:
    server = ChangingServer(spread(1_000), cap=33, says_total=False, says_size=False, change=one_in_one_out, seed=seed)
    assert_exact(server, read_ids(server, concurrency=concurrency))


@pytest.mark.parametrize("step", [SECOND, 7 * SECOND])
def test_literals_read_earlier_than_meant_are_noticed(step: int) -> None:
    server = ChangingServer(spread(20_000, step=step), literal_shift=timedelta(hours=-2))
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        read_ids(server)


@pytest.mark.parametrize("step", [SECOND, 7 * SECOND])
def test_literals_read_later_than_meant_are_asked_about(step: int) -> None:
    """The rows that do not come back may have left the list, so only a further look can accuse the literals."""
    server = ChangingServer(spread(20_000, step=step), literal_shift=timedelta(hours=5))
    with pytest.raises(AworkPagingError, match=r"none of the last .* rows is in the list any more") as caught:
        read_ids(server)
    assert not isinstance(caught.value, AworkAssumptionError)

    def accuse(request: PageRequest) -> None:
        raise AworkAssumptionError(f"literals at {request.anchor}")

    with pytest.raises(AworkAssumptionError, match="literals at 20"):
        list(PageReader(server.fetch, check_anchor=accuse))


def test_wrong_order_is_noticed() -> None:
    server = ChangingServer(spread(3000))
    server.rows.reverse()
    with pytest.raises(AworkAssumptionError, match="orderby"):
        read_ids(server)


def test_pages_with_holes_fail_unless_accepted() -> None:
    def fetch_with_holes(request: PageRequest) -> object:
        page = server.fetch(request)
        keep = slice(0, 998 if len(page.rows) == request.size else None)
        return type(page)(page.rows[keep], page.ids[keep], page.keys[keep], page.total, page.size)

    server = ChangingServer(spread(6100))
    with pytest.raises(AworkAssumptionError, match="accept_short_pages"):
        list(PageReader(fetch_with_holes))  # type: ignore[arg-type]
    reader = PageReader(fetch_with_holes, behaviour=AworkBehaviour(accept_short_pages=True))  # type: ignore[arg-type]
    assert sum(map(len, reader)) == 6100


def test_a_list_that_empties_meanwhile_is_a_failure_not_an_end() -> None:
    def empty(server: ChangingServer) -> None:
        if len(server.requests) == 13:
            server.rows.clear()

    with pytest.raises(AworkPagingError, match="in the list any more"):
        read_ids(ChangingServer(spread(20_000), change=empty))


@pytest.mark.parametrize(
    ("total", "size", "whole"), [(2, 1000, True), (None, 1000, True), (3, 1000, False), (None, 2, False)]
)
def test_rows_without_created_on_are_read_if_they_are_all_there_is(total: int | None, size: int, whole: bool) -> None:
    page = Page(rows=[msgspec.Raw(b'{"a":1}'), msgspec.Raw(b'{"a":2}')], ids=[], keys=[], total=total)
    reader = PageReader(lambda request: page, page_size=size)
    if whole:
        assert [row for rows in reader for row in rows] == page.rows
        return
    with pytest.raises(AworkPagingError, match="rows without createdOn cannot be read in several pages"):
        list(reader)


def test_an_error_of_one_page_stops_the_reader() -> None:
    server = ChangingServer(spread(20_000))

    def fetch(request: PageRequest) -> object:
        if len(server.requests) > 10:
            raise PermissionError("no more")
        return server.fetch(request)

    with pytest.raises(PermissionError):
        list(PageReader(fetch))  # type: ignore[arg-type]
    assert len(server.requests) < 20


def test_reader_tells_what_to_expect() -> None:
    reader = PageReader(ChangingServer(spread(12_345)).fetch)
    first = next(iter(reader))
    assert (len(first), reader.expected) == (1000, 12_345)


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("2026-11-01T08:00:00Z", "2026-11-01T08:00:00.0000000"),
        ("2026-11-01T08:00:00.5Z", "2026-11-01T08:00:00.5000000"),
        ("2026-11-01T08:00:00.1234567Z", "2026-11-01T08:00:00.1234567"),
        ("2026-11-01T08:00:00.1234567", "2026-11-01T08:00:00.1234567"),
        ("2026-11-01T08:00:00.123+00:00", "2026-11-01T08:00:00.1230000"),
    ],
)
def test_instant_key(sent: str, key: str) -> None:
    assert instant_key(sent) == key


@pytest.mark.parametrize(
    "sent", ["", "yesterday", "2026-11-01", "2026-11-01T08:00:00+02:00", "2026-11-01T08:00:00.12345678Z"]
)
def test_instant_key_refuses_what_it_cannot_order(sent: str) -> None:
    with pytest.raises(AworkPagingError, match="createdOn"):
        instant_key(sent)


class RandomChange:
    """Deletes, edits and inserts a random number of rows before each answer, anywhere or near one place."""

    def __init__(self, most: int, span: int) -> None:
        self._most = most
        self._span = span

    def __call__(self, server: ChangingServer) -> None:
        place = server.random.randrange(self._span)
        for _ in range(server.random.randrange(self._most + 1)):
            server.random.choice([server.delete, server.edit_out])(server.random.randrange(1 << 30))
        for _ in range(server.random.randrange(self._most + 1)):
            server.edit_in()
        for _ in range(server.random.randrange(self._most + 1)):
            server.insert(server.random.choice([place, server.random.randrange(self._span)]))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(0, 900),
    seconds=st.integers(1, 400),
    resolution=st.sampled_from([1, 1000, SECOND]),
    most=st.integers(0, 6),
    cap=st.integers(20, 120),
    page_size=st.integers(20, 120),
    concurrency=st.integers(1, 8),
    latency=st.sampled_from([0.0, 0.001]),
    anchored=st.booleans(),
    says_total=st.booleans(),
    says_size=st.booleans(),
)
@example(
    seed=0,
    count=843,
    seconds=10,
    resolution=SECOND,
    most=0,
    cap=20,
    page_size=20,
    concurrency=1,
    latency=0.0,
    anchored=False,
    says_total=False,
    says_size=False,
).via("the best page near a position reached no further")
def test_any_sequence_of_changes_is_exact_or_a_clear_failure(
    seed: int,
    count: int,
    seconds: int,
    resolution: int,
    most: int,
    cap: int,
    page_size: int,
    concurrency: int,
    latency: float,
    anchored: bool,
    says_total: bool,
    says_size: bool,
) -> None:
    span = seconds * SECOND
    server = ChangingServer([], seed=seed, cap=cap, says_total=says_total, says_size=says_size, latency=latency)
    for _ in range(count):
        server.insert(server.random.randrange(span) // resolution * resolution)
    server.lasting = set(server.rows)
    server.change = RandomChange(most, span)
    try:
        behaviour = AworkBehaviour(anchor_on_created_on=anchored)
        ids = read_ids(server, page_size=page_size, concurrency=concurrency, behaviour=behaviour)
    except AworkPagingError:
        assert most > 0, "nothing changed, so there was no reason to fail"
        return
    assert_exact(server, ids)
