"""
Apply one batch operation to any number of time entries: exactly those, each once, and idempotent.

The entries are changed in chunks (:mod:`.chunk_changes`). Right before a chunk is sent its entries are read again, and
only those are sent that are not yet as asked and were not changed since they were chosen. What is sent is noted in a
ledger before, and its outcome after it. A run that was killed is simply run again: it finds in the ledger what was sent
and in awork what became of it, changes the rest and reports all entries.

An entry whose timer runs or is paused is not marked as billed: its time is not known yet, and would never be invoiced.

awork has no conditional writes, so check-then-act leaves a race: a change between the last look at a chunk and awork's
handling of it. So look and write are neighbours: the slot of the rate limit is taken first, and a chunk that awork
refuses with 429 is looked at again. With a ledger, a look after the write shows whether the fields that money rests on
changed in between; the entry is then reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from airflow_provider_awork.billing.batch_report import BatchReport
from airflow_provider_awork.billing.chunk_changes import ChunkChanger
from airflow_provider_awork.billing.decisions import Asked
from airflow_provider_awork.billing.entry_keys import EntryKey
from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.entries.arguments import batch_body, checked_flag, checked_id
from airflow_provider_awork.client.identity import Identity
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.ledger import Ledger, Outcome

log = logging.getLogger(__name__)

LARGEST_CHUNK = 1000
PROGRESS_SECONDS = 5.0
COMPARISONS = ("version", "content")


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
    :param compare: what makes an entry a changed one: another ``version``, or other ``content`` (duration, isBillable,
        user, project, task, type of work, day).
    :raises AworkConfigError: a parameter cannot work.
    """

    operation: str
    value: bool | str | None = None
    chunk_size: int = 500
    require_all: bool = False
    dry_run: bool = False
    ignore_not_found: bool = False
    overwrite_changed: bool = False
    compare: str = "version"

    def __post_init__(self) -> None:
        batch_body(self.operation, ["00000000-0000-0000-0000-000000000000"], self.value, require_all=False)
        for name in ("require_all", "dry_run", "ignore_not_found", "overwrite_changed"):
            checked_flag(getattr(self, name), name)
        size = self.chunk_size
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_CHUNK:
            raise AworkConfigError(f"chunk_size: {size!r} is not a whole number from 1 to {LARGEST_CHUNK}")
        if self.compare not in COMPARISONS:
            raise AworkConfigError(f"compare: {self.compare!r} is neither 'version' nor 'content'")

    def run(
        self,
        client: AworkClient,
        keys: Collection[EntryKey],
        *,
        identity: Identity,
        ledger: Ledger | None = None,
        ledger_path: str | None = None,
        on_stop: Callable[[BatchReport], None] | None = None,
    ) -> BatchReport:
        """
        Apply the operation in chunks and report every entry.

        :param client: of the entries' workspace.
        :param keys: the entries, each once; iterated again with ``require_all`` and for ``content``. In order of
            ``createdOn`` they take the fewest requests.
        :param identity: whose key the client has.
        :param ledger: of earlier changes, open for writing unless it is a dry run; None if there is none.
        :param ledger_path: where it lies, for the report.
        :param on_stop: gets the report so far, whatever ends the run early.
        :return: the report; entries that are not as asked raise nothing.
        :raises AworkConfigError: ``content`` is to be compared, and the keys have none.
        :raises AworkTransportError: a chunk's answer was lost again and again; run again later.
        :raises AworkRequestError: awork refuses a request as a whole.
        """
        if self.compare == "content":
            _require_content(keys)
        asked = self._asked(identity, has_ledger=ledger is not None)
        ledger = ledger or Ledger()

        def apply(*, reads_only: bool) -> BatchReport:
            report = BatchReport(
                operation=self.operation,
                value=self.value,
                dry_run=self.dry_run,
                ignore_not_found=self.ignore_not_found,
                ledger=ledger_path,
            )
            changer = ChunkChanger(asked, client, report, ledger, reads_only=reads_only)
            _apply(changer, report, keys, chunk_size=self.chunk_size, on_stop=on_stop)
            return report

        if self.dry_run or self.require_all:
            outlook = apply(reads_only=True)
            if self.dry_run or outlook.failures():
                return outlook
        return apply(reads_only=False)

    def _asked(self, identity: Identity, *, has_ledger: bool) -> Asked:
        return Asked(
            operation=self.operation,
            value=checked_id(self.value, "value") if isinstance(self.value, str) else self.value,
            compares_content=self.compare == "content",
            overwrites_changed=self.overwrite_changed,
            all_or_none=self.require_all,
            has_ledger=has_ledger,
            user_id=identity.user_id,
            sees_all=identity.sees_all_entries,
        )


def _apply(
    changer: ChunkChanger,
    report: BatchReport,
    keys: Collection[EntryKey],
    *,
    chunk_size: int,
    on_stop: Callable[[BatchReport], None] | None,
) -> None:
    logged_at = time.monotonic()
    try:
        for chunk in _chunks(keys, chunk_size):
            report.entries += len(chunk)
            if changer.is_stopped:
                report.fail(Outcome.NOT_TRIED, chunk)
                continue
            changer.change(chunk)
            if time.monotonic() - logged_at > PROGRESS_SECONDS:
                logged_at = time.monotonic()
                log.info("%s, of %d", report, len(keys))
    except BaseException:  # time-outs and signals, too
        report.not_reached = len(keys) - report.entries
        log.error("Stopped before the end; so far %s", report)
        if on_stop:
            on_stop(report)
        raise


def _require_content(keys: Iterable[EntryKey]) -> None:
    for key in keys:
        if not key.has_content:
            raise AworkConfigError(
                f"compare: 'content' needs more than is known of the time entry {key.id}\n"
                "Pass a manifest, or entries with duration, isBillable, userId, projectId, taskId, typeOfWorkId and "
                "startDateLocal, or compare='version'."
            )


def _chunks(keys: Iterable[EntryKey], size: int) -> Iterator[dict[str, EntryKey]]:
    left = (msgspec.structs.replace(key, id=checked_id(key.id)) for key in keys)
    while chunk := {key.id: key for key in islice(left, size)}:
        yield chunk
