"""An export is killed in the middle and run again: whole sets only, and nothing left over."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from threading import Event

import pytest

from airflow_provider_awork.sandbox import RuleRequest, Sandbox, Stall, Store
from tests.helpers.destinations import Destination, export_successfully
from tests.helpers.export_process import ExportProcess
from tests.helpers.storage_proxy import Stall as StorageStall
from tests.helpers.storage_proxy import StorageRequest

ROWS_PER_FILE = 20


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.emulator)])
def destination(request: pytest.FixtureRequest) -> Destination:
    return request.getfixturevalue(request.param)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def export(destination: Destination, spool: Path, tmp_path: Path) -> Callable[[int], ExportProcess]:
    """Start a try of one task instance that exports in many small pages and files."""

    def start(try_number: int) -> ExportProcess:
        return ExportProcess(
            tmp_path / f"{try_number}.log",
            run_id="run",
            try_number=try_number,
            destination=destination.url,
            max_rows_per_file=ROWS_PER_FILE,
            max_concurrent_requests=1,
            spool_folder=str(spool),
        )

    return start


class SignalAtPage:
    """A rule of the local awork: before it answers the n-th page of a list, a signal goes to a process."""

    def __init__(self, page: int, pid: int, number: int) -> None:
        self._page = page
        self._pid = pid
        self._number = number
        self._pages = 0

    def __call__(self, request: RuleRequest, _: Store) -> None:
        self._pages += request.number is not None
        if self._pages == self._page and request.number is not None:
            os.kill(self._pid, self._number)


def pages_of_an_export(awork: Sandbox, destination: Destination) -> int:
    """Publish the set that the killed run is going to replace, and count its pages."""
    numbers: list[int | None] = []
    awork.faults.add(lambda request, _: numbers.append(request.number))
    export_successfully(destination, max_rows_per_file=ROWS_PER_FILE, max_concurrent_requests=1)
    awork.faults.clear()
    return sum(number is not None for number in numbers)


def change_everything(awork: Sandbox) -> list[str]:
    entries = awork.store.entries()
    for entry in entries:
        awork.store.edit(entry["id"], note="changed")
    awork.store.delete([entry["id"] for entry in entries[:5]])
    return sorted(entry["id"] for entry in awork.store.entries())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_killed_and_run_again(
    awork: Sandbox,
    destination: Destination,
    export: Callable[[int], ExportProcess],
    spool: Path,
    fraction: float,
    number: signal.Signals,
) -> None:
    awork.settings.max_page_size = 10
    pages = pages_of_an_export(awork, destination)
    old = destination.files()
    new_ids = change_everything(awork)

    killed = export(1)
    awork.faults.add(SignalAtPage(ceil(pages * fraction), killed.pid, number))
    killed.go()
    assert killed.wait() == (-signal.SIGKILL if number == signal.SIGKILL else 1)
    awork.faults.clear()
    assert destination.files() == old
    if number == signal.SIGTERM:
        destination.assert_only_the_set()
        assert list(spool.iterdir()) == []

    for folder in spool.iterdir():  # younger ones might belong to a run that has just begun
        os.utime(folder, (0, 0))
    again = export(2)
    again.go()
    assert again.wait() == 0, again.log()
    assert sorted(destination.ids()) == new_ids
    destination.assert_only_the_set()
    assert list(spool.iterdir()) == []


def test_stopped_while_awork_does_not_answer(
    awork: Sandbox, destination: Destination, export: Callable[[int], ExportProcess]
) -> None:
    awork.settings.max_page_size = 10
    stopped = export(1)
    pages = itertools.count(1)
    awork.faults.add(lambda request, _: Stall(600) if request.number and next(pages) > 5 else None)
    stopped.go()
    while not any(name.startswith("part-") for name in destination.names()):
        time.sleep(0.05)
    os.kill(stopped.pid, signal.SIGTERM)
    stopped.wait_for_log("AworkStoppedError")  # Airflow ends the process then, without waiting for threads
    assert destination.names() == set()
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(stopped.pid, signal.SIGKILL)
    stopped.wait()


def test_a_first_run_killed_leaves_no_manifest(
    awork: Sandbox, destination: Destination, export: Callable[[int], ExportProcess]
) -> None:
    awork.settings.max_page_size = 10
    killed = export(1)
    awork.faults.add(SignalAtPage(15, killed.pid, signal.SIGKILL))
    killed.go()
    assert killed.wait() == -signal.SIGKILL
    awork.faults.clear()
    assert "_manifest.json" not in destination.names()
    assert any(name.startswith("part-") for name in destination.names())

    again = export(2)
    again.go()
    assert again.wait() == 0, again.log()
    assert len(destination.ids()) == 250
    destination.assert_only_the_set()


@pytest.mark.emulator
def test_stopped_while_an_upload_hangs(awork: Sandbox, s3: Destination, tmp_path: Path) -> None:
    export_successfully(s3)
    old = s3.files()
    change_everything(awork)
    hanging, go_on = Event(), Event()

    def hang(request: StorageRequest) -> StorageStall | None:
        if not request.is_upload_of("/part-") or "delete" in request.query:
            return None
        hanging.set()
        return StorageStall(until=go_on)

    stopped = ExportProcess(tmp_path / "log", run_id="run", destination=s3.url)
    assert s3.emulator is not None
    with s3.emulator.faults(hang):
        stopped.go()
        assert hanging.wait(60), stopped.log()
        os.kill(stopped.pid, signal.SIGTERM)
        assert stopped.wait() == 1
        go_on.set()
    assert "AworkStoppedError" in stopped.log()
    assert s3.files() == old
    s3.assert_only_the_set()
