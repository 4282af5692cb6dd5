"""
Instants as .NET ticks, and awork's split of an instant into a date and a time of day.

A tick is 100 ns; awork counts them from 0001-01-01 (``resourceVersion``) and prints up to seven fraction digits.
Ticks here are UTC unless a name says local. Facts: sections 1 and 9.1 of the API facts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND

_FIRST = datetime(1, 1, 1)


def to_ticks(moment: datetime) -> int:
    """Ticks of an aware datetime in UTC; of a naive one as it stands."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    since = moment - _FIRST
    return (since.days * 86_400 + since.seconds) * TICKS_PER_SECOND + since.microseconds * 10


def from_ticks(ticks: int) -> datetime:
    """The naive datetime of the ticks; the seventh digit is cut."""
    return _FIRST + timedelta(days=ticks // TICKS_PER_DAY, microseconds=ticks % TICKS_PER_DAY // 10)


def parse_ticks(text: str) -> int:
    """
    Ticks of ``YYYY-MM-DDTHH:MM:SS`` with up to seven fraction digits; ``Z``, ``+00:00`` or nothing at the end.

    :raises ValueError: the text is something else.
    """
    whole, rest = text[:19], text[19:].removesuffix("Z").removesuffix("+00:00")
    if len(whole) != 19 or (rest and not (rest[0] == "." and rest[1:].isdigit() and len(rest) <= 8)):
        raise ValueError(f"{text!r} is not a UTC date-time with at most seven fraction digits")
    return to_ticks(datetime.fromisoformat(whole)) + int(f"{rest[1:]:0<7}")


def format_instant(ticks: int, *, digits: int = 7) -> str:
    """``2026-05-04T09:21:07.1234567Z`` with that many fraction digits, the others cut."""
    return f"{_date(ticks)}T{_time_of_day(ticks, digits=digits)}Z"


def split(field: str, ticks: int, zone: tzinfo) -> dict[str, str]:
    """
    The four fields of an instant as awork sends them.

    :param field: ``start`` or ``end``.
    :return: ``startDateUtc``, ``startTimeUtc``, ``startDateLocal`` and ``startTimeLocal``; dates are at midnight, times
        have seven fraction digits or none.
    """
    local = ticks + _offset(ticks, zone)
    return {
        f"{field}DateUtc": f"{_date(ticks)}T00:00:00Z",
        f"{field}TimeUtc": _time_of_day(ticks),
        f"{field}DateLocal": f"{_date(local)}T00:00:00",
        f"{field}TimeLocal": _time_of_day(local),
    }


def _offset(ticks: int, zone: tzinfo) -> int:
    offset = from_ticks(ticks).replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds()) * TICKS_PER_SECOND


def _date(ticks: int) -> str:
    return (_FIRST + timedelta(days=ticks // TICKS_PER_DAY)).date().isoformat()


def _time_of_day(ticks: int, *, digits: int = 7) -> str:
    seconds, fraction = divmod(ticks % TICKS_PER_DAY, TICKS_PER_SECOND)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{f'{fraction:07}'[:digits]}" if fraction and digits else text
