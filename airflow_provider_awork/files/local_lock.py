"""
The lock on a file in a local folder: another file, created exclusively, that becomes the next version of the first.

A holder refreshes the lock's time of change while it lives. A waiter removes a lock only if it saw that time stand
still for ``stale_after``, by its own clock. It renames the lock to a unique name first, so that of several waiters one
succeeds. A holder whose lock was removed, such as a suspended process, notices it before it changes anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

_POLL_SECONDS = 0.02
_PATIENCE = 4  # times ``stale_after``


class LocalLock:
    """
    Hold a lock in a ``with`` block.

    :param path: the lock; only who creates it may change the file that it guards.
    :param stale_after: seconds without a sign of life after which its holder counts as dead. A living holder is waited
        for four times as long.
    :raises OSError: a living process keeps the lock; another try may help.
    """

    def __init__(self, path: Path, *, stale_after: float) -> None:
        self._path = path
        self._stale_after = stale_after
        self._stop = threading.Event()
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            self._acquire()
            threading.Thread(target=self._refresh, args=[os.dup(self._held)], name="awork-lock", daemon=True).start()
        except BaseException:  # a signal, too: a thread left behind would keep alive a lock that nobody holds
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        self._stop.set()
        if self._descriptor is None:
            return
        if self._is_held():
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    @property
    def _held(self) -> int:
        if self._descriptor is None:
            raise ValueError("the lock is not taken")
        return self._descriptor

    def publish(self, data: bytes, path: Path) -> None:
        """Replace a file by ``data``, which also gives the lock back."""
        with open(self._held, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(self._held)
        self.require_held()
        self._path.replace(path)

    def require_held(self) -> None:
        """
        Check that the lock is still ours.

        :raises OSError: it was taken over; another try may help.
        """
        if not self._is_held():
            raise OSError(errno.ESTALE, "the lock was taken over, as its holder seemed to be dead", str(self._path))

    def _is_held(self) -> bool:
        try:
            return self._path.stat().st_ino == os.fstat(self._held).st_ino
        except FileNotFoundError:
            return False

    def _acquire(self) -> None:
        deadline = time.monotonic() + _PATIENCE * self._stale_after
        seen, since = _state(self._path), time.monotonic()
        while True:
            with contextlib.suppress(FileExistsError):
                self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                return
            now, state = time.monotonic(), _state(self._path)
            if state != seen:
                seen, since = state, now
            elif state and now - since > self._stale_after:
                self._remove_stale(state)
            if now > deadline:
                raise OSError(errno.EBUSY, "another process keeps the lock", str(self._path))
            time.sleep(_POLL_SECONDS)

    def _remove_stale(self, state: tuple[int, int]) -> None:
        """Take a lock away whose holder is dead; put it back if it is another one by now."""
        unique = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")
        try:
            self._path.rename(unique)
        except FileNotFoundError:
            return  # another waiter was faster
        if _state(unique) != state:
            with contextlib.suppress(OSError):  # its holder notices that it is gone
                self._path.hardlink_to(unique)
        unique.unlink(missing_ok=True)

    def _refresh(self, descriptor: int) -> None:
        try:
            while not self._stop.wait(self._stale_after / 10):
                with contextlib.suppress(OSError):
                    os.utime(descriptor)
        finally:
            os.close(descriptor)


def _state(path: Path) -> tuple[int, int] | None:
    """What changes while a lock is refreshed; opening it makes network file systems ask their server."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        return status.st_ino, status.st_mtime_ns
    finally:
        os.close(descriptor)
