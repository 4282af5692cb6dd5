"""Triggers on time entries."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_awork.exceptions import AworkConfigError, AworkError, AworkRateLimitError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.triggers.memory import WatermarkMemory
from airflow_provider_awork.triggers.poller import Poller
from airflow_provider_awork.triggers.polling import CountRange, checked_interval, is_transient, wait_after
from airflow_provider_awork.triggers.watermark import Snapshot, Watermark, floor, instant_text, newest_of

if TYPE_CHECKING:
    from airflow_provider_awork.client.lists.changes import EntryChange

# Triggers that start together, as after a restart of the triggerer, drift apart by up to this part of their interval.
DRIFT = 0.1
# Seconds. The triggerer hands events over about once a second.
SURELY_KEPT = 15.0
# Seconds within which a scheduler starts the run of an event; shorter intervals are kept.
EVENT_SPACING = 10.0


class AworkTimeEntriesTrigger(BaseTrigger):
    """
    Wait until the number of matching time entries is within bounds: the deferred half of ``AworkTimeEntriesSensor``.

    It waits before each request, the first one included, so that a triggerer which is started again and again asks
    awork no more often than once in an interval. The payload of its event is one of

    * ``{"status": "success", "count": 12}``
    * ``{"status": "timeout"}``: the deadline came first
    * ``{"status": "error", "permanent": False, "message": "..."}``

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression; None for all entries.
    :param window_field: as in ``AworkHook.count_time_entries``.
    :param window_start: first instant or day of the window, as ISO text.
    :param window_end: first instant or day after the window, as ISO text.
    :param timezone: IANA zone of the days.
    :param project_id: only entries of this project (GUID).
    :param awork_task_id: only entries of this awork task (GUID).
    :param min_count: smallest number that ends the wait.
    :param max_count: largest number that ends the wait; None for no upper bound.
    :param poke_interval: seconds between two requests, more than 0.
    :param tolerated_errors: so many transient errors in a row are waited out; None: any number.
    :param errors: how many there were before the trigger started.
    :param deadline: aware; when to give up. None: never.
    :param awork_conn_id: Airflow connection of type ``awork``.
    """

    def __init__(
        self,
        *,
        filterby: str | None = None,
        window_field: str | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        timezone: str | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        min_count: int = 1,
        max_count: int | None = None,
        poke_interval: float = 60.0,
        tolerated_errors: int | None = 5,
        errors: int = 0,
        deadline: datetime | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.filterby = filterby
        self.window_field = window_field
        self.window_start = window_start
        self.window_end = window_end
        self.timezone = timezone
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.min_count = min_count
        self.max_count = max_count
        self.poke_interval = poke_interval
        self.tolerated_errors = tolerated_errors
        self.errors = errors
        self.deadline = deadline
        self.awork_conn_id = awork_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "filterby": self.filterby,
                "window_field": self.window_field,
                "window_start": self.window_start,
                "window_end": self.window_end,
                "timezone": self.timezone,
                "project_id": self.project_id,
                "awork_task_id": self.awork_task_id,
                "min_count": self.min_count,
                "max_count": self.max_count,
                "poke_interval": self.poke_interval,
                "tolerated_errors": self.tolerated_errors,
                "errors": self.errors,
                "deadline": self.deadline,
                "awork_conn_id": self.awork_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with Poller(self.awork_conn_id) as poller:
            payload = await self._wait(poller)
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's

    async def _wait(self, poller: Poller) -> dict[str, Any]:
        wanted = CountRange.of(min_count=self.min_count, max_count=self.max_count)
        checked_interval(self.poke_interval)
        errors = self.errors
        count: int | None = None
        while await self._sleep(wait_after(errors, interval=self.poke_interval)):
            try:
                before, count = count, await poller.ask(self._count)
            except AworkError as error:
                errors += 1
                if not is_transient(error) or (self.tolerated_errors is not None and errors > self.tolerated_errors):
                    return {"status": "error", "permanent": not is_transient(error), "message": str(error)}
                self.log.warning("Error %d in a row, asking again: %s", errors, error)
                continue
            errors = 0
            if count != before:
                self.log.info("%d time entries match, waiting for %s", count, wanted)
            if count in wanted:
                return {"status": "success", "count": count}
        return {"status": "timeout"}

    def _count(self, hook: AworkHook) -> int:
        return hook.count_time_entries(
            filterby=self.filterby,
            window_field=self.window_field,
            window_start=self.window_start,
            window_end=self.window_end,
            timezone=self.timezone,
            project_id=self.project_id,
            task_id=self.awork_task_id,
        )

    async def _sleep(self, seconds: float) -> bool:
        """Wait, at most until the deadline; False if it has come."""
        seconds *= 1 + random.uniform(0, DRIFT)  # noqa: S311 - no secret
        if self.deadline is None:
            await asyncio.sleep(seconds)
            return True
        left = (self.deadline - datetime.now(UTC)).total_seconds()
        await asyncio.sleep(max(0.0, min(seconds, left)))
        return seconds < left


class AworkTimeEntriesEventTrigger(BaseEventTrigger):
    """
    Tell an asset when time entries were created or updated; for ``AssetWatcher``.

    It runs for ever. Each poll is one request, and one more for each 1000 changes above the first 1000. At the start,
    and once an hour, it proves that awork reads datetime literals in the assumed zone. Errors are logged and waited
    out, with pauses that grow to ten minutes; they never end it. Those that waiting does not mend, such as a wrong key
    or ``literal_timezone``, are logged as errors at each poll; all changes since the start are told once the connection
    is mended. If awork does not answer at the start, that is when it was by the triggerer's clock, less ``lookback``:
    changes of those seconds are told, too.

    An event is a small dict: ``event_id``, ``since`` and ``watermark`` (``updatedOn`` of the newest change told before
    and now), ``changed`` and ``created`` (numbers of entries), ``filterby``, ``project_id``, ``awork_task_id``. DAGs
    find it in the ``extra`` of the asset event, as ``payload``. Deleted entries, and those that do not match
    ``filterby`` any more, leave no trace in awork.

    Where it has got to is kept in Airflow's asset store (3.3+), so a restart of the triggerer misses nothing; an event
    that was told right before may come a second time, with the same ``event_id``. On Airflow 3.1 and 3.2 it is kept in
    memory: what changes between the last poll before a restart and the first one after it is told only if
    ``initial_watermark`` is given; then each restart tells of everything since then.

    Watchers with the same connection, entries, interval and lookback share one poll (3.3+).

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression, or a condition made with ``airflow_provider_awork.client.filters``; None for all
        entries.
    :param project_id: only entries of this project (GUID).
    :param awork_task_id: only entries of this awork task (GUID).
    :param poke_interval: seconds between two polls, more than 0.
    :param lookback: seconds before the watermark that are read again, for changes that become visible late.
    :param initial_watermark: ISO text of an instant with time zone; all that was changed after it is told at the first
        start. None: what is changed from the first start on.
    :param awork_conn_id: Airflow connection of type ``awork``.

    .. code-block:: python

        from airflow.sdk import Asset, AssetWatcher

        changes = AworkTimeEntriesEventTrigger(filterby="isBillable eq true", poke_interval=60)
        billable = Asset("awork_billable", watchers=[AssetWatcher(name="awork_billable", trigger=changes)])
    """

    def __init__(
        self,
        *,
        filterby: str | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        poke_interval: float = 60.0,
        lookback: float = 120.0,
        initial_watermark: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.filterby = filterby
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.poke_interval = poke_interval
        self.lookback = lookback
        self.initial_watermark = initial_watermark
        self.awork_conn_id = awork_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Airflow calls this when it reads the DAG.

        :raises AworkConfigError: a parameter cannot work.
        """
        checked_interval(self.poke_interval)
        if self.lookback < 0:
            raise AworkConfigError(f"lookback: {self.lookback!r} is less than 0 seconds")
        self._initial_watermark()
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **self._what(),
                "poke_interval": self.poke_interval,
                "lookback": self.lookback,
                "initial_watermark": self.initial_watermark,
                "awork_conn_id": self.awork_conn_id,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """What watchers must have in common to share a poll (Airflow 3.3+)."""
        what = tuple(self._what().values())
        return ("awork-time-entries", self.awork_conn_id, what, self.poke_interval, self.lookback)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Snapshot, None]:
        """Poll for ever: what was changed since the newest change that the poll before knew, and the lookback."""
        watcher = cls(**kwargs)
        # By a clock that may differ from awork's, so only for want of an answer.
        start = instant_text(datetime.now(UTC) - watcher._lookback)
        newest: str | None = None
        errors = 0
        async with Poller(watcher.awork_conn_id) as poller:
            while True:
                snapshot = None
                try:
                    if newest is None:
                        newest = await poller.ask(watcher._read_newest)
                        if errors:  # there may have been changes since the start
                            newest = min(newest, start)
                        await poller.ask(_check)
                    else:
                        snapshot, newest = await poller.ask(partial(watcher._read_snapshot, newest))
                    errors = 0
                except Exception as error:  # noqa: BLE001 - nothing ends a watcher
                    errors += 1
                    watcher._say(errors, error)
                    # Whoever mends the connection need not restart the triggerer. A pause that awork asked for
                    # belongs to the session, so that one is kept.
                    if not isinstance(error, AworkRateLimitError):
                        poller.forget_connection()
                if snapshot:
                    yield snapshot
                await asyncio.sleep(wait_after(errors, interval=watcher.poke_interval))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Tell of what is new to this watcher.

        An event is saved with the watermark before it is told, and again without it once Airflow has surely kept it.
        """
        watched = {**self._what(), "awork_conn_id": self.awork_conn_id}
        memory = WatermarkMemory(self, f"awork_time_entries_{_digest(watched)}")
        start = watermark = None
        told: dict[str, float] = {}
        errors = 0
        async with Poller(self.awork_conn_id) as poller:
            async for snapshot in shared_stream:
                start = start or Watermark(at=self._initial_watermark() or snapshot.newest)
                try:
                    watermark = watermark or await memory.load()
                    advanced = await self._advanced(watermark or start, snapshot, poller, kept=_kept(told))
                    if advanced is not watermark:
                        await memory.save(advanced)
                        watermark = advanced
                except Exception as error:  # noqa: BLE001 - nothing ends a watcher
                    errors += 1
                    self._say(errors, error)
                    await asyncio.sleep(wait_after(errors, interval=self.poke_interval))
                    continue
                errors = 0
                events = {event["event_id"]: event for event in watermark.events}
                told = {event_id: at for event_id, at in told.items() if event_id in events}
                # One at a time: Airflow starts a run with the asset's events up to the one that asked for it, and those
                # that come before it has started wait for the next event.
                event = next((event for event_id, event in events.items() if event_id not in told), None)
                spacing = min(self.poke_interval, EVENT_SPACING)
                if event and time.monotonic() - max(told.values(), default=-spacing) >= spacing:
                    self.log.info("%d time entries changed: %s", event["changed"], event)
                    yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's
                    told[event["event_id"]] = time.monotonic()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Both halves, for this watcher alone, where Airflow does not share streams."""
        _, kwargs = self.serialize()
        async with aclosing(self.open_shared_stream(kwargs)) as stream:
            async for event in self.filter_shared_stream(stream):
                yield event

    async def _advanced(
        self, watermark: Watermark, snapshot: Snapshot, poller: Poller, *, kept: Collection[str]
    ) -> Watermark:
        """The watermark after a poll; what the poll did not read for this watcher is read by a request of its own."""
        since = watermark.floor(self._lookback)
        changes = snapshot.changes
        if since < snapshot.since:
            self.log.info("Catching up from %s", since or "the first entry")
            changes = await poller.ask(partial(self._read_changes, since))
        watermark = watermark.without_events(kept)
        return await asyncio.to_thread(watermark.advanced, changes, lookback=self._lookback, what=self._what())

    def _what(self) -> dict[str, str | None]:
        return {
            "filterby": None if self.filterby is None else str(self.filterby),
            "project_id": self.project_id,
            "awork_task_id": self.awork_task_id,
        }

    @property
    def _lookback(self) -> timedelta:
        return timedelta(seconds=self.lookback)

    def _initial_watermark(self) -> str:
        """The instant that was passed, as UTC in awork's form; empty if none was."""
        if not self.initial_watermark:
            return ""
        try:
            instant = datetime.fromisoformat(self.initial_watermark)
        except (TypeError, ValueError):
            instant = None
        if instant is None or instant.utcoffset() is None:
            raise AworkConfigError(
                f"initial_watermark: {self.initial_watermark!r} is not ISO text of an instant with time zone, such as "
                "'2026-11-01T00:00:00+00:00'"
            )
        return instant_text(instant)

    def _read_newest(self, hook: AworkHook) -> str:
        from airflow_provider_awork.client.lists.changes import read_newest_change

        changes = read_newest_change(hook.client, self._path(), filterby=self.filterby)
        return newest_of(changes) or (instant_text(datetime.now(UTC)) if changes else "")

    def _read_snapshot(self, newest: str, hook: AworkHook) -> tuple[Snapshot, str]:
        """What was changed, and the newest change that is known now."""
        since = floor(newest, self._lookback)
        changes = self._read_changes(since, hook)
        return Snapshot(since=since, changes=changes, newest=newest), max(newest, newest_of(changes))

    def _read_changes(self, since: str, hook: AworkHook) -> list[EntryChange]:
        from airflow_provider_awork.client.lists.changes import read_changes

        _ = hook.identity
        return read_changes(hook.client, self._path(), filterby=self.filterby, since=since)

    def _path(self) -> str:
        from airflow_provider_awork.client.client import time_entries_path

        return time_entries_path(
            project_id=self.project_id, task_id=self.awork_task_id, name_of_task_id="awork_task_id"
        )

    def _say(self, errors: int, error: Exception) -> None:
        if is_transient(error):
            self.log.warning("Error %d in a row, asking again: %s", errors, error)
        elif isinstance(error, AworkError):
            self.log.error("No changes are told until this is mended (error %d in a row): %s", errors, error)
        else:
            self.log.error("Error %d in a row, asking again", errors, exc_info=error)


def _check(hook: AworkHook) -> None:
    """Say at the start what would else show late, or not at all: other people's entries are hidden, a wrong zone."""
    _ = hook.identity
    hook.client.check_literals(field="updatedOn")


def _kept(told: Mapping[str, float]) -> set[str]:
    """Ids of events that were told long enough ago for the triggerer to have handed them over."""
    return {event_id for event_id, at in told.items() if time.monotonic() - at > SURELY_KEPT}


def _digest(what: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
