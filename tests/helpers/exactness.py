"""What an exact export is, while a local awork changes under it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.sandbox import RuleRequest, Sandbox, Store

Entry = dict[str, Any]


def everything(entry: Entry) -> bool:
    return True


class ChangingEntries:
    """
    Changes the entries of a local awork, and knows which of them a run must have delivered.

    :param matches: whether the run's filter accepts an entry.
    """

    def __init__(self, awork: Sandbox, matches: Callable[[Entry], bool] = everything, *, seed: int = 1) -> None:
        self.random = Random(seed)
        entries = awork.store.entries()
        #: Ids of the entries that have matched all along, and of all that matched at any time.
        self.lasting = {entry["id"] for entry in entries if matches(entry)}
        self.ever = set(self.lasting)
        #: All entries there are, as (createdOn, id) in the order of paging.
        self.ordered = sorted((instant_key(entry["createdOn"]), entry["id"]) for entry in entries)
        #: How often :meth:`before_every_page` changed something.
        self.changes = 0
        self._awork = awork
        self._matches = matches

    def before_every_page(self, change: Callable[[ChangingEntries], None], *, at_most: int | None = None) -> None:
        """Let a change happen before each answer of a list endpoint, at most so many times."""

        def rule(request: RuleRequest, store: Store) -> None:
            if request.number is not None and (at_most is None or self.changes < at_most):
                self.changes += 1
                change(self)

        self._awork.faults.add(rule)

    def delete(self, entries: Iterable[tuple[str, str]]) -> None:
        gone = list(entries)
        self._awork.store.delete([entry_id for _, entry_id in gone])
        self.lasting -= {entry_id for _, entry_id in gone}
        self.ordered = [each for each in self.ordered if each not in set(gone)]

    def delete_random(self, count: int = 1) -> None:
        self.delete(self.random.sample(self.ordered, min(count, len(self.ordered))))

    def insert(self, created: datetime, **fields: Any) -> None:
        """An entry of that ``createdOn``, which may lie in the past: committed late."""
        entry = self._awork.make_entry(
            createdOn=f"{created:%Y-%m-%dT%H:%M:%S.%f}{self.random.randrange(10)}Z",
            id=f"{self.random.getrandbits(128):032x}",
            **fields,
        )
        entry["id"] = "-".join(entry["id"][a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        self._awork.store.add(entry)
        insort(self.ordered, (instant_key(entry["createdOn"]), entry["id"]))
        if self._matches(entry):
            self.ever.add(entry["id"])

    def edit(self, entry_id: str, **changes: Any) -> None:
        if self._matches(self._awork.store.edit(entry_id, **changes)):
            self.ever.add(entry_id)
        else:
            self.lasting.discard(entry_id)

    def random_id(self) -> str:
        return self.random.choice(self.ordered)[1]

    @property
    def oldest(self) -> datetime:
        return _instant(self.ordered[0][0])

    @property
    def newest(self) -> datetime:
        return _instant(self.ordered[-1][0])

    def random_instant(self) -> datetime:
        """Anywhere between the oldest and the newest entry."""
        return self.oldest + timedelta(seconds=self.random.random() * (self.newest - self.oldest).total_seconds())

    def assert_exact(self, delivered: list[str]) -> None:
        """Each entry that matched all along once; those that came or went at most once; no other."""
        once = set(delivered)
        assert len(delivered) == len(once), f"{len(delivered) - len(once)} entries were delivered twice"
        lost = self.lasting - once
        assert not lost, f"{len(lost)} of {len(self.lasting)} entries were lost"
        assert once <= self.ever, "an entry was delivered that never matched"


def _instant(key: str) -> datetime:
    return datetime.fromisoformat(key[:26]).replace(tzinfo=UTC)
