"""
Read the present state of time entries, for changes that must not rest on an older copy.

awork cannot filter by many ids. Entries whose ``createdOn`` is known, which never changes, are read in pages over its
range; entries that no page had, and those without a known ``createdOn``, one by one. The range is left as soon as the
pages to come outnumber the entries that are missing.

Reading many entries one by one, or a wide range, takes time. If it took long, the entries that were updated in the
meantime are read once more, usually with one request, and again if that took long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from airflow_provider_awork.billing.entry_keys import EntryKey, EntryState
from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer, decode_body
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.literals import compare_instant
from airflow_provider_awork.client.lists.pages import PAGE_SIZE
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkNotFoundError,
    AworkPagingError,
    AworkPermissionError,
    AworkTransportError,
)

log = logging.getLogger(__name__)

STALE_AFTER = 1.0  # seconds of reading
MOST_REREADS = 3
CLOCK_MARGIN = timedelta(seconds=10)  # awork's clock is told in whole seconds, and its servers may differ a little


@dataclass(frozen=True, kw_only=True)
class States:
    """
    :param found: the entries that there are, by id in lower case.
    :param refused: ids of entries that the key may not read. The others are gone, or hidden from the key.
    :param seen_at: on the monotonic clock; no state is older.
    """

    found: dict[str, EntryState]
    refused: set[str]
    seen_at: float

    @property
    def age(self) -> float:
        """Seconds since the oldest of the states was read."""
        return time.monotonic() - self.seen_at

    @property
    def is_stale(self) -> bool:
        return self.age > STALE_AFTER


def read_states(client: AworkClient, keys: Collection[EntryKey]) -> States:
    """
    Read entries as they are now: no state is older than about a second if awork filters on ``updatedOn``.

    :param client: of their workspace.
    :param keys: which ones, ids in lower case; in order of ``createdOn`` their range is the smallest.
    :raises AworkPagingError: the range cannot be read exactly.
    """
    seen_at = time.monotonic()
    found = _read_range(client, keys)
    refused = set()
    for entry_id, state in _read_each(client, [key.id for key in keys if key.id not in found]):
        if state == "refused":
            refused.add(entry_id)
        elif isinstance(state, EntryState):
            found[entry_id] = state
    for _ in range(MOST_REREADS):
        if not found or time.monotonic() - seen_at <= STALE_AFTER:
            break
        updated = _updated_since(client, seen_at, found.keys())
        if updated is None:
            break
        found |= updated.found
        seen_at = updated.seen_at
    return States(found=found, refused=refused, seen_at=seen_at)


def _read_range(client: AworkClient, keys: Iterable[EntryKey]) -> dict[str, EntryState]:
    seconds = {key.id: instant_key(key.created_on)[:19] for key in keys if key.created_on}
    found: dict[str, EntryState] = {}
    if not seconds or not client.config.extras.behaviour.anchor_on_created_on:
        return found
    reader = client.read_pages(TIME_ENTRIES, filterby=_created_between(client, sorted(seconds.values())))
    for rows in reader:
        found |= _states_in(rows, seconds.keys())
        missing = len(seconds) - len(found)
        if not missing or (reader.expected or 0) - reader.rows > missing * PAGE_SIZE:
            break
    return found


def _updated_since(client: AworkClient, started: float, ids: Collection[str]) -> States | None:
    """Read the entries again that were updated since an instant of the monotonic clock; None if awork cannot tell."""
    try:
        client.check_literals(field="updatedOn")
        now = client.server_time()
    except (AworkAssumptionError, AworkPagingError) as error:
        seconds = time.monotonic() - started
        log.warning("What changed in the %.0f s in which the entries were read may go unnoticed: %s", seconds, error)
        return None
    seen_at = time.monotonic()
    since = now - timedelta(seconds=seen_at - started) - CLOCK_MARGIN
    expression = compare_instant("updatedOn", "ge", since, zone=client.config.extras.behaviour.literal_timezone)
    found: dict[str, EntryState] = {}
    for rows in client.read_pages(TIME_ENTRIES, filterby=expression):
        found |= _states_in(rows, ids)
    return States(found=found, refused=set(), seen_at=seen_at)


def _states_in(rows: Iterable[msgspec.Raw], ids: Collection[str]) -> dict[str, EntryState]:
    states = (_decoded(row) for row in rows)
    return {entry_id: state for state in states if (entry_id := state.id.lower()) in ids}


def _created_between(client: AworkClient, seconds: list[str]) -> str:
    """A filter on the range. Literals are ambiguous at the end of summer time; entries it misses are read by id."""
    zone = client.config.extras.behaviour.literal_timezone
    first, last = (datetime.fromisoformat(second).replace(tzinfo=UTC) for second in (seconds[0], seconds[-1]))
    after = last + timedelta(seconds=1)
    return (
        compare_instant("createdOn", "ge", first, zone=zone)
        + " and "
        + compare_instant("createdOn", "lt", after, zone=zone)
    )


def _read_each(client: AworkClient, ids: list[str]) -> Iterable[tuple[str, EntryState | str]]:
    def read(entry_id: str) -> EntryState | str:
        try:
            return client.session.get(f"{TIME_ENTRIES}/{entry_id}", parse=_decoded_body)
        except AworkNotFoundError as error:
            if error.code != "not-found":  # of something in between, such as a gateway without that route
                raise
            return "missing"
        except AworkPermissionError:
            return "refused"

    with ThreadPoolExecutor(client.config.extras.max_concurrent_requests, thread_name_prefix="awork-entry") as pool:
        return list(zip(ids, pool.map(read, ids), strict=True))


_decode = json_text.decoder(EntryState)


def _decoded(row: msgspec.Raw) -> EntryState:
    try:
        return _decode(row)
    except msgspec.DecodeError as error:
        raise AworkTransportError(f"awork sent a time entry that is not as documented: {error}") from None


def _decoded_body(answer: Answer) -> EntryState:
    return decode_body(_decode, answer)
