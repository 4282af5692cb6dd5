"""
What exact reading takes for granted of awork and its documentation leaves open: one function for each check.

A run makes the checks that it rests on, the doctor makes all of them, both by this code. What shows in pages alone is
checked where pages are read: see :class:`~airflow_provider_awork.client.paging.Page`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_awork.client import surrogates
from airflow_provider_awork.client.filters import datetime_literal, is_repeated
from airflow_provider_awork.client.operations import TIME_ENTRIES
from airflow_provider_awork.client.pages import decode_page
from airflow_provider_awork.client.paging import instant_key
from airflow_provider_awork.client.rate_limit import http_date
from airflow_provider_awork.client.session import Answer, AworkSession, decode_body, decode_json
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkFilterError,
    AworkPagingError,
    AworkRequestError,
    AworkTransportError,
)

log = logging.getLogger(__name__)

PROBES = 3


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """
    What a user may do in the workspace.

    :param is_admin: may do everything.
    :param levels: ``read`` and ``write`` by feature, such as ``project-timetracking``.
    """

    is_admin: bool
    levels: Mapping[str, frozenset[str]]

    def allow(self, feature: str, level: str) -> bool:
        return self.is_admin or level in self.levels.get(feature, ())


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    Who asks, and what it may see: missing rights shrink awork's lists in silence.

    :param workspace_id: id of the workspace that the key belongs to.
    :param workspace_name: its name.
    :param user_id: id of the user or API user.
    :param name: its name.
    :param sees_all_entries: whether it may list other people's entries (administrator, or *write* on the feature
        ``project-timetracking``); None where awork does not tell.
    :param workspace_url: where people find the workspace.
    :param permissions: its rights; None where awork does not tell.
    """

    workspace_id: str | None
    workspace_name: str | None
    user_id: str | None
    name: str
    sees_all_entries: bool | None
    workspace_url: str | None = None
    permissions: Permissions | None = None

    def to_dict(self) -> dict[str, Any]:
        """What a manifest says of the source."""
        return {name: value for name, value in asdict(self).items() if name not in ("workspace_url", "permissions")}


class _Workspace(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    url: str | None = None


class _Me(msgspec.Struct):
    id: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    workspace: _Workspace | None = None


_decode_me = surrogates.tolerant(msgspec.json.Decoder(_Me).decode)


class _Permission(msgspec.Struct):
    feature: str | None = None
    accessLevels: list[str] | None = None


class _Rights(msgspec.Struct):
    isAdmin: bool | None = None
    permissions: list[_Permission] | None = None


class _UserPermission(msgspec.Struct):
    userPermission: _Rights | None = None


def identity(session: AworkSession) -> Identity:
    """
    Read ``/me`` and ``/me/permissions``.

    :raises AworkAuthenticationError: the key is not valid.
    """
    me = session.get("me", parse=partial(decode_body, _decode_me))
    workspace = me.workspace or _Workspace()
    permissions = _permissions(session)
    return Identity(
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        user_id=me.id,
        name=" ".join(filter(None, (me.firstName, me.lastName))) or "without a name",
        sees_all_entries=None if permissions is None else permissions.allow("project-timetracking", "write"),
        workspace_url=workspace.url,
        permissions=permissions,
    )


def _permissions(session: AworkSession) -> Permissions | None:
    try:
        answer = msgspec.convert(session.get("me/permissions", parse=decode_json), _UserPermission)
    except (AworkRequestError, msgspec.ValidationError) as error:
        log.warning("What this key may see is unknown: %s", error)
        return None
    rights = answer.userPermission or _Rights()
    if rights.isAdmin is None and rights.permissions is None:
        return None
    levels = {
        each.feature or "": frozenset(level.lower() for level in each.accessLevels or ())
        for each in rights.permissions or ()
    }
    # awork's document shows a feature's key as ``pmd`` in one place and as ``project-master-data`` in others.
    if levels and not rights.isAdmin and not any("-" in feature for feature in levels):
        return None
    return Permissions(is_admin=bool(rights.isAdmin), levels=levels)


def server_time(session: AworkSession) -> datetime:
    """
    awork's clock, to the second below: the ``Date`` header of an answer.

    :raises AworkAssumptionError: the answer has none.
    """
    at = session.get("me", parse=lambda answer: http_date(answer.headers.get("date")))
    if at is None:
        raise AworkAssumptionError(
            "awork's answers have no Date header, so its clock cannot be read, and the worker's may be wrong. Pass "
            "explicit windows on another field than updatedOn."
        )
    return at.astimezone(UTC)


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
