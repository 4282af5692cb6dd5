"""
Windows on ``createdOn`` and ``updatedOn`` that late commits may still reach.

Waits move the local awork's clock and take no time. What they wait for is told over real HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS, RateLimiter
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkConfigError, AworkError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Headers, RuleRequest, Sandbox, Store
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.version_compat import AirflowFailException
from tests.helpers.runs import exported_ids, hook_for

HOUR = timedelta(hours=1)
LOOKBACK = timedelta(minutes=5)


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=40, seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def slept(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, in seconds; each moves awork's clock."""
    waits: list[float] = []

    def sleep(_: RateLimiter, seconds: float) -> None:
        waits.append(seconds)
        awork.settings.clock_offset += seconds

    monkeypatch.setattr(RateLimiter, "sleep", sleep)
    return waits


def clock(awork: Sandbox) -> datetime:
    return awork.settings.clock.replace(microsecond=0)


def create(awork: Sandbox, at: datetime) -> str:
    entry = awork.make_entry(started_at=at - HOUR, ended_at=at)
    stamp = f"{at:%Y-%m-%dT%H:%M:%S}.5000000Z"
    awork.store.add({**entry, "createdOn": stamp, "updatedOn": stamp})
    return str(entry["id"])


def commit_late(awork: Sandbox, at: datetime) -> list[str]:
    """Entries that awork stamped at an instant, and commits once the run has looked at the clock."""
    late: list[str] = []

    def commit(request: RuleRequest, _: Store) -> None:
        read = sum(each.path == "/me" for each in awork.requests)
        if request.path == "/me" and read == 2 and not late:
            late.extend(create(awork, at) for _ in range(5))

    awork.faults.add(commit)
    return late


def execute(operator: Any, hook: AworkHook) -> Any:
    operator.hook = hook
    instance = SimpleNamespace(dag_id="windows", run_id="manual", task_id="read", map_index=-1, try_number=1)
    return operator.execute(cast(Context, {"ti": instance, "outlet_events": OutletEventAccessors()}))


def export(awork: Sandbox, folder: Path, window: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """The manifest of an export."""
    operator = AworkTimeEntriesToObjectStorageOperator(
        task_id="read", destination=folder.as_uri(), **window, **parameters
    )
    summary = execute(operator, hook_for(awork))
    return cast("dict[str, Any]", json.loads(Path(summary["manifest"].removeprefix("file://")).read_text()))


def created(start: datetime, end: datetime) -> dict[str, Any]:
    return {"window_field": "createdOn", "window_start": start, "window_end": end}


def who_asked(awork: Sandbox) -> int:
    return sum(request.path == "/me" for request in awork.requests)


def test_late_commits_are_in_one_of_two_windows(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    end = clock(awork)
    early = create(awork, end - HOUR / 2)
    late = commit_late(awork, end - timedelta(seconds=10))
    assert export(awork, tmp_path / "first", created(end - HOUR, end))["open_window"] is False
    awork.settings.clock_offset += HOUR.total_seconds()
    export(awork, tmp_path / "second", created(end, end + HOUR))
    assert sorted(exported_ids(tmp_path / "first")) == sorted([early, *late])
    assert len(late) == 5
    assert exported_ids(tmp_path / "second") == []
    assert all(0 < seconds <= 300 for seconds in slept)


@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
def test_a_pull_into_xcom_waits(awork: Sandbox, slept: list[float], field: str) -> None:
    end = clock(awork)
    late = commit_late(awork, end - timedelta(seconds=10))
    window = {**created(end - HOUR, end), "window_field": field}
    entries = execute(AworkTimeEntriesOperator(task_id="read", **window), hook_for(awork))
    assert sorted(entry["id"] for entry in entries) == sorted(late)
    assert len(late) == 5
    assert 240 < sum(slept) <= 300


def test_an_incremental_load_of_an_explicit_window_waits(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    """awork's clock is behind the worker's: its window has not even ended."""
    awork.settings.clock_offset = -60
    end = datetime.now(UTC).replace(microsecond=0)
    late = commit_late(awork, end - timedelta(seconds=10))
    window = {"incremental": "updatedOn", "window_start": end - HOUR, "window_end": end}
    manifest = export(awork, tmp_path, window)
    assert manifest["rows"] == len(late) == 5
    assert 300 < sum(slept) <= 360


@pytest.mark.parametrize("incremental", [None, "updatedOn"])
def test_a_window_of_a_length_waits(
    awork: Sandbox, slept: list[float], tmp_path: Path, incremental: str | None
) -> None:
    field = None if incremental else "createdOn"
    start = clock(awork) - HOUR
    window = {"window_field": field, "incremental": incremental, "window_start": start, "window_length": "PT1H"}
    export(awork, tmp_path, window)
    assert 240 < sum(slept) <= 300


def test_the_wait_is_said_once(awork: Sandbox, slept: list[float], tmp_path: Path, caplog: Any) -> None:
    end = clock(awork)
    export(awork, tmp_path, created(end - HOUR, end), lookback=timedelta(minutes=12))
    assert len(slept) > 2
    assert max(slept) <= LONGEST_WAIT_SECONDS
    said = [line for line in caplog.messages if line.startswith("Waiting")]
    assert len(said) == 1
    assert "s: awork may commit entries of a window until 0:12:00 after its end" in said[0]


def test_clocks_may_differ_by_the_lookback(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    end = clock(awork) + LOOKBACK - timedelta(seconds=5)
    export(awork, tmp_path, created(end - HOUR, end))
    assert 540 < sum(slept) <= 600


@pytest.mark.parametrize("path", ["export", "XCom", "incremental"])
def test_a_window_that_ends_too_late_is_refused(awork: Sandbox, slept: list[float], tmp_path: Path, path: str) -> None:
    end = clock(awork) + LOOKBACK + timedelta(minutes=2)
    window, destination = created(end - HOUR, end), (tmp_path / "out").as_uri()
    if path == "incremental":
        window = {"incremental": "updatedOn", "window_start": end - HOUR, "window_end": end}
    operator: Any
    if path == "XCom":
        operator = AworkTimeEntriesOperator(task_id="read", **window)
    else:
        operator = AworkTimeEntriesToObjectStorageOperator(task_id="read", destination=destination, **window)
    with pytest.raises(AworkConfigError) as caught:
        execute(operator, hook_for(awork))
    assert isinstance(caught.value, AirflowFailException)
    first_line = str(caught.value).splitlines()[0]
    assert first_line == f"window_end: {end:%Y-%m-%dT%H:%M:%SZ} is still to come by awork's clock"
    assert len(first_line) <= 80
    assert "open_window=True" in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not slept
    assert {request.path for request in awork.requests} == {"/me", "/me/permissions"}


def test_an_open_window_is_read_at_once_and_says_so(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    now = clock(awork)
    entry = create(awork, now - timedelta(minutes=2))
    window = created(now - HOUR, now + HOUR)
    assert export(awork, tmp_path, window, open_window=True)["open_window"] is True
    assert exported_ids(tmp_path) == [entry]
    assert not slept
    later = create(awork, now + HOUR / 2)
    awork.settings.clock_offset += 2 * HOUR.total_seconds()
    assert export(awork, tmp_path, window, open_window=True)["open_window"] is False
    assert exported_ids(tmp_path) == [entry, later]


def test_an_open_window_into_xcom(awork: Sandbox, slept: list[float], caplog: Any) -> None:
    now = clock(awork)
    operator = AworkTimeEntriesOperator(task_id="read", open_window=True, **created(now - HOUR, now + HOUR))
    assert execute(operator, hook_for(awork)) == []
    assert not slept
    assert "open_window: entries may still come into the window" in caplog.text


def test_no_lookback_takes_the_window_at_its_end(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    end = clock(awork)
    export(awork, tmp_path, created(end - HOUR, end), lookback=timedelta(0))
    assert not slept


@pytest.mark.parametrize("field", ["startDateLocal", "startDateUtc"])
def test_days_are_not_waited_for(awork: Sandbox, slept: list[float], tmp_path: Path, field: str) -> None:
    today = clock(awork).date()
    export(awork, tmp_path, {"window_field": field, "window_start": today, "window_end": today + timedelta(days=30)})
    assert not slept
    assert who_asked(awork) == 1


def test_a_window_that_is_long_over_takes_no_request_more(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    export(awork, tmp_path, created(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)))
    assert not slept
    assert who_asked(awork) == 1


def test_a_clock_that_is_not_told(awork: Sandbox, slept: list[float], tmp_path: Path) -> None:
    awork.faults.add(lambda *_: Headers({"date": None}))
    window = created(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    with pytest.raises(AworkAssumptionError, match="no Date header"):
        export(awork, tmp_path, window)
    assert export(awork, tmp_path, window, open_window=True)["open_window"] is True


def test_a_task_that_is_stopped_waits_no_longer(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hook_for(awork)
    monkeypatch.setattr(RateLimiter, "sleep", lambda *_: hook.close())
    end = clock(awork)
    operator = AworkTimeEntriesToObjectStorageOperator(
        task_id="read", destination=(tmp_path / "out").as_uri(), **created(end - HOUR, end)
    )
    with pytest.raises(AworkError, match="the task is being stopped"):
        execute(operator, hook)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lookback", [timedelta(seconds=-1), 300, "5 minutes", timedelta(milliseconds=1), None])
def test_a_lookback_that_cannot_work(awork: Sandbox, tmp_path: Path, lookback: Any) -> None:
    for operator in (
        AworkTimeEntriesOperator(task_id="read", lookback=lookback),
        AworkTimeEntriesToObjectStorageOperator(task_id="read", destination=tmp_path.as_uri(), lookback=lookback),
    ):
        with pytest.raises(AworkConfigError, match="lookback"):
            execute(operator, hook_for(awork))
    assert not awork.requests


def test_the_text_of_a_flag_is_refused(awork: Sandbox) -> None:
    with pytest.raises(AworkConfigError, match="open_window"):
        execute(AworkTimeEntriesOperator(task_id="read", open_window="False"), hook_for(awork))  # type: ignore[arg-type]
