"""awork's texts of days, times of day and instants as Python values; None where a text cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime


def combine_day_and_time(day: str | None, time: str | None) -> datetime | None:
    """
    Combine a day and a time of day into one timestamp without zone.

    The day is sent at midnight; awork's document shows one with a time inside, which must not count twice.
    """
    if day is None or time is None:
        return None
    try:
        combined = datetime.fromisoformat(f"{day[:10]}T{time}")
    except ValueError:
        return None
    return combined if combined.tzinfo is None else None


def parse_day(text: str | None) -> date | None:
    """Return the day of awork's text, which may have a time behind it."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def parse_instant(text: str | None) -> datetime | None:
    """Return an instant as a ``datetime`` in UTC without zone."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text.removesuffix("Z"))
        return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed  # some old ones have no zone
    except (ValueError, OverflowError):
        return None
