"""Runs triggers as the triggerer does, on an event loop of the test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_awork.triggers import poller

T = TypeVar("T", bound=BaseTrigger)


def restored(trigger: T) -> T:
    """The trigger as another triggerer makes it from Airflow's database."""
    classpath, kwargs = trigger.serialize()
    assert classpath == f"{type(trigger).__module__}.{type(trigger).__qualname__}"
    return type(trigger)(**Trigger._decrypt_kwargs(Trigger.encrypt_kwargs(kwargs)))


async def payloads(events: AsyncIterator[TriggerEvent], number: int = 1) -> list[Any]:
    """The payloads of the first events; then the trigger is cancelled, as when its task is gone."""
    found: list[Any] = []
    enough = asyncio.Event()

    async def collect() -> None:
        async for event in events:
            found.append(event.payload)
            if len(found) == number:
                enough.set()

    task = asyncio.create_task(collect())
    stop = asyncio.create_task(enough.wait())
    try:
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        await cancelled(task)
    return found


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel as the triggerer does; what the task failed with before is raised."""
    if task.done():
        task.result()
        return
    task.cancel()
    await asyncio.wait([task])


def nothing_is_held() -> bool:
    """Whether all triggers have given their sessions back."""
    return not poller._in_use


def paused() -> bool:
    """Whether a trigger waits for the rate limit."""
    return any(shared._hook.client.session.limiter.paused_for() > 0 for shared in poller._in_use.values())


@contextmanager
def supervisor() -> Iterator[None]:
    """Answer what triggers ask Airflow for, from the database of the tests (Airflow 3.3)."""
    import psutil
    import structlog
    from airflow.sdk.execution_time.supervisor import (
        InProcessSupervisorComms,
        InProcessTestSupervisor,
        set_supervisor_comms,
    )
    from uuid6 import uuid7

    answering = InProcessTestSupervisor(
        id=uuid7(),
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(logger_name="task").bind(),
        client=InProcessTestSupervisor._api_client(),
    )
    answering.comms = InProcessSupervisorComms(supervisor=answering)
    with set_supervisor_comms(answering.comms):
        yield
