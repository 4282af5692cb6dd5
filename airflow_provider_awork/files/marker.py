"""The marker ``_writing.json``: who writes at a destination, that it is alive, and what it may leave behind."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec

from airflow_provider_awork.exceptions import AworkConfigError, AworkDestinationBusyError, AworkPublishError
from airflow_provider_awork.files.stores import retry

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.files.stores import Change, Store

log = logging.getLogger(__name__)

Purpose = Literal["set", "ledger"]

MARKER_NAME = "_writing.json"

_MARKER_SCHEMA_VERSION = 1
_LONGEST_HEARTBEAT = 60.0  # seconds
_LONGEST_POLL = 5.0  # seconds

# A marker says what to delete, so its names must not lead out of the destination.
_NotedName = Annotated[str, msgspec.Meta(pattern=r"^(part-|\.part-|\._manifest|\._ledger-)[A-Za-z0-9._-]*$")]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """
    The task instance that publishes.

    :param map_index: -1 for a task that is not mapped, as in Airflow.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: Annotated[int, msgspec.Meta(ge=-1)]
    try_number: Annotated[int, msgspec.Meta(ge=0)]

    @classmethod
    def of(cls, task_instance: Any) -> Self:
        """Return the owner for a running task instance of Airflow."""
        mapped = task_instance.map_index
        return cls(
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=-1 if mapped is None else mapped,
            try_number=task_instance.try_number,
        )

    def is_same_task_instance(self, other: Owner) -> bool:
        """Whether ``other`` is a try of the same task instance."""
        return self._task_instance == other._task_instance

    def is_same_run(self, other: Owner) -> bool:
        """Whether ``other`` is a task instance of the same dag run."""
        return (self.dag_id, self.run_id) == (other.dag_id, other.run_id)

    @property
    def _task_instance(self) -> tuple[str, str, str, int]:
        return self.dag_id, self.run_id, self.task_id, self.map_index

    def __str__(self) -> str:
        mapped = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"dag {self.dag_id!r}, run {self.run_id!r}, task {self.task_id!r}{mapped}, try {self.try_number}"


def require_other_run(there: Owner, here: Owner, destination: ObjectStoragePath) -> None:
    """
    Check that two task instances are not parts of one dag run, which would end with the set of the last one.

    :raises AworkConfigError: they are.
    """
    if there.is_same_run(here) and not there.is_same_task_instance(here):
        raise AworkConfigError(
            f"destination: two tasks of one dag run write to it\n"
            f"{destination} is of {there}, and this is {here}. Only the last set would be left. Give each "
            "task and each mapped task a destination of its own, for example with {window_start} or "
            "{{ ti.map_index }} in it."
        )


class _Marker(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``claim`` tells apart two processes that run the same try; ``released`` ones are free for anybody.

    ``purpose`` is what is written: a set of files, or parts of a ledger beside one.
    """

    schema_version: int
    owner: Owner
    claim: str
    started: datetime
    heartbeat: datetime
    released: bool
    names: tuple[_NotedName, ...]
    purpose: Purpose = "set"


class _BusyError(AworkDestinationBusyError):
    def __init__(self, message: str, owner: Owner) -> None:
        super().__init__(message)
        self.owner = owner


class Claim:
    """
    The hold of one run on a destination, taken by :meth:`take` and ended by :meth:`end` or :meth:`release`.

    :param store: the storage of the destination.
    :param destination: for messages.
    :param owner: the task instance that publishes.
    :param claim_id: of this process, unique.
    :param stale_after: a marker without heartbeat for this long belongs to a dead run.
    :param purpose: what is written. Two tasks of one dag run may not both write a set.
    """

    def __init__(
        self,
        store: Store,
        destination: ObjectStoragePath,
        *,
        owner: Owner,
        claim_id: str,
        stale_after: timedelta,
        purpose: Purpose = "set",
    ) -> None:
        self._purpose = purpose
        self._store = store
        self._destination = destination
        self._owner = owner
        self._id = claim_id
        self._stale_after = stale_after
        self._started = datetime.now(UTC)
        self._names: dict[str, None] = {}  # an ordered set
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._heartbeat = threading.Thread(target=self._keep_alive, name="awork-heartbeat", daemon=True)

    @property
    def names(self) -> Sequence[str]:
        """Every name that this run, or a run before it, may leave behind."""
        return tuple(self._names)

    def take(self, *, wait_for: timedelta) -> None:
        """
        Claim the destination; a marker of the same task instance or a stale one is taken over at once.

        :param wait_for: how long to wait for another run.
        :raises AworkDestinationBusyError: another run is still writing.
        """
        deadline = time.monotonic() + wait_for.total_seconds()
        announced: Owner | None = None
        while True:
            try:
                return self._claim()
            except _BusyError as busy:
                if time.monotonic() >= deadline:
                    raise
                if busy.owner != announced:
                    log.info("Waiting up to %s: %s", wait_for, busy)
                    announced = busy.owner
            time.sleep(min(self._stale_after.total_seconds() / 10, _LONGEST_POLL))

    def warn_if_not_exclusive(self) -> None:
        """Try out whether the storage creates files exclusively."""
        if not retry(self._store.creates_exclusively, MARKER_NAME, self._marker(self._names)):
            log.warning(
                "The storage of %s does not create files exclusively, so two runs that start at the same moment may "
                "both believe to be alone. Set max_active_tis_per_dag=1 on the task.",
                self._destination,
            )

    def start_heartbeat(self) -> None:
        self._heartbeat.start()

    def stop_heartbeat(self, *, wait: bool) -> None:
        self._stop.set()
        if wait and self._heartbeat.is_alive():
            self._heartbeat.join()

    def note(self, *names: str) -> None:
        """
        Write names and a heartbeat into the marker, which also proves that it is still ours.

        :raises AworkDestinationBusyError: another run took the destination over.
        """
        with self._lock:
            noted = self._names | dict.fromkeys(names)

            def renewed(current: bytes | None) -> bytes:
                self._require_mine(current)
                return self._marker(noted)

            self._update(renewed)
            # Only now: what is not noted may be another run's by the time this one deletes what it left.
            self._names = noted

    def names_of_another(self) -> Sequence[str]:
        """What the run noted that took this claim over, if one did."""
        held = self._read()
        return held.names if held is not None and held.claim != self._id else ()

    def is_held(self) -> bool:
        """Whether the marker is still ours."""
        held = self._read()
        return held is not None and held.claim == self._id

    def lost(self) -> AworkDestinationBusyError:
        """The error that says who took this claim over."""
        return self._lost(self._read())

    def end(self) -> None:
        """Remove the marker, unless it is another run's."""
        self.stop_heartbeat(wait=True)

        def removed(current: bytes | None) -> None:
            self._require_mine(current)

        with contextlib.suppress(AworkDestinationBusyError):
            self._update(removed)

    def release(self) -> None:
        """Let the next run, whoever it is, take over at once and delete what this one could not."""
        self.stop_heartbeat(wait=True)
        try:
            self._update(self._released)
        except Exception:  # another error is on its way
            log.warning(self._unreleased(), exc_info=True)

    def abandon(self) -> None:
        """Release the destination if :meth:`take` claimed it, whether or not it came to its end."""
        self.stop_heartbeat(wait=True)
        try:
            self._store.update(MARKER_NAME, self._released)  # once: the storage may be what failed
        except AworkDestinationBusyError:
            log.debug("%s is not claimed", self._destination)
        except Exception:
            log.warning(self._unreleased(), exc_info=True)

    def _released(self, current: bytes | None) -> bytes:
        """Keep what is noted, which is all that may lie there."""
        return self._marker(self._require_mine(current).names, released=True)

    def _unreleased(self) -> str:
        marker = self._destination / MARKER_NAME
        return f"Could not release {marker}: the next run waits until this one's claim is {self._stale_after} old"

    def _claim(self) -> None:
        inherited: tuple[str, ...] = ()

        def claimed(current: bytes | None) -> bytes:
            nonlocal inherited
            held = self._parse(current)
            if held is not None:
                self._require_free(held)
                if held.claim != self._id:
                    log.warning(
                        "Taking over %s from %s, silent since %s", self._destination, held.owner, held.heartbeat
                    )
            inherited = held.names if held else ()
            return self._marker(inherited)

        self._update(claimed)
        self._names = dict.fromkeys(inherited)

    def _require_free(self, held: _Marker) -> None:
        if self._purpose == held.purpose == "set":
            require_other_run(held.owner, self._owner, self._destination)
        silent = datetime.now(UTC) - held.heartbeat
        mine = held.claim == self._id or held.owner.is_same_task_instance(self._owner)
        if mine or held.released or silent > self._stale_after:
            return
        raise _BusyError(
            f"{self._destination} is being written by {held.owner}, which last wrote at {held.heartbeat.isoformat()} "
            f"({silent.total_seconds():.0f} s ago). Let it finish, or give each run (and each mapped task) a prefix of "
            f"its own. If it is dead, it counts as such after {self._stale_after} without a sign of life.",
            held.owner,
        )

    def _require_mine(self, current: bytes | None) -> _Marker:
        held = self._parse(current)
        if held is None or held.claim != self._id:
            raise self._lost(held)
        return held

    def _lost(self, held: _Marker | None) -> AworkDestinationBusyError:
        by = f"taken over by {held.owner}" if held else f"given to another run, or {MARKER_NAME} was deleted"
        return AworkDestinationBusyError(
            f"{self._destination} was {by} while {self._owner} was writing, so this run stops. "
            f"A run counts as dead after {self._stale_after} without a heartbeat."
        )

    def _marker(self, names: Iterable[str], *, released: bool = False) -> bytes:
        marker = _Marker(
            schema_version=_MARKER_SCHEMA_VERSION,
            owner=self._owner,
            claim=self._id,
            started=self._started,
            heartbeat=datetime.now(UTC),
            released=released,
            names=tuple(names),
            purpose=self._purpose,
        )
        return msgspec.json.format(msgspec.json.encode(marker), indent=2)

    def _parse(self, data: bytes | None) -> _Marker | None:
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=_Marker)
        except msgspec.DecodeError as error:
            raise AworkPublishError(
                f"{self._destination / MARKER_NAME} cannot be read ({error}), so it is not known who writes there. "
                "If no other run does, delete it."
            ) from error

    def _read(self) -> _Marker | None:
        return self._parse(retry(self._store.read, MARKER_NAME))

    def _update(self, change: Change) -> None:
        retry(self._store.update, MARKER_NAME, change)

    def _keep_alive(self) -> None:
        interval = min(self._stale_after.total_seconds() / 10, _LONGEST_HEARTBEAT)
        while not self._stop.wait(interval):
            try:
                self.note()
            except AworkDestinationBusyError:
                return  # the main thread finds out at its next note, at the latest before the switch
            except Exception:
                log.warning("No heartbeat into %s", self._destination / MARKER_NAME, exc_info=True)
