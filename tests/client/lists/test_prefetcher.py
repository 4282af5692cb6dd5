"""Answers in flight: how many pages are fetched ahead, and which."""

from __future__ import annotations

from collections import deque

import pytest

from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.plan import Block, Position
from airflow_provider_awork.client.lists.prefetcher import Pace, Prefetcher
from tests.helpers.changing_server import page_of

START = Position(None, 0, None)


@pytest.mark.parametrize(
    ("concurrency", "answer_seconds", "work_seconds", "pages"),
    [
        # the caller has not come back for more yet
        (8, [], [], 4),
        (8, [0.5], [], 4),
        (1, [], [], 2),
        # as many as the caller works off while one answer comes, and two to spare
        (8, [0.1], [0.1], 3),
        (8, [0.4], [0.1], 6),
        (8, [0.01], [0.1], 3),
        # the quickest answer counts, and the mean of the work
        (8, [0.4, 0.1, 0.4], [0.05, 0.15], 3),
        # at most one more than can be in flight
        (8, [1.0], [0.001], 9),
        (8, [1.0], [0.0], 9),
        (1, [1.0], [0.1], 2),
    ],
)
def test_pages_ahead(concurrency: int, answer_seconds: list[float], work_seconds: list[float], pages: int) -> None:
    assert Pace(concurrency, deque(answer_seconds), deque(work_seconds)).pages_ahead() == pages


class Server:
    """Answers each request with a page of one row, whose id counts the requests."""

    def __init__(self) -> None:
        self.requests: list[PageRequest] = []

    def fetch(self, request: PageRequest) -> Page:
        self.requests.append(request)
        return page_of([(0, str(len(self.requests)))])


def block_of(*numbers: int) -> Block:
    return Block(START, [PageRequest(None, number, 10) for number in numbers])


def test_the_last_page_is_sent_first_and_nothing_ahead_of_the_first_rows() -> None:
    server, block = Server(), block_of(1, 2, 3, 4, 5, 6)
    prefetcher = Prefetcher(server.fetch, 1)
    prefetcher.queue(block, block.pages)

    first = prefetcher.answer(block, block.pages[0])
    assert [request.number for request in server.requests] == [6, 1]
    assert prefetcher.early_answer(block) is None, "pages are queued that come before it"

    for _ in prefetcher.deliver(first.rows):
        pass
    for request in block.pages[1:5]:
        prefetcher.answer(block, request)
    assert [request.number for request in server.requests] == [6, 1, 2, 3, 4, 5]
    assert prefetcher.early_answer(block) == prefetcher.wait(block, block.pages[5])
    prefetcher.close()


def test_each_block_gets_its_own_answer_to_the_same_request() -> None:
    server, block, other = Server(), block_of(1), block_of(1)
    prefetcher = Prefetcher(server.fetch, 1)
    prefetcher.queue(block, block.pages)
    prefetcher.queue(other, other.pages)

    answers = [prefetcher.answer(each, each.pages[0]) for each in (block, other)]
    assert [answer.ids for answer in answers] == [["1"], ["2"]]
    prefetcher.close()


def test_dropped_pages_are_not_sent() -> None:
    server, block, other = Server(), block_of(*range(1, 9)), block_of(9)
    prefetcher = Prefetcher(server.fetch, 1)
    prefetcher.queue(block, block.pages)
    prefetcher.answer(block, block.pages[0])
    prefetcher.drop()
    prefetcher.queue(other, other.pages)
    prefetcher.answer(other, other.pages[0])

    assert [request.number for request in server.requests] == [8, 1, 9]
    prefetcher.close()


def test_an_error_is_raised_to_the_reader_of_its_page_alone() -> None:
    def fetch(request: PageRequest) -> Page:
        if request.number == 2:
            raise PermissionError("no more")
        return page_of([(0, "a")])

    block = block_of(1, 2)
    prefetcher = Prefetcher(fetch, 1)
    prefetcher.queue(block, block.pages)

    assert prefetcher.answer(block, block.pages[0]).ids == ["a"]
    assert prefetcher.early_answer(block) is None
    with pytest.raises(PermissionError):
        prefetcher.answer(block, block.pages[1])
    prefetcher.close()
