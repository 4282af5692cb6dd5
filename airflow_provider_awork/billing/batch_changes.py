"""
Apply one batch operation to any number of time entries: exactly those, each once, and idempotent.

The entries are changed in chunks. Right before a chunk is sent its entries are read again, and only those are sent
that are not yet as asked and were not changed since they were chosen. A run that was killed is simply run again: it
skips what is done, changes the rest and reports all entries. A chunk whose answer is lost is never sent again blindly:
its entries are read again first.

An entry whose timer runs or is paused is not marked as billed: its time is not known yet, and would never be invoiced.

awork has no conditional writes, so check-then-act leaves a race: a change between the last read of a chunk and awork's
handling of it, usually well under a second, is not noticed. If reading a chunk took longer (plain ids, entries far
apart), the entries that were updated in the meantime are read once more; if awork does not filter on ``updatedOn``,
the log warns, and the race is as long as the reading.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import msgspec

from airflow_provider_awork.billing.entry_keys import EntryKey, EntryState
from airflow_provider_awork.billing.entry_states import read_states
from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.entries.arguments import batch_body, checked_flag, checked_id
from airflow_provider_awork.client.entries.models import BatchOperation, BatchResult
from airflow_provider_awork.client.identity import Identity
from airflow_provider_awork.exceptions import (
    SHOWN_IDS,
    AworkBatchError,
    AworkConfigError,
    AworkRateLimitError,
    AworkServerError,
    AworkTransportError,
)

log = logging.getLogger(__name__)

LARGEST_CHUNK = 1000
TRIES = 4  # of a chunk whose answer is lost
FIRST_WAIT = 0.5  # seconds; doubles
PROGRESS_SECONDS = 5.0
USERS_REPORTED = 20

NOT_FOUND = "not found"
CHANGED = "changed since the export"
RUNNING = "timer runs"
UNAUTHORIZED = "unauthorized"
BAD_REQUEST = "bad request"
UNREPORTED = "unreported"
NOT_TRIED = "not tried"
UNKNOWN = "unknown"
UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class BatchChange:
    """
    A batch operation and its options.

    :param operation: as for :meth:`.TimeEntryOperations.batch_time_entries`.
    :param value: what the operation sets; None for ``delete``.
    :param chunk_size: entries of one request, at most 1000.
    :param require_all: change nothing unless every entry can be changed: all are read before the first change, and
        awork leaves a chunk alone if one of its entries is refused; the chunks after it are then not tried.
    :param dry_run: only report what would change.
    :param ignore_not_found: entries that are gone are no failure.
    :param overwrite_changed: also change entries that were changed since they were chosen.
    :raises AworkConfigError: a parameter cannot work.
    """

    operation: str
    value: bool | str | None = None
    chunk_size: int = 500
    require_all: bool = False
    dry_run: bool = False
    ignore_not_found: bool = False
    overwrite_changed: bool = False

    def __post_init__(self) -> None:
        batch_body(self.operation, ["00000000-0000-0000-0000-000000000000"], self.value, require_all=False)
        for name in ("require_all", "dry_run", "ignore_not_found", "overwrite_changed"):
            checked_flag(getattr(self, name), name)
        size = self.chunk_size
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_CHUNK:
            raise AworkConfigError(f"chunk_size: {size!r} is not a whole number from 1 to {LARGEST_CHUNK}")

    def run(
        self,
        client: AworkClient,
        keys: Collection[EntryKey],
        *,
        identity: Identity,
        on_stop: Callable[[BatchReport], None] | None = None,
    ) -> BatchReport:
        """
        Apply the operation in chunks and report every entry.

        :param client: of the entries' workspace.
        :param keys: the entries, each once; iterated twice with ``require_all``. In order of ``createdOn`` they take
            the fewest requests.
        :param identity: whose key the client has.
        :param on_stop: gets the report so far if the run ends with an error.
        :return: the report; entries that are not as asked raise nothing.
        :raises AworkTransportError: a chunk's answer was lost again and again; run again later.
        :raises AworkRequestError: awork refuses a request as a whole.
        """
        if self.dry_run or self.require_all:
            outlook = _Run(self, client, identity, reads_only=True, on_stop=on_stop).apply_to(keys)
            if self.dry_run or outlook.failures():
                return outlook
        return _Run(self, client, identity, on_stop=on_stop).apply_to(keys)


@dataclass(kw_only=True)
class BatchReport:
    """
    The outcome for a set of time entries.

    :param change: the operation.
    :param entries: number of entries that were read.
    :param changed: number of entries that this run changed.
    :param to_change: number of entries that would be changed; 0 after they were.
    :param already: number of entries that were already as asked, by the user who changed them last (an id, or
        ``unknown``). awork reports no more: that change may have been another one.
    :param failed: ids that are not as asked, by kind; ``unfinished`` are those of the chunk that an error ended: awork
        may have changed some.
    :param not_reached: number of entries that were not read, because an error ended the run.
    """

    change: BatchChange
    entries: int = 0
    changed: int = 0
    to_change: int = 0
    already: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=dict)
    not_reached: int = 0

    def failures(self) -> Mapping[str, Sequence[str]]:
        """Ids that are not as asked, by kind, without those that may be gone."""
        tolerated = {NOT_FOUND} if self.change.ignore_not_found else set()
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
                f"{self.change.operation}: {failed} of {self.entries} time entries are not as asked",
                failures=failures,
                result=self,
            )

    def fail(self, kind: str, ids: Iterable[str]) -> None:
        """Note entries that are not as asked."""
        ids = list(ids)
        if ids:
            self.failed.setdefault(kind, []).extend(ids)

    def to_dict(self) -> dict[str, Any]:
        """Return the report in JSON types, small: counts, the first ids of each kind, the users who changed most."""
        return {
            "operation": self.change.operation,
            "value": self.change.value,
            "dry_run": self.change.dry_run,
            "entries": self.entries,
            "not_reached": self.not_reached,
            "changed": self.changed,
            "to_change": self.to_change,
            "already": self.already.total(),
            "already_by": dict(self.already.most_common(USERS_REPORTED)),
            "failed": {kind: len(ids) for kind, ids in self.failed.items()},
            "first_failed": {kind: ids[:SHOWN_IDS] for kind, ids in self.failed.items()},
        }

    def __str__(self) -> str:
        failed = "".join(f", {len(ids)} {kind}" for kind, ids in self.failed.items())
        failed += f", {self.not_reached} not reached" if self.not_reached else ""
        would = f", {self.to_change} to change" if self.to_change else ""
        return (
            f"{self.change.operation}: {self.entries} time entries, {self.changed} changed{would}, "
            f"{self.already.total()} as asked before{failed}"
        )


class _Run:
    """One pass over the entries."""

    def __init__(
        self,
        change: BatchChange,
        client: AworkClient,
        identity: Identity,
        *,
        reads_only: bool = False,
        on_stop: Callable[[BatchReport], None] | None = None,
    ) -> None:
        self._change = change
        self._client = client
        self._reads_only = reads_only
        self._on_stop = on_stop
        self._identity = identity
        self._value = checked_id(change.value, "value") if isinstance(change.value, str) else change.value
        self._report = BatchReport(change=change)

    def apply_to(self, keys: Collection[EntryKey]) -> BatchReport:
        report, logged_at = self._report, time.monotonic()
        try:
            for chunk in _chunks(keys, self._change.chunk_size):
                report.entries += len(chunk)
                if self._is_stopped:
                    report.fail(NOT_TRIED, chunk)
                    continue
                self._change_chunk(chunk)
                if time.monotonic() - logged_at > PROGRESS_SECONDS:
                    logged_at = time.monotonic()
                    log.info("%s, of %d", report, len(keys))
        except Exception:
            report.not_reached = len(keys) - report.entries
            log.error("Stopped before the end; so far %s", report)
            if self._on_stop:
                self._on_stop(report)
            raise
        return report

    @property
    def _is_stopped(self) -> bool:
        """Whether to send no more: with ``require_all`` the first failure ends the changes. Reading continues."""
        return self._change.require_all and not self._reads_only and bool(self._report.failures())

    def _change_chunk(self, chunk: Mapping[str, EntryKey]) -> None:
        left, sent, lost = chunk, False, None
        try:
            for wait in (FIRST_WAIT * 2**number for number in range(TRIES)):
                left = self._sort_out(left, sent=sent)
                if self._reads_only or not left:
                    self._report.to_change += len(left)
                    return
                if self._is_stopped:
                    return self._report.fail(NOT_TRIED, left)
                sent, lost = True, self._answer_lost(left)
                if not lost:
                    return
                self._client.session.limiter.sleep(wait)
            raise AworkTransportError(
                f"{self._change.operation}: awork's answer was lost {TRIES} times for a chunk of {len(left)} time "
                f"entries. Run again later: entries that are as asked by then are left alone ({lost})"
            )
        except Exception:
            self._report.fail(UNFINISHED, left)
            raise

    def _answer_lost(self, chunk: Mapping[str, EntryKey]) -> Exception | None:
        """Send a chunk and count the outcome; return the error if the outcome is unknown."""
        try:
            self._count(chunk, self._send(chunk))
        except (AworkTransportError, AworkServerError, AworkRateLimitError) as error:
            log.warning("Reading %d time entries again, to see what awork did: %s", len(chunk), error)
            return error
        return None

    def _sort_out(self, chunk: Mapping[str, EntryKey], *, sent: bool) -> dict[str, EntryKey]:
        """Read the entries; count those that are done or cannot be changed, and return the others."""
        states = read_states(self._client, [*chunk.values()])
        left = {}
        for entry_id, key in chunk.items():
            state = states.found.get(entry_id)
            if entry_id in states.refused or (state is None and self._identity.sees_all_entries is False):
                self._report.fail(UNAUTHORIZED, [entry_id])
            elif self._is_done(state):
                self._count_done(state, sent=sent)
            elif state is None:
                self._report.fail(NOT_FOUND, [entry_id])
            elif self._bills and state.is_open:
                self._report.fail(RUNNING, [entry_id])
            elif key.differs_from(state) and not self._change.overwrite_changed:
                self._report.fail(CHANGED, [entry_id])
            else:
                left[entry_id] = key
        return left

    @property
    def _bills(self) -> bool:
        return self._change.operation == "setIsBilled" and self._value is True

    def _is_done(self, state: EntryState | None) -> bool:
        if state is None:
            return self._change.operation == "delete"
        return state.has(self._change.operation, self._value)

    def _count_done(self, state: EntryState | None, *, sent: bool) -> None:
        by = state.updated_by if state else None
        if sent and by in (None, self._identity.user_id):
            self._report.changed += 1
        else:
            self._report.already[by or UNKNOWN] += 1

    def _send(self, chunk: Mapping[str, EntryKey]) -> BatchResult:
        change = self._change
        operation = cast(BatchOperation, change.operation)
        return self._client.batch_time_entries(operation, chunk, value=change.value, require_all=change.require_all)

    def _count(self, chunk: Mapping[str, EntryKey], result: BatchResult) -> None:
        report, listed = self._report, {each.lower() for each in result.ok}
        ok = [entry_id for entry_id in chunk if entry_id in listed]
        if self._change.require_all and result.failures():
            report.fail(NOT_TRIED, ok)  # awork may list those that it could have changed
        else:
            report.changed += len(ok)
        if self._change.operation == "delete":
            report.already[UNKNOWN] += len(result.not_found)
        else:
            report.fail(NOT_FOUND, result.not_found)
        report.fail(UNAUTHORIZED, result.unauthorized)
        report.fail(BAD_REQUEST, result.bad_request)
        report.fail(NOT_TRIED if self._change.require_all else UNREPORTED, result.unreported)


def _chunks(keys: Iterable[EntryKey], size: int) -> Iterator[dict[str, EntryKey]]:
    left = (msgspec.structs.replace(key, id=checked_id(key.id)) for key in keys)
    while chunk := {key.id: key for key in islice(left, size)}:
        yield chunk
