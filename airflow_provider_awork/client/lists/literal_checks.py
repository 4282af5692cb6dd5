"""
Checks that awork reads datetime literals as assumed, which its documentation leaves open.

Runs make the checks that they rely on, the doctor makes all of them, both with this code. Assumptions that pages alone
can show are checked where pages are read: see :mod:`.stitcher`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_awork.client.http.answer import Answer, decode_json
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.instants import second_of
from airflow_provider_awork.client.lists.literals import compare_instant, is_repeated
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkFilterError,
    AworkPagingError,
    AworkTransportError,
)

PROBES = 3


@dataclass(frozen=True)
class Probe:
    """
    An entry that filters must find.

    :param entry_id: its id.
    :param second: the whole second of one of its instants, in UTC.
    """

    entry_id: str
    second: datetime


def own_second(field: str, second: datetime, *, zone: str) -> str:
    """
    Write the filter on the instants of one second.

    :param second: aware.
    :param zone: IANA zone in which literals are read.
    """
    start, end = _bounds(second)
    return f"{compare_instant(field, 'ge', start, zone=zone)} and {compare_instant(field, 'lt', end, zone=zone)}"


def _bounds(second: datetime) -> tuple[datetime, datetime]:
    return second, second + timedelta(seconds=1)


def newest_entry(session: AworkSession, *, field: str = "createdOn") -> Probe | None:
    """
    Return the entry created last, with one of its instants; None in an empty workspace.

    :param field: ``createdOn`` or ``updatedOn``.
    """
    return _first(session, field, {"orderby": "createdOn desc"})


def check_literals(session: AworkSession, *, zone: str, field: str = "createdOn") -> Probe | None:
    """
    Prove that a field can be filtered on, and that awork reads datetime literals to the second in the assumed zone.

    The newest entry is requested by the second of its instant.

    :param zone: IANA zone in which literals are read.
    :param field: ``createdOn`` or ``updatedOn``.
    :return: the entry that was found; None in an empty workspace, where nothing is proven.
    :raises AworkAssumptionError: it does not; the message names the connection extra.
    :raises AworkFilterError: awork does not filter on the field.
    :raises AworkPagingError: the newest entries change too fast for a proof.
    """
    probe = _newest_expressible(session, zone=zone, field=field)
    for _ in range(PROBES):
        if probe is None:
            return None
        found = _first(session, field, {"filterby": own_second(field, probe.second, zone=zone)})
        if found and found.second == probe.second:
            return probe
        again = _newest_expressible(session, zone=zone, field=field)
        # Another entry may happen to lie where the literals were read wrongly.
        if found or again == probe:
            raise AworkAssumptionError(
                f"awork does not find its newest entry ({field} {probe.second:%Y-%m-%dT%H:%M:%SZ}) in its own second: "
                f"it does not read datetime literals in {zone}. Set the connection extra literal_timezone to its zone."
            )
        probe = again
    raise AworkPagingError(f"the newest entries change faster than their {field} can be asked for; try again")


def check_bound(session: AworkSession, path: str, *, zone: str, field: str, bound: datetime) -> None:
    """
    Prove that awork applies a bound of a window at the right instant.

    The first row from the bound on may not be earlier, and the last row before it may not be later. A zone may equal
    the assumed one at the newest row, but not at a bound half a year before.

    :param path: the list, below the base URL.
    :param zone: IANA zone in which literals are read.
    :param field: ``createdOn``, or ``updatedOn``, whose proof depends on awork ordering by it.
    :param bound: aware, of whole seconds.
    :raises AworkAssumptionError: it does not; the message names the connection extra.
    """
    for operator, order in (("ge", "asc"), ("lt", "desc")):
        filterby = compare_instant(field, operator, bound, zone=zone)
        try:
            found = _first(session, field, {"orderby": f"{field} {order}", "filterby": filterby}, path=path)
        except AworkFilterError:  # the order: the filter is known to work
            found = _first(session, field, {"orderby": f"createdOn {order}", "filterby": filterby}, path=path)
        if found and (found.second >= bound) != (operator == "ge"):
            raise AworkAssumptionError(
                f"{filterby} finds an entry whose {field} is {found.second:%Y-%m-%dT%H:%M:%SZ}: awork does not read "
                f"datetime literals in {zone}. Set the connection extra literal_timezone to its zone."
            )


def _newest_expressible(session: AworkSession, *, zone: str, field: str) -> Probe | None:
    """Return the newest entry; one of the day before if literals cannot express its second, in a repeated hour."""
    probe = newest_entry(session, field=field)
    if probe is None or not any(is_repeated(each.astimezone(ZoneInfo(zone))) for each in _bounds(probe.second)):
        return probe
    before = compare_instant("createdOn", "lt", probe.second - timedelta(days=1), zone=zone)
    return _first(session, field, {"orderby": "createdOn desc", "filterby": before})


def _first(session: AworkSession, field: str, query: Mapping[str, str], *, path: str = TIME_ENTRIES) -> Probe | None:
    """Return the first row of a query."""
    entries = session.get(path, {"page": 1, "pageSize": 1, **query}, parse=_rows)
    if not entries:
        return None
    return Probe(str(entries[0].get("id")), second_of(entries[0].get(field), field))


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows = decode_json(answer)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise AworkTransportError("the answer is no list of objects")
    return rows
