"""Two processes export the same window to the same destination at the same time: one waits for the other."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from airflow_provider_awork.files.manifest import read_manifest
from airflow_provider_awork.sandbox import RuleRequest, Sandbox, Store
from tests.helpers.destinations import Destination
from tests.helpers.export_process import ExportProcess


@pytest.fixture
def runs(awork: Sandbox, destination: Destination, tmp_path: Path) -> list[ExportProcess]:
    return [
        ExportProcess(tmp_path / f"{name}.log", run_id=name, destination=destination.url, max_rows_per_file=100)
        for name in ("first", "second")
    ]


def owner_of(destination: Destination) -> str:
    manifest = read_manifest(destination.path)
    assert manifest is not None
    return str(manifest.run.owner.run_id)


def test_the_second_waits_for_the_first(awork: Sandbox, destination: Destination, runs: list[ExportProcess]) -> None:
    first, second = runs
    reading, go_on = Event(), Event()

    def hold(request: RuleRequest, _: Store) -> None:
        if request.number == 1:
            reading.set()
            assert go_on.wait(60)

    awork.faults.add(hold)
    first.go()
    assert reading.wait(60)
    second.go()
    second.wait_for_log("Waiting up to")
    assert "is being written by dag 'export', run 'first', task 'export', try 1" in second.log()
    assert read_manifest(destination.path) is None
    go_on.set()
    assert (first.wait(), second.wait()) == (0, 0)
    assert owner_of(destination) == "second"
    assert sorted(destination.ids()) == sorted(entry["id"] for entry in awork.store.entries())
    destination.assert_only_the_set()


def test_both_start_at_the_same_moment(awork: Sandbox, destination: Destination, runs: list[ExportProcess]) -> None:
    for run in runs:
        run.go()
    assert [run.wait() for run in runs] == [0, 0]
    assert "max_active_tis_per_dag" not in "".join(run.log() for run in runs)
    assert sorted(destination.ids()) == sorted(entry["id"] for entry in awork.store.entries())
    destination.assert_only_the_set()
