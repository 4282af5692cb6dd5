"""Answers in flight: the threads that fetch pages, and how many pages they fetch ahead."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.plan import Block

FIRST_PAGES_AHEAD = 4
RECENT_PAGES = 16


@dataclass(slots=True)
class Pace:
    """
    How long the latest answers took, and the caller with the rows of each.

    :param concurrency: how many requests may be in flight.
    """

    concurrency: int
    answer_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_PAGES))
    work_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_PAGES))

    def pages_ahead(self) -> int:
        """
        Return how many answers may be in flight or wait to be read.

        That is as many as the caller works off while one comes, and two to spare: a page is megabytes. The quickest
        answer counts, because the others may have waited for each other.
        """
        most = self.concurrency + 1
        if not self.work_seconds:
            return min(FIRST_PAGES_AHEAD, most)
        work = sum(self.work_seconds) / len(self.work_seconds)
        return min(math.ceil(min(self.answer_seconds) / max(work, 1e-6)) + 2, most)


class Prefetcher:
    """
    Fetches pages in threads, ahead of their reader. Close it after use.

    :param fetch: gets one page; called from several threads.
    :param concurrency: how many requests may be in flight.
    """

    def __init__(self, fetch: Callable[[PageRequest], Page], concurrency: int) -> None:
        self._fetch = fetch
        self._pace = Pace(concurrency)
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="awork-page")
        # Two blocks may ask for the same page: each gets its own answer.
        self._unsent: deque[tuple[Block, PageRequest]] = deque()
        self._answers: dict[tuple[Block, PageRequest], Future[Page]] = {}

    def close(self) -> None:
        """Cancel what is not in flight yet, and wait for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def run(self, job: Callable[[], None]) -> Future[None]:
        """Run a job beside the pages."""
        return self._pool.submit(job)

    def queue(self, block: Block, pages: list[PageRequest]) -> None:
        """
        Queue pages of a block behind all others.

        The last one is sent first: its answer shows where the next block starts.
        """
        self._unsent.extend((block, request) for request in pages[-1:] + pages[:-1])

    def wait(self, block: Block, request: PageRequest) -> Page:
        """Wait for the answer to a queued page, and keep it."""
        if (block, request) not in self._answers:
            self._send()
        return self._answers[block, request].result()

    def answer(self, block: Block, request: PageRequest) -> Page:
        """Wait for the answer to a queued page, and hand it over."""
        # The first rows may be all that the caller wants: until it comes back for more, only what is read is sent.
        if self._pace.work_seconds:
            self._send()
        page = self.wait(block, request)
        del self._answers[block, request]
        if self._pace.work_seconds:
            self._send()
        return page

    def early_answer(self, block: Block) -> Page | None:
        """Return the answer to the last page of a block if it is there before it is read, and nothing is queued."""
        answer = self._answers.get((block, block.pages[-1]))
        if self._unsent or answer is None or not answer.done() or answer.exception():
            return None
        return answer.result()

    def drop(self) -> None:
        """Drop all pages that are queued or in flight."""
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()
        self._unsent.clear()

    def deliver(self, rows: list[msgspec.Raw]) -> Iterator[list[msgspec.Raw]]:
        """Yield the rows of a page, and note how long the caller works on them."""
        started = time.monotonic()
        yield rows
        self._pace.work_seconds.append(time.monotonic() - started)

    def _send(self) -> None:
        room = self._pace.pages_ahead() - len(self._answers)
        while self._unsent and room > 0:
            block, request = self._unsent.popleft()
            self._answers[block, request] = self._pool.submit(self._timed_fetch, request)
            room -= 1

    def _timed_fetch(self, request: PageRequest) -> Page:
        started = time.monotonic()
        page = self._fetch(request)
        self._pace.answer_seconds.append(time.monotonic() - started)
        return page
