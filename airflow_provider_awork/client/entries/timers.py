"""Whether a time entry has an open timer; awork has no field for it."""

from __future__ import annotations

TIME_FIELDS = ("startTimeUtc", "startTimeLocal", "endTimeUtc", "endTimeLocal")


def has_open_timer(
    start_time_utc: str | None,
    start_time_local: str | None = None,
    end_time_utc: str | None = None,
    end_time_local: str | None = None,
) -> bool:
    """
    Whether a timer runs or is paused: the entry has a start time and no end time, in UTC or locally.

    The duration does not count. awork's document has it as 0 until the timer stops, but says neither that a paused
    timer shows none nor that a timer with seconds has stopped. Such an entry may still grow, so it is not finished.

    >>> has_open_timer("09:00:00"), has_open_timer("09:00:00", end_time_utc="10:00:00"), has_open_timer(None)
    (True, False, False)
    """
    return bool((start_time_utc and not end_time_utc) or (start_time_local and not end_time_local))
