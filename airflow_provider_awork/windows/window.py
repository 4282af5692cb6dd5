"""
The half-open window ``[start, end)`` of a run, and awork's ``filterby`` expression for it.

``createdOn`` and ``updatedOn`` are instants. ``startDateLocal`` is the day in each entry's own zone, ``startDateUtc``
the UTC day; awork keeps both as dates at midnight, so windows on them are in whole days.
Source: https://developers.awork.com/filtering. It does not say in which zone awork reads literals of instants; UTC is
inferred from the values that awork sends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pendulum

from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.literals import is_repeated
from airflow_provider_awork.exceptions import AworkConfigError

INSTANT_FIELDS = ("createdOn", "updatedOn")
DAY_FIELDS = ("startDateLocal", "startDateUtc")

Bound = date | datetime | str

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FRACTION = re.compile(r"[.,]\d*[1-9]")
_LENGTH = re.compile(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?"
)


@dataclass(frozen=True, kw_only=True)
class Window:
    """
    A window on one field of the entries; make it by ``Window.of``, which checks the bounds.

    :param field: ``createdOn``, ``updatedOn``, ``startDateLocal`` or ``startDateUtc``; None for no window.
    :param start: first day, or first instant in UTC, inside; None for an open start.
    :param end: first day, or first instant in UTC, after the window; None for an open end.
    :param timezone: IANA zone that the bounds were read in; None if none was needed.
    """

    field: str | None = None
    start: date | datetime | None = None
    end: date | datetime | None = None
    timezone: str | None = None

    @classmethod
    def of(
        cls,
        *,
        field: str | None,
        start: Bound | None = None,
        end: Bound | None = None,
        timezone: str | None = None,
    ) -> Window:
        """
        Make a window from what a DAG author writes or a template renders.

        A bound is a ``date``, ``'YYYY-MM-DD'``, an aware ``datetime``, or such a datetime in ISO 8601. On
        ``startDateLocal`` and ``startDateUtc`` a datetime must be midnight in ``timezone``, by default in its own zone
        and in UTC respectively. On ``createdOn`` and ``updatedOn`` a date is midnight in ``timezone``, by default UTC.

        :param field: ``createdOn``, ``updatedOn``, ``startDateLocal`` or ``startDateUtc``; None for no window.
        :param start: first day or instant inside; None for an open start.
        :param end: first day or instant after the window; None for an open end. At least one bound is needed.
        :param timezone: IANA zone such as ``Europe/Berlin``.
        :raises AworkConfigError: a bound that cannot work: it is naive, has a fraction of a second, is not midnight
            where days are meant, or the end is not after the start.
        """
        if field is None:
            if start is not None or end is not None:
                raise AworkConfigError(
                    "window_start and window_end need window_field: one of " + ", ".join(INSTANT_FIELDS + DAY_FIELDS)
                )
            return cls()
        check_field(field)
        if start is None and end is None:
            raise AworkConfigError(
                f"window_field {field}: neither window_start nor window_end is given; "
                "pass one or both, or window_field=None for everything"
            )
        if timezone is None and field != "startDateLocal":
            timezone = "UTC"
        zone = None if timezone is None else zone_named(timezone)
        to_bound = _to_day if field in DAY_FIELDS else _to_instant
        first = None if start is None else to_bound("window_start", start, zone)
        after = None if end is None else to_bound("window_end", end, zone)
        if first is not None and after is not None and after <= first:
            raise AworkConfigError(
                f"window_end: {_plain(after)} is not after window_start {_plain(first)}; the end is outside the "
                "window, so a window of one day ends on the next"
            )
        return cls(field=field, start=first, end=after, timezone=timezone)

    @classmethod
    def of_length(cls, *, field: str, start: Bound, length: str, timezone: str | None = None) -> Window:
        """
        Make a window from its start and its length by the calendar.

        :param field: as in ``of``.
        :param start: first day or instant inside.
        :param length: as in :func:`parse_length`. Days and more are counted by the calendar and the clock of
            ``timezone`` (default: that of ``start``, else UTC), so a day may have 23 or 25 hours.
        :param timezone: IANA zone, as in ``of``.
        :raises AworkConfigError: a bound or the length cannot work.

        >>> window = Window.of_length(field="createdOn", start="2026-03-01", length="P1M", timezone="Europe/Berlin")
        >>> window.to_dict()["start"], window.to_dict()["end"]
        ('2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z')
        """
        duration, first = parse_length(length), cls.of(field=field, start=start, timezone=timezone).start
        if isinstance(first, datetime):
            parsed = _parse("window_start", start)
            zone = zone_named(timezone) if timezone else (parsed.tzinfo if isinstance(parsed, datetime) else UTC)
            end: Bound = pendulum.instance(datetime.fromtimestamp(first.timestamp(), zone)) + duration
        elif has_hours(duration):
            raise AworkConfigError(f"window_length: {length!r} has hours, but a window on {field} is in days")
        else:
            end = pendulum.instance(first or date.min) + duration
        return cls.of(field=field, start=start, end=end, timezone=timezone)

    def filterby(self, *, literal_timezone: str = "UTC") -> str | None:
        """
        The window as awork's expression; None if there is no window.

        :param literal_timezone: IANA zone in which awork reads literals of instants; they carry none themselves.
        :raises AworkConfigError: a bound falls into the hour that ``literal_timezone`` has twice.

        >>> Window.of(field="startDateLocal", start="2026-11-01", end="2026-11-02").filterby()
        "startDateLocal ge datetime'2026-11-01T00:00' and startDateLocal lt datetime'2026-11-02T00:00'"
        """
        bounds = self.bounds(literal_timezone)
        return bounds.filterby() if bounds else None

    def restrict(self, filterby: str | Condition | None, *, literal_timezone: str = "UTC") -> str | None:
        """
        A user's filter within this window; None if there is neither.

        :param filterby: awork expression or a condition; None or blank for none.
        :param literal_timezone: as in ``filterby``.
        :raises AworkConfigError: its quotes or parentheses do not match, so it could reach out of the window.

        >>> Window.of(field="createdOn", start="2026-11-01").restrict("isBilled eq false or duration gt 0")
        "(isBilled eq false or duration gt 0) and createdOn ge datetime'2026-11-01T00:00:00'"
        """
        bounds = self.bounds(literal_timezone)
        return bounds.restrict(filterby) if bounds else all_of(filterby)

    def bounds(self, literal_timezone: str = "UTC") -> Bounds | None:
        """
        The bounds as the client takes them; None if there is no window.

        :param literal_timezone: as in ``filterby``.
        :raises AworkConfigError: a bound falls into the hour that ``literal_timezone`` has twice.
        """
        if self.field is None:
            return None
        for instant in self.instants:
            _refuse_repeated(instant, ZoneInfo(literal_timezone))
        return Bounds(field=self.field, start=self.start, end=self.end, zone=literal_timezone)

    @property
    def instants(self) -> list[datetime]:
        """The bounds of a window on instants; none for one on days."""
        return [bound for bound in (self.start, self.end) if isinstance(bound, datetime)]

    def to_dict(self) -> dict[str, str | None]:
        """The window in JSON types, for a manifest."""
        start, end = (None if bound is None else _plain(bound) for bound in (self.start, self.end))
        return {"field": self.field, "start": start, "end": end, "timezone": self.timezone}


def check_field(field: str) -> None:
    """
    Refuse what no window can be on.

    :raises AworkConfigError: it is not one of the fields.
    """
    if field not in INSTANT_FIELDS + DAY_FIELDS:
        raise AworkConfigError(f"window_field: {field!r} is not one of {', '.join(INSTANT_FIELDS + DAY_FIELDS)}")


def parse_length(text: str) -> pendulum.Duration:
    """
    The length of a window.

    :param text: an ISO 8601 duration of whole years, months, weeks, days, hours and minutes, such as ``P1D``, ``P1M``
        or ``PT1H``.
    :raises AworkConfigError: it is none, or zero.

    >>> parse_length("P1Y6M").in_words()
    '1 year 6 months'
    """
    match = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    parts = {} if match is None else {unit: int(number) for unit, number in match.groupdict(default="0").items()}
    if not any(parts.values()):
        raise AworkConfigError(
            f"window_length: {text!r} is not an ISO 8601 duration above zero such as 'P1D' (a day), 'P1M' (a month) or "
            "'PT1H' (an hour)"
        )
    return pendulum.Duration(**parts)


def has_hours(length: pendulum.Duration) -> bool:
    """Whether a length has a part below a day."""
    return bool(length.hours or length.minutes)


def before_repeated_hour(instant: datetime, literal_timezone: str) -> datetime:
    """
    The instant, or one before it if it falls into the hour that the zone has twice, which literals cannot express.

    >>> before_repeated_hour(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Berlin").isoformat()
    '2026-10-24T23:30:00+00:00'
    """
    zone = ZoneInfo(literal_timezone)
    while is_repeated(instant.astimezone(zone)):
        instant -= timedelta(hours=1)
    return instant


def _to_day(name: str, bound: Bound, zone: tzinfo | None) -> date:
    parsed = _parse(name, bound)
    if not isinstance(parsed, datetime):
        return parsed
    zone = zone or parsed.tzinfo
    local = parsed.astimezone(zone)
    # Compared as instants: where clocks skip midnight, the day starts at 01:00.
    if local.astimezone(UTC) != datetime.combine(local, time(), zone).astimezone(UTC):
        raise AworkConfigError(
            f"{name}: {bound} is {local:%Y-%m-%d %H:%M:%S} in {zone}, not midnight, but the window is in days. Pass a "
            "date, or timezone= the zone whose midnight is meant, or use a window on createdOn or updatedOn"
        )
    return local.date()


def _to_instant(name: str, bound: Bound, zone: tzinfo | None) -> datetime:
    parsed = _parse(name, bound)
    if not isinstance(parsed, datetime):
        parsed = datetime.combine(parsed, time(), zone)
    instant = parsed.astimezone(UTC)
    # Plain, of whole seconds: a datetime of pendulum with this UTC loses it in sums.
    return datetime(*instant.timetuple()[:6], tzinfo=UTC)


def _parse(name: str, bound: Bound) -> date | datetime:
    """A bound as a plain date or an aware datetime of whole seconds."""
    parsed = _from_text(bound) if isinstance(bound, str) else bound
    if isinstance(parsed, datetime):
        _check_datetime(name, parsed, bound)
        return parsed
    if isinstance(parsed, date):
        return date(parsed.year, parsed.month, parsed.day)
    raise AworkConfigError(
        f"{name}: {bound!r} is neither a date, 'YYYY-MM-DD', nor a datetime with a time zone such as "
        "'2026-11-01T00:00:00+00:00'"
    )


def _from_text(text: str) -> date | datetime | None:
    text = text.strip()
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        return None


def _check_datetime(name: str, parsed: datetime, bound: Bound) -> None:
    if parsed.utcoffset() is None:
        raise AworkConfigError(
            f"{name}: {bound} has no time zone; add one ('{parsed.isoformat()}+00:00') or pass a date "
            f"('{parsed.date().isoformat()}')"
        )
    if parsed.microsecond or (isinstance(bound, str) and _FRACTION.search(bound)):
        raise AworkConfigError(
            f"{name}: {bound} has a fraction of a second, which awork's filters cannot express; pass whole seconds"
        )
    if not date.min < parsed.date() < date.max:
        raise AworkConfigError(f"{name}: {bound} is too near to the end of the calendar; leave the bound out")


def zone_named(name: str) -> ZoneInfo:
    """
    The zone that a DAG author names.

    :raises AworkConfigError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise AworkConfigError(f"timezone: {name!r} is not an IANA time zone such as 'Europe/Berlin'") from error


def _refuse_repeated(bound: datetime, zone: ZoneInfo) -> None:
    local = bound.astimezone(zone)
    if is_repeated(local):
        raise AworkConfigError(
            f"window: {_plain(bound)} is {local:%Y-%m-%d %H:%M:%S} in {zone} (extra literal_timezone), a time that the "
            "change from summer time gives twice; move the bound out of that hour"
        )


def _plain(bound: date | datetime) -> str:
    return bound.isoformat().replace("+00:00", "Z")
