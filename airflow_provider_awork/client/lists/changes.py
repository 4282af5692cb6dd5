"""The time entries that were created or updated since an instant, with just enough to tell changes apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.instants import instant_key, second_of
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.literals import compare_instant
from airflow_provider_awork.client.lists.pages import PAGE_SIZE

if TYPE_CHECKING:
    from airflow_provider_awork.client.client import AworkClient


class EntryChange(NamedTuple):
    """
    The last change of one entry.

    :param mark: identifies this version of this entry.
    :param updated_on: as :func:`.instant_key`.
    :param created_on: as :func:`.instant_key`.
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
    Return the entries that were changed from an instant on, all in one state.

    This takes one request for up to 1000 entries, and more if awork does not report their number.

    :param path: list of time entries, below the base URL.
    :param filterby: only entries that match.
    :param since: UTC, in whole seconds; empty for all entries.
    :raises AworkAssumptionError: awork does not read ``since`` in the assumed zone; the message names the way out.
    """
    if since:
        client.check_literals(field="updatedOn")
    expression = all_of(filterby, _since(client, since) if since else None)
    query = {"page": 1, "pageSize": PAGE_SIZE, "orderby": "updatedOn desc", "filterby": expression}
    page = client.session.get(path, query, parse=decode_page)
    # A page without a total may be short because awork caps pages: only exact paging shows where the list ends.
    if page.total is not None and len(page.rows) >= page.total:
        return _changes(page.rows)
    return [change for rows in client.read_list(path, filterby=expression) for change in _changes(rows)]


def read_newest_change(client: AworkClient, path: str, *, filterby: str | None) -> list[EntryChange]:
    """Return the entry that was changed last, from one request of one row; none if no entry matches."""
    query = {"page": 1, "pageSize": 1, "orderby": "updatedOn desc", "filterby": filterby}
    return _changes(client.session.get(path, query, parse=decode_page).rows)


def _since(client: AworkClient, since: str) -> str:
    zone = client.config.extras.behaviour.literal_timezone
    return compare_instant("updatedOn", "ge", second_of(since, "updatedOn"), zone=zone)


def _changes(rows: Iterable[msgspec.Raw]) -> list[EntryChange]:
    return [_change(msgspec.convert(json_text.decode(row), _Row)) for row in rows]


def _change(row: _Row) -> EntryChange:
    version = f"{row.id} {row.updatedOn} {row.resourceVersion}"
    return EntryChange(
        mark=hashlib.blake2b(version.encode(), digest_size=8).hexdigest(),
        updated_on=instant_key(row.updatedOn, "updatedOn"),
        created_on=instant_key(row.createdOn),
    )
