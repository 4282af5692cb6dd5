"""The report of a batch change: what became of every entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_awork.exceptions import SHOWN_IDS, AworkBatchError
from airflow_provider_awork.files.ledger import Outcome, Value

USERS_REPORTED = 20

# Beside the outcomes: what an error left open.
UNKNOWN = "unknown"
NOT_SENT = "not sent"
UNFINISHED = "unfinished"


@dataclass(kw_only=True)
class BatchReport:
    """
    The outcome for a set of time entries.

    :param operation: awork's batch operation.
    :param value: what it sets.
    :param dry_run: whether nothing was to be changed.
    :param ignore_not_found: whether entries that are gone are no failure.
    :param ledger: where the ledger lies. None: there is none, so nobody knows who changed what was as asked before.
    :param entries: number of entries that were read.
    :param changed: number of entries that this run changed.
    :param to_change: number of entries that would be changed; 0 after they were.
    :param already: number of entries that were already as asked, by the user who changed them last (an id, or
        ``unknown``). With a ledger, ``setIsBilled`` True counts only those that a run with this ledger has billed.
    :param changed_later: ids of entries of an earlier run that somebody has changed since.
    :param failed: ids that are not as asked, by kind. ``unfinished`` are those of the chunk that an error ended: awork
        may have changed some. ``not sent`` are those of its chunk that nothing was sent for.
    :param not_reached: number of entries that were not read, because an error ended the run.
    :param look_to_write_seconds: the longest time between the last look at entries and their change; None if nothing
        was sent.
    """

    operation: str
    value: Value
    dry_run: bool = False
    ignore_not_found: bool = False
    ledger: str | None = None
    entries: int = 0
    changed: int = 0
    to_change: int = 0
    already: Counter[str] = field(default_factory=Counter)
    changed_later: list[str] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=dict)
    not_reached: int = 0
    look_to_write_seconds: float | None = None

    def failures(self) -> Mapping[str, Sequence[str]]:
        """Ids that are not as asked, by kind, without those that may be gone."""
        tolerated = {Outcome.NOT_FOUND.value} if self.ignore_not_found else set()
        return {kind: ids for kind, ids in self.failed.items() if kind not in tolerated}

    def raise_for_failures(self) -> None:
        """
        Fail unless every entry is as asked.

        :raises AworkBatchError: some are not; the message has counts and the first ids of each kind.
        """
        failures = self.failures()
        if failures:
            failed = sum(map(len, failures.values()))
            raise AworkBatchError(
                f"{self.operation}: {failed} of {self.entries} time entries are not as asked",
                failures=failures,
                result=self,
            )

    def fail(self, kind: str, ids: Iterable[str]) -> None:
        """Note entries that are not as asked."""
        ids = list(ids)
        if ids:
            self.failed.setdefault(str(kind), []).extend(ids)

    def note_look(self, age: float) -> None:
        """Note how long before a write its entries were looked at, in seconds."""
        self.look_to_write_seconds = max(age, self.look_to_write_seconds or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the report in JSON types, small: counts, the first ids of each kind, the users who changed most."""
        look_to_write = self.look_to_write_seconds
        return {
            "operation": self.operation,
            "value": self.value,
            "dry_run": self.dry_run,
            "ledger": self.ledger,
            "entries": self.entries,
            "not_reached": self.not_reached,
            "changed": self.changed,
            "to_change": self.to_change,
            "already": self.already.total(),
            "already_by": dict(self.already.most_common(USERS_REPORTED)),
            "changed_later": len(self.changed_later),
            "failed": {kind: len(ids) for kind, ids in self.failed.items()},
            "first_failed": {kind: ids[:SHOWN_IDS] for kind, ids in self.failed.items()},
            "look_to_write_seconds": None if look_to_write is None else round(look_to_write, 3),
        }

    def __str__(self) -> str:
        would = f", {self.to_change} to change" if self.to_change else ""
        parts = [f"{len(ids)} {kind}" for kind, ids in self.failed.items()]
        parts += [f"{self.not_reached} not reached"] if self.not_reached else []
        if self.already and self.ledger is None:
            parts.append("without a ledger nobody knows by whom")
        return (
            f"{self.operation}: {self.entries} time entries, {self.changed} changed{would}, "
            f"{self.already.total()} already as asked{''.join(f', {part}' for part in parts)}"
        )
