"""Local disk space for files on their way to the destination."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_awork.exceptions import AworkConfigError, AworkPublishError

log = logging.getLogger(__name__)

_PREFIX = "awork-spool-"
_MIN_AGE = 60.0  # seconds


@contextlib.contextmanager
def spool_folder(base: Path | None = None) -> Iterator[Path]:
    """
    Give a fresh private folder for files on their way to the destination; it is removed at the end.

    Folders beside it that killed runs of this user left behind are removed too.

    :param base: where to make it; default is Python's ``tempfile.gettempdir()``.
    :raises AworkConfigError: ``base`` is not a folder that can be written.
    """
    base = base or Path(tempfile.gettempdir())
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=base, ignore_cleanup_errors=True)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise AworkConfigError(
            f"spool_folder: {str(base)!r}: pass a folder that this worker can write ({error})"
        ) from error
    with folder as name, _locked(Path(name)):
        _remove_abandoned_spools(base)
        yield Path(name)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned_spools(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        # A young folder may belong to a run that has not locked it yet.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _MIN_AGE and _is_abandoned(folder):
                log.info("Removing %s, which a killed run left behind", folder)
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its run lives
        return os.fstat(descriptor).st_uid == os.getuid()
    finally:
        os.close(descriptor)


def check_spool_space(folder: Path, needed_bytes: int) -> None:
    """
    Fail before writing if a disk is too full.

    :raises AworkPublishError: fewer than ``needed_bytes`` are free for this user.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise AworkPublishError(
            f"The spool folder {folder} has {free:,} bytes free, this export needs about {needed_bytes:,}: free some, "
            "pass a spool_folder on another disk, or write fewer rows per file"
        )
