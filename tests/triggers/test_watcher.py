"""The watcher's trigger against a local awork, and with Airflow's own store and shared streams where it has them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.changes import read_changes
from airflow_provider_awork.client.lists.conditions import field
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.faults import Answer, RuleRequest, at
from airflow_provider_awork.sandbox.store import Store
from airflow_provider_awork.triggers import time_entries
from airflow_provider_awork.triggers.position import WatcherPosition, newest_of
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger
from airflow_provider_awork.version_compat import asset_state_stores
from tests.helpers.airflow_harness import connection_in_environment, prepare_airflow, run_dag
from tests.triggers.running import cancelled, nothing_is_held, payloads, restored, supervisor

needs_asset_store = pytest.mark.skipif(
    not hasattr(BaseEventTrigger, "shared_stream_key"), reason="Airflow keeps state for assets from 3.3 on"
)
needs_shared_streams = pytest.mark.skipif(
    not hasattr(BaseEventTrigger, "shared_stream_key"), reason="Airflow shares streams from 3.3 on"
)


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=10, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox
    assert nothing_is_held()


def watcher(**parameters: Any) -> AworkTimeEntriesEventTrigger:
    return AworkTimeEntriesEventTrigger(**{"poke_interval": 0.05, **parameters})


def events_after(awork: Sandbox, *changes: Callable[[], Any], **parameters: Any) -> list[Any]:
    """The events of a watcher that runs while things change, each at once and after two polls that found the last."""

    async def change() -> list[Any]:
        watching = asyncio.create_task(payloads(watcher(**parameters).run(), number=len(changes)))
        for make in changes:
            await polls(awork, 3)
            with awork.store.transaction():
                make()
        return await watching

    return asyncio.run(change())


async def polls(awork: Sandbox, number: int) -> None:
    """Wait for so many more answers."""
    until = answered(awork) + number
    while answered(awork) < until:
        await asyncio.sleep(0.01)


def answered(awork: Sandbox) -> int:
    """Answers to polls, without those to what is asked at the start."""
    polled = [request for request in awork.requests if request.query.get("pageSize") == "1000"]
    return sum(request.ended is not None for request in polled)


def test_it_tells_what_was_created_and_updated(awork: Sandbox) -> None:
    ids = awork.store.ids()
    entry = awork.make_entry(started_at=datetime.now(UTC) - timedelta(hours=1))
    created, updated = events_after(
        awork, lambda: awork.store.add(entry), lambda: [awork.store.edit(each, note="x") for each in ids[:3]]
    )
    newest = max(each["updatedOn"] for each in awork.store.entries())
    assert created["watermark"] == entry["updatedOn"]
    assert (created["changed"], created["created"], created["filterby"]) == (1, 1, None)
    assert (updated["changed"], updated["created"]) == (3, 0)
    assert (updated["since"], updated["watermark"]) == (created["watermark"], newest)
    assert set(created) == {
        *("event_id", "changed", "created", "since", "watermark", "filterby", "project_id", "awork_task_id")
    }


def test_a_poll_is_one_request(awork: Sandbox) -> None:
    asyncio.run(watch_for(awork, 3))
    start = [(request.path, request.query.get("pageSize")) for request in awork.requests]
    entries = "/timeentries"
    assert start[:5] == [(entries, "1"), ("/me", None), ("/me/permissions", None), (entries, "1"), (entries, "1")]
    assert start[5:8] == [(entries, "1000")] * 3


async def watch_for(awork: Sandbox, requests: int) -> None:
    watching = asyncio.create_task(payloads(watcher().run()))
    await polls(awork, requests)
    await cancelled(watching)


def test_only_what_matches(awork: Sandbox) -> None:
    billed, open_ = (awork.store.ids(lambda entry, is_=is_: entry["isBilled"] is is_) for is_ in (True, False))
    (event,) = events_after(
        awork,
        lambda: [awork.store.edit(each, note="x") for each in (billed[0], *open_[:2])],
        filterby=field("isBilled").is_(False),
    )
    assert (event["changed"], event["filterby"]) == (2, "isBilled eq false")


def test_more_changes_than_a_page(awork: Sandbox) -> None:
    awork.settings.max_page_size = 4
    ids = awork.store.ids()
    (event,) = events_after(awork, lambda: [awork.store.edit(each, note="x") for each in ids])
    assert event["changed"] == len(ids)


@pytest.mark.parametrize("page_size_header", [True, False])
@pytest.mark.parametrize("total_header", [True, False])
def test_pages_that_awork_caps_are_read_to_the_end(awork: Sandbox, total_header: bool, page_size_header: bool) -> None:
    awork.settings.max_page_size = 5
    awork.settings.total_header, awork.settings.page_size_header = total_header, page_size_header
    with closing(AworkHook()) as hook:
        for since in ("", "2000-01-01T00:00:00"):
            assert len(read_changes(hook.client, "timeentries", filterby=None, since=since)) == 10


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_literals_that_awork_reads_in_another_zone_lose_no_change(
    awork: Sandbox, zone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    awork.settings.literal_timezone = zone

    async def mend() -> list[Any]:
        with connection_in_environment(awork.url, awork.token, conn_id="zone"):
            watching = asyncio.create_task(payloads(watcher(awork_conn_id="zone").run()))
            for refused in range(3):
                while len(awork.requests) < 6 + 5 * refused:
                    await asyncio.sleep(0.01)
                awork.store.add(awork.make_entry())
            assert not watching.done()
        with connection_in_environment(awork.url, awork.token, conn_id="zone", literal_timezone=zone):
            return await watching

    (event,) = asyncio.run(mend())
    assert (event["changed"], event["created"]) == (3, 3)
    said = capsys.readouterr().out
    assert said.count("Set the connection extra literal_timezone to its zone") >= 2
    assert "[error" in said


HIDDEN = "may not see other people's time entries in 'Studio Größenwahn': changes of theirs are not reported"


def test_a_key_that_sees_only_its_own_entries_is_warned_of(awork: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    awork.settings.missing_permissions = True
    asyncio.run(watch_for(awork, 4))
    assert capsys.readouterr().out.count(HIDDEN) == 1


def test_a_role_that_loses_permissions_while_it_watches_is_warned_of(
    awork: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error the connection is read again, which is no reason to warn again."""
    monkeypatch.setattr(time_entries, "PERMISSIONS_HOLD_SECONDS", 0.0)

    async def watch() -> None:
        watching = asyncio.create_task(payloads(watcher().run()))
        await polls(awork, 2)
        assert HIDDEN not in capsys.readouterr().out
        awork.settings.missing_permissions = True
        await polls(awork, 3)
        awork.faults.add(at(len([each for each in awork.requests if each.path == "/timeentries"]) + 2, Answer(403)))
        await polls(awork, 6)
        await cancelled(watching)

    asyncio.run(watch())
    assert capsys.readouterr().out.count(HIDDEN) == 1


def test_a_store_that_cannot_be_read_is_warned_of(awork: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    trigger = watcher()
    trigger.asset_state_store = object()  # type: ignore[assignment]
    assert asset_state_stores(trigger) == []
    (record,) = (record for record in caplog.records if record.name == asset_state_stores.__module__)
    assert (record.levelname, "cannot read" in record.getMessage()) == ("WARNING", True)


def test_ties_and_late_commits_are_told_apart(awork: Sandbox) -> None:
    newest = max(entry["updatedOn"] for entry in awork.store.entries())
    before = format(datetime.fromisoformat(newest[:19]) - timedelta(seconds=60), "%Y-%m-%dT%H:%M:%SZ")
    tie, late = awork.make_entry(updatedOn=newest), awork.make_entry(updatedOn=before)
    events = events_after(awork, lambda: awork.store.add(tie), lambda: awork.store.add(late))
    assert [event["changed"] for event in events] == [1, 1]
    assert [event["watermark"] for event in events] == [newest] * 2
    assert len({event["event_id"] for event in events}) == 2


def test_an_empty_workspace_that_fills(awork: Sandbox) -> None:
    awork.store.delete(awork.store.ids())
    entry = awork.make_entry()
    (event,) = events_after(awork, lambda: awork.store.add(entry))
    assert (event["changed"], event["created"], event["since"]) == (1, 1, "")


def test_an_initial_watermark_tells_of_the_past(awork: Sandbox) -> None:
    instants = sorted(instant_key(entry["updatedOn"]) for entry in awork.store.entries())
    initial = instants[3][:19]
    (event,) = asyncio.run(payloads(watcher(initial_watermark=f"{initial}+00:00").run()))
    assert event["changed"] == sum(instant > f"{initial}.0000000" for instant in instants)
    assert event["watermark"] == f"{instants[-1]}Z"


FAULTS = [Answer(429, headers={"ratelimit-reset": "0"}), Answer(500), Answer(401), Answer(400)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.status))
def test_errors_neither_end_it_nor_hammer(
    awork: Sandbox, fault: Answer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []
    wait_after = time_entries.wait_after

    def recorded(errors: int, *, interval: float) -> float:
        waits.append(errors)
        return wait_after(errors, interval=interval)

    monkeypatch.setattr(time_entries, "wait_after", recorded)
    awork.faults.add(lambda request, _: fault if 7 <= (request.number or 0) <= 10 else None)
    entry_id = awork.store.ids()[0]
    (event,) = events_after(awork, lambda: awork.store.edit(entry_id, note="x"))
    assert event["changed"] == 1
    assert [errors for errors in waits if errors][:4] == [1, 2, 3, 4]
    assert "rror 4 in a row" in capsys.readouterr().out


def test_a_host_that_is_down_and_a_connection_that_is_missing_do_not_end_it(awork: Sandbox) -> None:
    async def go_on() -> list[Any]:
        watching = asyncio.create_task(payloads(watcher(awork_conn_id="later").run()))
        await asyncio.sleep(0.3)
        with connection_in_environment("http://127.0.0.1:1/api/v1", "key", conn_id="later"):
            await asyncio.sleep(0.3)
        with connection_in_environment(awork.url, "wrong", conn_id="later"):
            while not awork.requests:
                await asyncio.sleep(0.01)
            awork.store.edit(awork.store.ids()[0], note="before awork has answered once")
        with connection_in_environment(awork.url, awork.token, conn_id="later"):
            return await watching

    (event,) = asyncio.run(go_on())
    assert event["changed"] == 1


def test_what_grows_with_the_changes_is_not_done_on_the_event_loop(awork: Sandbox) -> None:
    called = set()
    sys.setprofile(lambda frame, _, __: called.add(frame.f_code.co_qualname))
    try:
        events_after(awork, lambda: awork.store.edit(awork.store.ids()[0], note="x"))
    finally:
        sys.setprofile(None)
    growing = (read_changes, newest_of, WatcherPosition.advanced, WatcherPosition.to_json, WatcherPosition.from_json)
    assert AworkTimeEntriesEventTrigger.filter_shared_stream.__qualname__ in called
    assert not called & {function.__qualname__ for function in growing}


def test_it_is_the_same_after_a_journey_through_the_database() -> None:
    original = watcher(filterby=field("isBilled").is_(False), initial_watermark="2026-11-01T00:00:00+00:00")
    _, kwargs = original.serialize()
    assert type(kwargs["filterby"]) is str
    assert restored(original).serialize() == original.serialize()
    assert BaseEventTrigger.hash("x", kwargs) == BaseEventTrigger.hash("x", restored(original).serialize()[1])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"poke_interval": 0}, "poke_interval"),
        ({"lookback": -1}, "lookback"),
        ({"initial_watermark": "2026-11-01"}, "initial_watermark"),
        ({"initial_watermark": "yesterday"}, "initial_watermark"),
    ],
)
def test_bad_parameters_show_when_the_dag_is_read(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(AworkConfigError, match=said):
        watcher(**parameters).serialize()


# -- with what Airflow 3.3 has ------------------------------------------------------------------------------------


def watched_asset(name: str) -> Asset:
    """An asset that Airflow knows."""
    asset = Asset(name, uri=f"awork://{name}.awork.com/timeentries")
    with DAG(f"watch_{name}", schedule=[asset], start_date=pendulum.datetime(2026, 1, 1)) as dag:
        from airflow.providers.standard.operators.empty import EmptyOperator

        EmptyOperator(task_id="nothing", outlets=[asset])
    run_dag(dag)
    return asset


def with_store(trigger: AworkTimeEntriesEventTrigger, *assets: Asset) -> AworkTimeEntriesEventTrigger:
    """The trigger with the store that the triggerer gives it."""
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    trigger = restored(trigger)
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=list(assets))
    return trigger


@needs_asset_store
def test_a_restart_misses_nothing(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_entries, "SURELY_KEPT", 0.0)
    asset = watched_asset("restarted")
    ids = awork.store.ids()

    async def die_and_go_on() -> list[Any]:
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run()))
        await polls(awork, 3)
        awork.store.edit(ids[0], note="x")
        first = await watching
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run(), number=2))
        await polls(awork, 4)
        await cancelled(watching)
        awork.store.edit(ids[1], note="while it is down")
        awork.store.edit(ids[2], note="while it is down")
        return first + await payloads(with_store(watcher(), asset).run())

    with supervisor():
        first, second = asyncio.run(die_and_go_on())
    assert (first["changed"], second["changed"]) == (1, 2)
    assert second["since"] == first["watermark"]


@needs_asset_store
def test_hidden_entries_are_in_the_state_and_warned_of_once(awork: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    awork.settings.missing_permissions = True
    asset = watched_asset("hidden")

    async def restart() -> None:
        for warnings in (1, 0):
            trigger = with_store(watcher(), asset)
            watching = asyncio.create_task(payloads(trigger.run()))
            await polls(awork, 4)
            await cancelled(watching)
            (store,) = asset_state_stores(trigger)
            stored = await asyncio.to_thread(store.get, trigger._state_key)
            assert stored["visibility"] == {"sees_all_entries": False, "user_id": awork.me}
            assert capsys.readouterr().out.count(HIDDEN) == warnings

    with supervisor():
        asyncio.run(restart())


@needs_asset_store
def test_after_a_crash_right_after_telling_the_same_event_comes_once_more(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_entries, "SURELY_KEPT", 3600.0)
    asset = watched_asset("crashed")
    ids = awork.store.ids()

    async def crash_and_go_on() -> list[Any]:
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run()))
        await polls(awork, 3)
        awork.store.edit(ids[0], note="x")
        told = await watching
        awork.store.edit(ids[1], note="while it is down")
        told += await payloads(with_store(watcher(), asset).run(), number=2)
        monkeypatch.setattr(time_entries, "SURELY_KEPT", 0.0)
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run(), number=10))
        await polls(awork, 6)
        await cancelled(watching)
        awork.store.edit(ids[2], note="x")
        return told + await payloads(with_store(watcher(), asset).run())

    with supervisor():
        first, again, second, third = asyncio.run(crash_and_go_on())
    assert first == again
    assert (second["changed"], second["since"]) == (1, first["watermark"])
    assert (third["changed"], third["since"]) == (1, second["watermark"])


@needs_asset_store
def test_events_of_before_a_crash_come_one_a_poll(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_entries, "SURELY_KEPT", 3600.0)
    asset = watched_asset("spaced")
    ids = awork.store.ids()

    async def crash_and_go_on() -> tuple[list[Any], list[Any], int]:
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run(), number=2))
        await polls(awork, 3)
        awork.store.edit(ids[0], note="x")
        await polls(awork, 3)
        awork.store.edit(ids[1], note="x")
        told = await watching
        async with aclosing(with_store(watcher(), asset).run()) as stream:
            again = [(await anext(stream)).payload]
            requests = len(awork.requests)
            again.append((await anext(stream)).payload)
            return told, again, len(awork.requests) - requests

    with supervisor():
        told, again, requests_between = asyncio.run(crash_and_go_on())
    assert again == told
    assert requests_between > 0


def failing(monkeypatch: pytest.MonkeyPatch, trigger: AworkTimeEntriesEventTrigger, method: str) -> list[Exception]:
    """A list: calls of the store's method raise what is put into it, one after another."""
    errors: list[Exception] = []
    (store,) = asset_state_stores(trigger)
    call = getattr(type(store), method)

    def call_or_fail(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return call(*args)

    monkeypatch.setattr(type(store), method, call_or_fail)
    return errors


AWAY = [RuntimeError("the database is away")] * 2


@needs_asset_store
def test_a_store_that_fails_delays_the_event_but_does_not_lose_it(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = watched_asset("unsaved")

    async def go_on() -> list[Any]:
        trigger = with_store(watcher(), asset)
        errors = failing(monkeypatch, trigger, "set")
        watching = asyncio.create_task(payloads(trigger.run()))
        await polls(awork, 3)
        errors += AWAY
        awork.store.edit(awork.store.ids()[0], note="x")
        told = await watching
        assert not errors
        return told

    with supervisor():
        (event,) = asyncio.run(go_on())
    assert event["changed"] == 1


@needs_asset_store
@pytest.mark.parametrize("method", ["get", "set"])
def test_a_store_that_fails_at_the_start_loses_no_change_either(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    asset = watched_asset(f"unstarted_{method}")
    newest = max(entry["updatedOn"] for entry in awork.store.entries())
    edits = iter(awork.store.ids()[:1])

    def edit_before_the_first_poll(request: RuleRequest, store: Store) -> None:
        if request.query.get("pageSize") == "1000":
            for entry_id in edits:
                store.edit(entry_id, note="x")

    awork.faults.add(edit_before_the_first_poll)
    with supervisor():
        trigger = with_store(watcher(), asset)
        errors = failing(monkeypatch, trigger, method)
        errors += AWAY
        (event,) = asyncio.run(payloads(trigger.run()))
    assert not errors
    assert (event["changed"], event["since"]) == (1, newest)


@needs_asset_store
def test_watchers_of_two_workspaces_keep_their_own_watermarks(awork: Sandbox) -> None:
    asset = watched_asset("two_workspaces")

    def stamped(sandbox: Sandbox, hours: int) -> dict[str, Any]:
        instant = datetime.now(UTC) + timedelta(hours=hours)
        return sandbox.make_entry(updatedOn=f"{instant:%Y-%m-%dT%H:%M:%SZ}")

    async def watch_in_turn(other: Sandbox) -> list[Any]:
        watching = asyncio.create_task(payloads(with_store(watcher(awork_conn_id="other"), asset).run()))
        await polls(other, 3)
        await cancelled(watching)
        other.store.add(stamped(other, 0), stamped(other, 2))
        watching = asyncio.create_task(payloads(with_store(watcher(), asset).run()))
        await polls(awork, 3)
        awork.store.add(stamped(awork, 1))
        return await watching + await payloads(with_store(watcher(awork_conn_id="other"), asset).run())

    with Sandbox(entries=10, seed=6) as other, connection_in_environment(other.url, other.token, conn_id="other"):
        newest = max(entry["updatedOn"] for entry in other.store.entries())
        with supervisor():
            mine, others = asyncio.run(watch_in_turn(other))
    assert (mine["changed"], others["changed"], others["since"]) == (1, 2, newest)


@needs_shared_streams
def test_two_watchers_share_one_poll(awork: Sandbox) -> None:
    from airflow.triggers.shared_stream import SharedStreamManager

    prepare_airflow()
    assets = [watched_asset("shared_one"), watched_asset("shared_two")]

    async def watch(manager: SharedStreamManager, number: int) -> list[Any]:
        # They differ in what does not matter for the poll.
        initial = None if number else "2099-01-01T00:00:00+00:00"
        trigger = with_store(watcher(initial_watermark=initial), assets[number])
        key = trigger.shared_stream_key()
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            return await payloads(trigger.filter_shared_stream(stream), number=1)
        finally:
            await manager.unsubscribe(number, key)

    async def watch_both() -> list[list[Any]]:
        manager = SharedStreamManager()
        both = asyncio.gather(*(watch(manager, number) for number in range(2)))
        await polls(awork, 4)
        with awork.store.transaction():
            awork.store.edit(awork.store.ids()[0], note="x")
            awork.store.add(awork.make_entry(updatedOn="2099-01-01T00:00:01Z"))
        return list(await both)

    with supervisor():
        (one,), (two,) = asyncio.run(watch_both())
    assert (one["changed"], two["changed"]) == (1, 2)
    # Each stream begins with one request of one row.
    assert [request.query.get("pageSize") for request in awork.requests].count("1") == 1 + 2  # two prove the zone


@needs_asset_store
def test_one_trigger_of_two_assets_keeps_its_watermark(awork: Sandbox) -> None:
    assets = [watched_asset("both_one"), watched_asset("both_two")]

    async def die_and_go_on() -> list[Any]:
        watching = asyncio.create_task(payloads(with_store(watcher(), *assets).run()))
        await polls(awork, 3)
        await cancelled(watching)
        awork.store.edit(awork.store.ids()[0], note="while it is down")
        return await payloads(with_store(watcher(), *assets).run())

    with supervisor():
        (event,) = asyncio.run(die_and_go_on())
    assert event["changed"] == 1


def test_airflow_takes_it_as_a_watcher() -> None:
    asset = Asset("awork_changes", watchers=[AssetWatcher(name="awork", trigger=watcher())])
    with DAG("watching", schedule=[asset], start_date=pendulum.datetime(2026, 1, 1)) as dag:
        from airflow.providers.standard.operators.empty import EmptyOperator

        EmptyOperator(task_id="nothing")
    assert run_dag(dag).state == "success"
