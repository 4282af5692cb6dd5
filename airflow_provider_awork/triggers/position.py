"""
How far a watcher has got, and which changes are fresh: none is lost, none is reported twice.

A change may become visible after one with a later ``updatedOn``, since awork stamps it before it is committed; ties on
one instant may become visible one by one. So each poll reads again from a lookback before the newest change, and the
position remembers the changes there that are accounted for.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec

from airflow_provider_awork.client.identity import Visibility

if TYPE_CHECKING:
    from airflow_provider_awork.client.identity import Identity
    from airflow_provider_awork.client.lists.changes import EntryChange

# What Airflow stores for an asset should stay below 64 KB. If there are more changes than these within the lookback, a
# restart reports some of them again.
STORED_MARKS = 5000
MARK_BYTES = 8
# A stamp further ahead than clocks differ would hide all that comes after it.
AHEAD = timedelta(days=1)

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """
    The changes that one poll read.

    :param since: it read all changes from this instant on, in whole seconds; empty: all.
    :param changes: the changes.
    :param newest: instant of the newest change that was known before; empty if there was none.
    :param identity: who polled, and what it may see.
    """

    since: str
    changes: Collection[EntryChange]
    newest: str
    identity: Identity


@dataclass(frozen=True, kw_only=True)
class WatcherPosition:
    """
    How far a watcher has got. Instants are UTC, as text that sorts in order of time.

    :param at: instant of the newest change that is accounted for; empty if there is none yet.
    :param seen: marks of the changes that are accounted for, from the lookback on, with their instants. None at the
        start: all up to ``at`` are.
    :param events: what was reported, until it is certain that Airflow has kept it.
    :param visibility: which entries the key saw at the last poll; None before the first.
    """

    at: str
    seen: Mapping[str, str] | None = None
    events: tuple[Event, ...] = ()
    visibility: Visibility | None = None

    def lookback_start(self, lookback: timedelta) -> str:
        """The instant to read from."""
        return lookback_start(self.at, lookback)

    def advanced(self, changes: Iterable[EntryChange], *, lookback: timedelta, watched: Mapping[str, Any]) -> Self:
        """
        Return the position after a poll, with one more event if there are fresh changes.

        :param changes: at least all from :meth:`lookback_start` on.
        :param watched: which entries are watched, for the event.
        """
        known_from = self.lookback_start(lookback)
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
            seen={mark: updated_on for mark, updated_on in seen.items() if updated_on >= lookback_start(at, lookback)},
            events=(*self.events, _event(self.at, at, fresh, watched)),
        )

    def without_events(self, event_ids: Collection[str]) -> Self:
        """Return the position without events that Airflow has kept."""
        kept = tuple(event for event in self.events if event["event_id"] not in event_ids)
        return self if len(kept) == len(self.events) else replace(self, events=kept)

    def to_json(self) -> dict[str, Any]:
        """Return the position in JSON types, of bounded size."""
        newest = sorted((self.seen or {}).items(), key=lambda item: item[1], reverse=True)[:STORED_MARKS]
        marks = b"".join(bytes.fromhex(mark) for mark, _ in newest)
        return {
            "watermark": self.at,
            "seen": b64encode(marks).decode(),
            "events": list(self.events),
            "visibility": msgspec.to_builtins(self.visibility),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote, which is without the instants of marks: they are kept a little longer."""
        at, marks = stored["watermark"], b64decode(stored["seen"])
        parts = (marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES))
        return cls(
            at=at,
            seen={part.hex(): at for part in parts},
            events=tuple(stored["events"]),
            visibility=msgspec.convert(stored.get("visibility"), Visibility | None),
        )


def lookback_start(at: str, lookback: timedelta) -> str:
    """
    Return an instant less the lookback, in whole seconds: awork's filters cannot express fractions.

    >>> lookback_start("2026-11-01T08:00:00.2500000", timedelta(seconds=90))
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


def _event(since: str, at: str, fresh: Collection[EntryChange], watched: Mapping[str, Any]) -> Event:
    facts = {**watched, "since": since and f"{since}Z", "watermark": at and f"{at}Z"}
    # The marks distinguish late changes, which do not move the position.
    identity = json.dumps([facts, sorted(change.mark for change in fresh)], sort_keys=True)
    return {
        "event_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "changed": len(fresh),
        "created": sum(change.created_on > since for change in fresh),
        **facts,
    }
