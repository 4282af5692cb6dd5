"""Rules of a wait: which counts end it, and how long to pause after an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_awork.exceptions import AworkConfigError, AworkError
from airflow_provider_awork.version_compat import AirflowFailException

LONGEST_BACKOFF_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class CountRange:
    """
    Counts that end a wait; made by :meth:`checked`.

    :param least: smallest one.
    :param most: largest one; None for no upper bound.
    """

    least: int
    most: int | None

    @classmethod
    def checked(cls, *, min_count: Any, max_count: Any) -> CountRange:
        """
        Check the bounds that a DAG author writes or a template renders.

        :raises AworkConfigError: one is not a whole number from 0 on, or they exclude each other.

        >>> 0 in CountRange.checked(min_count="0", max_count=0), 1 in CountRange.checked(min_count=0, max_count=0)
        (True, False)
        """
        least = whole_number("min_count", min_count)
        most = None if max_count is None or max_count == "" else whole_number("max_count", max_count)
        if most is not None and most < least:
            raise AworkConfigError(
                f"max_count: {most} is below min_count={least}, so no count ends the wait; "
                "to wait until nothing is left, pass min_count=0, max_count=0"
            )
        return cls(least=least, most=most)

    def __contains__(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least:,}"
        return f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"

    def missed(self, count: int | None, *, seconds: float) -> str:
        """
        Say what was counted when a wait ended without success.

        :param count: the last count; None if awork gave none.
        :param seconds: how long the wait lasted at most.

        >>> CountRange(least=20_000, most=None).missed(10_000, seconds=60)
        'After 60 s: 10,000 entries match, at least 20,000 wanted'
        >>> CountRange(least=0, most=0).missed(1, seconds=0.5)
        'After 0.5 s: 1 entry matches, 0 wanted'
        """
        counted = "awork gave no count" if count is None else f"{count:,} entries match"
        return f"After {seconds:,g} s: {'1 entry matches' if count == 1 else counted}, {self} wanted"


def whole_number(name: str, value: Any) -> int:
    """
    Check a count that a DAG author writes or a template renders.

    :param name: of the parameter.
    :raises AworkConfigError: it is no whole number from 0 on.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise AworkConfigError(f"{name}: {value!r} is not a whole number from 0 on")


def seconds_of(duration: float | timedelta) -> float:
    """
    Return a duration in seconds.

    >>> seconds_of(timedelta(minutes=2)), seconds_of(60)
    (120.0, 60)
    """
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def checked_interval(seconds: float) -> float:
    """
    Check a pause between two requests.

    :raises AworkConfigError: it is not positive.
    """
    if seconds > 0:
        return seconds
    raise AworkConfigError(f"poke_interval: {seconds!r} is no pause between two requests; pass seconds, such as 60")


def is_transient(error: Exception) -> bool:
    """Whether another request may succeed."""
    return isinstance(error, AworkError) and not isinstance(error, AirflowFailException)


def wait_after(errors: int, *, interval: float) -> float:
    """
    Seconds to wait after a number of errors in a row: the interval, doubled from the second on, up to ten minutes.

    >>> [wait_after(errors, interval=60) for errors in range(7)]
    [60, 60, 120.0, 240.0, 480.0, 600.0, 600.0]
    >>> wait_after(3, interval=3600)
    3600
    """
    backoff = min(interval * 2.0 ** min(errors - 1, 30), LONGEST_BACKOFF_SECONDS) if errors > 1 else interval
    return max(interval, backoff)
