"""``filterby`` expressions from Python values. Source: https://developers.awork.com/filtering"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def all_of(*expressions: str | None) -> str | None:
    """
    Join expressions with ``and``; None and blank ones are left out.

    >>> all_of("isBilled eq false", None, "duration gt 0 or isBillable eq true")
    '(isBilled eq false) and (duration gt 0 or isBillable eq true)'
    """
    given = [each.strip() for each in expressions if each and each.strip()]
    return " and ".join(f"({each})" for each in given) if len(given) > 1 else "".join(given) or None


def datetime_literal(instant: datetime, *, zone: str = "UTC") -> str:
    """
    An instant as awork's literal, which carries neither zone nor fraction.

    :param instant: aware; its fraction of a second is cut off.
    :param zone: IANA zone in which awork reads literals. Where its clock shows the same time twice (end of summer
        time), the second before that hour is used, so that the literal is never later than the instant.

    >>> datetime_literal(datetime(2026, 11, 1, 8, 30, tzinfo=UTC))
    "datetime'2026-11-01T08:30:00'"
    """
    local = instant.astimezone(ZoneInfo(zone)).replace(microsecond=0)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        earliest = local.replace(minute=0, second=0, fold=0).astimezone(UTC) - timedelta(seconds=1)
        local = earliest.astimezone(ZoneInfo(zone))
    return f"datetime'{local:%Y-%m-%dT%H:%M:%S}'"
