"""A month is marked as billed, with a kill in the middle and entries that go and change: exactly the set, each once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from airflow_provider_awork.exceptions import AworkBatchError
from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator
from airflow_provider_awork.sandbox import Fault, RuleRequest, Sandbox, Store
from tests.helpers.airflow_harness import connection_in_environment
from tests.helpers.batch_process import BatchProcess
from tests.helpers.change_log import ChangeLog
from tests.helpers.ledgers import outcomes
from tests.helpers.runs import export, hook_for

ENTRIES = 10_000
OTHERS = 300
BACKLOG = "isBillable eq true and isBilled eq false"
MARKING = "/timeentries/batch/setIsBilled"


@contextmanager
def workspace(to_bill: int, others: int) -> Iterator[Sandbox]:
    """A workspace with entries to bill, and others in between."""
    with Sandbox(entries=to_bill + others, seed=3) as sandbox:
        entries = sandbox.store.entries()
        sandbox.store.delete([entry["id"] for entry in entries])
        step = len(entries) // others
        billable = [number % step != 0 or number // step >= others for number in range(len(entries))]
        for entry, is_billable in zip(entries, billable, strict=True):
            entry |= {"isBillable": is_billable, "isBilled": False, "duration": entry["duration"] or 60}
            if "endTimeUtc" not in entry:  # no timer runs: of a day
                entry.pop("startTimeUtc", None)
                entry.pop("startTimeLocal", None)
        sandbox.store.add(*entries)
        with connection_in_environment(sandbox.url, sandbox.token):
            yield sandbox


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with workspace(ENTRIES, OTHERS) as sandbox:
        yield sandbox


def at_marking(number: int, do: Callable[[], object]) -> Callable[[RuleRequest, Store], Fault | None]:
    """A rule: something happens when that batch request came in; then awork does its part."""
    count = 0

    def rule(request: RuleRequest, _: Store) -> None:
        nonlocal count
        count += request.path == MARKING
        if request.path == MARKING and count == number:
            do()

    return rule


def mark(awork: Sandbox, folder: Path, **parameters: Any) -> dict[str, Any]:
    """Run the operator here; give its report, which it leaves behind if it fails, too."""
    operator = AworkBatchTimeEntriesOperator(
        task_id="mark", operation="setIsBilled", value=True, manifest=f"file://{folder}", **parameters
    )
    operator.hook = hook_for(awork)
    left: dict[str, Any] = {}
    instance = SimpleNamespace(
        dag_id="billing",
        run_id="run",
        task_id="mark",
        map_index=-1,
        try_number=2,
        xcom_push=lambda key, value: left.update({key: value}),
    )
    try:
        return operator.execute(cast(Context, {"ti": instance}))
    except AworkBatchError as error:
        return {**left["report"], "error": str(error)}


def start(tmp_path: Path, **parameters: Any) -> BatchProcess:
    return BatchProcess(
        tmp_path / "log",
        run_id="run",
        operation="setIsBilled",
        value=True,
        manifest=f"file://{tmp_path}/set",
        spool_folder=str(tmp_path),
        **parameters,
    )


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


def test_ten_thousand_entries_killed_in_the_middle_with_five_percent_deleted_meanwhile(
    awork: Sandbox, tmp_path: Path
) -> None:
    export(hook_for(awork), tmp_path / "set", filterby=BACKLOG, max_rows_per_file=3_000)
    entries = {entry["id"]: entry for entry in awork.store.entries() if entry["isBillable"]}
    others = {entry_id: text for entry_id, text in awork.store.texts().items() if entry_id not in entries}
    assert (len(entries), len(others)) == (ENTRIES, OTHERS)
    log = ChangeLog(awork)

    killed = start(tmp_path)
    awork.faults.add(at_marking(11, lambda: os.kill(killed.pid, signal.SIGKILL)))
    killed.go()
    assert killed.wait() == -signal.SIGKILL, killed.log()
    awork.faults.clear()
    by_the_killed = billed(awork)
    assert Counter(outcomes(tmp_path / "set").values()) == {"changed": 10 * 500, "sent": 500}
    assert len(by_the_killed) == 11 * 500  # awork did the last one, although nobody heard it

    in_order = sorted(entries.values(), key=lambda entry: entry["createdOn"])
    deleted = {entry["id"] for entry in in_order[::20]}
    awork.store.delete(deleted)
    changed = [entry["id"] for entry in in_order if entry["id"] not in by_the_killed | deleted][:3]
    for entry_id in changed:
        awork.store.edit(entry_id, duration=60)
    del log.ids[-3:]

    report = mark(awork, tmp_path / "set")
    assert report["entries"] == ENTRIES
    assert report["failed"] == {"not found": 500, "changed since the export": 3}
    assert report["already_by"] == {awork.me: len(by_the_killed - deleted)}
    assert report["changed"] == ENTRIES - 500 - 3 - len(by_the_killed - deleted)
    assert "503 of 10000 time entries are not as asked; not found: 500 (" in report["error"]
    assert all(entry_id in report["error"] for entry_id in changed)

    named = {"not found": 500, "changed since the export": 3}
    assert Counter(outcomes(tmp_path / "set").values()) == {"changed": ENTRIES - 503, **named}

    told = mark(awork, tmp_path / "set", ignore_not_found=True, overwrite_changed=True)
    assert (told["changed"], told["already"], told["failed"]) == (3, ENTRIES - 503, {"not found": 500})

    assert billed(awork) == entries.keys() - deleted
    assert len(log.ids) == len(set(log.ids)) == ENTRIES - len(deleted - by_the_killed)
    assert {entry_id: text for entry_id, text in awork.store.texts().items() if entry_id not in entries} == others
    for entry in awork.store.entries():
        if entry["isBilled"]:
            differs = {name for name in entry if entry[name] != entries[entry["id"]].get(name)}
            assert differs - {"duration"} <= {"isBilled", "updatedBy", "updatedOn", "resourceVersion"}
            assert entry["updatedBy"] == awork.me


def test_a_worker_that_is_told_to_stop_leaves_what_it_did(tmp_path: Path) -> None:
    with workspace(600, 20) as awork:
        export(hook_for(awork), tmp_path / "set", filterby=BACKLOG)
        log = ChangeLog(awork)
        stopped = start(tmp_path, chunk_size=50)
        awork.faults.add(at_marking(5, lambda: os.kill(stopped.pid, signal.SIGTERM)))
        stopped.go()
        assert stopped.wait() == 1
        awork.faults.clear()
        assert "Stopped before the end; so far setIsBilled" in stopped.log()
        assert "XCom report: {'operation': 'setIsBilled'" in stopped.log()
        assert not list(tmp_path.glob("awork-spool-*"))
        done = len(log.ids)
        assert 200 <= done < 600

        report = mark(awork, tmp_path / "set")
        assert (report["already_by"], report["changed"]) == ({awork.me: done}, 600 - done)
        assert len(log.ids) == len(set(log.ids)) == 600
