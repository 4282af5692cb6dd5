"""Storage under a destination: local folders, object stores through fsspec. What fails for a moment is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import tenacity

from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkError,
    AworkMissingExtraError,
    AworkPublishError,
    is_missing_connection,
)
from airflow_provider_awork.files.local_lock import LocalLock
from airflow_provider_awork.version_compat import connection_id_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # has no types

log = logging.getLogger(__name__)

Change = Callable[[bytes | None], bytes | None]
_T = TypeVar("_T")

_LOCK_PATIENCE = 30.0  # seconds without a sign of life; the lock on a local file is held for one fsync
# The filesystems try again on their own, each in its way and some for very long, so each of our tries has a limit, and
# after this time no further one begins.
_STORAGE_SECONDS = 300.0
_ATTEMPT_SECONDS = 120.0
_SLOWEST_UPLOAD = 100_000  # bytes a second
_STORAGE_ATTEMPTS = 4
_STORAGE_WAIT = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(max=1)

_EXTRAS = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("abfs", "abfss", "adl"), "azure"
)
_REFUSALS = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
_REFUSED = {400, 401, 403, 404}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Store(Protocol):
    """The files of one destination, by name. A name appears with all of its bytes or not at all."""

    def prepare(self) -> None: ...

    def temporary_names(self, name: str) -> tuple[str, ...]:
        """Names that a killed :meth:`put` or :meth:`write` may leave behind."""

    def read(self, name: str) -> bytes | None: ...

    def size(self, name: str) -> int | None: ...

    def names(self) -> list[str]: ...

    def put(self, source: Path, name: str) -> None: ...

    def write(self, name: str, data: bytes) -> None: ...

    def delete(self, name: str) -> None: ...

    def update(self, name: str, change: Change) -> None:
        """Replace a file by what ``change`` makes of it: None is no file, before and after."""

    def creates_exclusively(self, name: str, data: bytes) -> bool:
        """Whether creating a file that exists fails, as it should; where it does not, the file holds ``data``."""


class LocalStore:
    """A local folder: a temporary name, fsync, rename."""

    def __init__(self, folder: Path, claim: str) -> None:
        self._folder = folder
        self._claim = claim

    def prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def temporary_names(self, name: str) -> tuple[str, ...]:
        return (f".{name}.{self._claim}.tmp",)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []

    def put(self, source: Path, name: str) -> None:
        temporary = self._temporary(name)
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(source)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        self._publish(temporary, name)

    def write(self, name: str, data: bytes) -> None:
        temporary = self._temporary(name)
        temporary.write_bytes(data)
        self._publish(temporary, name)

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def update(self, name: str, change: Change) -> None:
        """The temporary file is the lock, as git does it with ``index.lock``."""
        with LocalLock(self._folder / f".{name}.tmp", stale_after=_LOCK_PATIENCE) as lock:
            data = change(self.read(name))
            if data is None:
                lock.require_held()
                self.delete(name)
            else:
                lock.publish(data, self._folder / name)
                self._sync_folder()

    def creates_exclusively(self, name: str, data: bytes) -> bool:
        return True

    def _temporary(self, name: str) -> Path:
        return self._folder / self.temporary_names(name)[0]

    def _publish(self, temporary: Path, name: str) -> None:
        _sync(temporary)
        temporary.replace(self._folder / name)
        self._sync_folder()

    def _sync_folder(self) -> None:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            _sync(self._folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ObjectStore:
    """An object store through fsspec, where one put makes one whole object."""

    def __init__(self, filesystem: AbstractFileSystem, prefix: str) -> None:
        self._filesystem = filesystem
        self._prefix = prefix.rstrip("/")

    def prepare(self) -> None:
        """A bucket is never created."""

    def temporary_names(self, name: str) -> tuple[str, ...]:
        return ()

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self._call("cat_file", self._path(name)))
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        self._filesystem.invalidate_cache()  # listings are cached and do not see other writers
        try:
            return int(self._call("info", self._path(name))["size"])
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        self._filesystem.invalidate_cache()
        try:
            paths = self._call("ls", self._prefix, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rpartition("/")[2] for path in paths]

    def put(self, source: Path, name: str) -> None:
        seconds = _ATTEMPT_SECONDS + source.stat().st_size / _SLOWEST_UPLOAD
        self._call("put_file", str(source), self._path(name), seconds=seconds)

    def write(self, name: str, data: bytes) -> None:
        self._call("pipe_file", self._path(name), data)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call("rm_file", self._path(name))

    def update(self, name: str, change: Change) -> None:
        while True:
            current = self.read(name)
            data = change(current)
            if data is None:
                return self.delete(name)
            if current is not None:
                return self.write(name, data)
            with contextlib.suppress(FileExistsError):  # another run was faster: look at what it wrote
                return self._create(name, data)

    def creates_exclusively(self, name: str, data: bytes) -> bool:
        try:
            self._create(name, data)
        except FileExistsError:
            return True
        return False

    def _create(self, name: str, data: bytes) -> None:
        self._call("pipe_file", self._path(name), data, mode="create")

    def _call(self, method: str, *arguments: Any, seconds: float | None = None, **options: Any) -> Any:
        """Call a method of the filesystem; one that takes too long, or that a signal interrupts, is cancelled."""
        filesystem = self._filesystem
        if not filesystem.async_impl:
            return getattr(filesystem, method)(*arguments, **options)
        limit = seconds or _ATTEMPT_SECONDS
        work = asyncio.wait_for(getattr(filesystem, f"_{method}")(*arguments, **options), limit)
        result = asyncio.run_coroutine_threadsafe(work, filesystem.loop)
        try:
            return result.result()
        except TimeoutError as error:
            raise TimeoutError(str(error) or f"the storage did not finish within {limit:.0f} s") from None
        finally:
            result.cancel()

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def open_store(destination: ObjectStoragePath, *, claim: str = "") -> Store:
    # A filesystem package; fsspec itself has no types.
    from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

    filesystem = _open_filesystem(destination)
    _require_connection(destination)
    if isinstance(filesystem, LocalFileSystem):
        return LocalStore(Path(destination.path), claim)
    return ObjectStore(filesystem, destination.path)


def _open_filesystem(destination: ObjectStoragePath) -> AbstractFileSystem:
    try:
        return destination.fs
    except Exception as error:
        if is_missing_connection(error):
            raise AworkConfigError(_missing_connection(destination, error)) from None
        missing = isinstance(error, ImportError) or "No filesystem registered" in str(error)
        if not missing:
            raise AworkPublishError(f"Cannot open the storage of {destination}: {error}") from error
        extra = _EXTRAS.get(destination.protocol)
        if extra is None:
            raise AworkConfigError(
                f"destination={str(destination)!r}: Airflow has no filesystem for {destination.protocol}://; use a "
                "local path, s3://, gs:// or abfs://"
            ) from error
        raise AworkMissingExtraError(
            f"destination={str(destination)!r}: the filesystem for {destination.protocol}:// is not installed. "
            f"Run: pip install 'airflow-provider-awork[{extra}]'"
        ) from error


def _require_connection(destination: ObjectStoragePath) -> None:
    """Some filesystems would try the machine's own credentials if the connection is missing."""
    conn_id = connection_id_of(destination)
    if not conn_id or destination.protocol in ("file", "local"):
        return
    # Heavy; only needed when a task runs.
    from airflow.sdk import BaseHook

    try:
        BaseHook.get_connection(conn_id)
    except Exception as error:
        if is_missing_connection(error):
            raise AworkConfigError(_missing_connection(destination, error)) from None
        raise AworkPublishError(f"Cannot read the connection of {destination}: {error}") from error


def _missing_connection(destination: ObjectStoragePath, error: Exception) -> str:
    return (
        f"destination: Airflow has no connection {connection_id_of(destination)!r}\n{destination} names it ({error}). "
        "Create that Airflow connection (an empty one of the type aws takes the machine's own credentials), or name "
        "another one before the @, or none."
    )


def retry(function: Callable[..., _T], *arguments: Any) -> _T:
    """
    Call a function of a store, again where it may help.

    One that keeps failing is given up after four tries, and begins none after five minutes.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_STORAGE_ATTEMPTS) | tenacity.stop_after_delay(_STORAGE_SECONDS),
        wait=_STORAGE_WAIT,
        retry=tenacity.retry_if_exception(_is_transient),
        before_sleep=_tell_failure,
        reraise=True,
    )
    return retrying(function, *arguments)


def _tell_failure(state: tenacity.RetryCallState) -> None:
    log.warning(
        "Storage: try %d of %d failed after %.0f s, none begins after %.0f s: %r",
        state.attempt_number,
        _STORAGE_ATTEMPTS,
        state.seconds_since_start,
        _STORAGE_SECONDS,
        state.outcome.exception() if state.outcome else None,
    )


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, AworkError) or not isinstance(error, Exception):
        return False
    return not is_refusal(error) and getattr(error, "errno", None) not in _FULL


def is_refusal(error: BaseException) -> bool:
    """Whether the store said no; each filesystem has its own way (S3: OSErrors, Azure: status_code, Google: code)."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    forbidden = isinstance(error, OSError) and str(error).startswith("Forbidden")
    return (
        isinstance(error, _REFUSALS) or getattr(error, "errno", None) == errno.EROFS or forbidden or status in _REFUSED
    )
