"""
What exact reading takes for granted of awork and its documentation leaves open: one function for each check.

A run makes the checks that it rests on, the doctor makes all of them, both by this code. What shows in pages alone is
checked where pages are read: see :class:`~airflow_provider_awork.client.lists.pages.Page`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_awork.client.http.answer import Answer, decode_json
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.filters import datetime_literal, is_repeated
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkFilterError,
    AworkPagingError,
    AworkRequestError,
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
    The expression for the instants of one second.

    :param second: aware.
    :param zone: IANA zone in which literals are read.
    """
    start, end = (datetime_literal(each, zone=zone) for each in _bounds(second))
    return f"{field} ge {start} and {field} lt {end}"


def _bounds(second: datetime) -> tuple[datetime, datetime]:
    return second, second + timedelta(seconds=1)


def second_of(instant: object, field: str) -> datetime:
    """
    The whole second of an instant as awork sends it.

    :raises AworkPagingError: it is not such an instant.
    """
    return datetime.fromisoformat(instant_key(str(instant), field)[:19]).replace(tzinfo=UTC)


def newest_entry(session: AworkSession, *, field: str = "createdOn") -> Probe | None:
    """
    The entry created last, with one of its instants; None in an empty workspace.

    :param field: ``createdOn`` or ``updatedOn``.
    """
    return _first(session, field, {"orderby": "createdOn desc"})


def check_literals(session: AworkSession, *, zone: str, field: str = "createdOn") -> Probe | None:
    """
    Prove that a field can be filtered on, and that awork reads datetime literals to the second in the assumed zone, by
    asking for the newest entry in its own second.

    :param zone: IANA zone in which literals are read.
    :param field: ``createdOn`` or ``updatedOn``.
    :return: the entry that was found; None in an empty workspace, where nothing is proven.
    :raises AworkAssumptionError: it does not; the message names the connection extra.
    :raises AworkFilterError: awork does not filter on the field.
    :raises AworkPagingError: the newest entries change too fast to tell.
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


def check_bound(session: AworkSession, *, zone: str, field: str, bound: datetime) -> None:
    """
    Prove that awork divides the entries at a bound of a window where it is: no entry from it on is before it, and the
    other way round. A zone may be like the assumed one at the newest entry, but not at a bound half a year before.

    :param zone: IANA zone in which literals are read.
    :param field: ``createdOn``, or ``updatedOn``, whose proof is only as good as awork's order by it.
    :param bound: aware, of whole seconds.
    :raises AworkAssumptionError: it does not; the message names the connection extra.
    """
    for operator, order in (("ge", "asc"), ("lt", "desc")):
        filterby = f"{field} {operator} {datetime_literal(bound, zone=zone)}"
        try:
            found = _first(session, field, {"orderby": f"{field} {order}", "filterby": filterby})
        except AworkFilterError:  # the order: the filter is known to work
            found = _first(session, field, {"orderby": f"createdOn {order}", "filterby": filterby})
        if found and (found.second >= bound) != (operator == "ge"):
            raise AworkAssumptionError(
                f"{filterby} finds an entry whose {field} is {found.second:%Y-%m-%dT%H:%M:%SZ}: awork does not read "
                f"datetime literals in {zone}. Set the connection extra literal_timezone to its zone."
            )


def _newest_expressible(session: AworkSession, *, zone: str, field: str) -> Probe | None:
    """The newest entry, or one of the day before if literals cannot tell its second: the hour that a zone has twice."""
    probe = newest_entry(session, field=field)
    if probe is None or not any(is_repeated(each.astimezone(ZoneInfo(zone))) for each in _bounds(probe.second)):
        return probe
    before = f"createdOn lt {datetime_literal(probe.second - timedelta(days=1), zone=zone)}"
    return _first(session, field, {"orderby": "createdOn desc", "filterby": before})


def _first(session: AworkSession, field: str, query: Mapping[str, str]) -> Probe | None:
    """The first entry of a query."""
    entries = session.get(TIME_ENTRIES, {"page": 1, "pageSize": 1, **query}, parse=_rows)
    if not entries:
        return None
    return Probe(str(entries[0].get("id")), second_of(entries[0].get(field), field))


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows = decode_json(answer)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise AworkTransportError("the answer is no list of objects")
    return rows


def explain_refusal(
    session: AworkSession,
    path: str,
    error: AworkFilterError,
    *,
    filterby: str | None,
    anchored: bool,
    order_by_id: bool,
) -> AworkRequestError | AworkAssumptionError:
    """
    Why awork refused a page: our own order, our own filter, or the filter that was passed in.

    :param filterby: the filter that was passed in.
    :param anchored: whether the page had a filter on ``createdOn`` of our own.
    :param order_by_id: whether the page was ordered by ``createdOn,id``.
    """
    if anchored:
        return AworkAssumptionError(
            f"awork does not filter {path} by createdOn ({error}). Set the connection extra anchor_on_created_on "
            "to false: pages are then found by offset alone, with more requests when entries change."
        )
    if not accepts(session, path, filterby=filterby):
        return error
    if order_by_id and accepts(session, path, filterby=filterby, orderby="createdOn"):
        return AworkAssumptionError(
            f"awork does not order {path} by a second term ({error}). Set the extra order_by_id to false."
        )
    return AworkAssumptionError(f"awork does not order {path} by createdOn ({error}): it cannot be read exactly.")


def accepts(session: AworkSession, path: str, *, filterby: str | None = None, orderby: str | None = None) -> bool:
    """Whether awork takes a filter and an order."""
    query = {"page": 1, "pageSize": 1, "filterby": filterby, "orderby": orderby}
    try:
        session.get(path, query, parse=decode_page)
    except AworkFilterError:
        return False
    return True
