"""The marker: two runs at one destination, tries of one task, dead runs."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.exceptions import AworkDestinationBusyError, AworkPublishError
from airflow_provider_awork.files import stores
from airflow_provider_awork.files.marker import MARKER_NAME, Claim, Owner
from airflow_provider_awork.files.publisher import Publisher
from tests.helpers.publishing import (
    NEW_SET,
    NO_WAIT,
    OLD_SET,
    OTHER_RUN,
    OWNER,
    SECOND_TRY,
    assert_only_set,
    contents_at,
    export,
    manifest_for,
    spool,
)


def test_a_second_run_fails_naming_the_first(destination: Any, tmp_path: Path) -> None:
    with Publisher(destination, owner=OWNER) as publisher:
        publisher.put(spool(tmp_path, 0, b"x"))
        with pytest.raises(AworkDestinationBusyError, match="dag 'export', run 'run-1', task 'awork', try 1"):
            Publisher(destination, owner=OTHER_RUN, wait_for=NO_WAIT).__enter__()
        publisher.commit(manifest_for(publisher))
    assert_only_set(destination, ("x",))


def test_a_second_run_waits_for_the_first(destination: Any, tmp_path: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        entered.set()
        export(destination, tmp_path, NEW_SET, OTHER_RUN, stale_after=timedelta(seconds=5))

    with ThreadPoolExecutor() as threads:
        with Publisher(destination, owner=OWNER) as publisher:
            waiting = threads.submit(second)
            entered.wait()
            for index, content in enumerate(OLD_SET):
                publisher.put(spool(tmp_path, index, content.encode()))
            publisher.commit(manifest_for(publisher))
            assert not waiting.done()
        waiting.result()
    assert_only_set(destination, NEW_SET)


def test_runs_that_start_together_publish_one_after_the_other(destination: Any, tmp_path: Path) -> None:
    start = threading.Barrier(4)
    sets = [tuple(f"run {run} part {part}" for part in range(run + 1)) for run in range(4)]

    def run(number: int) -> None:
        owner = Owner(dag_id="export", run_id=f"run-{number}", task_id="awork", map_index=-1, try_number=1)
        start.wait()
        export(destination, tmp_path, sets[number], owner, stale_after=timedelta(seconds=5))

    with ThreadPoolExecutor() as threads:
        list(threads.map(run, range(4)))
    assert_only_set(destination, contents_at(destination))
    assert contents_at(destination) in sets


def test_a_silent_block_does_not_look_dead(destination: Any) -> None:
    short = timedelta(seconds=3)  # the heart beats ten times as often: on a busy machine, too
    with Publisher(destination, owner=OWNER, stale_after=short) as publisher:
        with pytest.raises(AworkDestinationBusyError):
            Publisher(destination, owner=OTHER_RUN, stale_after=short, wait_for=1.3 * short).__enter__()
        publisher.commit(manifest_for(publisher))


def test_a_stale_marker_is_taken_over_and_the_sleeper_notices(destination: Any, tmp_path: Path) -> None:
    export(destination, tmp_path, OLD_SET)

    def sleep() -> None:
        with Publisher(destination, owner=OWNER) as sleeper:
            sleeper.put(spool(tmp_path, 0, b"of the sleeper"))
            export(destination, tmp_path, NEW_SET, OTHER_RUN, stale_after=timedelta(microseconds=1))
            sleeper.commit(manifest_for(sleeper))

    with pytest.raises(AworkDestinationBusyError, match=r"run 'run-1'.*was writing"):
        sleep()
    assert_only_set(destination, NEW_SET)


def test_another_try_of_the_task_takes_over_at_once(destination: Any, tmp_path: Path) -> None:
    zombie = Publisher(destination, owner=OWNER)
    zombie.__enter__()
    zombie.put(spool(tmp_path, 0, b"of the zombie"))
    with Publisher(destination, owner=SECOND_TRY, wait_for=NO_WAIT) as publisher:
        publisher.put(spool(tmp_path, 0, b"shared"))
        with pytest.raises(AworkDestinationBusyError, match="try 2"):
            zombie.put(spool(tmp_path, 1, b"too late"))
        publisher.put(spool(tmp_path, 1, b"new b"))
        publisher.commit(manifest_for(publisher))
    with pytest.raises(AworkDestinationBusyError, match="another run"):
        zombie.commit(manifest_for(zombie))
    zombie.__exit__(RuntimeError, RuntimeError(), None)
    assert_only_set(destination, NEW_SET)


def test_a_zombie_that_ends_while_the_other_try_writes_deletes_nothing(destination: Any, tmp_path: Path) -> None:
    zombie = Publisher(destination, owner=OWNER)
    zombie.__enter__()
    zombie.put(spool(tmp_path, 0, b"shared"))
    with Publisher(destination, owner=SECOND_TRY) as publisher:
        publisher.put(spool(tmp_path, 0, b"shared"))
        zombie.__exit__(RuntimeError, RuntimeError(), None)
        publisher.put(spool(tmp_path, 1, b"new b"))
        publisher.commit(manifest_for(publisher))
    assert_only_set(destination, NEW_SET)


def test_a_run_suspended_in_mid_switch_fails(local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = stores.LocalStore.write

    def suspended(store: Any, name: str, data: bytes) -> None:
        monkeypatch.setattr(stores.LocalStore, "write", write)
        export(local, tmp_path, NEW_SET, SECOND_TRY)
        write(store, name, data)

    monkeypatch.setattr(stores.LocalStore, "write", suspended)
    with pytest.raises(AworkDestinationBusyError):
        export(local, tmp_path, OLD_SET)


def test_a_claim_that_cannot_be_released_is_said(
    local: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(local, owner=OWNER).__enter__()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(stores.LocalStore, "update", full)
    publisher._claim.release()
    assert "Could not release" in caplog.text
    assert "disk full" in caplog.text


@pytest.mark.emulator
def test_a_store_without_exclusive_creation_is_warned_about(
    s3: Any, tmp_path: Path, s3_calls: Any, caplog: pytest.LogCaptureFixture
) -> None:
    export(s3, tmp_path, OLD_SET)
    assert "max_active_tis_per_dag" not in caplog.text
    s3_calls(lambda method, request: request.pop("IfNoneMatch", None) and None)
    export(s3, tmp_path, NEW_SET)
    assert "max_active_tis_per_dag=1" in caplog.text
    assert_only_set(s3, NEW_SET)


def test_an_unreadable_marker_stops_the_run(local: Any) -> None:
    local.fs.makedirs(local.path)
    local.fs.pipe_file(f"{local.path}/{MARKER_NAME}", b"{}")
    with pytest.raises(AworkPublishError, match="If no other run does, delete it"):
        Publisher(local, owner=OWNER).__enter__()


@pytest.mark.parametrize("error", [RuntimeError("stopped"), OSError(errno.EIO, "the storage broke")])
def test_a_failure_after_the_claim_and_before_the_block_releases_it(
    destination: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(claim: Claim) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Claim, "warn_if_not_exclusive", fail)
        with pytest.raises((RuntimeError, AworkPublishError)):
            Publisher(destination, owner=OWNER).__enter__()
    export(destination, tmp_path, NEW_SET, OTHER_RUN, wait_for=NO_WAIT)
    assert_only_set(destination, NEW_SET)


def test_a_claim_that_was_written_although_it_failed_is_released_with_its_names(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Publisher(local, owner=OWNER).__enter__()
    dead.put(spool(tmp_path, 0, b"of the dead run"))
    update = stores.LocalStore.update

    def write_and_fail(store: Any, name: str, change: Any) -> None:
        monkeypatch.setattr(stores.LocalStore, "update", update)
        update(store, name, change)
        raise KeyboardInterrupt

    monkeypatch.setattr(stores.LocalStore, "update", write_and_fail)
    with pytest.raises(KeyboardInterrupt):
        Publisher(local, owner=SECOND_TRY).__enter__()
    export(local, tmp_path, NEW_SET, OTHER_RUN, wait_for=NO_WAIT)
    assert_only_set(local, NEW_SET)


def test_a_loser_does_not_delete_what_it_could_not_note(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loser = Publisher(local, owner=OWNER).__enter__()
    deleted: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(stores.LocalStore, "update", fail_with_a_full_disk)
        with pytest.raises(AworkPublishError, match="disk full"):
            loser.put(spool(tmp_path, 0, b"shared"))
    monkeypatch.setattr(stores.LocalStore, "delete", lambda store, name: deleted.append(name))
    loser.__exit__(RuntimeError, RuntimeError(), None)
    assert not any(name.startswith(("part-", ".part-")) for name in deleted)


def fail_with_a_full_disk(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "disk full")
