"""
Change one chunk of time entries: take a slot of the rate limit, look, note in the ledger, write, look again.

The decisions are pure functions in :mod:`.decisions`. An answer that is lost and a 429 lead back to the look: nothing
is sent twice without it. So does a write to the ledger that took so long that the look is old by then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from airflow_provider_awork.billing.batch_report import NOT_SENT, UNFINISHED, UNKNOWN, BatchReport
from airflow_provider_awork.billing.decisions import Asked, decide, judge
from airflow_provider_awork.billing.entry_keys import EntryKey, EntryState
from airflow_provider_awork.billing.entry_states import States, read_states
from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.entries.models import BatchOperation, BatchResult
from airflow_provider_awork.client.entries.operations import send_batch
from airflow_provider_awork.exceptions import AworkRateLimitError, AworkServerError, AworkTransportError
from airflow_provider_awork.files.ledger import OURS, Ledger, LedgerLine, Outcome

log = logging.getLogger(__name__)

TRIES = 4  # of a chunk whose answer is lost
FIRST_WAIT = 0.5  # seconds; doubles
MOST_REFUSALS = 10  # of a chunk that is answered with 429
ROOM = 4  # requests: usually a page of up to 1000 entries or two, and the write


class ChunkChanger:
    """
    Changes chunks of entries, one after another, and counts what becomes of them.

    :param asked: what is to be done.
    :param client: of the entries' workspace.
    :param report: gets the outcome of each entry.
    :param ledger: what is known of earlier changes, and where to note these.
    :param reads_only: only report what would become of the entries.
    """

    def __init__(
        self, asked: Asked, client: AworkClient, report: BatchReport, ledger: Ledger, *, reads_only: bool
    ) -> None:
        self._asked = asked
        self._client = client
        self._report = report
        self._ledger = ledger
        self._reads_only = reads_only
        self._left: Mapping[str, EntryKey] = {}
        self._sent: dict[str, EntryState] = {}  # with an unknown outcome; as they were before
        self._noted: set[str] = set()  # in a stored line that says ``sent``
        self._unstored: list[LedgerLine] = []

    @property
    def is_stopped(self) -> bool:
        """Whether to send no more: with ``require_all`` the first failure ends the changes. Reading continues."""
        return self._asked.all_or_none and not self._reads_only and bool(self._report.failures())

    def change(self, chunk: Mapping[str, EntryKey]) -> None:
        """
        Change the entries of a chunk.

        :raises AworkTransportError: the answer was lost again and again.
        :raises AworkRateLimitError: awork refused the chunk again and again.
        :raises AworkRequestError: awork refuses the request as a whole.
        """
        self._left, self._sent, self._noted = chunk, {}, set()
        try:
            self._change()
            self._store()
        except BaseException:
            self._report.fail(UNFINISHED, self._sent)
            self._report.fail(NOT_SENT, (each for each in self._left if each not in self._sent))
            raise

    def _change(self) -> None:
        losses = refusals = 0
        limiter = self._client.session.limiter
        while True:
            with limiter.slot(room=ROOM) as slot:
                states = self._look()
                if self._reads_only or self.is_stopped or not self._left:
                    return self._leave_rest()
                was_fresh = not states.is_stale
                self._note(states)
                if was_fresh and states.is_stale:  # the storage was slow
                    continue
                try:
                    result = self._send(states, slot)
                except AworkRateLimitError:
                    refusals += 1
                    if refusals == MOST_REFUSALS:
                        raise
                    continue  # the next slot waits as long as awork says
                except (AworkTransportError, AworkServerError) as error:
                    losses += 1
                    if losses == TRIES:
                        raise AworkTransportError(self._lost(error)) from None
                    log.warning("Reading %d time entries again, to see what awork did: %s", len(self._left), error)
                    result = None
            if result is not None:
                return self._conclude(result)
            limiter.sleep(FIRST_WAIT * 2 ** (losses - 1))

    def _lost(self, error: Exception) -> str:
        return (
            f"{self._asked.operation}: awork's answer was lost {TRIES} times for a chunk of {len(self._left)} time "
            f"entries. Run again later: entries that are as asked by then are left alone ({error})"
        )

    def _look(self) -> States:
        """Read the entries, and settle those that are done or cannot be changed."""
        states = read_states(self._client, [*self._left.values()])
        left = {}
        for entry_id, key in self._left.items():
            state = states.found.get(entry_id)
            outcome = decide(
                self._asked,
                key,
                state,
                is_refused=entry_id in states.refused,
                ledger=self._ledger,
                seen=self._sent.get(entry_id),
            )
            if outcome is None:
                left[entry_id] = key
            else:
                self._settle(entry_id, outcome, before=self._sent.get(entry_id), after=state)
        self._left, self._sent = left, {}  # those that are left were not changed by what was sent
        return states

    def _leave_rest(self) -> None:
        if self._reads_only:
            self._report.to_change += len(self._left)
        else:
            self._report.fail(Outcome.NOT_TRIED, self._left)
        self._left = {}

    def _note(self, states: States) -> None:
        """Store what is about to be sent."""
        new = [entry_id for entry_id in self._left if entry_id not in self._noted]
        self._unstored += self._sent_lines(new, states)
        self._store()
        self._noted.update(new)

    def _store(self) -> None:
        lines, self._unstored = self._unstored, []
        self._ledger.store(lines)

    def _sent_lines(self, ids: Sequence[str], states: States) -> list[LedgerLine]:
        return [self._line(each, Outcome.SENT, before=states.found[each]) for each in ids]

    def _send(self, states: States, slot: float) -> BatchResult:
        asked, left = self._asked, [*self._left]
        self._ledger.add(self._sent_lines(left, states))
        self._sent = {each: states.found[each] for each in left}
        self._report.note_look(states.age)
        try:
            return send_batch(
                self._client.session,
                cast(BatchOperation, asked.operation),
                left,
                value=asked.value,
                require_all=asked.all_or_none,
                slot=slot,
            )
        except AworkRateLimitError:  # nothing was done
            self._sent = {}
            self._ledger.withdraw(asked.operation, left)
            raise

    def _conclude(self, result: BatchResult) -> None:
        """Settle the entries that were sent: by a look at them, unless awork's answer says all that is needed."""
        sent, answered = self._sent, self._answered(result)
        if not answered and not self._asked.has_ledger:
            return self._settle_by_answer(answered)
        try:
            states = read_states(self._client, [_key_of(state) for state in sent.values()])
        except BaseException:
            if not (answered and self._asked.all_or_none):
                self._settle_by_answer(answered)
                self._store()
            raise
        for entry_id, before in sent.items():
            after = states.found.get(entry_id)
            outcome = judge(
                self._asked,
                before,
                after,
                answered=answered.get(entry_id),
                is_refused=entry_id in states.refused,
            )
            self._settle(entry_id, outcome, before=before, after=after)
        self._left, self._sent = {}, {}

    def _settle_by_answer(self, answered: Mapping[str, Outcome]) -> None:
        for entry_id, before in self._sent.items():
            self._settle(entry_id, answered.get(entry_id, Outcome.CHANGED), before=before, after=None)
        self._left, self._sent = {}, {}

    def _answered(self, result: BatchResult) -> dict[str, Outcome]:
        """Return why awork left entries alone, as its answer says."""
        lists = {
            Outcome.NOT_FOUND: result.not_found,
            Outcome.UNAUTHORIZED: result.unauthorized,
            Outcome.BAD_REQUEST: result.bad_request,
            Outcome.NOT_TRIED if self._asked.all_or_none else Outcome.UNREPORTED: result.unreported,
        }
        return {entry_id: outcome for outcome, ids in lists.items() for entry_id in ids}

    def _settle(self, entry_id: str, outcome: Outcome, *, before: EntryState | None, after: EntryState | None) -> None:
        """Count the outcome of an entry, and note it in the ledger unless it is there already."""
        report, past = self._report, self._ledger.past(self._asked.operation, entry_id)
        if outcome is Outcome.CHANGED and entry_id in self._sent:
            report.changed += 1
        elif outcome in (Outcome.CHANGED, Outcome.ALREADY):
            report.already[(after.updated_by if after else None) or UNKNOWN] += 1
            if past.outcome in OURS and after and past.version_after not in (None, after.resource_version):
                report.changed_later.append(entry_id)
        else:
            report.fail(outcome, [entry_id])
        is_new = past.value != self._asked.value or outcome is not past.outcome
        is_new &= not (past.outcome is Outcome.CHANGED and outcome is Outcome.ALREADY)
        if not self._reads_only and (is_new or past.sent or entry_id in self._noted):
            line = self._line(entry_id, outcome, before=before, after=after)
            self._ledger.add([line])
            self._unstored.append(line)

    def _line(
        self, entry_id: str, outcome: Outcome, *, before: EntryState | None, after: EntryState | None = None
    ) -> LedgerLine:
        asked = self._asked
        last, sent = after or before, self._ledger.past(asked.operation, entry_id).sent
        is_known = after is not None and (outcome not in OURS or asked.is_by_us(after))
        return self._ledger.line(
            entry_id,
            operation=asked.operation,
            value=asked.value,
            outcome=outcome,
            before=before.resource_version if before else sent[1] if sent else None,
            after=after.resource_version if after and is_known else None,
            updated_by=last.updated_by if last else None,
        )


def _key_of(state: EntryState) -> EntryKey:
    return EntryKey(id=state.id.lower(), created_on=state.created_on)
