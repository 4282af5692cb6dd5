"""Triggers on time entries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_awork.exceptions import AworkError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.polling import CountRange, checked_interval, is_transient, wait_after
from airflow_provider_awork.triggers.poller import Poller

# Triggers that start together, as after a restart of the triggerer, drift apart by up to this part of their interval.
DRIFT = 0.1


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
        super().__init__()  # type: ignore[no-untyped-call]
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
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def _wait(self, poller: Poller) -> dict[str, Any]:
        wanted = CountRange.of(min_count=self.min_count, max_count=self.max_count)
        checked_interval(self.poke_interval)
        errors = self.errors
        while await self._sleep(wait_after(errors, interval=self.poke_interval)):
            try:
                count = await poller.ask(self._count)
            except AworkError as error:
                errors += 1
                if not is_transient(error) or (self.tolerated_errors is not None and errors > self.tolerated_errors):
                    return {"status": "error", "permanent": not is_transient(error), "message": str(error)}
                self.log.warning("Error %d in a row, asking again: %s", errors, error)
                continue
            errors = 0
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
