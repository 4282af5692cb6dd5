"""
Pacing below awork's limits. Source: https://developers.awork.com/rate-limits

awork counts all clients of a workspace together: 50 requests a second and, by plan, 1000 or 3000 a minute. So two
things hold a request back: our own share in a sliding window, and what the last answers said is left for everybody.
"""

from __future__ import annotations

import email.utils
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from airflow_provider_awork.exceptions import AworkError

log = logging.getLogger(__name__)

REQUESTS_PER_SECOND = 45
UNKNOWN_WAIT = 60.0


class RateLimiter:
    """
    Holds requests back; thread safe.

    :param requests_per_minute: our share of the workspace's budget.
    :param requests_per_second: stays below awork's 50, since pacing here does not see the network's jitter.
    :param minute: seconds that "a minute" lasts; a test server may scale it.
    :param second: seconds that "a second" lasts, likewise.
    :param max_wait: longest single wait in seconds that a server may impose.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int,
        requests_per_second: int = REQUESTS_PER_SECOND,
        minute: float = 60.0,
        second: float = 1.0,
        max_wait: float = 300.0,
    ) -> None:
        self._own = [_SlidingWindow(requests_per_minute, minute), _SlidingWindow(requests_per_second, second)]
        self._servers = {"minute": _ServerBudget(minute), "second": _ServerBudget(second)}
        self._max_wait = max_wait
        self._in_flight = 0
        self._paused_until = 0.0
        self._changed = threading.Condition()
        self._closed = False
        self.waited_seconds = 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for the right to send one request; hold it until the answer is there."""
        self._acquire()
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers how many requests are left to everybody."""
        now = time.monotonic()
        with self._changed:
            for name, budget in self._servers.items():
                remaining = _number(headers.get(f"x-ratelimit-remaining-{name}"))
                if remaining is not None:
                    reset = _number(headers.get("ratelimit-reset")) if name == "minute" else None
                    budget.observe(remaining, reset, now)

    def pause(self, headers: Mapping[str, str]) -> float:
        """
        Hold all requests back after a 429, for as long as the server says.

        :return: seconds, from ``ratelimit-reset``, else ``Retry-After`` (seconds or a date), else a minute.
        """
        said, source = _said_wait(headers)
        # The reset is in whole seconds: it may be up to one second too early.
        seconds = min(max(said, 0.0) + 0.1, self._max_wait)
        with self._changed:
            until = time.monotonic() + seconds
            if until > self._paused_until + 0.5:
                log.warning("awork's rate limit is used up: waiting %.1f s (%s)", seconds, source)
            self._paused_until = max(self._paused_until, until)
        return seconds

    def close(self) -> None:
        """Let no request wait any longer; those waiting fail."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _acquire(self) -> None:
        started = time.monotonic()
        logged = False
        with self._changed:
            while True:
                if self._closed:
                    raise AworkError("the connection to awork was closed: the task is being stopped")
                now = time.monotonic()
                wait = self._wait(now)
                if wait <= 0:
                    break
                if wait > 2 and not logged and self._paused_until <= now:
                    log.info("Pacing below awork's rate limit: waiting up to %.0f s", wait)
                    logged = True
                self._changed.wait(wait)
            self._in_flight += 1
            for window in self._own:
                window.add(now)
            self.waited_seconds += now - started

    def _wait(self, now: float) -> float:
        waits = [self._paused_until - now]
        waits += [window.wait(now) for window in self._own]
        waits += [budget.wait(now, self._in_flight) for budget in self._servers.values()]
        return max(waits)


class _SlidingWindow:
    """At most ``limit`` requests in any ``length`` seconds."""

    def __init__(self, limit: int, length: float) -> None:
        self._sent: deque[float] = deque(maxlen=limit)
        self._length = length

    def wait(self, now: float) -> float:
        if len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return self._sent[0] + self._length - now

    def add(self, now: float) -> None:
        self._sent.append(now)


class _ServerBudget:
    """
    What a server's window has left, as its answers report it.

    Answers of concurrent requests come out of order, so within a window the smallest number counts; requests in
    flight may not be in it yet, so they are taken off. With none in flight and some left, one may always go.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._remaining: float | None = None
        self._ends = 0.0

    def observe(self, remaining: float, reset: float | None, now: float) -> None:
        if self._remaining is None or now >= self._ends:
            self._remaining = remaining
            self._ends = now + (self._length if reset is None else reset)
        else:
            self._remaining = min(self._remaining, remaining)

    def wait(self, now: float, in_flight: int) -> float:
        if self._remaining is None or now >= self._ends:
            return 0.0
        if self._remaining - in_flight > 0:
            return 0.0
        return self._ends - now


def _said_wait(headers: Mapping[str, str]) -> tuple[float, str]:
    reset = _number(headers.get("ratelimit-reset"))
    if reset is not None:
        return reset, "ratelimit-reset"
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is not None:
        return seconds, "Retry-After"
    if after:
        try:
            at = email.utils.parsedate_to_datetime(after)
        except ValueError:
            return UNKNOWN_WAIT, f"unreadable Retry-After {after[:40]!r}"
        now = email.utils.parsedate_to_datetime(headers["date"]) if headers.get("date") else datetime.now(UTC)
        return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), "Retry-After"
    return UNKNOWN_WAIT, "no time given"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
