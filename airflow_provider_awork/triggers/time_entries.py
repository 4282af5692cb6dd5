"""Triggers on time entries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import filter_text
from airflow_provider_awork.client.selection import SELECTION, refuse_blank_parameters
from airflow_provider_awork.exceptions import AworkConfigError, AworkError, AworkRateLimitError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.triggers.poller import Poller
from airflow_provider_awork.triggers.position import (
    Snapshot,
    WatcherPosition,
    instant_text,
    lookback_start,
    newest_of,
)
from airflow_provider_awork.triggers.position_store import PositionStore
from airflow_provider_awork.triggers.waiting import CountRange, checked_interval, is_transient, seconds_of, wait_after
from airflow_provider_awork.triggers.watched import WatchedEntries, digest

if TYPE_CHECKING:
    from airflow_provider_awork.client.identity import Identity

# Triggers that start together, as after a restart of the triggerer, drift apart by up to this part of their interval.
DRIFT = 0.1
# Watchers live for weeks, and roles change.
PERMISSIONS_HOLD_SECONDS = 3600.0
# Seconds after which the triggerer has surely stored an event; it hands events over about once a second.
SURELY_KEPT = 15.0
# Seconds within which a scheduler starts the run of an event. Shorter poll intervals space events by themselves.
EVENT_SPACING = 10.0


class AworkTimeEntriesTrigger(BaseTrigger):
    """
    Wait until the number of matching time entries is within bounds: the deferred half of ``AworkTimeEntriesSensor``.

    It waits before each request, the first one included, so a triggerer that restarts again and again asks awork at
    most once per interval. The payload of its event is one of

    * ``{"status": "success", "count": 12}``
    * ``{"status": "timeout"}``: the deadline has passed
    * ``{"status": "error", "permanent": False, "message": "..."}``

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression, or a condition; None for all entries.
    :param window_field: as in ``AworkHook.count_time_entries``.
    :param window_start: first instant or day of the window, as ISO text.
    :param window_end: first instant or day after the window, as ISO text.
    :param timezone: IANA zone of the days.
    :param project_id: only entries of this project (GUID).
    :param awork_task_id: only entries of this awork task (GUID).
    :param min_count: smallest number that ends the wait.
    :param max_count: largest number that ends the wait; None for no upper bound.
    :param poke_interval: seconds between two requests, or a ``timedelta``; more than 0.
    :param tolerated_errors: number of transient errors in a row that are retried; None for any number.
    :param errors: number of errors in a row before the trigger started.
    :param deadline: aware; when to give up. None for never.
    :param awork_conn_id: Airflow connection of type ``awork``.
    """

    def __init__(
        self,
        *,
        filterby: str | Condition | None = None,
        window_field: str | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        timezone: str | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        min_count: int = 1,
        max_count: int | None = None,
        poke_interval: float | timedelta = 60.0,
        tolerated_errors: int | None = 5,
        errors: int = 0,
        deadline: datetime | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.filterby = filter_text(filterby)
        self.window_field = window_field
        self.window_start = window_start
        self.window_end = window_end
        self.timezone = timezone
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.min_count = min_count
        self.max_count = max_count
        self.poke_interval = seconds_of(poke_interval)
        self.tolerated_errors = tolerated_errors
        self.errors = errors
        self.deadline = deadline
        self.awork_conn_id = awork_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Check the parameters that select entries and serialize all of them.

        :raises AworkConfigError: one is a blank text.
        """
        refuse_blank_parameters(self, *SELECTION)
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
        wanted = CountRange.checked(min_count=self.min_count, max_count=self.max_count)
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
        return {"status": "timeout", "count": count}

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
    Report created and updated time entries to an asset; for ``AssetWatcher``.

    It never ends. Each poll is one request, and one more for each 1000 changes above the first 1000. At the start, and
    once an hour, it checks that awork reads datetime literals in the assumed zone. Errors are logged and retried, with
    pauses that grow to ten minutes. Permanent errors, such as a wrong key or ``literal_timezone``, are logged as errors
    at each poll; after the connection is corrected, all changes since the start are reported. If awork does not answer
    at the start, the start is the triggerer's time less ``lookback``, so changes of those seconds are reported as well.

    An event is a small dict: ``event_id``, ``since`` and ``watermark`` (``updatedOn`` of the newest change reported
    before and now), ``changed`` and ``created`` (numbers of entries), ``filterby``, ``project_id``, ``awork_task_id``.
    DAGs find it in the ``extra`` of the asset event, as ``payload``. Deleted entries, and entries that no longer match
    ``filterby``, leave no trace in awork.

    The position is kept in Airflow's asset store (3.3+), so a restart of the triggerer misses nothing; an event that
    was reported right before may come a second time, with the same ``event_id``. On Airflow 3.1 and 3.2 it is kept in
    memory: changes between the last poll before a restart and the first one after it are reported only if
    ``initial_watermark`` is given; then each restart reports everything since then.

    Watchers with the same connection, entries, interval and lookback share one poll (3.3+).

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression, or a condition made with ``airflow_provider_awork.client.filters``; None for all
        entries.
    :param project_id: only entries of this project (GUID).
    :param awork_task_id: only entries of this awork task (GUID).
    :param poke_interval: seconds between two polls, or a ``timedelta``; more than 0.
    :param lookback: seconds, or a ``timedelta``, before the watermark that are read again, for changes that become
        visible late.
    :param initial_watermark: ISO text of an instant with time zone; the first start reports all changes after it. None
        reports the changes from the first start on.
    :param awork_conn_id: Airflow connection of type ``awork``.

    .. code-block:: python

        from airflow.sdk import Asset, AssetWatcher

        changes = AworkTimeEntriesEventTrigger(filterby="isBillable eq true", poke_interval=60)
        billable = Asset("awork_billable", watchers=[AssetWatcher(name="awork_billable", trigger=changes)])
    """

    def __init__(
        self,
        *,
        filterby: str | Condition | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        poke_interval: float | timedelta = 60.0,
        lookback: float | timedelta = 120.0,
        initial_watermark: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.filterby = filter_text(filterby)
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.poke_interval = seconds_of(poke_interval)
        self.lookback = seconds_of(lookback)
        self.initial_watermark = initial_watermark
        self.awork_conn_id = awork_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Check the parameters and serialize them. Airflow calls this when it reads the DAG.

        :raises AworkConfigError: a parameter cannot work.
        """
        refuse_blank_parameters(self, *SELECTION)
        checked_interval(self.poke_interval)
        if self.lookback < 0:
            raise AworkConfigError(f"lookback: {self.lookback!r} is less than 0 seconds")
        self._initial_watermark()
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **self._watched.to_dict(),
                "poke_interval": self.poke_interval,
                "lookback": self.lookback,
                "initial_watermark": self.initial_watermark,
                "awork_conn_id": self.awork_conn_id,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Identify the poll that watchers share (Airflow 3.3+)."""
        return ("awork-time-entries", self.awork_conn_id, self._watched, self.poke_interval, self.lookback)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Snapshot, None]:
        """Poll without end: each poll reads from the newest change before it, less the lookback."""
        watcher = cls(**kwargs)
        # The triggerer's clock may differ from awork's, so this is only used if awork does not answer.
        start = instant_text(datetime.now(UTC) - watcher._lookback)
        newest: str | None = None
        errors = 0
        async with Poller(watcher.awork_conn_id) as poller:
            while True:
                snapshot = None
                try:
                    if newest is None:
                        newest = await poller.ask(watcher._watched.read_newest)
                        if errors:  # there may have been changes since the start
                            newest = min(newest, start)
                        await poller.ask(_check_assumptions)
                    else:
                        snapshot, newest = await poller.ask(partial(watcher._read_snapshot, newest))
                    errors = 0
                except Exception as error:  # noqa: BLE001 - nothing ends a watcher
                    errors += 1
                    watcher._log_error(errors, error)
                    # Read the connection again: it may be corrected without a restart of the triggerer. A pause that
                    # awork asked for belongs to the session, so that one is kept.
                    if not isinstance(error, AworkRateLimitError):
                        poller.forget_connection()
                if snapshot:
                    yield snapshot
                await asyncio.sleep(wait_after(errors, interval=watcher.poke_interval))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Report the changes that are fresh for this watcher.

        The position is saved with an event before the event is sent, and without it once Airflow has surely kept it.
        """
        store = PositionStore(self, self._state_key)
        start = position = None
        sent: dict[str, float] = {}
        errors = 0
        async with Poller(self.awork_conn_id) as poller:
            async for snapshot in shared_stream:
                start = start or WatcherPosition(at=self._initial_watermark() or snapshot.newest)
                try:
                    position = position or await store.load()
                    advanced = await self._advanced(position or start, snapshot, poller, kept=_kept(sent))
                    if advanced is not position:
                        await store.save(advanced)
                        self._warn_of_hidden_entries(position, snapshot.identity)
                        position = advanced
                except Exception as error:  # noqa: BLE001 - nothing ends a watcher
                    errors += 1
                    self._log_error(errors, error)
                    await asyncio.sleep(wait_after(errors, interval=self.poke_interval))
                    continue
                errors = 0
                events = {event["event_id"]: event for event in position.events}
                sent = {event_id: at for event_id, at in sent.items() if event_id in events}
                event = next((event for event_id, event in events.items() if event_id not in sent), None)
                if event and self._may_send(sent):
                    self.log.info("%d time entries changed: %s", event["changed"], event)
                    yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's
                    sent[event["event_id"]] = time.monotonic()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Both halves, for this watcher alone, where Airflow does not share streams."""
        _, kwargs = self.serialize()
        async with aclosing(self.open_shared_stream(kwargs)) as stream:
            async for event in self.filter_shared_stream(stream):
                yield event

    def _may_send(self, sent: Mapping[str, float]) -> bool:
        """
        Whether the run of the last event has surely started.

        Airflow starts a run with the asset's events up to the one that asked for it. Events before that start would
        wait for the next one.
        """
        spacing = min(self.poke_interval, EVENT_SPACING)
        return time.monotonic() - max(sent.values(), default=-spacing) >= spacing

    async def _advanced(
        self, position: WatcherPosition, snapshot: Snapshot, poller: Poller, *, kept: Collection[str]
    ) -> WatcherPosition:
        """Return the position after a poll; changes before the poll's are read by a request of this watcher."""
        since = position.lookback_start(self._lookback)
        changes = snapshot.changes
        if since < snapshot.since:
            self.log.info("Catching up from %s", since or "the first entry")
            changes = await poller.ask(partial(self._watched.read_changes, since))
        position = position.without_events(kept)
        if position.visibility != snapshot.identity.visibility:
            position = replace(position, visibility=snapshot.identity.visibility)
        return await asyncio.to_thread(
            position.advanced, changes, lookback=self._lookback, watched=self._watched.to_dict()
        )

    def _warn_of_hidden_entries(self, position: WatcherPosition | None, identity: Identity) -> None:
        """Warn if the position does not show yet that the key sees only its own entries."""
        warning = identity.warn_of_hidden_entries("changes of theirs are not reported")
        if warning and (position is None or position.visibility != identity.visibility):
            self.log.warning("%s", warning)

    @property
    def _watched(self) -> WatchedEntries:
        return WatchedEntries(
            filterby=self.filterby,
            project_id=self.project_id,
            awork_task_id=self.awork_task_id,
        )

    @property
    def _state_key(self) -> str:
        return f"awork_time_entries_{digest({**self._watched.to_dict(), 'awork_conn_id': self.awork_conn_id})}"

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

    def _read_snapshot(self, newest: str, hook: AworkHook) -> tuple[Snapshot, str]:
        """Read the changes, and the instant of the newest change that is known now."""
        since = lookback_start(newest, self._lookback)
        changes = self._watched.read_changes(since, hook)
        identity = hook.client.access.identity_within(PERMISSIONS_HOLD_SECONDS)
        snapshot = Snapshot(since=since, changes=changes, newest=newest, identity=identity)
        return snapshot, max(newest, newest_of(changes))

    def _log_error(self, errors: int, error: Exception) -> None:
        if is_transient(error):
            self.log.warning("Error %d in a row, asking again: %s", errors, error)
        elif isinstance(error, AworkError):
            self.log.error("No changes are reported until this is corrected (error %d in a row): %s", errors, error)
        else:
            self.log.error("Error %d in a row, asking again", errors, exc_info=error)


def _check_assumptions(hook: AworkHook) -> None:
    """Report at the start what would otherwise show late or not at all."""
    _ = hook.identity
    hook.client.check_literals(field="updatedOn")


def _kept(sent: Mapping[str, float]) -> set[str]:
    """Ids of events that were sent long enough ago for Airflow to have stored them."""
    return {event_id for event_id, at in sent.items() if time.monotonic() - at > SURELY_KEPT}
