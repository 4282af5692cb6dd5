"""The position of a watcher: random changes between polls, ties and late commits included."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.client.lists.changes import EntryChange
from airflow_provider_awork.triggers.position import STORED_MARKS, WatcherPosition, instant_text

LOOKBACK = timedelta(seconds=30)
WATCHED = {"filterby": "isBilled eq false"}
START = datetime(2026, 11, 24, 8, tzinfo=UTC)


@dataclass
class Workspace:
    """The last change of each entry, and what a watcher ought to know."""

    clock: datetime = START
    rows: dict[int, EntryChange] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    versions: int = 0

    def change(self, entry: int, *, late: timedelta) -> None:
        """Commit a change that was stamped a while ago."""
        self.versions += 1
        before = self.rows.get(entry)
        stamp = instant_text(self.clock - late)
        created = before.created_on if before else stamp
        self.rows[entry] = EntryChange(mark=f"{self.versions:016x}", updated_on=stamp, created_on=created)

    def read(self, since: str) -> list[EntryChange]:
        return [change for change in self.rows.values() if change.updated_on >= since]

    def untold(self) -> set[str]:
        return {change.mark for change in self.rows.values()} - self.told


seconds = st.integers(0, 30).map(lambda number: timedelta(seconds=number))
changes = st.tuples(st.just("change"), st.integers(0, 5), seconds)
passing = st.tuples(st.just("time"), st.sampled_from([0.000001, 0.4, 1.0, 7.0, 100.0]), st.none())
polls = st.tuples(st.sampled_from(["poll", "restart"]), st.none(), st.none())
steps = st.lists(st.one_of(changes, changes, passing, polls))


@given(steps, steps)
def test_each_change_is_told_once(before: list[tuple], after: list[tuple]) -> None:  # type: ignore[type-arg]
    workspace = Workspace()
    for step, entry, late in before:
        if step == "change":
            workspace.change(entry, late=late)
    newest = max((change.updated_on for change in workspace.rows.values()), default="")
    position = WatcherPosition(at=newest).advanced(workspace.read(""), lookback=LOOKBACK, watched=WATCHED)
    assert position.events == ()
    workspace.told = {change.mark for change in workspace.rows.values()}
    for step, value, late in [*after, ("poll", None, None), ("poll", None, None)]:
        if step == "change":
            workspace.change(value, late=late)
        elif step == "time":
            workspace.clock += timedelta(seconds=value)
        elif step == "restart":
            position = WatcherPosition.from_json(json.loads(json.dumps(position.to_json())))
        else:
            position = poll(position, workspace)
    assert not workspace.untold()


def poll(position: WatcherPosition, workspace: Workspace) -> WatcherPosition:
    expected = workspace.untold()
    advanced = position.advanced(workspace.read(position.lookback_start(LOOKBACK)), lookback=LOOKBACK, watched=WATCHED)
    told = advanced.events[len(position.events) :]
    assert [event["changed"] for event in told] == ([len(expected)] if expected else [])
    assert advanced.at >= position.at
    workspace.told |= expected
    ids = [event["event_id"] for event in advanced.events]
    assert len(set(ids)) == len(ids)
    return advanced


def change(number: int, instant: datetime) -> EntryChange:
    return EntryChange(mark=f"{number:016x}", updated_on=instant_text(instant), created_on=instant_text(START))


def test_an_event_says_what_is_new() -> None:
    created = change(1, START)
    updated = change(2, START + timedelta(seconds=5))
    position = WatcherPosition(at="").advanced([], lookback=LOOKBACK, watched=WATCHED)
    position = position.advanced([created], lookback=LOOKBACK, watched=WATCHED)
    position = position.advanced([created, updated], lookback=LOOKBACK, watched=WATCHED)
    first, second = position.events
    assert first | {"event_id": ""} == {
        "event_id": "",
        "changed": 1,
        "created": 1,
        "since": "",
        "watermark": "2026-11-24T08:00:00.0000000Z",
        "filterby": "isBilled eq false",
    }
    assert (second["changed"], second["created"], second["since"]) == (1, 0, first["watermark"])


def test_the_same_changes_give_the_same_event_id() -> None:
    base = WatcherPosition(at=instant_text(START)).advanced([], lookback=LOOKBACK, watched=WATCHED)
    rows = [change(1, START), change(2, START + timedelta(seconds=1))]
    events = [base.advanced(order, lookback=LOOKBACK, watched=WATCHED).events[0] for order in (rows, rows[::-1])]
    assert events[0] == events[1]
    other = base.advanced(rows, lookback=LOOKBACK, watched={"filterby": None}).events[0]
    assert other["event_id"] != events[0]["event_id"]


def test_a_stamp_far_ahead_does_not_hide_what_comes_later() -> None:
    ahead, later = change(1, datetime(2099, 1, 1, tzinfo=UTC)), change(2, START + timedelta(seconds=1))
    position = WatcherPosition(at=instant_text(START), seen={}).advanced([ahead], lookback=LOOKBACK, watched=WATCHED)
    assert position.at == instant_text(START)
    position = position.advanced([ahead, later], lookback=LOOKBACK, watched=WATCHED)
    assert [event["changed"] for event in position.events] == [1, 1]


def test_what_airflow_stores_is_bounded() -> None:
    """After a restart, changes that were forgotten are told again rather than lost."""
    rows = [change(number, START + timedelta(seconds=1)) for number in range(STORED_MARKS + 500)]
    position = WatcherPosition(at=instant_text(START), seen={}).advanced(rows, lookback=LOOKBACK, watched=WATCHED)
    stored = json.dumps(position.to_json())
    assert len(stored) < 65535
    again = WatcherPosition.from_json(json.loads(stored)).advanced(rows, lookback=LOOKBACK, watched=WATCHED)
    assert [event["changed"] for event in again.events] == [len(rows), 500]
