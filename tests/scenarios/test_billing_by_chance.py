"""
Billing with kills, lost answers, 429, a new key, edits and billing by hand at random moments, run until it is done.

Whatever happens: what we billed is what was invoiced, minus what the report names; each entry once; the ledger has what
awork did; every report is true. ``AWORK_BILLING_ENTRIES=10000`` takes more entries than the 60 by default.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.billing import chunk_changes
from airflow_provider_awork.billing.batch_changes import BatchChange
from airflow_provider_awork.billing.batch_report import BatchReport
from airflow_provider_awork.billing.entry_keys import EntryKey, entry_keys
from airflow_provider_awork.exceptions import AworkError
from airflow_provider_awork.files import ledger as ledger_module
from airflow_provider_awork.files import publisher as publisher_module
from airflow_provider_awork.files.ledger import open_ledger
from airflow_provider_awork.sandbox import Answer, CutBody, Fault, RuleRequest, Sandbox, Store
from tests.helpers.ledgers import OWNER, lines
from tests.helpers.runs import hook_for

ENTRIES = int(os.environ.get("AWORK_BILLING_ENTRIES", "60"))
CHUNK = max(10, ENTRIES // 20)
ROUGH_RUNS = 8  # afterwards nothing goes wrong any more
MARKING = "/timeentries/batch/setIsBilled"
RATE_LIMITED = Answer(429, headers={"retry-after": "0"})


class Killed(BaseException):
    """The process ends here: nothing that comes after it reaches the storage or awork."""


class Life:
    """Ends at a step: each request and each access to the storage is two, one before and one after it."""

    def __init__(self, steps: int | None) -> None:
        self._left = steps

    def step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._left = 0
                raise Killed

    def guard(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **parameters: Any) -> Any:
            self.step()
            result = function(*arguments, **parameters)
            self.step()
            return result

        return guarded


class MortalStore:
    """A store whose process may be killed before and after each access."""

    def __init__(self, store: Any, life: Life) -> None:
        self._store, self._life = store, life

    def __getattr__(self, name: str) -> Any:
        return self._life.guard(getattr(self._store, name))


class World:
    """A workspace in which things happen at random, and the history of what happened."""

    def __init__(self, awork: Sandbox, seed: int) -> None:
        self.awork = awork
        self.chance = random.Random(seed)
        self.history: list[tuple[str, str, dict[str, Any], int]] = []  # entry, user, changes, version
        self.is_rough = True
        edit = awork.store.edit

        def edit_and_note(entry_id: str, **changes: Any) -> dict[str, Any]:
            entry = edit(entry_id, **changes)
            self.history.append((entry_id, str(changes.get("updatedBy")), changes, entry["resourceVersion"]))
            return entry

        awork.store.edit = edit_and_note  # type: ignore[method-assign]
        awork.faults.add(self.rule)

    def rule(self, request: RuleRequest, store: Store) -> Fault | None:
        if not self.is_rough:
            return None
        if request.path == "/timeentries":
            self.happen(store, "edit", "note", "by hand", "delete", "", "", "", "")
        if request.path != MARKING:
            return None
        fault = self.chance.choice([None, None, None, RATE_LIMITED, Answer(500), CutBody(after_bytes=1), "key"])
        if fault == "key":
            self.awork.replace_token(f"key-{self.chance.random()}")
            return Answer(401, {"message": {"code": "unauthorized", "description": "Unauthorized"}})
        if isinstance(fault, Answer):  # awork does nothing, so this comes between two looks
            self.happen(store, "edit", "by hand", "")
        else:  # in the instant between look and write
            self.happen(store, "edit", "note", "", "")
        return fault  # type: ignore[return-value]

    def happen(self, store: Store, *what: str) -> None:
        ids = store.ids()
        entry_id = self.chance.choice(ids)
        match self.chance.choice(what):
            case "edit":
                store.edit(entry_id, duration=self.chance.randrange(10**6), updatedBy="somebody")
            case "note":
                store.edit(entry_id, note=f"{self.chance.random()}", updatedBy="somebody")
            case "by hand":
                store.edit(entry_id, isBilled=True, updatedBy="somebody")
            case "delete" if self.chance.random() < 0.3:
                store.delete([entry_id])

    def billed_by(self, *users: str, since: int = 0) -> list[str]:
        return [each for each, user, changes, _ in self.history[since:] if user in users and changes.get("isBilled")]


@pytest.fixture
def awork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(chunk_changes, "FIRST_WAIT", 0.001)
    with Sandbox(entries=ENTRIES, seed=3) as sandbox:
        entries = sandbox.store.entries()
        sandbox.store.delete(sandbox.store.ids())
        for entry in entries:
            entry |= {"isBillable": True, "isBilled": False, "duration": entry["duration"] or 60}
            if "endTimeUtc" not in entry:
                entry.pop("startTimeUtc", None)
                entry.pop("startTimeLocal", None)
        sandbox.store.add(*entries)
        yield sandbox


def run(world: World, keys: list[EntryKey], folder: Path, life: Life, *, number: int, compare: str) -> BatchReport:
    """Run once; give the report, also of a run that an error ended."""
    hook = hook_for(world.awork)
    session = hook.client.session
    session._exchange = life.guard(session._exchange)  # type: ignore[method-assign]
    change = BatchChange(operation="setIsBilled", value=True, chunk_size=CHUNK, compare=compare)
    stopped: list[BatchReport] = []
    owner = dataclasses.replace(OWNER, try_number=number)
    try:
        with open_ledger(ObjectStoragePath(f"file://{folder}"), owner=owner) as ledger:
            return change.run(
                hook.client, keys, identity=hook.identity, ledger=ledger, ledger_path="x", on_stop=stopped.append
            )
    except AworkError:
        if not stopped:
            raise
        return stopped[0]


@pytest.mark.parametrize("seed", range(20))
def test_what_we_billed_is_what_was_invoiced_minus_what_is_reported(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    keys, world = entry_keys(awork.store.entries()), World(awork, seed)
    compare = ("version", "content")[seed % 2]
    open_store = publisher_module.open_store
    report: BatchReport | None = None
    for number in range(1, ROUGH_RUNS + 2):
        world.is_rough = number <= ROUGH_RUNS
        life = Life(world.chance.randrange(4, 30 + 60 * number) if world.is_rough else None)
        for module in (publisher_module, ledger_module):
            monkeypatch.setattr(module, "open_store", lambda *a, **b: MortalStore(open_store(*a, **b), life))  # noqa: B023
        before, report = len(world.history), None
        with suppress(Killed, AworkError):
            report = run(world, keys, tmp_path, life, number=number, compare=compare)
            assert_true(report, world, since=before)
        assert_ledger_is_history(tmp_path, world)
    assert report is not None, "nothing went wrong in the last run"
    assert (report.entries, report.not_reached, report.to_change) == (len(keys), 0, 0)

    invoiced, ours = {key.id for key in keys}, world.billed_by(awork.me)
    reported = {each for ids in report.failures().values() for each in ids}
    assert set(ours) - reported == invoiced - reported
    assert set(Counter(ours).values()) <= {1}
    assert_every_kind_is_true(report, world, compare)
    changed = [line["entry_id"] for line in lines(tmp_path) if line["outcome"].startswith("changed") and is_ours(line)]
    assert set(changed) - reported == invoiced - reported
    assert set(Counter(changed).values()) <= {1}


def is_ours(line: dict[str, Any]) -> bool:
    return line["outcome"] in ("changed", "changed while it was written")


def assert_true(report: BatchReport, world: World, *, since: int) -> None:
    """What a run says that it changed is what it changed; of the rest it says that it may have."""
    named = {each for ids in report.failed.values() for each in ids}
    ours = set(world.billed_by(world.awork.me, since=since))
    assert len(ours - named) == report.changed
    assert not ours & set(report.failed.get("not sent", ()))
    counted = report.changed + report.already.total() + sum(map(len, report.failed.values())) + report.to_change
    assert counted == report.entries


def assert_ledger_is_history(folder: Path, world: World) -> None:
    """What the ledger has as ours is ours, in that version; what is ours was at least noted as sent."""
    written = lines(folder)
    versions = {entry_id: version for entry_id, user, changes, version in world.history
                if user == world.awork.me and changes.get("isBilled")}  # fmt: skip
    for line in written:
        if is_ours(line):
            assert line["version_after"] in (None, versions[line["entry_id"]])
    assert versions.keys() <= {line["entry_id"] for line in written if line["outcome"] == "sent"}


def assert_every_kind_is_true(report: BatchReport, world: World, compare: str) -> None:
    there = {entry["id"]: entry for entry in world.awork.store.entries()}
    ours, by_hand = set(world.billed_by(world.awork.me)), set(world.billed_by("somebody"))
    edited = {
        entry_id
        for entry_id, user, changes, _ in world.history
        if user == "somebody" and (compare == "version" or "duration" in changes)
    }
    truths: dict[str, Callable[[str], bool]] = {
        "billed by somebody else": lambda each: each in by_hand and each not in ours,
        "billed by this run or by somebody else": lambda each: there[each]["isBilled"] and each in ours | by_hand,
        "changed since the export": lambda each: each in edited and each not in ours,
        "changed while it was written": lambda each: each in ours and each in edited,
        "not found": lambda each: each not in there,
    }
    for kind, ids in report.failed.items():
        assert [each for each in ids if not truths[kind](each)] == [], kind
    billed, wrong = set[str](), set[str]()  # edited before anybody billed them
    for entry_id, user, changes, _ in world.history:
        if user == "somebody" and "duration" in changes and entry_id not in billed:
            wrong.add(entry_id)
        if changes.get("isBilled"):
            billed.add(entry_id)
    assert wrong <= {each for ids in report.failed.values() for each in ids}
