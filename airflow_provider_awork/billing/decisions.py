"""
What is to become of a time entry, decided from values alone: what was asked, what was seen, what the ledger has.

:func:`decide` looks at an entry before the change, :func:`judge` after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_awork.billing.entry_keys import EntryKey, EntryState, differing_fields
from airflow_provider_awork.files.ledger import Ledger, Outcome, Past, Value


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    What was asked, and by whom.

    :param operation: awork's batch operation.
    :param value: what it sets.
    :param compares_content: whether only fields that money rests on make an entry *changed since the export*.
    :param overwrites_changed: whether entries that were changed since the export are changed, too.
    :param all_or_none: whether awork leaves all entries of a chunk alone if it refuses one.
    :param has_ledger: whether a ledger is kept, so that what it lacks was done by somebody else.
    :param user_id: whose key it is.
    :param sees_all: whether the key sees everybody's entries; None if awork does not report it.
    """

    operation: str
    value: Value
    compares_content: bool
    overwrites_changed: bool
    all_or_none: bool
    has_ledger: bool
    user_id: str | None
    sees_all: bool | None

    @property
    def bills(self) -> bool:
        return self.operation == "setIsBilled" and self.value is True

    def is_by_us(self, state: EntryState) -> bool:
        """Whether the last change of an entry may be ours; awork names the user of a key, and no more."""
        return state.updated_by in (None, self.user_id)


def decide(
    asked: Asked,
    key: EntryKey,
    state: EntryState | None,
    *,
    is_refused: bool,
    ledger: Ledger,
    seen: EntryState | None = None,
) -> Outcome | None:
    """
    Decide what becomes of an entry before the change; None: it is to be changed.

    :param key: what was known when the entry was chosen.
    :param state: the entry now; None if it is gone or hidden.
    :param is_refused: whether the key may not read it.
    :param seen: the entry when the change was sent, if this run sent it and does not know the outcome.
    """
    past = ledger.past(asked.operation, key.id)
    if is_refused or (state is None and asked.sees_all is False):
        return Outcome.UNAUTHORIZED
    if state is None:
        if asked.operation != "delete":
            return Outcome.NOT_FOUND
        return Outcome.CHANGED if past.sent else Outcome.ALREADY
    if state.has(asked.operation, asked.value):
        return _whose(asked, seen or key, state, past, ledger)
    if asked.bills and state.is_open:
        return Outcome.RUNNING
    if not asked.overwrites_changed and has_changed(key, state, ledger, by_content=asked.compares_content):
        return Outcome.CHANGED_SINCE
    return None


def _whose(asked: Asked, base: EntryKey, state: EntryState, past: Past, ledger: Ledger) -> Outcome:
    """Decide who made an entry as asked."""
    if past.sent and past.sent[0] == asked.value:
        if not asked.is_by_us(state):
            return Outcome.UNCLEAR
        same = asked.overwrites_changed or not content_differs(base, state, ledger, also={asked.operation: asked.value})
        return Outcome.CHANGED if same else Outcome.OVERWRITTEN
    if past.value == asked.value and past.outcome in (Outcome.OVERWRITTEN, Outcome.UNCLEAR):
        return past.outcome
    is_ours = past.value == asked.value and past.outcome is Outcome.CHANGED
    return Outcome.BILLED_BY_OTHERS if asked.bills and asked.has_ledger and not is_ours else Outcome.ALREADY


def has_changed(key: EntryKey, state: EntryState, ledger: Ledger, *, by_content: bool) -> bool:
    """Whether somebody else changed an entry since it was chosen."""
    known, version = key.resource_version, state.resource_version
    if known is not None and version == ledger.version_after(key.id, known):
        return False
    return content_differs(key, state, ledger) if by_content else key.differs_from(state)


def content_differs(base: EntryKey, state: EntryState, ledger: Ledger, *, also: dict[str, Value] | None = None) -> bool:
    """Whether fields that money rests on differ from what they were, apart from what our own changes set."""
    return bool(base.has_content and differing_fields(base, state, ledger.values_set(base.id) | (also or {})))


def judge(
    asked: Asked, before: EntryState, after: EntryState | None, *, answered: Outcome | None, is_refused: bool
) -> Outcome:
    """
    Decide what became of an entry that was sent.

    :param before: the entry as it was seen before the change.
    :param after: the entry as it was seen after it; None if it is gone.
    :param answered: why awork left the entry alone, as it says; None: it says that it is changed.
    :param is_refused: whether the key may not read it any longer.
    """
    if is_refused:
        return answered or Outcome.CHANGED
    if after is None:
        if asked.operation != "delete":
            return Outcome.NOT_FOUND
        return Outcome.ALREADY if answered is Outcome.NOT_FOUND else Outcome.CHANGED
    if asked.operation == "delete" or not after.has(asked.operation, asked.value):
        if answered:
            return answered
        if asked.all_or_none:
            return Outcome.NOT_TRIED
        moved = after.resource_version != before.resource_version
        return Outcome.UNDONE if moved else Outcome.NOT_APPLIED
    if answered and not asked.is_by_us(after):
        return Outcome.BILLED_BY_OTHERS if asked.bills else Outcome.ALREADY
    changed = differing_fields(before, after, {asked.operation: asked.value})
    return Outcome.OVERWRITTEN if changed else Outcome.CHANGED
