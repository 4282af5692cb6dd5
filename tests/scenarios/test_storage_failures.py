"""The storage refuses a file, or fails in the middle of an upload; the local disk is full."""

from __future__ import annotations

import functools
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.files import stores
from airflow_provider_awork.files.marker import MARKER_NAME
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import DagResult
from tests.helpers.destinations import Destination, export, export_successfully
from tests.helpers.export_process import ExportProcess
from tests.helpers.storage_proxy import Cut, Refusal, Stall, StorageRequest

MIB = 2**20


@pytest.fixture(autouse=True)
def impatient_storage_clients(monkeypatch: pytest.MonkeyPatch, no_wait_between_tries: None) -> None:
    """Let the clients of the stores try as often as ever, without their waits of up to a minute."""
    import gcsfs.retry
    import s3fs.core
    from aiobotocore.endpoint import AioEndpoint
    from azure.storage.blob._shared.policies_async import AsyncStorageRetryPolicy

    async def no_sleep(*_: Any, **__: Any) -> None:
        return None

    for module in (gcsfs.retry, s3fs.core):
        monkeypatch.setattr(module, "asyncio", _AsyncioWithoutSleep(module.asyncio, no_sleep))
    monkeypatch.setattr(AioEndpoint, "_sleep", no_sleep)
    monkeypatch.setattr(AsyncStorageRetryPolicy, "sleep", no_sleep)


class _AsyncioWithoutSleep:
    def __init__(self, asyncio: Any, sleep: Any) -> None:
        self._asyncio = asyncio
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(self._asyncio, name)


@pytest.fixture
def old_set(awork: Sandbox, cloud: Destination) -> dict[str, bytes]:
    """A published set; the entries have changed since."""
    export_successfully(cloud)
    for entry in awork.store.entries():
        awork.store.edit(entry["id"], note="changed")
    return cloud.files()


def refusing(cloud: Destination, status: int, *, times: int | None = None) -> tuple[list[str], Callable[..., Any]]:
    """A rule that refuses uploads of parts, and a list of those that it refused."""
    refused: list[str] = []

    def rule(request: StorageRequest) -> Refusal | None:
        if not request.is_upload_of("/part-") or (times is not None and len(refused) >= times):
            return None
        refused.append(request.path)
        assert cloud.emulator is not None
        return cloud.emulator.refusal(status)

    return refused, rule


def assert_failed_clearly(result: DagResult, cloud: Destination) -> None:
    assert result.state == "failed"
    assert "AworkPublishError: Cannot put part-00000-" in result.logs
    assert cloud.url.rsplit("/", 1)[0] in result.logs


@pytest.mark.usefixtures("old_set")
def test_uploads_refused_for_a_moment_are_tried_again(awork: Sandbox, cloud: Destination) -> None:
    assert cloud.emulator is not None
    refused, rule = refusing(cloud, 503, times=2)
    with cloud.emulator.faults(rule):
        export_successfully(cloud)
    assert len(refused) == 2
    assert len(cloud.ids()) == 250
    cloud.assert_only_the_set()


@pytest.mark.parametrize("status", [403, 500, 503])
def test_uploads_refused_for_good(awork: Sandbox, cloud: Destination, old_set: dict[str, bytes], status: int) -> None:
    assert cloud.emulator is not None
    refused, rule = refusing(cloud, status)
    with cloud.emulator.faults(rule):
        result = export(cloud)
    assert_failed_clearly(result, cloud)
    assert len(refused) == 1 if status == 403 else len(refused) > 1
    assert cloud.files() == old_set
    cloud.assert_only_the_set()


def test_a_storage_that_never_answers_is_left_in_bounded_time(
    awork: Sandbox, cloud: Destination, old_set: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our own limits: the clients of the stores would wait for minutes, and then try again."""
    monkeypatch.setattr(stores, "_ATTEMPT_SECONDS", 2.0)
    monkeypatch.setattr(stores, "_SLOWEST_UPLOAD", 10**9)
    monkeypatch.setattr(stores, "_STORAGE_SECONDS", 3.0)
    go_on = threading.Event()
    stalled: list[str] = []

    def stall(request: StorageRequest) -> Stall | None:
        if not request.is_upload_of("/part-") or "delete" in request.query:
            return None
        stalled.append(request.path)
        return Stall(until=go_on)

    assert cloud.emulator is not None
    with cloud.emulator.faults(stall):
        result = export(cloud)
        go_on.set()
    assert_failed_clearly(result, cloud)
    assert "TimeoutError: the storage did not finish within 2 s" in result.logs
    assert "Storage: try 1 of 4 failed after 2 s, none begins after 3 s" in result.logs
    assert len(stalled) == 2
    assert cloud.files() == old_set
    cloud.assert_only_the_set()


@pytest.mark.usefixtures("old_set")
def test_an_answer_that_got_lost(awork: Sandbox, cloud: Destination) -> None:
    """Each upload and each change of the marker is done, but the first answer to it never comes."""
    seen: set[bytes] = set()

    def lose_first_answer(request: StorageRequest) -> Cut | None:
        name = MARKER_NAME if request.is_upload_of(MARKER_NAME) else "part"
        if request.method not in ("PUT", "POST") or name.encode() in seen:
            return None
        seen.add(name.encode())
        return Cut(after_storage=True)

    assert cloud.emulator is not None
    with cloud.emulator.faults(lose_first_answer):
        export_successfully(cloud)
    assert len(seen) == 2
    assert len(cloud.ids()) == 250
    cloud.assert_only_the_set()


@pytest.fixture
def uploads_in_pieces(cloud: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store's client send files in pieces of 5 MiB or less, which it would do from 64 or 100 MiB on."""
    filesystem = cloud.path.fs
    if cloud.url.startswith("abfs"):
        monkeypatch.setattr(filesystem.service_client._config, "max_single_put_size", MIB)
        monkeypatch.setattr(filesystem.service_client._config, "max_block_size", 4 * MIB)
    else:
        monkeypatch.setattr(filesystem, "_put_file", functools.partial(filesystem._put_file, chunksize=5 * MIB))


@pytest.fixture
def large(awork: Sandbox) -> None:
    """Make one export larger than two pieces."""
    note = "x" * (48 * 1024)
    for entry in awork.store.entries():
        awork.store.edit(entry["id"], note=note)


@pytest.mark.usefixtures("uploads_in_pieces")
@pytest.mark.parametrize("times", [1, None], ids=["once", "for good"])
@pytest.mark.parametrize("fault", ["refused", "cut"])
def test_a_failure_in_the_middle_of_an_upload(
    awork: Sandbox, cloud: Destination, old_set: dict[str, bytes], large: None, times: int | None, fault: str
) -> None:
    failures: list[str] = []
    emulator = cloud.emulator
    assert emulator is not None

    def fail(request: StorageRequest) -> Refusal | Cut | None:
        if not emulator.is_mid_upload(request) or (times is not None and len(failures) >= times):
            return None
        failures.append(request.path)
        return Cut() if fault == "cut" else emulator.refusal(500)

    with emulator.faults(fail):
        result = export(cloud, compression="none")
    assert failures
    if times is None:
        assert_failed_clearly(result, cloud)
        assert cloud.files() == old_set
        assert cloud.names() == {"_manifest.json", *old_set}
        if not cloud.url.startswith("abfs"):  # Azure forgets blocks that nobody committed, after a week
            assert cloud.unfinished_uploads() == []
    else:
        assert result.state == "success"
        assert len(cloud.ids()) == 250
        cloud.assert_only_the_set()


@pytest.mark.emulator  # it needs none, but this file's fixtures need the clouds' libraries
def test_a_full_spool_disk(awork: Sandbox, local: Destination, tmp_path: Path) -> None:
    export_successfully(local)
    old = local.files()
    for entry in awork.store.entries():
        awork.store.edit(entry["id"], note="changed")
    spool = tmp_path / "spool"
    spool.mkdir()
    run = ExportProcess(
        tmp_path / "log", run_id="run", destination=local.url, spool_folder=str(spool), compression="none"
    )
    run.wait_until_ready()
    # The kernel's answer to a file that grows beyond this is the one to a full disk, but for the number.
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024))
    run.go()
    assert run.wait() == 1
    assert "File too large" in run.log()
    assert local.files() == old
    local.assert_only_the_set()
    assert list(spool.iterdir()) == []
