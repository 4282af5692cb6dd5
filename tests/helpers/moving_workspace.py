"""A local awork whose clock, entries and roles move while runs read it, and a history of all that it held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random
from threading import RLock
from typing import Any

from airflow_provider_awork.sandbox import Answer, Fault, Headers, RuleRequest, Sandbox, Store
from tests.helpers.history import Entry, History, stamp

OTHER_USER = "00000000-aaaa-4aaa-8aaa-000000000001"
LOOKBACK = timedelta(minutes=5)


class MovingWorkspace:
    """
    A workspace that starts empty, with a clock that the ``Date`` headers tell.

    :param awork: the server; its former entries and rules are dropped.
    :param random: makes the changes.
    :param now: awork's clock at first.
    :ivar at_page: called with the number of each page of the current run before it is answered.
    :ivar pages: how many pages the current run has asked for.
    """

    def __init__(self, awork: Sandbox, *, random: Random, now: datetime) -> None:
        self.history = History()
        self.now = now
        self.at_page: Callable[[int], Answer | None] | None = None
        self.pages = 0
        self.role_changes: list[int] = []
        self._awork = awork
        self._random = random
        self._lock = RLock()
        self._pending: list[tuple[datetime, Callable[[], None]]] = []
        self._locked: set[str] = set()
        awork.faults.clear()
        awork.requests.clear()
        awork.store.delete(awork.store.ids())
        awork.settings.missing_permissions = False
        awork.faults.add(self._answer)

    @property
    def sees_all(self) -> bool:
        return not self._awork.settings.missing_permissions

    @property
    def me(self) -> str:
        return self._awork.me

    def _answer(self, request: RuleRequest, _: Store) -> Fault:
        with self._lock:
            answer = None
            if request.number is not None:
                self.pages += 1
                answer = self.at_page(self.pages) if self.at_page else None
            date = {"date": format_datetime(self.now, usegmt=True)}
            return answer.with_headers(date) if answer else Headers(date)

    @contextmanager
    def during(self, at_page: Callable[[int], Answer | None]) -> Iterator[None]:
        """Call a function before each page that is asked for in the block."""
        self.pages, self.at_page = 0, at_page
        try:
            yield
        finally:
            self.at_page = None

    def pass_time(self, seconds: float) -> None:
        """Move the clock, and commit what becomes visible by then."""
        with self._lock:
            self.now += timedelta(seconds=seconds)
            due = sorted((each for each in self._pending if each[0] <= self.now), key=lambda each: each[0])
            self._pending = [each for each in self._pending if each[0] > self.now]
            for _, commit in due:
                commit()

    def toggle_role(self) -> None:
        with self._lock:
            self.history.moment += 1
            self._awork.settings.missing_permissions = self.sees_all
            self.role_changes.append(self.history.moment)

    def create(self, *, created: datetime | None = None, late: bool = False) -> None:
        """Create an entry of now or before; a late one is stamped now and seen some time within the lookback."""
        with self._lock:
            at = created or self.now
            started = at - timedelta(hours=self._random.randrange(1, 30))
            made = self._awork.make_entry(started_at=started, ended_at=started + timedelta(hours=1))
            entry = {
                **made,
                "userId": self._random.choice([self.me, OTHER_USER, OTHER_USER]),
                "isBillable": self._random.random() < 0.7,
                "isBilled": self._random.random() < 0.4,
                "createdOn": stamp(at),
                "updatedOn": stamp(at),
                "resourceVersion": self._awork.store.next_change(),
            }
            self._when(late, lambda: self._add(entry))

    def edit(self, *, late: bool = False) -> None:
        with self._lock:
            entry_id = self._any()
            if entry_id is None:
                return
            changes: dict[str, Any] = {"updatedOn": stamp(self.now), "note": f"{self._random.random()}"}
            if self._random.random() < 0.5:
                changes["isBilled"] = self._random.random() < 0.5
            if self._random.random() < 0.2:
                moved = self.now - timedelta(days=self._random.randrange(3))
                changes |= {f"startDate{group}": f"{moved:%Y-%m-%d}T00:00:00" for group in ("Local", "Utc")}
                changes["startDateUtc"] += "Z"
            if late:
                self._locked.add(entry_id)
            self._when(late, lambda: self._edit(entry_id, changes))

    def delete(self, *, share: float | None = None) -> None:
        """Delete one entry, or about a share of all."""
        with self._lock:
            if share is None:
                chosen = [self._any()]
            else:
                chosen = [entry_id for entry_id in self._free() if self._random.random() < share]
            for entry_id in filter(None, chosen):
                self._awork.store.delete([entry_id])
                self.history.record(entry_id, None)

    def change(self) -> None:
        """Do one small thing."""
        late = self._random.random() < 0.4
        what = self._random.choice([self.create, self.create, self.edit, self.edit, self.delete])
        if what == self.delete:
            self.delete()
        else:
            what(late=late)  # type: ignore[operator]

    def _when(self, late: bool, commit: Callable[[], None]) -> None:
        if late:
            seconds = self._random.uniform(1, LOOKBACK.total_seconds() - 2)
            self._pending.append((self.now + timedelta(seconds=seconds), commit))
        else:
            commit()

    def _add(self, entry: Entry) -> None:
        self._awork.store.add(entry)
        self.history.record(entry["id"], entry)

    def _edit(self, entry_id: str, changes: Entry) -> None:
        self._locked.discard(entry_id)
        self.history.record(entry_id, self._awork.store.edit(entry_id, **changes))

    def _free(self) -> list[str]:
        return [entry_id for entry_id in self.history.standing() if entry_id not in self._locked]

    def _any(self) -> str | None:
        free = self._free()
        return self._random.choice(free) if free else None
