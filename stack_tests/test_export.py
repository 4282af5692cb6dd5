"""Exports as tasks of a running Airflow, also when a person ends them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_awork.sandbox import Sandbox, Stall
from airflow_provider_awork.sandbox.faults import RuleRequest
from airflow_provider_awork.sandbox.store import Store
from stack_tests.exports import assert_only_the_set, exported_ids, names
from stack_tests.rest_api import RestApi, wait_for


@pytest.fixture
def stalling_awork(awork: Sandbox) -> Iterator[Sandbox]:
    """An awork that sends four pages more, and then none; the watcher goes on."""
    pages = itertools.count(1)

    def stall(request: RuleRequest, _: Store) -> Stall | None:
        watched = "watch me" in request.query.get("filterby", "")
        return Stall(600) if request.number and not watched and next(pages) > 4 else None

    awork.faults.add(stall)
    yield awork
    awork.faults.clear()


def test_export_is_exact(airflow: RestApi, awork: Sandbox, output: Path) -> None:
    run_id = airflow.start_run("export", conf={"folder": "plain"})
    airflow.succeeded("export", run_id)
    assert exported_ids(output / "plain") == sorted(awork.store.ids())
    summary = airflow.xcom("export", run_id, "export")
    assert summary["rows"] == awork.store.count()
    links = airflow.get(f"/api/v2/dags/export/dagRuns/{run_id}/taskInstances/export/links")
    assert links["extra_links"]["awork"] == "https://studio-größenwahn.awork.com"


@pytest.mark.parametrize("old_set", [False, True], ids=["into an empty folder", "over an old set"])
def test_export_marked_failed_cleans_up(
    airflow: RestApi, awork: Sandbox, output: Path, old_set: bool, request: pytest.FixtureRequest
) -> None:
    folder = output / ("replaced" if old_set else "new")
    if old_set:
        airflow.succeeded("export", airflow.start_run("export", conf={"folder": folder.name}))
        oldest = min(awork.store.entries(), key=lambda entry: entry["createdOn"])
        awork.store.edit(oldest["id"], note="changed, so that the first part becomes another")
    before = names(folder)
    request.getfixturevalue("stalling_awork")
    run_id = airflow.start_run("export", conf={"folder": folder.name})
    wait_for("a part of the export", lambda: names(folder) - before - {"_writing.json"})
    airflow.patch(f"/api/v2/dags/export/dagRuns/{run_id}/taskInstances/export", new_state="failed")
    wait_for("the end of the task", lambda: "_writing.json" not in names(folder))
    assert names(folder) == before

    awork.faults.clear()
    airflow.succeeded("export", airflow.start_run("export", conf={"folder": folder.name}))
    assert exported_ids(folder) == sorted(awork.store.ids())
    assert_only_the_set(folder)
