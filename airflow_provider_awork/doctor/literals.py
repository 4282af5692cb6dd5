"""How awork reads the datetime literals of filters, found out by asking for an entry whose instant is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.literal_checks import Probe, check_literals, newest_entry
from airflow_provider_awork.client.lists.refusals import accepts
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkFilterError

QUARTER = timedelta(minutes=15)
WESTERNMOST, EASTERNMOST = -48, 56  # quarters of an hour from UTC
LIKELY_ZONES = ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Kolkata")
LONG_AGO = "createdOn ge datetime'2000-01-01T00:00'"


@dataclass(frozen=True, kw_only=True)
class Literals:
    """
    How literals are read.

    :param filterable: whether ``createdOn`` can be filtered on.
    :param ignored: whether such filters are accepted without being applied.
    :param zone_holds: whether literals are read in the assumed zone; None: unknown.
    :param zone: a zone they may be read in, if not in the assumed one.
    :param offset: difference of that zone to UTC at the newest entry.
    :param seconds: ``read``, ``dropped`` or ``refused``; None: unknown.
    :param probe: the entry that was asked for.
    """

    filterable: bool
    ignored: bool = False
    zone_holds: bool | None = None
    zone: str | None = None
    offset: timedelta | None = None
    seconds: str | None = None
    probe: Probe | None = None


def examine_literals(session: AworkSession, *, zone: str) -> Literals:
    """
    Find out how awork reads literals on ``createdOn``.

    :param zone: the assumed zone.
    :return: without a probe if there is no entry to ask for.
    """
    try:
        probe = check_literals(session, zone=zone)
    except AworkFilterError:
        return _without_seconds(session, zone, "refused")
    except AworkAssumptionError:
        return _without_seconds(session, zone, "dropped")
    if probe is None:
        return Literals(filterable=accepts(session, TIME_ENTRIES, filterby=LONG_AGO))
    return Literals(filterable=True, zone_holds=True, seconds="read", probe=probe)


def _without_seconds(session: AworkSession, zone: str, seconds: str) -> Literals:
    """With literals of whole minutes: do these work?"""
    if seconds == "refused" and not accepts(session, TIME_ENTRIES, filterby=LONG_AGO):
        return Literals(filterable=False)
    probe = newest_entry(session)
    if probe is None:
        return Literals(filterable=True)
    wall_clock = probe.second.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if _found(session, wall_clock) and not _found(session, wall_clock + timedelta(minutes=1)):
        return Literals(filterable=True, zone_holds=True, seconds=seconds, probe=probe)
    offset = _offset(session, probe)
    if offset is None:
        return Literals(filterable=False, ignored=True)
    if offset == probe.second.astimezone(ZoneInfo(zone)).utcoffset():
        return Literals(filterable=True, zone_holds=True, seconds=seconds, probe=probe)
    found = next(_zones_at(offset, probe.second), None)
    return Literals(filterable=True, zone_holds=False, zone=found, offset=offset, probe=probe)


def _found(session: AworkSession, wall_clock: datetime) -> bool:
    """Whether any entry was created from that minute of awork's clock on."""
    filterby = f"createdOn ge datetime'{wall_clock:%Y-%m-%dT%H:%M}'"
    return bool(session.get(TIME_ENTRIES, {"page": 1, "pageSize": 1, "filterby": filterby}, parse=decode_page).rows)


def _offset(session: AworkSession, newest: Probe) -> timedelta | None:
    """
    How far awork's clock is from UTC: the largest difference at which it still finds the newest entry.

    :return: None if no zone explains what it finds: filters are not applied.
    """
    utc = newest.second.astimezone(UTC).replace(tzinfo=None)
    low, high = WESTERNMOST, EASTERNMOST + 1
    if not _found(session, utc + low * QUARTER) or _found(session, utc + high * QUARTER):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _found(session, utc + middle * QUARTER):
            low = middle
        else:
            high = middle
    return low * QUARTER


def _zones_at(offset: timedelta, instant: datetime) -> Iterator[str]:
    """Zones with that difference to UTC at that instant, likely ones first."""
    for name in (*LIKELY_ZONES, *sorted(available_timezones())):
        if instant.astimezone(ZoneInfo(name)).utcoffset() == offset:
            yield name
