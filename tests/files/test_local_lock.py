"""The lock on a local file: processes that hold it, that die while they do, and that are suspended."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_awork.files.local_lock import LocalLock

STALE_AFTER = 0.3
TRIALS = 20


def hold_beyond_the_patience_of_waiters(folder: str, seconds: float) -> None:
    """Hold the lock, and note anybody who holds it at the same time."""
    with LocalLock(Path(folder, "lock"), stale_after=STALE_AFTER):
        inside = Path(folder, "inside")
        inside.touch(exist_ok=False)
        time.sleep(seconds)
        inside.unlink()
        Path(folder, f"held-{os.getpid()}").touch()


def test_a_live_holder_keeps_its_lock_beyond_the_patience_of_a_waiter(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    for trial in range(TRIALS):
        folder = tmp_path / str(trial)
        folder.mkdir()
        both = [
            processes.Process(target=hold_beyond_the_patience_of_waiters, args=(str(folder), seconds))
            for seconds in (1.6 * STALE_AFTER, 0)
        ]
        for process in both:
            process.start()
        for process in both:
            process.join()
        assert [process.exitcode for process in both] == [0, 0]
        assert len(list(folder.iterdir())) == 2  # both held it, one after the other; no lock is left


def test_a_waiter_gives_up_while_the_holder_lives(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with LocalLock(lock, stale_after=0.1), pytest.raises(OSError, match="another process keeps the lock") as raised:
        LocalLock(lock, stale_after=0.1).__enter__()
    assert raised.value.errno == errno.EBUSY
    assert not lock.exists()


def test_the_lock_of_a_dead_holder_is_taken_by_one_waiter_at_a_time(tmp_path: Path) -> None:
    lock, inside, most = tmp_path / "lock", threading.Semaphore(0), []
    lock.touch()

    def hold(_: int) -> None:
        with LocalLock(lock, stale_after=STALE_AFTER):
            inside.release()
            most.append(inside._value)
            time.sleep(0.01)
            inside.acquire()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(8)))
    assert most == [1] * 8
    assert list(tmp_path.iterdir()) == []


def test_a_holder_whose_lock_was_removed_changes_nothing(tmp_path: Path) -> None:
    lock, file = tmp_path / "lock", tmp_path / "file"
    file.write_bytes(b"before")
    with LocalLock(lock, stale_after=10) as suspended:
        lock.unlink()
        with LocalLock(lock, stale_after=10) as other:
            with pytest.raises(OSError, match="taken over"):
                suspended.publish(b"of the suspended", file)
            other.publish(b"of the other", file)
    assert file.read_bytes() == b"of the other"
    assert list(tmp_path.iterdir()) == [file]


def test_a_signal_while_a_lock_is_taken_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock"
    start = threading.Thread.start

    def start_and_stop(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_and_stop)
        with pytest.raises(KeyboardInterrupt):
            LocalLock(lock, stale_after=10).__enter__()
    assert not lock.exists()
    with LocalLock(lock, stale_after=10):
        assert lock.exists()
