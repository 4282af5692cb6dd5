"""The trigger of deferred sensors against a local awork."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.faults import Answer, Delay, Fault, Rule, RuleRequest, Stall, every, first
from airflow_provider_awork.sandbox.store import Store
from airflow_provider_awork.triggers.poller import MOST_THREADS, Poller
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger, AworkTimeEntriesTrigger
from tests.helpers.airflow_harness import connection_in_environment
from tests.triggers.running import cancelled, nothing_is_held, paused, payloads, restored


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=10, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox
    assert nothing_is_held()


def trigger(**parameters: Any) -> AworkTimeEntriesTrigger:
    return AworkTimeEntriesTrigger(**{"poke_interval": 0.05, "min_count": 11, **parameters})


def test_durations_are_seconds_or_timedeltas() -> None:
    written = {"poke_interval": timedelta(minutes=2), "lookback": pendulum.duration(seconds=90)}
    watcher = AworkTimeEntriesEventTrigger(**written).serialize()[1]
    assert (watcher["poke_interval"], watcher["lookback"]) == (120.0, 90.0)
    assert trigger(poke_interval=timedelta(seconds=5)).serialize()[1]["poke_interval"] == 5.0


def test_it_is_the_same_after_a_journey_through_the_database(awork: Sandbox) -> None:
    parameters = {
        "filterby": "isBilled eq false",
        "window_field": "startDateLocal",
        "window_start": "2026-11-01",
        "window_end": "2026-12-01",
        "timezone": "Europe/Berlin",
        "project_id": "5a6d7b2e-0c7f-4e0b-9f65-3b1c1a2d3e4f",
        "awork_task_id": None,
        "min_count": 0,
        "max_count": 3,
        "poke_interval": 30.5,
        "tolerated_errors": None,
        "errors": 2,
        "deadline": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "awork_conn_id": "other",
    }
    original = AworkTimeEntriesTrigger(**parameters)
    _, kwargs = original.serialize()
    assert kwargs == parameters
    assert restored(original).serialize() == original.serialize()
    assert awork.token not in repr(original)


def test_it_waits_before_the_first_request_so_restarts_add_none(awork: Sandbox) -> None:
    async def restart() -> None:
        for _ in range(3):
            waiting = asyncio.create_task(payloads(restored(trigger(poke_interval=60)).run()))
            await asyncio.wait([waiting], timeout=0.2)
            await cancelled(waiting)

    asyncio.run(restart())
    assert awork.requests == []


def test_after_a_restart_it_goes_on(awork: Sandbox) -> None:
    waiting = trigger(deadline=datetime.now(UTC) + timedelta(minutes=5))

    async def die_and_go_on() -> list[Any]:
        task = asyncio.create_task(payloads(waiting.run()))
        while len(awork.requests) < 2:
            await asyncio.sleep(0.01)
        await cancelled(task)
        assert nothing_is_held()
        awork.store.add(awork.make_entry())
        return await payloads(restored(waiting).run())

    assert asyncio.run(die_and_go_on()) == [{"status": "success", "count": 11}]


def test_a_deadline_that_passed_while_the_triggerer_was_down(awork: Sandbox) -> None:
    late = restored(trigger(deadline=datetime.now(UTC) - timedelta(seconds=1)))
    assert asyncio.run(payloads(late.run())) == [{"status": "timeout", "count": None}]
    assert awork.requests == []


def test_errors_before_the_start_count(awork: Sandbox) -> None:
    awork.faults.add(every(1, Answer(500)))
    (event,) = asyncio.run(payloads(trigger(tolerated_errors=3, errors=2).run()))
    assert (event["status"], event["permanent"], len(awork.requests)) == ("error", False, 2)
    assert "500" in event["message"]


def test_any_number_of_errors_may_be_tolerated(awork: Sandbox) -> None:
    awork.faults.add(first(4, Answer(500)))
    (event,) = asyncio.run(payloads(trigger(tolerated_errors=None, min_count=1, poke_interval=0.01).run()))
    assert (event["status"], len(awork.requests)) == ("success", 5)


def test_a_missing_connection_fails_it() -> None:
    (event,) = asyncio.run(payloads(trigger(awork_conn_id="nowhere").run()))
    assert (event["status"], event["permanent"]) == ("error", True)
    assert "Airflow has no connection 'nowhere'" in event["message"]
    assert nothing_is_held()


def test_a_key_that_is_replaced_is_read_again(awork: Sandbox) -> None:
    """As access tokens are: the connection has another one by the time that awork refuses the first."""
    with ExitStack() as old:
        old.enter_context(connection_in_environment(awork.url, awork.token, requests_per_minute=500))

        def replace(request: RuleRequest, _: Store) -> Fault | None:
            old.close()
            return Answer(401) if request.number == 1 else None

        awork.faults.add(replace)
        assert asyncio.run(payloads(trigger(min_count=1).run())) == [{"status": "success", "count": 10}]
    assert [request.status for request in awork.requests] == [401, 200]


def test_many_triggers_share_one_session_and_few_threads(awork: Sandbox) -> None:
    awork.faults.add(every(1, Delay(0.05)))
    before, threads = set(threading.enumerate()), set()

    async def run_all() -> list[list[Any]]:
        async with Poller("awork_default") as keeper:  # it keeps the session while others come and go
            await keeper.ask(lambda _: None)
            tasks = [asyncio.create_task(payloads(trigger(min_count=10, max_count=10).run())) for _ in range(40)]
            while not all(task.done() for task in tasks):
                threads.update(thread for thread in threading.enumerate() if thread.name.startswith("awork-awork"))
                await asyncio.sleep(0.01)
            return [task.result() for task in tasks]

    assert asyncio.run(run_all()) == [[{"status": "success", "count": 10}]] * 40
    assert len(awork.requests) == 40
    assert 0 < len(threads - before) <= MOST_THREADS


def test_triggers_with_other_keys_do_not_share(awork: Sandbox) -> None:
    async def ask_both() -> list[Any]:
        with connection_in_environment(awork.url, "wrong", conn_id="other"):
            mine, others = trigger(min_count=1), trigger(min_count=1, awork_conn_id="other")
            return await asyncio.gather(payloads(mine.run()), payloads(others.run()))

    (mine,), (others,) = asyncio.run(ask_both())
    assert (mine["status"], others["status"]) == ("success", "error")


def of_each_kind(fault: Fault, seen: set[tuple[str, bool]]) -> Rule:
    """A rule: the fault on the first request for a list of each kind that was not seen yet."""

    def rule(request: RuleRequest, _: Store) -> Fault | None:
        kind = (request.query.get("pageSize", ""), "filterby" in request.query)
        if request.number is None or kind in seen:
            return None
        seen.add(kind)
        return fault

    return rule


@pytest.mark.parametrize(
    ("waiting", "kinds_of_requests"),
    [
        (trigger(min_count=1), 1),
        (AworkTimeEntriesEventTrigger(poke_interval=0.05, initial_watermark="2020-01-01T00:00:00Z"), 3),
    ],
    ids=["deferred", "watcher"],
)
def test_nothing_blocks_the_event_loop(
    awork: Sandbox, caplog: pytest.LogCaptureFixture, waiting: BaseTrigger, kinds_of_requests: int
) -> None:
    """
    asyncio's debug mode names what runs longer than two seconds; an answer takes longer still.

    Airflow warns after 0.2 seconds, but on a machine with more tests than cores anything may take that long.
    """
    slow: set[tuple[str, bool]] = set()
    awork.faults.add(of_each_kind(Delay(3.0), slow))

    async def watched() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 2.0
        return await payloads(waiting.run())

    with caplog.at_level(logging.WARNING, logger="asyncio"):
        assert len(asyncio.run(watched(), debug=True)) == 1
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    assert len(slow) == kinds_of_requests


def test_cancelling_does_not_wait_for_an_answer(awork: Sandbox) -> None:
    awork.faults.add(every(1, Stall(60)))

    async def cancel() -> bool:
        task = asyncio.create_task(payloads(trigger().run()))
        while not awork.requests:
            await asyncio.sleep(0.01)
        await cancelled(task)
        return awork.requests[0].ended is None and nothing_is_held()

    assert asyncio.run(cancel())


def test_while_the_rate_limit_is_used_up_nobody_asks(awork: Sandbox) -> None:
    awork.faults.add(first(1, Answer(429, headers={"ratelimit-reset": "1"})))

    async def two() -> list[list[Any]]:
        one = asyncio.create_task(payloads(trigger(min_count=1).run()))
        while not (paused() or one.done()):
            await asyncio.sleep(0.01)
        return [await payloads(trigger(min_count=1).run()), await one]

    assert asyncio.run(two()) == [[{"status": "success", "count": 10}]] * 2
    refused, *others = awork.requests
    assert len(others) == 2
    assert min(request.started for request in others) - refused.started >= 1


IMPORTS_SCRIPT = """
import asyncio, json, sys, threading
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger, AworkTimeEntriesTrigger

on_the_loop = set()

def record(event, arguments):
    if event == "import" and threading.current_thread() is threading.main_thread():
        on_the_loop.add(arguments[0])

async def first(events):
    async for event in events:
        return event.payload

async def run():
    sys.addaudithook(record)
    await first(AworkTimeEntriesTrigger(poke_interval=0.1).run())
    await first(AworkTimeEntriesEventTrigger(poke_interval=0.1, initial_watermark="2020-01-01T00:00:00Z").run())

asyncio.run(run())
print(json.dumps([sorted(on_the_loop), "requests" in sys.modules]))
"""


def test_what_a_trigger_needs_is_not_imported_on_the_event_loop(awork: Sandbox) -> None:
    command = [sys.executable, "-c", IMPORTS_SCRIPT]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    imported, asked = json.loads(run.stdout.splitlines()[-1])
    assert asked
    heavy = {"airflow_provider_awork", "airflow", "requests", "urllib3", "tenacity", "msgspec"}
    assert [name for name in imported if name.partition(".")[0] in heavy] == []
