"""
Pacing below awork's limits. Source: https://developers.awork.com/rate-limits

awork counts all clients of a workspace together: 50 requests a second and, by plan, 1000 or 3000 a minute. So two
things hold a request back: our own share, and what the answers say is left for everybody.
"""

from __future__ import annotations

import email.utils
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from airflow_provider_awork.exceptions import AworkError

log = logging.getLogger(__name__)

REQUESTS_PER_SECOND = 45
REQUESTS_PER_MINUTE = 900
UNKNOWN_WAIT = 60.0
LONGEST_MARGIN = 5.0
# No single wait is longer, whatever a header says: a destination is held meanwhile.
LONGEST_WAIT_SECONDS = 300.0


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
        requests_per_second: float = REQUESTS_PER_SECOND,
        minute: float = 60.0,
        second: float = 1.0,
        max_wait: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        # Evenly spaced rather than in bursts: what the network delays then adds little to the next second.
        self._spacing = second / requests_per_second
        self._next_at = 0.0
        self._own_minute = _SlidingWindow(requests_per_minute, minute)
        self._server_minute = _ServerBudget(minute, longest_wait=max_wait)
        self._server_second = _ServerBudget(second, longest_wait=max_wait)
        self._max_wait = max_wait
        self._in_flight = 0
        self._paused_until = 0.0
        self._changed = threading.Condition()
        self._closed = False
        self.waited_seconds = 0.0

    @classmethod
    def for_share(cls, requests_per_minute: int, *, minute: float = 60.0) -> RateLimiter:
        """
        Pacing for what a connection may use of a minute, which then is its part of each second, too.

        So tasks that run side by side, each with a part of the workspace's minute, stay below awork's limit of a
        second together.
        """
        part = min(1.0, requests_per_minute * (60.0 / minute) / REQUESTS_PER_MINUTE)
        return cls(
            requests_per_minute=requests_per_minute,
            requests_per_second=max(1.0, part * REQUESTS_PER_SECOND),
            minute=minute,
        )

    @contextmanager
    def slot(self, *, room: int = 1) -> Iterator[float]:
        """
        Wait for the right to send one request; hold it until the answer is there.

        Yields the time of sending, for :meth:`observe`.

        :param room: how many requests, this one among them, must fit into what is left of the minute. Those that are
            sent while the slot is held then need not wait.
        :raises AworkError: the limiter was closed.
        """
        sent = self._acquire(room)
        try:
            yield sent
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def observe(self, headers: Mapping[str, str], *, sent: float) -> None:
        """
        Learn from an answer's headers how many requests are left to everybody.

        :param sent: when its request was sent, from :meth:`slot`.
        """
        minute = _number(headers.get("x-ratelimit-remaining-minute"))
        second = _number(headers.get("x-ratelimit-remaining-second"))
        reset = _number(headers.get("ratelimit-reset"))
        with self._changed:
            now = time.monotonic()
            if second is not None:
                self._server_second.observe(second, sent=sent, now=now)
            if minute is not None:
                # The reset does not say whose it is: of the minute if it is longer than a second or the minute is
                # the tighter window.
                of_minute = reset is not None and (reset > 1 or second is None or minute <= second)
                self._server_minute.observe(minute, sent=sent, now=now, reset=reset if of_minute else None)

    def pause(self, headers: Mapping[str, str], *, refusals: int = 1) -> float:
        """
        Hold all requests back after a 429, for as long as the server says.

        :param refusals: how often this request was refused by now. Whole seconds may be rounded down, so the wait is
            a little longer than said, and more so each time.
        :return: seconds: the later of ``ratelimit-reset`` and ``Retry-After`` (seconds or a date), else a minute.
        """
        said, source = _said_wait(headers)
        said = UNKNOWN_WAIT if said is None else said
        margin = min(0.1 * 2.0 ** (refusals - 1), LONGEST_MARGIN)
        seconds = min(max(said, 0.0) + margin, self._max_wait)
        with self._changed:
            now = time.monotonic()
            if self._paused_until <= now or now + seconds > self._paused_until + 1:
                log.warning("awork's rate limit is used up: waiting %.1f s (%s)", seconds, source)
            self._paused_until = max(self._paused_until, now + seconds)
        return seconds

    def paused_for(self) -> float:
        """Seconds until :meth:`pause` lets requests go again; 0 if it holds none back."""
        return max(0.0, self._paused_until - time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Wait; :meth:`close` ends it early."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=seconds)

    def close(self) -> None:
        """Let no request wait any longer; those waiting fail."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _acquire(self, room: int) -> float:
        started = time.monotonic()
        logged = False
        with self._changed:
            while True:
                if self._closed:
                    raise AworkError("the connection to awork was closed: the task is being stopped")
                now = time.monotonic()
                wait = self._wait(now, room)
                if wait <= 0:
                    break
                if wait > 2 and not logged and self._paused_until <= now:
                    log.info("Pacing below awork's rate limit: waiting up to %.0f s", wait)
                    logged = True
                self._changed.wait(wait)
            self._in_flight += 1
            self._next_at = now + self._spacing
            self._own_minute.add(now)
            self.waited_seconds += now - started
        return now

    def _wait(self, now: float, room: int = 1) -> float:
        own = max(self._paused_until - now, self._next_at - now, self._own_minute.wait(now, room))
        if own > 0:
            return own
        planned = self._in_flight + room - 1
        return max(self._server_minute.wait(now, planned), self._server_second.wait(now, self._in_flight))


class _SlidingWindow:
    """At most ``limit`` requests in any ``length`` seconds."""

    def __init__(self, limit: int, length: float) -> None:
        self._sent: deque[float] = deque(maxlen=limit)
        self._length = length

    def wait(self, now: float, room: int = 1) -> float:
        """Seconds until ``room`` requests fit, or as many as ever do."""
        limit = self._sent.maxlen or 0
        missing = len(self._sent) + min(room, limit) - limit
        return self._sent[missing - 1] + self._length - now if missing > 0 else 0.0

    def add(self, now: float) -> None:
        self._sent.append(now)


class _ServerBudget:
    """
    What a server's window has left, as its answers report it.

    Answers come out of order, so the smallest number of a window counts; requests in flight may not be in it yet, so
    they are taken off. A window is a new one if its time is over, or if a request sent after the smallest number
    was learnt is answered with a larger one.

    :param length: of the window, in seconds.
    :param longest_wait: seconds after which a used-up window counts as over, whatever its reset says.
    """

    def __init__(self, length: float, *, longest_wait: float) -> None:
        self._length = length
        self._longest_wait = longest_wait
        self._remaining = math.inf
        self._learnt = 0.0
        self._ends = 0.0

    def observe(self, remaining: float, *, sent: float, now: float, reset: float | None = None) -> None:
        new_window = now >= self._ends or (remaining > self._remaining and sent >= self._learnt)
        if new_window:
            self._ends = now + self._length
        if new_window or remaining <= self._remaining:
            self._remaining, self._learnt = remaining, now
            if reset is not None:
                reset = min(max(reset, 0.0), self._longest_wait)
                # Rounded up to whole seconds, so the smallest of many is near the truth.
                self._ends = now + reset if new_window else min(self._ends, now + reset)

    def wait(self, now: float, in_flight: int) -> float:
        """Seconds until one more request fits beside those in flight."""
        if in_flight < self._remaining:
            return 0.0
        if now < self._ends:
            return self._ends - now
        # The used-up window is over: one request goes ahead and learns about the new one.
        self._remaining, self._ends = in_flight + 1, now + self._length
        return 0.0


def announced_limits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """How many requests an answer says that awork allows to all clients together in a minute, and in a second."""
    return _number(headers.get("x-ratelimit-limit-minute")), _number(headers.get("x-ratelimit-limit-second"))


def said_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait: the later of ``ratelimit-reset`` and ``Retry-After``; None: it does not."""
    return _said_wait(headers)[0]


def _said_wait(headers: Mapping[str, str]) -> tuple[float | None, str]:
    said: list[tuple[float, str]] = []
    reset = _number(headers.get("ratelimit-reset"))
    if reset is not None:
        said.append((reset, "ratelimit-reset"))
    after = headers.get("retry-after")
    seconds = _number(after) if _number(after) is not None else _seconds_until(after, headers.get("date"))
    if seconds is not None:
        said.append((seconds, "Retry-After"))
    if said:
        return max(said)
    return None, f"unreadable Retry-After {after[:40]!r}" if after else "no time given"


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_until(date: str | None, server_date: str | None) -> float | None:
    """Seconds until an HTTP date, by the server's clock if it says what that shows."""
    at = http_date(date)
    return None if at is None else (at - (http_date(server_date) or datetime.now(UTC))).total_seconds()


def http_date(text: str | None) -> datetime | None:
    """The date of a header such as ``Date``; None if it is missing or unreadable."""
    try:
        date = email.utils.parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # numbers that no date can have
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
