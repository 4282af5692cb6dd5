"""
Literals of awork's filters for Python values. Source: https://developers.awork.com/filtering

awork compares ids with GUIDs only, days with midnights and instants with seconds without a zone, so the literal of a
value depends on the field that it is compared with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from airflow_provider_awork.exceptions import AworkConfigError

# In awork's document each property with such a name is a GUID (exception: traceId, which no list can be filtered by).
_ID = re.compile(r"(?:^|/)(?:id|\w*I[dD]|createdBy|updatedBy)$")
_DAY = re.compile(r"Date(?:Local|Utc)$")
_MOMENT = re.compile(r"(?:On|Date|DateLocal|DateUtc)$")
_CHANGED_BY_JINJA = re.compile(r"\{[{%#]|\r")


def day_literal(day: date) -> str:
    """
    A day as awork's literal; awork keeps days as dates at midnight.

    >>> day_literal(date(2026, 11, 1))
    "datetime'2026-11-01T00:00'"
    """
    return f"datetime'{day.year:04}-{day.month:02}-{day.day:02}T00:00'"


def is_repeated(local: datetime) -> bool:
    """Whether the zone's clock shows this time twice, at the end of summer time, so that a literal is ambiguous."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


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
    while is_repeated(local):  # in some zones more than an hour
        earliest = local.replace(minute=0, second=0, fold=0).astimezone(UTC) - timedelta(seconds=1)
        local = earliest.astimezone(ZoneInfo(zone))
    return f"datetime'{local.replace(tzinfo=None).isoformat()}'"


def compare_instant(field: str, operator: str, instant: datetime, *, zone: str) -> str:
    """
    Write the comparison of a field with an instant.

    :param operator: awork's, such as ``ge``.
    :param instant: aware.
    :param zone: IANA zone in which awork reads literals.

    >>> compare_instant("updatedOn", "ge", datetime(2026, 11, 1, 8, 30, tzinfo=UTC), zone="Europe/Berlin")
    "updatedOn ge datetime'2026-11-01T09:30:00'"
    """
    return f"{field} {operator} {datetime_literal(instant, zone=zone)}"


@dataclass(frozen=True)
class Template:
    """Text that Airflow renders before awork sees it. Made by :func:`template`."""

    text: str


def template(text: str) -> Template:
    """
    A value that Airflow renders, for the templated parameters of operators; the hook renders nothing.

    Quotes in what it renders to are doubled, so the value cannot leave its place. For a day it must render to
    ``YYYY-MM-DD``, for an id to a GUID. Instants and numbers cannot be templates; write text for them.

    :param text: Jinja template such as ``{{ params.project }}``.
    :raises AworkConfigError: it is not text.

    >>> print(value_literal("startDateLocal", template("{{ ds }}")))
    datetime'{% filter replace("'", "''") %}{{ ds }}{% endfilter %}T00:00'
    """
    if not isinstance(text, str):
        raise AworkConfigError(f"template: {text!r} is not text such as '{{{{ params.project }}}}'")
    return Template(text)


def is_id(path: str) -> bool:
    """Whether awork compares the field of this path with GUIDs."""
    return _ID.search(path) is not None


def value_literal(path: str, value: object) -> str:
    """
    Write a value as awork's literal.

    :param path: the field that it is compared with.
    :param value: None, bool, number, text, UUID, date, aware datetime, timedelta or :class:`Template`.
    :raises AworkConfigError: awork's filters cannot express the value.

    >>> value_literal("duration", timedelta(hours=1)), value_literal("note", "it's")
    ('3600', "'it''s'")
    """
    if value is None:
        return "null"
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(path, value)
    raise AworkConfigError(
        f"{path}: awork's filters cannot express {value!r} ({type(value).__name__}); pass None, a bool, number, str, "
        "UUID, date, aware datetime or timedelta"
    )


def quoted(path: str, value: object) -> str:
    """
    Write text in quotes, so that nothing in it ends them.

    :param path: the field that it is compared with, for messages.
    :param value: text, or a :class:`Template` for text.
    :raises AworkConfigError: it is not text, or text that cannot be sent.
    """
    if isinstance(value, Template):
        return f"""'{{% filter replace("'", "''") %}}{value.text}{{% endfilter %}}'"""
    if not isinstance(value, str):
        raise AworkConfigError(f"{path}: {value!r} is not text")
    if _CHANGED_BY_JINJA.search(value):
        raise AworkConfigError(
            f"{path}: operators would render {value!r} as a template, which changes '{{{{', '{{%', '{{#' and carriage "
            "returns. Is it a template, pass template(...); else write the expression as text for the hook"
        )
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise AworkConfigError(f"{path}: {value!r} has a character that cannot be sent (NUL or half a surrogate pair)")
    return "'" + value.replace("'", "''") + "'"


def _text_literal(path: str, value: str | Template) -> str:
    if _MOMENT.search(path) and (isinstance(value, str) or not _DAY.search(path)):
        kind = "a date" if _DAY.search(path) else "a date or an aware datetime"
        raise AworkConfigError(f"{path}: {value!r} is text where a moment belongs; pass {kind}")
    if _ID.search(path):
        return f"guid{quoted(path, value if isinstance(value, Template) else _guid(path, value))}"
    if isinstance(value, Template) and _DAY.search(path):
        return f"datetime{quoted(path, value)[:-1]}T00:00'"
    return quoted(path, value)


def _guid(path: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise AworkConfigError(f"{path}: {text!r} is not a GUID, which an id has to be") from None


def _instant_literal(path: str, value: datetime) -> str:
    if _DAY.search(path):
        raise AworkConfigError(f"{path}: {value} is an instant, but the field holds a day; pass a date")
    if value.utcoffset() is None:
        raise AworkConfigError(f"{path}: {value} has no time zone; pass an aware datetime, or a date")
    if value.microsecond:
        raise AworkConfigError(f"{path}: {value} has a fraction of a second, which awork's filters cannot express")
    try:
        return datetime_literal(value)
    except OverflowError:
        raise AworkConfigError(f"{path}: {value} is too near to the end of the calendar") from None


def _int_literal(path: str, value: int) -> str:
    if not -(2**63) <= value < 2**63:
        raise AworkConfigError(f"{path}: {value} does not fit into 64 bits")
    return f"{value}" if -(2**31) <= value < 2**31 else f"{value}L"


def _float_literal(path: str, value: float) -> str:
    if not math.isfinite(value):
        raise AworkConfigError(f"{path}: {value} is not a finite number")
    text = f"{Decimal(repr(float(value))):f}"
    return text if "." in text else f"{text}.0"


def _decimal_literal(path: str, value: Decimal) -> str:
    """.NET's decimals have 96 bits and at most 28 decimal places."""
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and -28 <= exponent <= 28:
        size = int("".join(map(str, digits))) * 10 ** max(0, exponent)
        if size < 2**96:
            return f"{value:f}M"
    raise AworkConfigError(f"{path}: {value} does not fit into a decimal of 28 places")


def _duration_literal(path: str, value: timedelta) -> str:
    seconds = value.total_seconds()
    if not seconds.is_integer():
        raise AworkConfigError(f"{path}: {value} is not in whole seconds, in which awork counts durations")
    return _int_literal(path, int(seconds))


# The first that fits: a bool is an int, a datetime is a date.
_WRITERS: tuple[tuple[type, Callable[[str, Any], str]], ...] = (
    (bool, lambda path, value: str(value).lower()),
    (int, _int_literal),
    (float, _float_literal),
    (Decimal, _decimal_literal),
    (str, _text_literal),
    (Template, _text_literal),
    (UUID, lambda path, value: f"guid'{value}'"),
    (datetime, _instant_literal),
    (date, lambda path, value: day_literal(value)),
    (timedelta, _duration_literal),
)
