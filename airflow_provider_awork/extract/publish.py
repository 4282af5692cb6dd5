"""
Publish finished local files so that readers see the old set or the new set, whole, and never a mix.

Three kinds of files lie at a destination:

- ``part-00000-<12 hex of its sha256>.<ext>``: data. Same bytes, same name; never overwritten with other bytes.
- ``_manifest.json``: the only definition of complete; its one write switches readers from the old set to the new.
  Its JSON Schema is ``manifest.schema.json`` beside this module.
- ``_writing.json``: the marker of the run that is writing: its owner, a heartbeat, and every name that it or a run
  before it may leave behind. A name is noted there before anything is written under it.

One rule cleans up, after success, failure and kill alike: delete the noted names that the current manifest does not
list. Nothing is ever deleted by listing or by pattern.

What the rule rests on: the workers' clocks agree to well within ``stale_after``. The store creates files exclusively,
as local folders, S3 (moto) and Azure Blob (azurite) were seen to and Google documents; each run tries that out and
warns where it is not so (some S3-compatible stores), and then ``max_active_tis_per_dag=1`` has to keep runs of one
destination apart. Renewing the marker on an object store is a read followed by a write, so runs that take over the same
stale marker within milliseconds learn who lost at their next renewal, before either can switch the manifest. A run
suspended for longer than ``stale_after`` exactly between its last renewal and the switch fails after it, and the
destination then needs one more run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, TypedDict, TypeVar

import msgspec
import tenacity

from airflow_provider_awork import __version__
from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkDestinationBusyError,
    AworkDestinationError,
    AworkError,
    AworkMissingExtraError,
    AworkPublishError,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    from airflow_provider_awork.extract.writers import Part

log = logging.getLogger(__name__)

MANIFEST_SCHEMA_VERSION = 1
MANIFEST_NAME = "_manifest.json"
MARKER_NAME = "_writing.json"

_MARKER_SCHEMA_VERSION = 1
_LONGEST_HEARTBEAT = 60.0  # seconds
_LONGEST_POLL = 5.0  # seconds
_LOCK_PATIENCE = 30.0  # seconds; a lock on the local marker is held for one fsync
_SPOOL_PREFIX = "awork-spool-"
_SPOOL_MIN_AGE = 60.0  # seconds
_STORAGE_ATTEMPTS = 4
_STORAGE_WAIT = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(max=1)

_EXTRAS = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("abfs", "abfss", "adl"), "azure"
)
_REFUSALS = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
_REFUSED = {400, 401, 403, 404}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# A manifest or marker says what to delete, so its names must not lead out of the destination.
_PartName = Annotated[str, msgspec.Meta(pattern=r"^part-[0-9]{5,}-[0-9a-f]{12}(\.[a-z0-9]+)+$")]
_NotedName = Annotated[str, msgspec.Meta(pattern=r"^(part-|\.part-|\._manifest)[A-Za-z0-9._-]*$")]

_Change = Callable[[bytes | None], bytes | None]
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """
    The task instance that publishes.

    :param map_index: -1 for a task that is not mapped, as in Airflow.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    def is_same_task_instance(self, other: Owner) -> bool:
        """Whether ``other`` is a try of the same task instance."""
        return self._task_instance == other._task_instance

    @property
    def _task_instance(self) -> tuple[str, str, str, int]:
        return self.dag_id, self.run_id, self.task_id, self.map_index

    def __str__(self) -> str:
        mapped = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"dag {self.dag_id!r}, run {self.run_id!r}, task {self.task_id!r}{mapped}, try {self.try_number}"


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    A data file as the manifest lists it.

    :param name: its name below the destination.
    :param rows: entries in the file.
    :param bytes: its size.
    :param sha256: of its bytes, in hex.
    """

    name: _PartName
    rows: int
    bytes: int
    sha256: str


class ManifestBody(TypedDict):
    """
    What the caller adds to a manifest; ``manifest.schema.json`` says what each key means.

    Everything outside ``run`` must depend on the data and the parameters alone, so that two runs over unchanged data
    differ only under ``run``.
    """

    format: str
    compression: str
    window: Mapping[str, Any] | None
    filterby: str | None
    watermark: str | None
    source: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]] | None
    unknown_fields: Mapping[str, int]
    run: Mapping[str, Any]


class _ManifestHead(msgspec.Struct):
    schema_version: int


class _ManifestFiles(msgspec.Struct):
    files: tuple[PublishedFile, ...]


class _Marker(msgspec.Struct, frozen=True, kw_only=True):
    """``claim`` tells apart two processes that run the same try; ``released`` ones are free for anybody."""

    schema_version: int
    owner: Owner
    claim: str
    started: datetime
    heartbeat: datetime
    released: bool
    names: tuple[_NotedName, ...]


class _BusyError(AworkDestinationBusyError):
    def __init__(self, message: str, owner: Owner) -> None:
        super().__init__(message)
        self.owner = owner


class Publisher:
    """
    Replace the set of files at a destination by a new one, in a ``with`` block: :meth:`put` each part, then
    :meth:`commit`.

    Entering claims the destination: it waits for, or fails naming, another run that writes there. A marker of the
    same task instance (any try) is taken over at once, a stale one of anybody else too. An exception inside the block
    deletes what this run put, leaves the old set as it was and goes on. A killed run leaves its marker; the next run
    cleans up after it.

    :param destination: prefix, as ``airflow.sdk.ObjectStoragePath``. Missing local folders are made.
    :param owner: the task instance that publishes.
    :param stale_after: a marker without heartbeat for this long belongs to a dead run. Heartbeats are ten times as
        frequent, at least one a minute.
    :param wait_for: how long to wait for another run; longer than ``stale_after``, so that waiting outlives a dead run.
    :raises AworkMissingExtraError: the filesystem of the destination is not installed.
    :raises AworkConfigError: Airflow knows no filesystem for the destination's scheme.
    :raises AworkDestinationError: no such bucket, or no rights.
    :raises AworkDestinationBusyError: another run is still writing after ``wait_for``, or took this claim over.
    :raises AworkPublishError: the storage fails, or holds a manifest that cannot be read.
    """

    def __init__(
        self,
        destination: ObjectStoragePath,
        *,
        owner: Owner,
        stale_after: timedelta = timedelta(minutes=10),
        wait_for: timedelta = timedelta(minutes=15),
    ) -> None:
        if stale_after <= timedelta(0):
            raise AworkConfigError(f"stale_after={stale_after}: pass a duration above zero")
        self._destination = destination
        self._owner = owner
        self._stale_after = stale_after
        self._wait_for = wait_for
        self._claim = uuid.uuid4().hex
        self._started = datetime.now(UTC)
        self._names: dict[str, None] = {}  # an ordered set
        self._files: dict[int, PublishedFile] = {}  # by index of the part
        self._closed = False
        self._marker_lock = threading.Lock()
        self._stop = threading.Event()
        self._heartbeat = threading.Thread(target=self._keep_alive, name="awork-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._store = _open_store(self._destination, claim=self._claim)
        try:
            with self._explained("prepare"):
                _retry(self._store.prepare)
                self._read_manifest()  # an unreadable one has to stop the run before anything is fetched
                self._wait_for_claim()
                self._warn_if_not_exclusive()
        except AworkPublishError as error:
            if error.__cause__ is not None and _is_refusal(error.__cause__):
                raise AworkDestinationError(
                    f"{error}. Check that the bucket or container exists and that the connection may read, write and "
                    "delete there."
                ) from error.__cause__
            raise
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._closed:
                self._clean_up()
        except Exception:
            if error is None:
                raise
            log.exception("Could not clean up at %s; the next run will", self._destination)
        finally:
            self._stop.set()
        if error is None and not self._closed:
            raise AworkPublishError(f"The set of files for {self._destination} was never committed, so it is removed")

    def put(self, part: Part) -> PublishedFile:
        """
        Publish one part and delete its local file.

        A file that is already there under the same name (which carries the content) with the same size is kept.
        Threads may put different parts at the same time.

        :raises AworkPublishError: the storage refused it, or holds another size afterwards.
        :raises AworkDestinationBusyError: another run took the destination over.
        """
        name = f"part-{part.index:05d}-{part.sha256[:12]}{part.suffix}"
        if part.index in self._files:
            raise AworkPublishError(f"Part {part.index} is published twice: {self._files[part.index].name} and {name}")
        with self._explained(f"put {name}"):
            spooled = part.path.stat().st_size
            if spooled != part.bytes:
                raise AworkPublishError(f"{part.path} holds {spooled} bytes instead of {part.bytes}")
            self._note(name, *self._store.temporary_names(name))
            if self._size(name) != part.bytes:
                _retry(self._put_verified, part, name)
            part.path.unlink(missing_ok=True)
        file = PublishedFile(name=name, rows=part.rows, bytes=part.bytes, sha256=part.sha256)
        self._files[part.index] = file
        return file

    def commit(self, body: ManifestBody) -> dict[str, Any]:
        """
        Switch readers to the new set, delete the files of the old one, and give the destination free.

        :param body: the rest of the manifest.
        :return: the manifest.
        :raises AworkPublishError: a file is missing; or the switch is done and old files cannot be deleted.
        :raises AworkDestinationBusyError: another run took the destination over.
        """
        manifest = self._manifest(body)
        data = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        with self._explained("switch the manifest"):
            replaced = [file.name for file in _files_of(self._read_manifest())]
            self._note(*replaced, *self._store.temporary_names(MANIFEST_NAME))
            _require_files(self._destination, tuple(self._files.values()), self._size)
            self._note()  # once more, as looking at many files takes a while
            _retry(self._store.write, MANIFEST_NAME, data)
            self._require_switched(data)
        with self._explained("delete replaced files (the new set is complete and published)"):
            self._clean_up()
        self._closed = True
        return manifest

    def _manifest(self, body: ManifestBody) -> dict[str, Any]:
        files = [file for _, file in sorted(self._files.items())]
        return {
            "schema_version": MANIFEST_SCHEMA_VERSION,
            "created_by": {"package": "airflow-provider-awork", "version": __version__},
            "files": [msgspec.to_builtins(file) for file in files],
            "rows": sum(file.rows for file in files),
            "bytes": sum(file.bytes for file in files),
            **body,
            "run": {**body["run"], "owner": msgspec.to_builtins(self._owner)},
        }

    def _put_verified(self, part: Part, name: str) -> None:
        self._store.put(part.path, name)
        size = self._store.size(name)
        if size != part.bytes:
            raise OSError(errno.EIO, f"the storage holds {size} bytes instead of {part.bytes}")

    def _require_switched(self, data: bytes) -> None:
        """A run that was suspended in mid-switch may have been taken over, and its files deleted."""
        held = self._read_marker()
        if held is None or held.claim != self._claim or _retry(self._store.read, MANIFEST_NAME) != data:
            raise self._lost(held)

    def _clean_up(self) -> None:
        try:
            self._delete_leftovers()
        except Exception:
            self._release()
            raise
        self._remove_marker()

    def _delete_leftovers(self) -> None:
        held = self._read_marker()
        keep = {file.name for file in _files_of(self._read_manifest())}
        if held is not None and held.claim != self._claim:
            keep |= set(held.names)
        for name in self._names:
            if name not in keep:
                _retry(self._store.delete, name)

    def _size(self, name: str) -> int | None:
        return _retry(self._store.size, name)

    def _read_manifest(self) -> dict[str, Any] | None:
        return _parse_manifest(_retry(self._store.read, MANIFEST_NAME), self._destination)

    # The marker.

    def _wait_for_claim(self) -> None:
        deadline = time.monotonic() + self._wait_for.total_seconds()
        announced: Owner | None = None
        while True:
            try:
                return self._update_marker(self._claimed)
            except _BusyError as busy:
                if time.monotonic() >= deadline:
                    raise
                if busy.owner != announced:
                    log.info("Waiting up to %s: %s", self._wait_for, busy)
                    announced = busy.owner
            time.sleep(min(self._stale_after.total_seconds() / 10, _LONGEST_POLL))

    def _claimed(self, current: bytes | None) -> bytes:
        held = self._parse_marker(current)
        if held is not None:
            self._require_free(held)
            if held.claim != self._claim:
                log.warning("Taking over %s from %s, silent since %s", self._destination, held.owner, held.heartbeat)
            self._names = dict.fromkeys(held.names)
        return self._marker()

    def _require_free(self, held: _Marker) -> None:
        silent = datetime.now(UTC) - held.heartbeat
        mine = held.claim == self._claim or held.owner.is_same_task_instance(self._owner)
        if mine or held.released or silent > self._stale_after:
            return
        raise _BusyError(
            f"{self._destination} is being written by {held.owner}, which last wrote at {held.heartbeat.isoformat()} "
            f"({silent.total_seconds():.0f} s ago). Let it finish, or give each run (and each mapped task) a prefix of "
            f"its own. If it is dead, it counts as such after {self._stale_after} without a sign of life.",
            held.owner,
        )

    def _renewed(self, current: bytes | None) -> bytes:
        self._require_mine(current)
        return self._marker()

    def _require_mine(self, current: bytes | None) -> None:
        held = self._parse_marker(current)
        if held is None or held.claim != self._claim:
            raise self._lost(held)

    def _lost(self, held: _Marker | None) -> AworkDestinationBusyError:
        by = f"taken over by {held.owner}" if held else f"given to another run, or {MARKER_NAME} was deleted"
        return AworkDestinationBusyError(
            f"{self._destination} was {by} while {self._owner} was writing, so this run stops. "
            f"A run counts as dead after {self._stale_after} without a heartbeat."
        )

    def _marker(self, *, released: bool = False) -> bytes:
        marker = _Marker(
            schema_version=_MARKER_SCHEMA_VERSION,
            owner=self._owner,
            claim=self._claim,
            started=self._started,
            heartbeat=datetime.now(UTC),
            released=released,
            names=tuple(self._names),
        )
        return msgspec.json.format(msgspec.json.encode(marker), indent=2)

    def _parse_marker(self, data: bytes | None) -> _Marker | None:
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=_Marker)
        except msgspec.DecodeError as error:
            raise AworkPublishError(
                f"{self._destination / MARKER_NAME} cannot be read ({error}), so it is not known who writes there. "
                "If no other run does, delete it."
            ) from error

    def _read_marker(self) -> _Marker | None:
        return self._parse_marker(_retry(self._store.read, MARKER_NAME))

    def _note(self, *names: str) -> None:
        """Write names and a heartbeat into the marker, which also proves that it is still ours."""
        with self._marker_lock:
            self._names |= dict.fromkeys(names)
            self._update_marker(self._renewed)

    def _update_marker(self, change: _Change) -> None:
        _retry(self._store.update_marker, change)

    def _keep_alive(self) -> None:
        interval = min(self._stale_after.total_seconds() / 10, _LONGEST_HEARTBEAT)
        while not self._stop.wait(interval):
            try:
                self._note()
            except AworkDestinationBusyError:
                return  # the main thread finds out at its next note, at the latest before the switch
            except Exception:
                log.warning("No heartbeat into %s", self._destination / MARKER_NAME, exc_info=True)

    def _end_heartbeat(self) -> None:
        self._stop.set()
        if self._heartbeat.is_alive():
            self._heartbeat.join()

    def _remove_marker(self) -> None:
        self._end_heartbeat()
        with contextlib.suppress(AworkDestinationBusyError):  # then it is another run's
            self._update_marker(self._require_mine)

    def _release(self) -> None:
        """Let the next run, whoever it is, take over at once and delete what this one could not."""
        self._end_heartbeat()

        def released(current: bytes | None) -> bytes:
            self._require_mine(current)
            return self._marker(released=True)

        with contextlib.suppress(Exception):  # it will be stale soon, and another error is on its way
            self._update_marker(released)

    def _warn_if_not_exclusive(self) -> None:
        if not _retry(self._store.creates_exclusively, self._marker()):
            log.warning(
                "The storage of %s does not create files exclusively, so two runs that start at the same moment may "
                "both believe to be alone. Set max_active_tis_per_dag=1 on the task.",
                self._destination,
            )

    @contextlib.contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except AworkError:
            raise
        except Exception as error:
            raise AworkPublishError(
                f"Cannot {action} at {self._destination}: {type(error).__name__}: {error}"
            ) from error


# The manifest, for readers.


def read_manifest(destination: ObjectStoragePath) -> dict[str, Any] | None:
    """
    Read the manifest of a published set.

    :return: the manifest as ``manifest.schema.json`` describes it; None if nothing is published there.
    :raises AworkPublishError: it is unreadable, or of a version that this package does not know.
    """
    return _parse_manifest(_retry(_open_store(destination).read, MANIFEST_NAME), destination)


def verify_manifest(destination: ObjectStoragePath, *, check_sha256: bool = False) -> dict[str, Any]:
    """
    Check that every file of the published set is there with its size.

    :param check_sha256: also read each file and compare its digest.
    :return: the manifest.
    :raises AworkPublishError: there is no manifest, or a file is missing or different; names all of them.
    """
    store = _open_store(destination)
    manifest = _parse_manifest(_retry(store.read, MANIFEST_NAME), destination)
    if manifest is None:
        raise AworkPublishError(f"Nothing is published at {destination}: it holds no {MANIFEST_NAME}")
    files = _files_of(manifest)
    _require_files(destination, files, lambda name: _retry(store.size, name))
    if check_sha256:
        different = [file.name for file in files if _sha256(destination / file.name) != file.sha256]
        if different:
            raise AworkPublishError(
                f"{destination} holds other bytes than its manifest says in: {', '.join(different)}"
            )
    return manifest


def _parse_manifest(data: bytes | None, destination: ObjectStoragePath) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        version = msgspec.json.decode(data, type=_ManifestHead).schema_version
        if version != MANIFEST_SCHEMA_VERSION:
            raise AworkPublishError(
                f"{destination / MANIFEST_NAME} has schema version {version}, this package knows "
                f"{MANIFEST_SCHEMA_VERSION}: upgrade airflow-provider-awork, or publish to another destination"
            )
        manifest: dict[str, Any] = json.loads(data)
        _files_of(manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AworkPublishError(
            f"{destination / MANIFEST_NAME} cannot be read as a manifest ({error}), so it is not known which files are "
            "the published set. Restore it, or remove it together with the part files beside it, or publish to another "
            "destination."
        ) from error
    return manifest


def _files_of(manifest: Mapping[str, Any] | None) -> tuple[PublishedFile, ...]:
    return msgspec.convert(manifest, _ManifestFiles).files if manifest is not None else ()


def _require_files(
    destination: ObjectStoragePath, files: Sequence[PublishedFile], size_of: Callable[[str], int | None]
) -> None:
    wrong = [
        f"{file.name} ({'missing' if size is None else f'{size} instead of {file.bytes} bytes'})"
        for file in files
        if (size := size_of(file.name)) != file.bytes
    ]
    if wrong:
        raise AworkPublishError(f"{destination} lacks files of its set: {', '.join(wrong)}")


def _sha256(path: ObjectStoragePath) -> str:
    with path.fs.open(path.path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Local disk space.


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
        folder = tempfile.TemporaryDirectory(prefix=_SPOOL_PREFIX, dir=base, ignore_cleanup_errors=True)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise AworkConfigError(
            f"spool folder {str(base)!r}: pass a folder that this worker can write ({error})"
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
    for folder in base.glob(f"{_SPOOL_PREFIX}*"):
        # A young folder may belong to a run that has not locked it yet.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _SPOOL_MIN_AGE and _is_abandoned(folder):
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
            "name a folder on another disk, or write fewer rows per file"
        )


# Storage.


class _Store(Protocol):
    """The files of one destination, by name. A name appears with all of its bytes or not at all."""

    def prepare(self) -> None: ...

    def temporary_names(self, name: str) -> tuple[str, ...]:
        """Names that a killed :meth:`put` or :meth:`write` may leave behind."""

    def read(self, name: str) -> bytes | None: ...

    def size(self, name: str) -> int | None: ...

    def put(self, source: Path, name: str) -> None: ...

    def write(self, name: str, data: bytes) -> None: ...

    def delete(self, name: str) -> None: ...

    def update_marker(self, change: _Change) -> None:
        """Replace the marker by what ``change`` makes of it: None is no marker, before and after."""

    def creates_exclusively(self, marker: bytes) -> bool:
        """Whether creating the marker, which exists, fails as it should."""


class _LocalStore:
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

    def update_marker(self, change: _Change) -> None:
        """The temporary file is the lock, as git does it with ``index.lock``."""
        lock = self._folder / f".{MARKER_NAME}.tmp"
        _create_lock(lock)
        try:
            data = change(self.read(MARKER_NAME))
            if data is None:
                self.delete(MARKER_NAME)
                lock.unlink()
            else:
                lock.write_bytes(data)
                self._publish(lock, MARKER_NAME)
        except BaseException:
            lock.unlink(missing_ok=True)
            raise

    def creates_exclusively(self, marker: bytes) -> bool:
        return True

    def _temporary(self, name: str) -> Path:
        return self._folder / self.temporary_names(name)[0]

    def _publish(self, temporary: Path, name: str) -> None:
        _sync(temporary)
        temporary.replace(self._folder / name)
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            _sync(self._folder)


def _create_lock(lock: Path) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            return lock.touch(exist_ok=False)
        except FileExistsError:
            if time.monotonic() > deadline:  # its run was killed while it held it
                lock.unlink(missing_ok=True)
        time.sleep(0.02)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _ObjectStore:
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
            return bytes(self._filesystem.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        self._filesystem.invalidate_cache()  # listings are cached and do not see other writers
        try:
            return int(self._filesystem.info(self._path(name))["size"])
        except FileNotFoundError:
            return None

    def put(self, source: Path, name: str) -> None:
        self._filesystem.put_file(str(source), self._path(name))

    def write(self, name: str, data: bytes) -> None:
        self._filesystem.pipe_file(self._path(name), data)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.rm_file(self._path(name))

    def update_marker(self, change: _Change) -> None:
        while True:
            current = self.read(MARKER_NAME)
            data = change(current)
            if data is None:
                return self.delete(MARKER_NAME)
            if current is not None:
                return self.write(MARKER_NAME, data)
            with contextlib.suppress(FileExistsError):  # another run was faster: look at its marker
                return self._create(MARKER_NAME, data)

    def creates_exclusively(self, marker: bytes) -> bool:
        try:
            self._create(MARKER_NAME, marker)
        except FileExistsError:
            return True
        return False

    def _create(self, name: str, data: bytes) -> None:
        self._filesystem.pipe_file(self._path(name), data, mode="create")

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _open_store(destination: ObjectStoragePath, *, claim: str = "") -> _Store:
    from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

    filesystem = _open_filesystem(destination)
    if isinstance(filesystem, LocalFileSystem):
        return _LocalStore(Path(destination.path), claim)
    return _ObjectStore(filesystem, destination.path)


def _open_filesystem(destination: ObjectStoragePath) -> AbstractFileSystem:
    try:
        return destination.fs
    except Exception as error:
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


def _retry(function: Callable[..., _T], *arguments: Any) -> _T:
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_STORAGE_ATTEMPTS),
        wait=_STORAGE_WAIT,
        retry=tenacity.retry_if_exception(_is_transient),
        before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    return retrying(function, *arguments)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, AworkError) or not isinstance(error, Exception):
        return False
    return not _is_refusal(error) and getattr(error, "errno", None) not in _FULL


def _is_refusal(error: BaseException) -> bool:
    """Whether the store said no; each filesystem has its own way (S3: OSErrors, Azure: status_code, Google: code)."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    forbidden = isinstance(error, OSError) and str(error).startswith("Forbidden")
    return (
        isinstance(error, _REFUSALS) or getattr(error, "errno", None) == errno.EROFS or forbidden or status in _REFUSED
    )
