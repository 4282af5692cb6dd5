"""What the server says about its limits is kept, and our own pace never meets them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.exceptions import AworkRateLimitError
from airflow_provider_awork.sandbox import Answer, Sandbox, every, first
from tests.helpers.runs import hook_for, read_ids

MAX_WAIT = 0.4


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "waited", "source"),
    [
        ({"ratelimit-reset": "1"}, MAX_WAIT, "ratelimit-reset"),
        ({"ratelimit-reset": "0"}, 0.1, "ratelimit-reset"),
        ({"retry-after": "1"}, MAX_WAIT, "Retry-After"),
        ({"retry-after": "0"}, 0.1, "Retry-After"),
        ({"retry-after": "-10"}, 0.1, "Retry-After"),
        ({"retry-after": "1000000000"}, MAX_WAIT, "Retry-After"),
        ({"retry-after": "1e999"}, MAX_WAIT, "unreadable Retry-After"),
        ({"retry-after": "nan"}, MAX_WAIT, "unreadable Retry-After"),
        ({"retry-after": "soon"}, MAX_WAIT, "unreadable Retry-After"),
        ({"retry-after": in_seconds(3600)}, MAX_WAIT, "Retry-After"),
        ({"retry-after": in_seconds(-3600)}, 0.1, "Retry-After"),
        ({"retry-after": in_seconds(3600), "date": "no date"}, MAX_WAIT, "Retry-After"),
        ({"ratelimit-reset": "0", "retry-after": "1"}, MAX_WAIT, "Retry-After"),
        ({"ratelimit-reset": "1", "retry-after": "0"}, MAX_WAIT, "ratelimit-reset"),
        ({}, MAX_WAIT, "no time given"),
    ],
)
def test_a_429_waits_what_the_server_says_within_the_bound_and_says_so(
    headers: dict[str, str], waited: float, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox(entries=300) as awork:
        awork.faults.add(first(1, Answer(429, headers=headers)))
        limiter = RateLimiter(requests_per_minute=10_000, requests_per_second=10_000, max_wait=MAX_WAIT)
        with caplog.at_level(logging.WARNING):
            ids = read_ids(hook_for(awork, limiter=limiter))
        assert len(set(ids)) == len(ids) == 300
        refused, again = [record for record in awork.requests if record.path == "/timeentries"][:2]
    assert again.started - refused.started >= waited - 0.01
    assert f"waiting {waited:.1f} s ({source}" in caplog.text


def test_the_default_bound_of_a_wait() -> None:
    assert RateLimiter(requests_per_minute=1).pause({"retry-after": "1000000000"}) == 300


def test_a_zero_is_not_believed_for_ever() -> None:
    """Whole seconds may be rounded down: each further refusal waits a little longer than said."""
    limiter = RateLimiter(requests_per_minute=1)
    waits = [limiter.pause({"ratelimit-reset": "0"}, refusals=refusals) for refusals in range(1, 11)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.1, 5.0)


def test_429_for_ever_ends_with_a_clear_error() -> None:
    with Sandbox(entries=30) as awork:
        awork.faults.add(every(1, Answer(429, headers={"retry-after": "1000000000"})))
        limiter = RateLimiter(requests_per_minute=10_000, requests_per_second=10_000, max_wait=0.02)
        with pytest.raises(AworkRateLimitError, match="429"):
            read_ids(hook_for(awork, limiter=limiter))
        assert sum(record.status == 429 for record in awork.requests) == 10


# -- our own pace ----------------------------------------------------------------------------------------------------

ENTRIES, PAGE_SIZE = 3400, 10  # about 500 requests
MINUTE = 5.0


def refusals(awork: Sandbox) -> int:
    return sum(record.status == 429 for record in awork.requests)


def read_without_refusal(awork: Sandbox, limiter: RateLimiter) -> None:
    started = time.monotonic()
    ids = read_ids(hook_for(awork, limiter=limiter), page_size=PAGE_SIZE)
    seconds = time.monotonic() - started
    assert len(set(ids)) == len(ids) == ENTRIES
    assert len(awork.requests) >= 500
    assert refusals(awork) == 0
    print(f"{len(awork.requests)} requests in {seconds:.1f} s")


def test_a_used_up_minute_is_waited_for_without_a_refusal() -> None:
    """The whole budget of the workspace is ours: 150 requests in each "minute" of five seconds."""
    with Sandbox(entries=ENTRIES, rate_limit_per_minute=150, rate_limit_per_second=50, minute=MINUTE) as awork:
        read_without_refusal(awork, RateLimiter(requests_per_minute=150, minute=MINUTE))


def test_fifty_a_second_are_not_exceeded() -> None:
    with Sandbox(entries=ENTRIES, rate_limit_per_second=50) as awork:
        read_without_refusal(awork, RateLimiter(requests_per_minute=10_000))


@contextmanager
def another_client(awork: Sandbox, *, each: float, requests: int) -> Iterator[None]:
    """Another integration that spends a share of the workspace's budget."""
    stop = threading.Event()

    def spend() -> None:
        while not stop.wait(each):
            awork.spend_requests(requests)

    thread = threading.Thread(target=spend)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_another_client_that_spends_half_the_budget() -> None:
    with Sandbox(entries=ENTRIES, rate_limit_per_minute=300, rate_limit_per_second=50, minute=MINUTE) as awork:
        limiter = RateLimiter(requests_per_minute=300, minute=MINUTE)
        with another_client(awork, each=0.1, requests=3):  # 30 of 60 a second
            ids = read_ids(hook_for(awork, limiter=limiter), page_size=PAGE_SIZE)
        assert len(set(ids)) == len(ids) == ENTRIES
        # A refusal needs the other client to spend what the last answers still promised us.
        assert refusals(awork) <= 0.02 * len(awork.requests)
    print(f"{refusals(awork)} refusals in {len(awork.requests)} requests")
