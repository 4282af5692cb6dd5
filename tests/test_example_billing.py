"""The example ``awork_billing``, run by real Airflow against a local awork, with a human and with crashes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pendulum
import pytest

from airflow_provider_awork.sandbox import Answer, Fault, RuleRequest, Sandbox, Store
from tests.helpers.airflow_harness import (
    DagResult,
    connection_in_environment,
    continue_dag,
    last_run_id,
    prepare_airflow,
    run_dag,
)
from tests.helpers.examples import load
from tests.helpers.human import human
from tests.helpers.ledgers import outcomes

BERLIN = "Europe/Berlin"
OCTOBER, NOVEMBER, DECEMBER = (
    (pendulum.datetime(2026, month, 1, tz=BERLIN), pendulum.datetime(2026, month, 1, tz=BERLIN).add(months=1))
    for month in (10, 11, 12)
)
MARKING = "/timeentries/batch/setIsBilled"
ROOT = Path(__file__).parent.parent


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with (
        Sandbox(entries=200, seed=9, end=pendulum.date(2026, 11, 5)) as sandbox,
        connection_in_environment(sandbox.url, sandbox.token),
    ):
        yield sandbox


@pytest.fixture(autouse=True)
def destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWORK_BILLING_DESTINATION", f"file://{tmp_path}/billing")
    return tmp_path / "billing"


def bill(month: tuple[datetime, datetime] = OCTOBER, *, answer: str = "Approve") -> DagResult:
    with human("awork_billing", answer=answer):
        return run_dag(load("awork_billing"), logical_date=month[1], data_interval=month)


def book(awork: Sandbox, day: str, **fields: Any) -> str:
    """Somebody books an hour to bill; its id."""
    fields = {"isBillable": True, "isBilled": False, "duration": 3600, "startDateLocal": f"{day}T00:00:00"} | fields
    entry = awork.make_entry(**fields)
    awork.store.add(entry)
    return str(entry["id"])


def invoices(destination: Path) -> dict[str, set[str]]:
    """The entries on each invoice, by month."""
    records = [json.loads(path.read_text()) for path in (destination / "invoices").glob("*.json")]
    return {record["month"]: set(record["time_entry_ids"]) for record in records}


def markings(awork: Sandbox) -> Counter[str]:
    """How often it was asked to mark each entry."""
    return Counter(
        entry_id
        for request in awork.requests
        if request.path == MARKING
        for entry_id in json.loads(request.body)["timeEntryIds"]
    )


def to_bill(awork: Sandbox, before: str = "2026-11") -> set[str]:
    return set(
        awork.store.ids(
            lambda entry: (
                entry["isBillable"]
                and not entry["isBilled"]
                and entry["duration"] > 0
                and entry["startDateLocal"] < before
            )
        )
    )


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


def clear(result: DagResult, *task_ids: str) -> None:
    """Let tasks of a run count as not done, for ``continue_dag``."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    of_tasks = (TaskInstance.run_id == result.run_id, TaskInstance.task_id.in_(task_ids))
    with create_session() as session:
        session.execute(
            update(TaskInstance).where(TaskInstance.dag_id == "awork_billing", *of_tasks).values(state=None)
        )


def states(result: DagResult) -> dict[str, str | None]:
    return {task_id: each.state for (task_id, _), each in result.task_instances.items()}


def test_a_month_is_exported_approved_invoiced_marked_and_checked(awork: Sandbox, destination: Path) -> None:
    expected, before = to_bill(awork), billed(awork)
    hours = sum(entry["duration"] for entry in awork.store.entries() if entry["id"] in expected) / 3600
    with human("awork_billing") as somebody:
        result = run_dag(load("awork_billing"), logical_date=OCTOBER[1], data_interval=OCTOBER)
    assert set(states(result).values()) == {"success"}
    assert billed(awork) == before | expected
    assert result.xcom("mark_billed")["changed"] == len(expected) > 0
    assert result.xcom("check") == 0
    assert json.loads((destination / "invoices/2026-10.json").read_text())["sha256"] == result.xcom("export")["sha256"]
    (asked,) = somebody.asked
    assert asked["subject"] == f"Invoice {len(expected)} time entries up to the end of 2026-10?"
    *clients, total = [line.split("|")[1:3] for line in asked["body"].splitlines()[3:]]
    by_client = [float(each) for _, each in clients]
    assert by_client == sorted(by_client, reverse=True)
    assert sum(by_client) == pytest.approx(hours, abs=0.1)
    assert total == [" **total** ", f" **{sum(by_client):.2f}** "]
    files = [path.read_text() for path in (destination / "invoices/2026-10").glob("*.csv")]
    rows = [row for file in files for row in csv.DictReader(io.StringIO(file))]
    assert {row["time entry"] for row in rows} == expected
    assert sum(float(row["hours"]) for row in rows) == pytest.approx(hours, abs=0.5)
    assert len(files) == len(clients)
    assert all(len({row["client"] for row in csv.DictReader(io.StringIO(file))}) == 1 for file in files)
    assert outcomes(destination / "month=2026-10") == dict.fromkeys(expected, "changed")


def test_what_somebody_unbills_after_the_marking_fails_the_check(awork: Sandbox, destination: Path) -> None:
    by_hand = min(to_bill(awork))

    def unbill(request: RuleRequest, store: Store) -> None:
        if request.path == "/me" and by_hand in billed(awork) and not done:
            done.append(by_hand)
            store.edit(by_hand, isBilled=False, updatedBy="somebody")

    done: list[str] = []
    awork.faults.add(unbill)
    result = bill()
    assert states(result)["mark_billed"] == states(result)["read_again"] == "success"
    assert states(result)["check"] == "failed"
    assert "'to_change': 1" in result.logs


def test_what_is_rejected_is_neither_invoiced_nor_marked(awork: Sandbox, destination: Path) -> None:
    before = billed(awork)
    result = bill(answer="Reject")
    assert result.state == "success"
    assert states(result)["invoice"] == states(result)["mark_billed"] == states(result)["check"] == "skipped"
    assert billed(awork) == before
    assert not (destination / "invoices").exists()


def test_a_worker_that_is_killed_between_invoice_and_mark(awork: Sandbox, destination: Path, tmp_path: Path) -> None:
    expected, before = to_bill(awork), billed(awork)
    prepare_airflow()
    with (tmp_path / "log").open("wb") as log:
        arguments = [OCTOBER[1].isoformat(), *(moment.isoformat() for moment in OCTOBER)]
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.billing_process", *arguments],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

        def kill(request: RuleRequest, _: Store) -> Fault | None:
            if request.path != MARKING:
                return None
            worker.kill()
            return Answer(503)  # awork never got it

        awork.faults.add(kill)
        assert worker.wait(timeout=120) == -signal.SIGKILL, (tmp_path / "log").read_text()
    awork.faults.clear()
    killed = last_run_id("awork_billing")
    invoice = (destination / "invoices/2026-10.json").read_bytes()
    assert billed(awork) == before

    # Nobody has looked after it when the next month is over: what is invoiced is not invoiced again.
    with human("awork_billing") as somebody:
        november = run_dag(load("awork_billing"), logical_date=NOVEMBER[1], data_interval=NOVEMBER)
    assert f"{len(expected)} of {len(to_bill(awork, '2026-12'))} time entries are on the invoice of 2026-10" in (
        november.logs
    )
    assert (november.state, somebody.asked) == ("failed", [])
    assert (billed(awork), invoices(destination)) == (before, {"2026-10": expected})

    # Meanwhile somebody books late, and bills one by hand.
    book(awork, "2026-10-30")
    by_hand = min(expected)
    awork.store.edit(by_hand, isBilled=True, updatedBy="somebody")
    result = continue_dag(load("awork_billing"), killed)
    assert result.task("mark_billed").state == "failed"
    # The killed worker had sent the entry, too: nobody can tell who billed it.
    assert f"billed by this run or by somebody else: 1 ({by_hand})" in result.logs
    report: dict[str, Any] = result.xcom("mark_billed", key="report")
    assert (report["entries"], report["changed"], report["failed"]) == (
        len(expected), len(expected) - 1, {"billed by this run or by somebody else": 1},
    )  # fmt: skip

    # It is on no other invoice: un-billed by hand, it is marked by the run.
    awork.store.edit(by_hand, isBilled=False, updatedBy="somebody")
    result = continue_dag(load("awork_billing"), killed)
    assert set(states(result).values()) == {"success"}
    assert billed(awork) == before | expected
    assert (result.xcom("mark_billed")["changed"], result.xcom("mark_billed")["already"]) == (1, len(expected) - 1)
    assert (destination / "invoices/2026-10.json").read_bytes() == invoice
    assert result.xcom("check") == 1

    # The refused run, exported again, takes what is left: its own month and the late one.
    rest = to_bill(awork, "2026-12")
    assert bill(NOVEMBER).state == "success"
    assert invoices(destination) == {"2026-10": expected, "2026-11": rest}
    assert billed(awork) == before | expected | rest
    assert not expected & rest


def test_what_comes_late_is_billed_with_the_next_month_once(awork: Sandbox, destination: Path) -> None:
    unbillable = book(awork, "2026-10-02", isBillable=False)
    first = to_bill(awork)
    assert bill().state == "success"
    late = book(awork, "2026-10-30")
    awork.store.edit(unbillable, isBillable=True)
    november, december = book(awork, "2026-11-12"), book(awork, "2026-12-01")
    second = to_bill(awork, "2026-12")
    assert {late, unbillable, november} <= second

    assert bill(NOVEMBER).xcom("check") == 0
    assert bill(DECEMBER).state == "success"
    assert billed(awork) >= first | second | {december}
    assert invoices(destination) == {"2026-10": first, "2026-11": second, "2026-12": {december}}
    assert set(markings(awork).values()) == {1}
    assert markings(awork).keys() == first | second | {december}


def test_what_a_later_month_invoiced_is_not_invoiced_by_an_earlier_run_that_is_approved_afterwards(
    awork: Sandbox, destination: Path
) -> None:
    october = bill(answer="Reject")
    assert bill(NOVEMBER).state == "success"
    before = invoices(destination)
    assert before.keys() == {"2026-11"}
    clear(october, "hours_by_client", "approve", "invoice", "mark_billed", "read_again", "check")
    with human("awork_billing"):
        again = continue_dag(load("awork_billing"), october.run_id)
    assert "are on the invoice of 2026-11 already" in again.logs
    assert (again.state, invoices(destination)) == ("failed", before)


def test_what_was_corrected_after_the_invoice_is_not_marked_nor_the_month_invoiced_again(
    awork: Sandbox, destination: Path
) -> None:
    expected = to_bill(awork)
    changed = min(expected)

    def correct(request: RuleRequest, store: Store) -> None:
        if request.path == "/me" and (destination / "invoices/2026-10.json").exists():
            store.edit(changed, duration=60)

    awork.faults.add(correct)
    first = bill()
    awork.faults.clear()
    assert first.task("mark_billed").state == "failed"
    assert f"changed since the export: 1 ({changed})" in first.logs
    assert to_bill(awork) == {changed}

    # A run of everything would invoice the rest of the month once more: refused.
    second = bill()
    assert (second.task("hours_by_client").state, second.task("approve").state) == ("failed", "upstream_failed")
    assert "2026-10 was invoiced already" in second.logs
    assert to_bill(awork) == {changed}
