"""
How far a watcher has got, and what is new: no change is lost, none is told twice.

A change may become visible after one with a later ``updatedOn``, since awork stamps it before it is committed; ties on
one instant may come one by one. So each poll reads again from a while before the watermark, and what is accounted for
there is remembered.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow_provider_awork.client.lists.changes import EntryChange

# What Airflow stores for an asset should stay below 64 KB. Only after more changes than these within the lookback, a
# restart tells some of them again.
STORED_MARKS = 5000
MARK_BYTES = 8
# A stamp further ahead than clocks differ would hide all that comes after it.
AHEAD = timedelta(days=1)

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """
    What one poll read.

    :param since: it read all changes from this instant on, in whole seconds; empty: all.
    :param changes: these.
    :param newest: instant of the newest change that was known before; empty if there was none.
    """

    since: str
    changes: Collection[EntryChange]
    newest: str


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """
    Instants are UTC, as text whose order is that of time.

    :param at: the newest change that is accounted for; empty if there is none yet.
    :param seen: marks of the changes that are accounted for, from the lookback on, with their instants. None at the
        start: all up to ``at`` are.
    :param events: what was told, as long as it is not certain that Airflow has kept it.
    """

    at: str
    seen: Mapping[str, str] | None = None
    events: tuple[Event, ...] = ()

    def floor(self, lookback: timedelta) -> str:
        """The instant to read from."""
        return floor(self.at, lookback)

    def advanced(self, changes: Iterable[EntryChange], *, lookback: timedelta, what: Mapping[str, Any]) -> Self:
        """
        The watermark after a poll, with one more event if there is something new.

        :param changes: at least all from :meth:`floor` on.
        :param what: what is watched, for the event.
        """
        known_from = self.floor(lookback)
        changes = [change for change in changes if change.updated_on >= known_from]
        seen = self.seen
        if seen is None:
            seen = {change.mark: change.updated_on for change in changes if change.updated_on <= self.at}
        fresh = [change for change in changes if change.mark not in seen]
        if not fresh:
            return self if seen is self.seen else replace(self, seen=seen)
        at = max(self.at, newest_of(fresh))
        seen = {**seen, **{change.mark: change.updated_on for change in changes}}
        return replace(
            self,
            at=at,
            seen={mark: updated_on for mark, updated_on in seen.items() if updated_on >= floor(at, lookback)},
            events=(*self.events, _event(self.at, at, fresh, what)),
        )

    def without_events(self, event_ids: Collection[str]) -> Self:
        """The watermark without events that Airflow has kept."""
        kept = tuple(event for event in self.events if event["event_id"] not in event_ids)
        return self if len(kept) == len(self.events) else replace(self, events=kept)

    def to_json(self) -> dict[str, Any]:
        """The watermark in JSON types, of bounded size."""
        newest = sorted((self.seen or {}).items(), key=lambda item: item[1], reverse=True)[:STORED_MARKS]
        marks = b"".join(bytes.fromhex(mark) for mark, _ in newest)
        return {"watermark": self.at, "seen": b64encode(marks).decode(), "events": list(self.events)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` wrote. It left the marks' instants out, so that they are remembered a little longer."""
        at, marks = stored["watermark"], b64decode(stored["seen"])
        parts = (marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES))
        return cls(at=at, seen={part.hex(): at for part in parts}, events=tuple(stored["events"]))


def floor(at: str, lookback: timedelta) -> str:
    """
    An instant less the lookback, in whole seconds: awork's filters cannot express fractions.

    >>> floor("2026-11-01T08:00:00.2500000", timedelta(seconds=90))
    '2026-11-01T07:58:30'
    """
    return (datetime.fromisoformat(at[:19]) - lookback).isoformat()[:19] if at else ""


def instant_text(instant: datetime) -> str:
    """An aware datetime in the form of awork's instants, without the zone."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "0"


def newest_of(changes: Iterable[EntryChange]) -> str:
    """The instant of the newest change that does not lie ahead of all clocks; empty if there is none."""
    latest = instant_text(datetime.now(UTC) + AHEAD)
    return max((change.updated_on for change in changes if change.updated_on <= latest), default="")


def _event(since: str, at: str, fresh: Collection[EntryChange], what: Mapping[str, Any]) -> Event:
    told = {**what, "since": since and f"{since}Z", "watermark": at and f"{at}Z"}
    # The marks tell two late changes apart, which do not move the watermark.
    identity = json.dumps([told, sorted(change.mark for change in fresh)], sort_keys=True)
    return {
        "event_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "changed": len(fresh),
        "created": sum(change.created_on > since for change in fresh),
        **told,
    }
