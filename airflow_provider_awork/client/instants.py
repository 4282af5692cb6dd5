"""Instants as awork sends them, as text that sorts in order of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from airflow_provider_awork.exceptions import AworkPagingError

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(?:Z|\+00:00)?")


def instant_key(instant: str, field: str = "createdOn") -> str:
    """
    Return an instant with seven fraction digits and no zone, so that text order is order in time.

    awork sends none, three or seven digits, with ``Z`` or without; all are UTC.

    :param field: the field that holds the instant, for the error.
    :raises AworkPagingError: the text is not such an instant.

    >>> instant_key("2026-11-01T08:00:00.25Z")
    '2026-11-01T08:00:00.2500000'
    """
    if len(instant) == 28 and instant[-1] == "Z" and instant[19] == ".":
        return instant[:27]
    match = _INSTANT.fullmatch(instant)
    if not match:
        raise AworkPagingError(f"{field} {instant!r} is not an instant in UTC as awork documents it")
    return f"{match[1]}.{match[2] or '':0<7}"


def second_of(instant: object, field: str) -> datetime:
    """
    Return the whole second of an instant as awork sends it.

    :raises AworkPagingError: it is not such an instant.
    """
    return datetime.fromisoformat(instant_key(str(instant), field)[:19]).replace(tzinfo=UTC)
