"""
The ledger of a destination: what runs of this package changed in awork, entry by entry.

awork has one flag for *billed* and no record of who set it. So each batch change keeps a record of its own, beside the
manifest of the entries or at a prefix of the user's choice. It lies in parts, each of which is written once and never
changed or deleted::

    _ledger-<operation>-<number>-<12 hex of its sha256>.ndjson

A part has one line for each entry, in the order of the entries. Before a chunk is sent, a part says so (outcome
``sent``); after it, a part has the outcomes. So a killed run leaves what it may have changed: ``sent`` without an
outcome in a later part. Numbers count the parts of all operations, and only a run that holds the claim of the
destination writes parts.

The JSON Schema of a line, ``ledger.schema.json`` beside this module, describes it for readers in any language; a test
compares it with :class:`LedgerLine`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from airflow_provider_awork.exceptions import AworkPublishError
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.stores import open_store, retry

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

LEDGER_SCHEMA_VERSION: Literal[1] = 1
_PART = re.compile(r"_ledger-[A-Za-z]+-(\d+)-[0-9a-f]{12}\.ndjson")

Value = bool | str | None


class Outcome(StrEnum):
    """
    What became of a time entry in a batch change.

    ``SENT`` is all that is known until another outcome follows. ``CHANGED`` and ``OVERWRITTEN`` are changes of ours.
    """

    SENT = "sent"
    CHANGED = "changed"
    ALREADY = "already as asked"
    OVERWRITTEN = "changed while it was written"
    BILLED_BY_OTHERS = "billed by somebody else"
    UNCLEAR = "billed by this run or by somebody else"
    CHANGED_SINCE = "changed since the export"
    RUNNING = "timer runs"
    NOT_FOUND = "not found"
    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad request"
    UNREPORTED = "unreported"
    NOT_APPLIED = "ok, but not changed"
    UNDONE = "changed back by somebody else"
    NOT_TRIED = "not tried"


OURS = frozenset({Outcome.CHANGED, Outcome.OVERWRITTEN})


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One line: what a task instance did to one time entry.

    :param entry_id: GUID in lower case.
    :param operation: awork's batch operation.
    :param value: what it set; None for ``delete``.
    :param outcome: what became of it.
    :param version_before: ``resourceVersion`` that the operation met; None if the entry was not seen.
    :param version_after: ``resourceVersion`` that it left; None if that is unknown.
    :param updated_by: id of the user who changed the entry last, as far as was seen.
    :param at: when the line was written, in ISO format.
    """

    schema_version: Literal[1]
    entry_id: str
    operation: str
    value: Value
    outcome: Outcome
    version_before: int | None
    version_after: int | None
    updated_by: str | None
    dag_id: str
    run_id: str
    task_id: str
    map_index: Annotated[int, msgspec.Meta(ge=-1)]
    try_number: Annotated[int, msgspec.Meta(ge=0)]
    at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the ledger has on one entry and one operation.

    :param outcome: the last one, apart from ``sent``; None if there is none.
    :param value: what was set then.
    :param version_after: the version that it left, if known.
    :param sent: value and version before of a request whose outcome is unknown; None if there is no such request.
    :param moves: versions before and after each of our changes.
    """

    outcome: Outcome | None = None
    value: Value = None
    version_after: int | None = None
    sent: tuple[Value, int | None] | None = None
    moves: tuple[tuple[int, int], ...] = ()

    def followed_by(self, line: LedgerLine) -> Past:
        """Return the past with one more line."""
        if line.outcome is Outcome.SENT:
            return msgspec.structs.replace(self, sent=(line.value, line.version_before))
        before, after, moves = line.version_before, line.version_after, self.moves
        if line.outcome is Outcome.CHANGED and before is not None and after is not None:
            moves = (*moves, (before, after))
        return Past(outcome=line.outcome, value=line.value, version_after=after, moves=moves)


NOTHING = Past()


NOBODY = Owner(dag_id="", run_id="", task_id="", map_index=-1, try_number=0)


class Ledger:
    """
    What is known of earlier changes. This one has no destination: it stores nothing.

    :param owner: the task instance that writes.
    """

    def __init__(self, owner: Owner = NOBODY) -> None:
        self._owner = owner
        self._pasts: dict[str, dict[str, Past]] = defaultdict(dict)  # by operation, then by entry

    def add(self, lines: Iterable[LedgerLine]) -> None:
        """Take lines into account, without storing them."""
        for line in lines:
            pasts = self._pasts[line.operation]
            pasts[line.entry_id] = pasts.get(line.entry_id, NOTHING).followed_by(line)

    def withdraw(self, operation: str, entry_ids: Iterable[str]) -> None:
        """Forget that a request was sent: it is known that it changed nothing."""
        pasts = self._pasts[operation]
        for entry_id in entry_ids:
            pasts[entry_id] = msgspec.structs.replace(pasts[entry_id], sent=None)

    def past(self, operation: str, entry_id: str) -> Past:
        return self._pasts[operation].get(entry_id, NOTHING)

    def changed(self, operation: str, value: Value) -> set[str]:
        """Return the ids of the entries that were last changed so by a run with this ledger."""
        pasts = self._pasts[operation]
        return {each for each, past in pasts.items() if past.outcome in OURS and past.value == value}

    def values_set(self, entry_id: str) -> dict[str, Value]:
        """Return what was set on an entry, by operation."""
        known = ((operation, pasts.get(entry_id)) for operation, pasts in self._pasts.items())
        return {operation: past.value for operation, past in known if past and past.outcome in OURS}

    def version_after(self, entry_id: str, version: int) -> int:
        """Return the version that our own changes made of a version of an entry."""
        moves = {
            before: after
            for pasts in self._pasts.values()
            for before, after in (pasts[entry_id].moves if entry_id in pasts else ())
        }
        while version in moves:
            version = moves.pop(version)
        return version

    def line(
        self,
        entry_id: str,
        *,
        operation: str,
        value: Value,
        outcome: Outcome,
        before: int | None = None,
        after: int | None = None,
        updated_by: str | None = None,
    ) -> LedgerLine:
        """Return a line of this task instance."""
        owner = self._owner
        return LedgerLine(
            schema_version=LEDGER_SCHEMA_VERSION,
            entry_id=entry_id,
            operation=operation,
            value=value,
            outcome=outcome,
            version_before=before,
            version_after=after,
            updated_by=updated_by,
            dag_id=owner.dag_id,
            run_id=owner.run_id,
            task_id=owner.task_id,
            map_index=owner.map_index,
            try_number=owner.try_number,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def store(self, lines: Sequence[LedgerLine]) -> None:
        """Write lines of one operation; :meth:`add` takes them into account."""


class LedgerBook(Ledger):
    """
    The ledger of a destination, open for writing; made by :func:`open_ledger`.

    :param publisher: holds the claim of the destination.
    :param owner: the task instance that writes.
    """

    def __init__(self, publisher: Publisher, owner: Owner) -> None:
        super().__init__(owner)
        self._publisher = publisher
        self._number = 0
        for number, lines in _read_parts(publisher.destination):
            self._number = max(self._number, number)
            self.add(lines)

    def store(self, lines: Sequence[LedgerLine]) -> None:
        """
        Write lines of one operation as a new part.

        :raises AworkPublishError: the storage refuses it.
        :raises AworkDestinationBusyError: another run took the destination over.
        """
        if not lines:
            return
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        self._number += 1
        digest = hashlib.sha256(data).hexdigest()[:12]
        self._publisher.write_beside(f"_ledger-{lines[0].operation}-{self._number:05d}-{digest}.ndjson", data)


@contextmanager
def open_ledger(destination: ObjectStoragePath, *, owner: Owner) -> Iterator[LedgerBook]:
    """
    Claim a destination, read its ledger and open it for writing; release the destination at the end.

    :param destination: the prefix of the ledger; a set of files may lie there, too.
    :param owner: the task instance that writes.
    :raises AworkDestinationBusyError: another run writes there.
    :raises AworkPublishError: a part cannot be read.
    """
    with Publisher(destination, owner=owner, purpose="ledger") as publisher:
        yield LedgerBook(publisher, owner)
        publisher.keep_former()


def read_ledger(destination: ObjectStoragePath) -> Ledger:
    """
    Read the ledger of a destination; an empty one if there is none.

    :raises AworkPublishError: a part cannot be read.
    """
    ledger = Ledger()
    ledger.add(read_ledger_lines(destination))
    return ledger


def read_ledger_lines(destination: ObjectStoragePath) -> Iterator[LedgerLine]:
    """Read all lines of a ledger, in the order in which they were written."""
    for _, lines in _read_parts(destination):
        yield from lines


_decode_lines = msgspec.json.Decoder(LedgerLine).decode_lines


def _read_parts(destination: ObjectStoragePath) -> Iterator[tuple[int, list[LedgerLine]]]:
    store = open_store(destination)
    found = (_PART.fullmatch(name) for name in retry(store.names))
    for number, name in sorted((int(part[1]), part[0]) for part in found if part):
        try:
            yield number, _decode_lines(retry(store.read, name) or b"")
        except msgspec.DecodeError as error:
            raise AworkPublishError(
                f"{name} cannot be read as a part of a ledger\n{destination / name}: {error}. Restore it: without it "
                "nobody knows what was changed."
            ) from error
