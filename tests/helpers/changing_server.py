"""A list endpoint in memory that changes before each answer, for tests of the paging rule alone."""

from __future__ import annotations

import random
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random

import msgspec

from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.paging import PageReader

EPOCH = datetime(2026, 1, 1)

Row = tuple[str, str]


def created_on(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds") + "0Z"


class ChangingServer:
    """
    Rows of (createdOn, id) in the order that awork is asked for.

    :param instants: microseconds after the epoch of the first rows.
    :param change: called with the server before each answer.
    :param cap: largest page.
    :param latency: most seconds that a request, and then its answer, takes; so they overtake each other.
    """

    def __init__(
        self,
        instants: Iterable[int],
        *,
        seed: int = 0,
        change: Callable[[ChangingServer], None] | None = None,
        cap: int = 1000,
        says_total: bool = True,
        says_size: bool = True,
        literal_shift: timedelta = timedelta(),
        shuffles_ties: bool = False,
        ignores_descending: bool = False,
        latency: float = 0.0,
    ) -> None:
        self.random = Random(seed)
        self.rows: list[Row] = sorted((created_on(instant), self.new_id()) for instant in instants)
        self.lasting = set(self.rows)
        self.ever = set(self.rows)
        self.requests: list[PageRequest] = []
        self.change = change or (lambda server: None)
        self._cap = cap
        self._says_total = says_total
        self._says_size = says_size
        self._literal_shift = literal_shift
        self._shuffles_ties = shuffles_ties
        self._ignores_descending = ignores_descending
        self._latency = latency
        self._away: list[Row] = []
        self.lock = threading.Lock()

    def new_id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def delete(self, index: int) -> None:
        if self.rows:
            self.lasting.discard(self.rows.pop(index % len(self.rows)))

    def insert(self, instant: int) -> None:
        row = (created_on(instant), self.new_id())
        insort(self.rows, row)
        self.ever.add(row)

    def edit_out(self, index: int) -> None:
        """An edit after which a row does not match any more."""
        if self.rows:
            row = self.rows.pop(index % len(self.rows))
            self.lasting.discard(row)
            self._away.append(row)

    def edit_in(self) -> None:
        """An edit after which a row matches again, at its old place."""
        if self._away:
            insort(self.rows, self._away.pop(self.random.randrange(len(self._away))))

    def fetch(self, request: PageRequest) -> Page:
        self._travel()
        with self.lock:
            self.requests.append(request)
            self.change(self)
            page = self._answer(request)
        self._travel()
        return page

    def _travel(self) -> None:
        if self._latency:
            time.sleep(random.random() * self._latency)

    def _answer(self, request: PageRequest) -> Page:
        rows = self.rows
        if request.anchor:
            anchor = (datetime.fromisoformat(request.anchor) + self._literal_shift).isoformat(timespec="seconds")
            rows = [row for row in rows if row[0] >= anchor]
        if request.newest_first and not self._ignores_descending:
            rows = rows[::-1]
        if self._shuffles_ties:
            rows = sorted(rows, key=lambda row: (row[0], self.random.random()))
        size = min(request.size, self._cap)
        page = rows[(request.number - 1) * size : request.number * size]
        return Page(
            rows=[msgspec.Raw(msgspec.json.encode(row_id)) for _, row_id in page],
            ids=[row_id for _, row_id in page],
            keys=[instant_key(created) for created, _ in page],
            total=len(rows) if self._says_total else None,
            size=size if self._says_size else None,
        )


def page_of(rows: Iterable[tuple[float, str]], *, total: int | None = None, size: int | None = None) -> Page:
    """
    A page for tables.

    :param rows: (seconds after the epoch, id) of each.
    """
    pairs = [(created_on(round(seconds * 1_000_000)), row_id) for seconds, row_id in rows]
    return Page(
        rows=[msgspec.Raw(msgspec.json.encode(row_id)) for _, row_id in pairs],
        ids=[row_id for _, row_id in pairs],
        keys=[instant_key(created) for created, _ in pairs],
        total=total,
        size=size,
    )


def read_ids(server: ChangingServer, **options: object) -> list[str]:
    """All ids that a reader delivers, in order."""
    reader = PageReader(server.fetch, **options)  # type: ignore[arg-type]
    return [msgspec.json.decode(row) for rows in reader for row in rows]


def assert_exact(server: ChangingServer, ids: list[str]) -> None:
    """Each row that lasted through the run once, none twice, none that never was."""
    delivered = set(ids)
    assert len(ids) == len(delivered), "a row was delivered twice"
    with server.lock:  # requests that nobody waits for any more may still change something
        lasting, ever = ({row_id for _, row_id in rows} for rows in (server.lasting, server.ever))
    assert lasting <= delivered, f"{len(lasting - delivered)} of {len(lasting)} rows were lost"
    assert delivered <= ever
