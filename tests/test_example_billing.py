"""The example ``awork_billing``, run by real Airflow against a local awork, with a human and with crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest

from airflow_provider_awork.sandbox import Answer, Fault, RuleRequest, Sandbox, Store
from tests.airflow_harness import (
    DagResult,
    connection_in_environment,
    continue_dag,
    last_run_id,
    prepare_airflow,
    run_dag,
)
from tests.examples import load
from tests.human import human

BERLIN = "Europe/Berlin"
OCTOBER = (pendulum.datetime(2026, 10, 1, tz=BERLIN), pendulum.datetime(2026, 11, 1, tz=BERLIN))
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


def bill(*, answer: str = "Approve") -> DagResult:
    with human("awork_billing", answer=answer):
        return run_dag(load("awork_billing"), logical_date=OCTOBER[1], data_interval=OCTOBER)


def to_bill(awork: Sandbox) -> set[str]:
    return set(
        awork.store.ids(
            lambda entry: (
                entry["isBillable"]
                and not entry["isBilled"]
                and entry["duration"] > 0
                and entry["startDateLocal"].startswith("2026-10")
            )
        )
    )


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


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
    assert asked["subject"] == f"Invoice {len(expected)} time entries of 2026-10?"
    told = [float(line.split("|")[2]) for line in asked["body"].splitlines()[3:]]
    assert sum(told) == pytest.approx(hours, abs=0.1)


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
            [sys.executable, "-m", "tests.billing_process", *arguments],
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
    invoice = (destination / "invoices/2026-10.json").read_bytes()
    assert billed(awork) == before

    # Meanwhile somebody books late, and bills one by hand.
    late = awork.make_entry(isBillable=True, isBilled=False, duration=3600, startDateLocal="2026-10-30T00:00:00")
    awork.store.add(late)
    by_hand = min(expected)
    awork.store.edit(by_hand, isBilled=True, updatedBy="somebody")
    result = continue_dag(load("awork_billing"), last_run_id("awork_billing"))
    assert set(states(result).values()) == {"success"}
    assert billed(awork) == before | expected
    report: dict[str, Any] = result.xcom("mark_billed")
    assert (report["entries"], report["changed"], report["already_by"]) == (
        len(expected), len(expected) - 1, {"somebody": 1},
    )  # fmt: skip
    assert (destination / "invoices/2026-10.json").read_bytes() == invoice
    assert result.xcom("check") == 1


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
    assert second.task("invoice").state == "failed"
    assert "2026-10 was invoiced already" in second.logs
    assert to_bill(awork) == {changed}
