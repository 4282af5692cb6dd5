"""Which time entries were created or updated since an instant: what it takes to tell changes apart, and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.filters import all_of, datetime_literal
from airflow_provider_awork.client.lists.pages import PAGE_SIZE


class EntryChange(NamedTuple):
    """
    The last change of one entry.

    :param mark: tells this version of this entry from any other version and entry.
    :param updated_on: UTC, as text whose order is that of time.
    :param created_on: likewise.
    """

    mark: str
    updated_on: str
    created_on: str


class _Row(msgspec.Struct):
    id: str
    createdOn: str
    updatedOn: str
    resourceVersion: int | None = None


def read_changes(client: AworkClient, path: str, *, filterby: str | None, since: str) -> list[EntryChange]:
    """
    The entries that were changed from an instant on, all of them in one state: one request for up to 1000, and more
    where awork does not tell how many there are.

    :param path: list of time entries, below the base URL.
    :param filterby: only entries that match.
    :param since: UTC, in whole seconds; empty for all entries.
    :raises AworkAssumptionError: awork reads ``since`` in another zone than is assumed; the message names the way out.
    """
    if since:
        client.check_literals(field="updatedOn")
    expression = all_of(filterby, _since(client, since) if since else None)
    query = {"page": 1, "pageSize": PAGE_SIZE, "orderby": "updatedOn desc", "filterby": expression}
    page = client.session.get(path, query, parse=decode_page)
    # A page without a total may be short because awork caps pages: only exact paging tells where the list ends.
    if page.total is not None and len(page.rows) >= page.total:
        return _changes(page.rows)
    return [change for rows in client.read_list(path, filterby=expression) for change in _changes(rows)]


def read_newest_change(client: AworkClient, path: str, *, filterby: str | None) -> list[EntryChange]:
    """The entry that was changed last, from one request of one row; none if no entry matches."""
    query = {"page": 1, "pageSize": 1, "orderby": "updatedOn desc", "filterby": filterby}
    return _changes(client.session.get(path, query, parse=decode_page).rows)


def _since(client: AworkClient, since: str) -> str:
    instant = datetime.fromisoformat(since).replace(tzinfo=UTC)
    return f"updatedOn ge {datetime_literal(instant, zone=client.config.extras.behaviour.literal_timezone)}"


def _changes(rows: Iterable[msgspec.Raw]) -> list[EntryChange]:
    return [_change(msgspec.convert(json_text.decode(row), _Row)) for row in rows]


def _change(row: _Row) -> EntryChange:
    version = f"{row.id} {row.updatedOn} {row.resourceVersion}"
    return EntryChange(
        mark=hashlib.blake2b(version.encode(), digest_size=8).hexdigest(),
        updated_on=instant_key(row.updatedOn, "updatedOn"),
        created_on=instant_key(row.createdOn),
    )
