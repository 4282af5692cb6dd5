"""
Publish finished local files so that readers see the old set or the new set, whole, and never a mix.

These files lie at a destination:

- ``part-00000-<12 hex of its sha256>.<ext>``: data. Same bytes, same name; never overwritten with other bytes.
- ``_manifest.json`` (:mod:`.manifest`): the only definition of complete; its one write switches readers from the old
  set to the new.
- ``_writing.json`` (:mod:`.marker`): the marker of the run that is writing: its owner, a heartbeat, and every name that
  it or a run before it may leave behind. A name is noted there before anything is written under it.
- ``_ledger-*.ndjson`` (:mod:`.ledger`): what runs changed in awork. No part of a set, and never deleted.

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
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkDestinationBusyError,
    AworkDestinationError,
    AworkError,
    AworkPublishError,
)
from airflow_provider_awork.files.manifest import (
    MANIFEST_NAME,
    Manifest,
    PublishedFile,
    encode_manifest,
    parse_manifest,
    require_files,
)
from airflow_provider_awork.files.marker import Claim, Owner, Purpose
from airflow_provider_awork.files.stores import is_refusal, open_store, retry

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.files.succession import Succession
    from airflow_provider_awork.files.writers import Part

log = logging.getLogger(__name__)


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
    :param purpose: ``ledger`` for a run that only writes files beside the set, and ends with :meth:`keep_former`.
    :param succession: makes what may be replaced; called if a set lies there. None for any set.
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
        purpose: Purpose = "set",
        succession: Callable[[], Succession] | None = None,
        stale_after: timedelta = timedelta(minutes=10),
        wait_for: timedelta = timedelta(minutes=15),
    ) -> None:
        if stale_after <= timedelta(0):
            raise AworkConfigError(f"stale_after={stale_after}: pass a duration above zero")
        self._destination = destination
        self._owner = owner
        self._purpose: Purpose = purpose
        self._succession = succession
        self._stale_after = stale_after
        self._wait_for = wait_for
        self._files: dict[int, PublishedFile] = {}  # by index of the part
        self._closed = False
        self._former: Manifest | None = None

    def __enter__(self) -> Self:
        claim_id = uuid.uuid4().hex
        self._store = open_store(self._destination, claim=claim_id)
        self._claim = Claim(
            self._store,
            self._destination,
            owner=self._owner,
            claim_id=claim_id,
            stale_after=self._stale_after,
            purpose=self._purpose,
        )
        with _explained("prepare", self._destination):
            retry(self._store.prepare)
            self._check_former()
            self._take_claim()
        return self

    def _check_former(self) -> None:
        """Stop the run before anything is read from awork if it may not replace what lies there."""
        self._former = self._published()
        if self._former and self._succession:
            self._succession().require_replaceable(self._former.former_set, self._destination)

    def _take_claim(self) -> None:
        """Claim the destination. There is no block yet whose end would release it after a failure."""
        try:
            self._claim.take(wait_for=self._wait_for)
        except AworkDestinationBusyError:
            raise
        except BaseException:
            self._claim.abandon()
            raise
        try:
            self._check_former()  # once more: somebody may have published meanwhile
            self._claim.warn_if_not_exclusive()
            self._claim.start_heartbeat()
        except BaseException:
            self._clean_up_after_failure()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._clean_up_after_failure()
            elif not self._closed:
                self._clean_up()
        finally:
            self._claim.stop_heartbeat(wait=False)
        if error is None and not self._closed:
            raise AworkPublishError(f"The set of files for {self._destination} was never committed, so it is removed")

    @property
    def destination(self) -> ObjectStoragePath:
        return self._destination

    def keep_former(self) -> None:
        """Release the destination and leave the set that lies there as it is."""
        with _explained("release the destination", self._destination):
            self._clean_up()
        self._closed = True

    def write_beside(self, name: str, data: bytes) -> None:
        """
        Write a file that is no part of the set, and that no run deletes.

        :param name: of a file that is not there yet.
        :raises AworkPublishError: the storage refused it.
        :raises AworkDestinationBusyError: another run took the destination over.
        """
        with _explained(f"write {name}", self._destination):
            self._claim.note(*self._store.temporary_names(name))
            retry(self._store.write, name, data)

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
        with _explained(f"put {name}", self._destination):
            spooled = part.path.stat().st_size
            if spooled != part.bytes:
                raise AworkPublishError(f"{part.path} holds {spooled} bytes instead of {part.bytes}")
            self._claim.note(name, *self._store.temporary_names(name))
            if self._size(name) != part.bytes:
                retry(self._put_verified, part, name)
            part.path.unlink(missing_ok=True)
        file = PublishedFile(name=name, rows=part.rows, bytes=part.bytes, sha256=part.sha256)
        self._files[part.index] = file
        return file

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """What was put, in order of the parts."""
        return tuple(file for _, file in sorted(self._files.items()))

    def commit(self, manifest: Manifest) -> None:
        """
        Switch readers to the new set, delete the files of the old one, and release the destination.

        :param manifest: of :attr:`files`.
        :raises AworkShrunkSetError: the set would lose too many of its rows.
        :raises AworkPublishError: a file is missing; or the switch is done and old files cannot be deleted.
        :raises AworkDestinationBusyError: another run took the destination over.
        """
        if self._former and self._succession:
            self._succession().require_plausible(self._former.former_set, manifest.rows, self._destination)
        data = encode_manifest(manifest)
        with _explained("switch the manifest", self._destination):
            self._claim.note(*self._published_names(), *self._store.temporary_names(MANIFEST_NAME))
            require_files(self._destination, manifest.files, self._size)
            self._claim.note()  # once more, as looking at many files takes a while
            retry(self._store.write, MANIFEST_NAME, data)
            self._require_switched(data)
        with _explained("delete replaced files (the new set is complete and published)", self._destination):
            self._clean_up()
        self._closed = True

    def _put_verified(self, part: Part, name: str) -> None:
        self._store.put(part.path, name)
        size = self._store.size(name)
        if size != part.bytes:
            raise OSError(errno.EIO, f"the storage holds {size} bytes instead of {part.bytes}")

    def _require_switched(self, data: bytes) -> None:
        """A run that was suspended in mid-switch may have been taken over, and its files deleted."""
        if not self._claim.is_held() or retry(self._store.read, MANIFEST_NAME) != data:
            raise self._claim.lost()

    def _clean_up(self) -> None:
        try:
            self._delete_leftovers()
        except Exception:
            self._claim.release()
            raise
        self._claim.end()

    def _clean_up_after_failure(self) -> None:
        try:
            if not self._closed:
                self._clean_up()
        except Exception:
            log.exception("Could not clean up at %s; the next run will", self._destination)

    def _delete_leftovers(self) -> None:
        keep = {*self._claim.names_of_another(), *self._published_names()}
        for name in self._claim.names:
            if name not in keep:
                retry(self._store.delete, name)

    def _size(self, name: str) -> int | None:
        return retry(self._store.size, name)

    def _published_names(self) -> list[str]:
        """The files of the set that readers see now."""
        manifest = self._published()
        return [file.name for file in manifest.files] if manifest else []

    def _published(self) -> Manifest | None:
        return parse_manifest(retry(self._store.read, MANIFEST_NAME), self._destination)


@contextlib.contextmanager
def _explained(action: str, destination: ObjectStoragePath) -> Iterator[None]:
    try:
        yield
    except AworkError:
        raise
    except Exception as error:
        message = f"Cannot {action} at {destination}: {type(error).__name__}: {error}"
        if is_refusal(error) and action == "prepare":
            raise AworkDestinationError(
                f"{message}. Check that the bucket or container exists and that the connection may read, write and "
                "delete there."
            ) from error
        raise AworkPublishError(message) from error
