"""awork's rate limits: fixed windows of a second and of a minute. Source: https://developers.awork.com/rate-limits"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from threading import Lock

from airflow_provider_awork.sandbox.settings import Settings


@dataclass
class _Window:
    opened: float = -math.inf
    used: int = 0

    def roll(self, now: float, length: float) -> None:
        if now >= self.opened + length:
            self.opened, self.used = now, 0


@dataclass(frozen=True)
class Verdict:
    """Whether a request is refused, and the headers that its answer carries."""

    refused: bool
    headers: dict[str, str]


NO_LIMIT = Verdict(refused=False, headers={})


class RateLimit:
    """
    Counts requests in both windows; a window opens with the first request after the last one ended.

    The generic headers speak of the window that has least left; awork's own sample mixes them, so ``ratelimit-reset``
    is what to wait for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._second = _Window()
        self._minute = _Window()

    def request(self) -> Verdict:
        """Count a request unless it is refused; nothing is counted while no limit is set."""
        with self._lock:
            windows = self._limited()
            refused = any(window.used >= limit for window, limit, _, _ in windows)
            for window, *_ in windows:
                window.used += not refused
            return Verdict(refused, _headers(windows))

    def spend(self, requests: int) -> None:
        """Another client of the workspace sends that many requests."""
        with self._lock:
            for window, limit, *_ in self._limited():
                window.used = min(limit, window.used + requests)

    def _limited(self) -> list[tuple[_Window, int, float, str]]:
        """Each window with its limit, the seconds until it ends and its name."""
        now = time.monotonic()
        settings = self._settings
        windows = []
        for window, limit, length, name in (
            (self._second, settings.rate_limit_per_second, settings.second, "second"),
            (self._minute, settings.rate_limit_per_minute, settings.minute, "minute"),
        ):
            if limit is not None:
                window.roll(now, length)
                windows.append((window, limit, window.opened + length - now, name))
        return windows


def _headers(windows: list[tuple[_Window, int, float, str]]) -> dict[str, str]:
    if not windows:
        return {}
    window, limit, left, _ = min(windows, key=lambda item: (item[1] - item[0].used, -item[2]))
    headers = {
        "ratelimit-limit": str(limit),
        "ratelimit-remaining": str(limit - window.used),
        "ratelimit-reset": str(math.ceil(left)),
    }
    for each, its_limit, _, name in windows:
        headers[f"x-ratelimit-limit-{name}"] = str(its_limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(its_limit - each.used)
    return headers
