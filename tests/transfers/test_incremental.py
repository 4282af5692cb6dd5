"""
Incremental loads in real DAG runs: the union of what was published, upserted by id, is the workspace.

The local awork's clock is the test's own, told in the ``Date`` header of each answer: what a run takes must depend on
nothing else.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pendulum
import pytest
from airflow.sdk import DAG, Asset, Context
from airflow.sdk.execution_time.context import OutletEventAccessors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_awork.client.identity import Visibility
from airflow_provider_awork.exceptions import AworkConfigError, AworkPagingError, AworkRequestError
from airflow_provider_awork.sandbox import Answer, Fault, Headers, RuleRequest, Sandbox, Store
from airflow_provider_awork.sandbox import Workspace as SandboxWorkspace
from airflow_provider_awork.transfers import incremental
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.transfers.incremental import IncrementalLoad, LoadScope
from airflow_provider_awork.version_compat import AirflowSkipException
from tests.assets.test_outlet_events import events_of
from tests.helpers.airflow_harness import DagResult, connection_in_environment, data_interval_timetable, run_dag
from tests.helpers.runs import exported_lines, hook_for
from tests.helpers.storage_emulators import S3Emulator

ENTRIES = 120
LOOKBACK = timedelta(minutes=5)
OTHER_WORKSPACE = SandboxWorkspace(name="Zwei", id="99999999-3c1a-4a53-9d0b-2f6c3e1d7a90")

SEES_ALL = {"sees_all_entries": True, "user_id": None}

with_state_stores = pytest.mark.skipif(
    "task_state_store" not in Context.__annotations__, reason="state stores came with Airflow 3.3"
)


class Workspace:
    """A local awork with a clock of its own, and the folder that its changes are delivered to."""

    def __init__(self, awork: Sandbox, folder: Path, *, now: datetime) -> None:
        self.awork = awork
        self.folder = folder
        self.now = now
        self.during: Callable[[], object] | None = None
        self.instead: Callable[[RuleRequest], Answer | None] = lambda _: None
        awork.faults.add(self._answer)

    def _answer(self, request: RuleRequest, _: Store) -> Fault:
        if request.number is not None and self.during:
            self.during()
        date = {"date": format_datetime(self.now, usegmt=True)}
        answer = self.instead(request)
        return answer.with_headers(date) if answer else Headers(date)

    def pass_time(self, **of: float) -> None:
        self.now += timedelta(**of)

    def edit(self, number: int, *, at: datetime | None = None, **changes: Any) -> str:
        """Change an entry; its ``updatedOn`` is now, unless it is said."""
        entry_id = self.awork.store.ids()[number]
        self.awork.store.edit(entry_id, updatedOn=stamp(at or self.now), note=f"edited at {self.now}", **changes)
        return entry_id

    def create(self, *, at: datetime | None = None) -> str:
        entry = self.awork.make_entry(started_at=(at or self.now) - timedelta(hours=1), ended_at=at or self.now)
        self.awork.store.add({**entry, "createdOn": stamp(at or self.now), "updatedOn": stamp(at or self.now)})
        return str(entry["id"])

    def delivered(self) -> dict[str, dict[str, Any]]:
        """The union of all that is published, by id; the newest ``resourceVersion`` wins."""
        newest: dict[str, dict[str, Any]] = {}
        for manifest in self.folder.glob("*/_manifest.json"):
            for line in exported_lines(manifest.parent):
                entry = msgspec.json.decode(line)
                known = newest.get(entry["id"])
                if known is None or known["resourceVersion"] < entry["resourceVersion"]:
                    newest[entry["id"]] = entry
        return newest

    def folders(self) -> list[str]:
        return sorted(manifest.parent.name for manifest in self.folder.glob("*/_manifest.json"))

    def assert_delivered(self, *, before: datetime | None = None) -> None:
        """All entries as they are now are delivered; with ``before``, those last changed before that instant."""
        delivered = self.delivered()
        for entry in self.awork.store.entries():
            if before is None or entry["updatedOn"] < stamp(before):
                assert delivered.get(entry["id"]) == entry


def stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def compact(at: datetime | None) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}" if at else "beginning"


def folder_name(start: datetime | None, end: datetime) -> str:
    return f"from={compact(start)}_to={compact(end)}"


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=ENTRIES, seed=3) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture
def workspace(awork: Sandbox, tmp_path: Path) -> Workspace:
    return Workspace(awork, tmp_path / "changes", now=datetime(2026, 10, 1, 2, tzinfo=UTC))


@pytest.fixture
def load(workspace: Workspace, request: pytest.FixtureRequest) -> Callable[..., DagResult]:
    """Run the DAG once more; the asset is the test's own, so that no other test has moved its watermark."""
    asset = Asset(f"time entries of {request.node.name}")

    def run(**parameters: Any) -> DagResult:
        with DAG("incremental", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
            AworkTimeEntriesToObjectStorageOperator(
                **{
                    "task_id": "load",
                    "destination": f"file://{workspace.folder}",
                    "incremental": "updatedOn",
                    "outlets": [asset],
                    "lookback": LOOKBACK,
                    "retry_delay": 0,
                    **parameters,
                }
            )
        return run_dag(dag)

    return run


def assert_success(result: DagResult) -> dict[str, Any]:
    assert result.task("load").state == "success", result.logs
    return cast("dict[str, Any]", result.xcom("load"))


@with_state_stores
def test_runs_follow_one_another_without_a_gap(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    first = workspace.now
    assert assert_success(load())["rows"] == ENTRIES
    workspace.assert_delivered()
    workspace.pass_time(hours=24)
    edited, created = workspace.edit(5), workspace.create()
    workspace.pass_time(minutes=10)
    second = workspace.now
    summary = assert_success(load())
    assert summary["rows"] == 2
    assert set(workspace.delivered()) > {edited, created}
    workspace.assert_delivered()
    workspace.pass_time(hours=24)
    assert assert_success(load())["rows"] == 0
    workspace.assert_delivered()
    assert workspace.folders() == sorted(
        [
            folder_name(None, first - LOOKBACK),
            folder_name(first - LOOKBACK, second - LOOKBACK),
            folder_name(second - LOOKBACK, workspace.now - LOOKBACK),
        ]
    )
    assert summary["destination"].endswith(folder_name(first - LOOKBACK, second - LOOKBACK))


@with_state_stores
def test_the_first_run_takes_all_or_from_where_it_is_told(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    expected = workspace.awork.store.ids(lambda entry: entry["updatedOn"] >= stamp(start))
    assert 0 < len(expected) < ENTRIES
    load(initial_window_start="2026-07-01")
    assert set(workspace.delivered()) == set(expected)
    assert workspace.folders() == [folder_name(start, workspace.now - LOOKBACK)]


@with_state_stores
def test_late_commits_and_ties_on_the_watermark(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    watermark = workspace.now - LOOKBACK
    tick = timedelta(microseconds=1)
    for number, at in enumerate([watermark, watermark, watermark - tick, watermark + tick, watermark]):
        workspace.edit(number, at=at)
    load()
    workspace.assert_delivered(before=watermark)
    assert len(workspace.delivered()) == ENTRIES - 4
    # Committed only now, with instants behind the start of the run that is over.
    for number, seconds in enumerate([0, 1, 150, 299, 300], start=10):
        workspace.edit(number, at=watermark + timedelta(seconds=seconds))
    workspace.pass_time(hours=1)
    assert assert_success(load())["rows"] == 9
    workspace.assert_delivered()


@with_state_stores
@pytest.mark.parametrize("skew", [-5, 5])
def test_the_workers_clock_plays_no_part(workspace: Workspace, load: Callable[..., DagResult], skew: int) -> None:
    workspace.now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=skew)
    lookback = timedelta(seconds=30)
    for minutes in (0, 6, 12):
        workspace.pass_time(minutes=minutes)
        for number, seconds in enumerate([301, 299, 31, 30, 29, 0]):
            workspace.edit(minutes + number, at=workspace.now - timedelta(seconds=seconds) * (minutes > 0))
        load(lookback=lookback)
        workspace.assert_delivered(before=workspace.now - lookback)
    workspace.pass_time(minutes=1)
    load(lookback=lookback)
    workspace.assert_delivered()


@with_state_stores
def test_entries_edited_while_a_run_reads_come_with_the_next(
    workspace: Workspace, load: Callable[..., DagResult]
) -> None:
    workspace.awork.settings.max_page_size = 10
    numbers = iter(range(0, ENTRIES, 5))
    workspace.during = lambda: [workspace.edit(number) for number in (next(numbers, None),) if number is not None]
    load()
    workspace.during = None
    assert len(workspace.delivered()) < ENTRIES
    workspace.assert_delivered(before=workspace.now - LOOKBACK)
    workspace.pass_time(hours=1)
    load()
    workspace.assert_delivered()


@with_state_stores
def test_a_running_timer_comes_as_running_and_again_when_it_stops(
    workspace: Workspace, load: Callable[..., DagResult]
) -> None:
    entry = workspace.awork.make_entry(started_at=workspace.now - timedelta(hours=2))
    workspace.awork.store.add({**entry, "createdOn": stamp(workspace.now - timedelta(hours=2))})
    workspace.awork.store.edit(entry["id"], updatedOn=stamp(workspace.now - timedelta(hours=2)), endTimeUtc=None)
    load()
    assert "endTimeUtc" not in workspace.delivered()[entry["id"]]
    workspace.awork.store.edit(entry["id"], updatedOn=stamp(workspace.now), endTimeUtc="12:00:00", duration=7200)
    workspace.pass_time(hours=1)
    load()
    assert workspace.delivered()[entry["id"]]["duration"] == 7200
    workspace.assert_delivered()


@with_state_stores
@pytest.mark.parametrize("retries", [0, 1], ids=["the next run", "another try"])
@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=1)], ids=["at once", "after an hour"])
def test_a_failure_between_manifest_and_watermark(
    workspace: Workspace,
    load: Callable[..., DagResult],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    retries: int,
    later: timedelta,
) -> None:
    assert_success(load())
    start = workspace.now - LOOKBACK
    workspace.pass_time(hours=24)
    for number in range(10):
        workspace.edit(number, at=workspace.now - timedelta(hours=1))
    end = workspace.now - LOOKBACK
    finish = IncrementalLoad.finish

    def killed(load: IncrementalLoad) -> None:
        monkeypatch.setattr(IncrementalLoad, "finish", finish)
        workspace.now += later
        if later:
            workspace.edit(3)  # leaves the window that was published
        raise MemoryError("killed")

    monkeypatch.setattr(IncrementalLoad, "finish", killed)
    result = load(retries=retries)
    assert folder_name(start, end) in workspace.folders()
    if retries:
        assert assert_success(result)["destination"].endswith(folder_name(start, end))
        assert result.task("load").try_number == 2
        assert "The set is published already" in result.logs
        event = events_of("incremental")[f"time entries of {request.node.name}"]
        assert (event["destination"], event["rows"]) == (result.xcom("load")["destination"], 10)
    else:
        assert result.task("load").state == "failed"
    workspace.pass_time(hours=1)
    summary = assert_success(load())
    from_where = end if retries else start
    assert summary["destination"].endswith(folder_name(from_where, workspace.now - LOOKBACK))
    workspace.assert_delivered()


@with_state_stores
@pytest.mark.parametrize("retries", [0, 1])
def test_a_failed_publish_moves_nothing(workspace: Workspace, load: Callable[..., DagResult], retries: int) -> None:
    assert_success(load())
    before, start = workspace.delivered(), workspace.now - LOOKBACK
    workspace.pass_time(hours=24)
    workspace.edit(7, at=workspace.now - timedelta(hours=1))
    in_the_way = workspace.folder / folder_name(start, workspace.now - LOOKBACK) / "_manifest.json" / "in the way"
    in_the_way.mkdir(parents=True)
    result = load(retries=retries)
    assert result.task("load").state == "failed"
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    assert workspace.delivered() == before
    workspace.pass_time(hours=1)
    assert assert_success(load())["destination"].endswith(folder_name(start, workspace.now - LOOKBACK))
    workspace.assert_delivered()


@with_state_stores
def test_a_run_too_soon_after_another_is_skipped(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    load()
    result = load()
    assert result.task("load").state == "skipped"
    assert "Nothing can be new yet" in result.logs
    workspace.edit(1)
    workspace.pass_time(minutes=5, seconds=1)
    load()
    workspace.assert_delivered()


@with_state_stores
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"outlets": []}, "outlets: 0 assets"),
        ({"outlets": [Asset("one"), Asset("two")]}, "outlets: 2 assets"),
        ({"incremental": "createdOn"}, "incremental: 'createdOn'"),
        ({"window_field": "updatedOn"}, "window_field and incremental"),
        ({"filterby": "isBillable eq true"}, "filterby and incremental"),
        ({"project_id": "5b0d1f5e-3c1a-4a53-9d0b-2f6c3e1d7a90"}, "project_id and incremental"),
        ({"lookback": timedelta(seconds=-1)}, "lookback"),
        (
            {"open_window": True, "window_start": "2026-07-01", "window_end": "2026-08-01"},
            "open_window and incremental",
        ),
        ({"initial_window_start": "2026-07-01T00:00:00"}, "time zone"),
        ({"incremental": None, "initial_window_start": "2026-07-01"}, "initial_window_start"),
        ({"incremental": None, "window_field": "updatedOn", "window_start": "2026-07-01"}, "cannot be repeated"),
    ],
)
def test_what_cannot_work_fails_at_once(
    workspace: Workspace, load: Callable[..., DagResult], parameters: dict[str, Any], said: str
) -> None:
    result = load(retries=1, **parameters)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert said in result.logs
    assert not workspace.folder.exists()


@with_state_stores
def test_another_destination_needs_another_asset(
    workspace: Workspace, load: Callable[..., DagResult], tmp_path: Path
) -> None:
    load()
    workspace.pass_time(hours=1)
    result = load(destination=f"file://{tmp_path}/elsewhere")
    assert result.task("load").state == "failed"
    assert "Give this export an asset of its own" in result.logs
    assert not (tmp_path / "elsewhere").exists()


@with_state_stores
@pytest.mark.parametrize("lost", ["rights", "knowledge of rights"])
def test_a_key_that_sees_less_than_the_watermark_is_refused(
    workspace: Workspace, load: Callable[..., DagResult], lost: str
) -> None:
    assert_success(load())
    folders, start = workspace.folders(), workspace.now - LOOKBACK
    workspace.pass_time(hours=24)
    workspace.create(at=workspace.now - timedelta(hours=1))
    if lost == "rights":
        workspace.awork.settings.missing_permissions = True
    else:
        workspace.instead = lambda request: Answer(403) if request.path == "/me/permissions" else None
    result = load(retries=1)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert "Give the key's role write permission on project time tracking" in result.logs
    assert workspace.folders() == folders
    workspace.awork.settings.missing_permissions = False
    workspace.instead = lambda _: None
    workspace.pass_time(hours=24)
    assert assert_success(load())["destination"].endswith(folder_name(start, workspace.now - LOOKBACK))
    workspace.assert_delivered()


def test_rights_that_are_lost_while_a_run_reads(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    window = {"window_start": "2026-01-01", "window_end": "2026-10-01", "outlets": []}
    workspace.awork.settings.max_page_size = 10
    reads = iter(range(6))

    def lose_rights() -> None:
        workspace.awork.settings.missing_permissions = next(reads, None) is None

    workspace.during = lose_rights
    result = load(**window, retries=1, max_concurrent_requests=1)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert "Restore its permissions and clear the task" in result.logs
    assert not workspace.folders()
    workspace.during, workspace.awork.settings.missing_permissions = None, False
    assert_success(load(**window))
    workspace.assert_delivered(before=datetime(2026, 10, 1, tzinfo=UTC))


@with_state_stores
@pytest.mark.parametrize("now", ["an administrator's", "another person's"])
def test_a_key_that_sees_other_entries_than_the_watermark_is_refused(
    workspace: Workspace, load: Callable[..., DagResult], now: str
) -> None:
    workspace.awork.settings.missing_permissions = True
    for _ in range(2):  # limited from the start is no more than a warning
        assert "may not see other people's time entries" in load().logs
        workspace.pass_time(hours=24)
    folders = workspace.folders()
    assert len(folders) == 2
    assert len(workspace.delivered()) < ENTRIES
    workspace.awork.settings.missing_permissions = now == "another person's"
    if now == "another person's":
        me = {"id": "other", "workspace": {"id": workspace.awork.settings.workspace.id}}
        workspace.instead = lambda request: Answer(200, me) if request.path == "/me" else None
    result = load(retries=1)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert "to start from the beginning" in result.logs
    assert workspace.folders() == folders


def test_a_key_that_sees_all_at_last_starts_from_the_beginning(workspace: Workspace) -> None:
    workspace.awork.settings.missing_permissions = True
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    workspace.awork.settings.missing_permissions = False
    workspace.pass_time(hours=1)
    tasks.renew_hook()
    with pytest.raises(AworkConfigError, match="Delete the key 'awork_watermark'"):
        tasks.run(tasks.new())
    tasks.asset_state.clear()
    assert tasks.run(tasks.new())["rows"] == ENTRIES
    workspace.assert_delivered()


def test_a_watermark_that_does_not_say_what_its_key_saw_is_taken_up(workspace: Workspace) -> None:
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    del tasks.asset_state[incremental.WATERMARK_KEY]["visibility"]
    workspace.pass_time(hours=1)
    workspace.edit(3, at=workspace.now - LOOKBACK * 2)
    assert tasks.run(tasks.new())["rows"] == 1
    assert tasks.asset_state[incremental.WATERMARK_KEY]["visibility"] == SEES_ALL


# -- state of version 0.1, which has a sentence for what a key sees ----------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "visibility"),
    [
        ("all", Visibility(sees_all_entries=True, user_id=None)),
        ("only those of user 5b0d1f5e", Visibility(sees_all_entries=False, user_id="5b0d1f5e")),
        ("only those of user None", Visibility(sees_all_entries=False, user_id=None)),
        ("an unknown part, as user 5b0d1f5e", Visibility(sees_all_entries=None, user_id="5b0d1f5e")),
        ("an unknown part, as user None", Visibility(sees_all_entries=None, user_id=None)),
    ],
)
def test_sentences_are_read_as_visibility(sentence: str, visibility: Visibility) -> None:
    scope = {"destination": "s3://lake/changes", "workspace_id": None, "visible_entries": sentence}
    watermark = incremental.read_watermark({"watermark": "2026-10-01T01:55:00+00:00", **scope}, asset="entries")
    window = incremental.read_window(
        {
            "field": "updatedOn",
            "start": None,
            "end": "2026-10-01T01:55:00Z",
            "timezone": None,
            "of": {**scope, "asset": "entries", "initial_window_start": None},
        }
    )
    assert watermark is not None
    assert watermark.visibility == visibility
    assert watermark.watermark == datetime(2026, 10, 1, 1, 55, tzinfo=UTC)
    assert window is not None
    assert window.load.scope == LoadScope(destination="s3://lake/changes", workspace_id=None, visibility=visibility)
    assert (window.start, window.end, window.load.asset) == (None, watermark.watermark, "entries")


def downgrade(tasks: TaskInstances, number: int, sentence: str) -> None:
    """Store the watermark and a task's window as version 0.1 did."""
    watermark = tasks.asset_state[incremental.WATERMARK_KEY]
    watermark["visible_entries"] = sentence
    scope = {key: watermark[key] for key in ("destination", "workspace_id", "visible_entries")}
    del watermark["visibility"]
    window = tasks.task_states[number][incremental.WINDOW_KEY]
    window["of"] = {**scope, "asset": "time_entries", "initial_window_start": None}
    del window["load"]


def test_state_of_version_0_1_is_taken_up(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    start = tasks.watermark
    workspace.pass_time(hours=24)
    workspace.edit(3, at=workspace.now - timedelta(hours=1))
    end = workspace.now - LOOKBACK
    with monkeypatch.context() as patched:
        patched.setattr(IncrementalLoad, "finish", lambda _: (_ for _ in ()).throw(MemoryError("killed")))
        with pytest.raises(MemoryError):
            tasks.run(tasks.new())
    downgrade(tasks, 1, "all")
    workspace.pass_time(hours=1)
    assert tasks.run(1)["destination"].endswith(folder_name(start, end))  # the window that the old state has
    assert tasks.asset_state[incremental.WATERMARK_KEY]["visibility"] == SEES_ALL
    assert tasks.task_states[1][incremental.WINDOW_KEY]["load"]["scope"]["visibility"] == SEES_ALL
    assert "visible_entries" not in tasks.asset_state[incremental.WATERMARK_KEY]
    assert "of" not in tasks.task_states[1][incremental.WINDOW_KEY]
    assert tasks.run(tasks.new())["destination"].endswith(folder_name(end, workspace.now - LOOKBACK))
    workspace.assert_delivered()


@pytest.mark.parametrize("sentence", ["only those of user 5b0d1f5e", "an unknown part, as user 5b0d1f5e"])
def test_a_watermark_of_version_0_1_of_another_key_is_refused(workspace: Workspace, sentence: str) -> None:
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    downgrade(tasks, 0, sentence)
    workspace.pass_time(hours=1)
    with pytest.raises(AworkConfigError, match="Delete the key 'awork_watermark'"):
        tasks.run(tasks.new())


def test_a_watermark_that_cannot_be_read_is_an_error(workspace: Workspace) -> None:
    tasks = TaskInstances(workspace)
    tasks.asset_state.set(incremental.WATERMARK_KEY, {"watermark": "yesterday"})
    with pytest.raises(AworkConfigError, match="asset 'time_entries': the key 'awork_watermark' of its state"):
        tasks.run(tasks.new())


@with_state_stores
def test_another_workspace_in_the_same_folder_is_noticed(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    assert_success(load())
    before = workspace.delivered()
    with (
        Sandbox(entries=70, seed=4, workspace=OTHER_WORKSPACE) as awork,
        connection_in_environment(awork.url, awork.token, conn_id="other"),
    ):
        other = Workspace(awork, workspace.folder, now=workspace.now)
        parameters = {"awork_conn_id": "other", "outlets": [Asset("entries of the other workspace")]}
        result = load(**parameters)
        assert result.task("load").state == "failed"
        assert "Give each export a destination of its own" in result.logs
        assert workspace.delivered() == before
        other.pass_time(hours=1)
        assert assert_success(load(**parameters))["rows"] == 70
        other.assert_delivered()


@with_state_stores
def test_the_clock_has_to_be_told(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    workspace.awork.faults.clear()
    workspace.awork.faults.add(lambda *_: Headers({"date": None}))
    result = load()
    assert result.task("load").state == "failed"
    assert "no Date header" in result.logs


@pytest.mark.emulator
@with_state_stores
def test_changes_in_s3(
    workspace: Workspace,
    load: Callable[..., DagResult],
    s3_emulator: S3Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    destination = f"{s3_emulator.create_bucket('incremental')}/changes"
    end = workspace.now - LOOKBACK
    finish = IncrementalLoad.finish

    def killed(_: IncrementalLoad) -> None:
        monkeypatch.setattr(IncrementalLoad, "finish", finish)
        raise MemoryError("killed")

    monkeypatch.setattr(IncrementalLoad, "finish", killed)
    result = load(destination=destination, retries=1)
    summary = assert_success(result)
    assert "The set is published already" in result.logs
    assert summary["destination"] == f"{destination}/{folder_name(None, end)}"
    workspace.pass_time(hours=1)
    workspace.edit(3, at=workspace.now - LOOKBACK * 2)
    assert assert_success(load(destination=f"{destination}/"))["rows"] == 1
    manifests = [key for key in s3_emulator.keys("incremental") if key.endswith("_manifest.json")]
    names = [folder_name(None, end), folder_name(end, workspace.now - LOOKBACK)]
    assert sorted(manifests) == sorted(f"changes/{name}/_manifest.json" for name in names)


# -- without state stores, or with a window of one's own ---------------------------------------------------------


def test_an_explicit_window_works_on_every_airflow(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    bounds = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 7, 8)]
    for start, end in pairwise(bounds):
        load(window_start=str(start), window_end=str(end), outlets=[])
    assert workspace.folders() == sorted(folder_name(*pair) for pair in pairwise(bounds))
    workspace.assert_delivered(before=bounds[-1])
    assert set(workspace.delivered()) == set(
        workspace.awork.store.ids(lambda entry: stamp(bounds[0]) <= entry["updatedOn"] < stamp(bounds[-1]))
    )


def test_an_explicit_window_again_keeps_what_it_published(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    window = {"window_start": "2026-09-30", "window_end": "2026-10-01", "outlets": []}
    for number in range(3):
        workspace.edit(number, at=workspace.now - timedelta(hours=6))
    first = assert_success(load(**window))
    assert first["rows"] == 3
    before = workspace.delivered()
    workspace.edit(1)
    assert assert_success(load(**window)) == first
    assert workspace.delivered() == before
    workspace.awork.settings.missing_permissions = True
    result = load(**window)
    assert result.task("load").state == "failed"
    assert "remove that folder to export it again" in result.logs
    assert workspace.delivered() == before
    workspace.awork.settings.missing_permissions = False
    assert assert_success(load(**window, compression="none"))["rows"] == 2


def test_the_data_interval_as_explicit_window(workspace: Workspace) -> None:
    start = pendulum.datetime(2026, 7, 1)
    with DAG("incremental", schedule=data_interval_timetable("0 0 * * *"), start_date=start) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="load",
            destination=f"file://{workspace.folder}",
            incremental="updatedOn",
            window_start="{{ data_interval_start }}",
            window_end="{{ data_interval_end }}",
        )
    run_dag(dag, logical_date=start, data_interval=(start, start.add(days=1)))
    assert workspace.folders() == [folder_name(start, start.add(days=1))]


def test_an_explicit_window_waits_until_it_is_over(
    workspace: Workspace, load: Callable[..., DagResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = workspace.now - timedelta(minutes=2)
    slept: list[float] = []

    def sleep(_: object, seconds: float) -> None:
        slept.append(seconds)
        workspace.pass_time(seconds=seconds)

    monkeypatch.setattr("airflow_provider_awork.client.http.rate_limit.RateLimiter.sleep", sleep)
    assert_success(load(window_start="2026-01-01", window_end=end.isoformat(), outlets=[]))
    assert slept == [180]
    workspace.assert_delivered(before=end)
    end = workspace.now + LOOKBACK + timedelta(seconds=1)
    result = load(window_start="2026-01-01", window_end=end.isoformat(), outlets=[])
    assert result.task("load").state == "failed"
    assert "still to come" in result.logs


@pytest.mark.skipif("task_state_store" in Context.__annotations__, reason="this Airflow has state stores")
def test_without_state_stores_a_window_is_asked_for(workspace: Workspace, load: Callable[..., DagResult]) -> None:
    result = load(retries=1)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert "asset state store of Airflow 3.3" in result.logs
    assert "window_start and window_end" in result.logs


def test_an_awork_that_does_not_filter_on_updated_on_is_noticed(
    workspace: Workspace, load: Callable[..., DagResult]
) -> None:
    workspace.awork.settings.unfilterable = frozenset({"updatedOn"})
    result = load(window_start="2026-01-01", window_end="2026-07-01", outlets=[], retries=1)
    assert (result.task("load").state, result.task("load").try_number) == ("failed", 1)
    assert "does not filter time entries by updatedOn" in result.logs
    assert "rolling window" in result.logs
    assert not workspace.folders()


# -- any order of changes, runs, failures and clears -------------------------------------------------------------


class States(dict[str, Any]):
    """A state store as Airflow's, to be filled without a run of Airflow's own."""

    def set(self, key: str, value: Any) -> None:
        self[key] = msgspec.json.decode(msgspec.json.encode(value))


class TaskInstances:
    """Tries of the operator's task instances, with states that outlive them, as in Airflow 3.3."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.renew_hook()
        self._asset = Asset("time_entries")
        self.asset_state = States()
        self.task_states: list[States] = []

    def renew_hook(self) -> None:
        """A task process of its own asks anew who it is."""
        self._hook = hook_for(self._workspace.awork)

    @property
    def watermark(self) -> datetime | None:
        kept = self.asset_state.get(incremental.WATERMARK_KEY)
        return kept and datetime.fromisoformat(kept["watermark"])

    def new(self) -> int:
        self.task_states.append(States())
        return len(self.task_states) - 1

    def run(self, number: int, **parameters: Any) -> Any:
        """One try of a task instance."""
        operator = AworkTimeEntriesToObjectStorageOperator(
            task_id="load",
            destination=f"file://{self._workspace.folder}",
            incremental="updatedOn",
            outlets=[self._asset],
            lookback=LOOKBACK,
            **parameters,
        )
        operator.hook = self._hook
        instance = SimpleNamespace(dag_id="loads", run_id=str(number), task_id="load", map_index=-1, try_number=1)
        context = {
            "ti": instance,
            "outlet_events": OutletEventAccessors(),
            "task_state_store": self.task_states[number],
            "asset_state_store": Outlets(self.asset_state),
        }
        return operator.execute(cast(Context, context))


class Outlets:
    """What the context has for the state of outlets; assets of Airflow 3.1 are no keys of a dict."""

    def __init__(self, state: States) -> None:
        self._state = state

    def __getitem__(self, _: Asset) -> States:
        return self._state


def test_a_run_that_another_one_overtakes_does_not_take_the_watermark_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = TaskInstances(workspace)
    finish = IncrementalLoad.finish

    def overtaken(load: IncrementalLoad) -> None:
        monkeypatch.setattr(IncrementalLoad, "finish", finish)
        workspace.pass_time(hours=1)
        tasks.run(tasks.new())
        finish(load)

    monkeypatch.setattr(IncrementalLoad, "finish", overtaken)
    tasks.run(tasks.new())
    assert len(workspace.folders()) == 2
    assert tasks.watermark == workspace.now - LOOKBACK


def test_a_watermark_that_was_deleted_starts_from_the_beginning(workspace: Workspace) -> None:
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    workspace.pass_time(hours=1)
    tasks.run(tasks.new())
    tasks.asset_state.clear()
    shutil.rmtree(workspace.folder)
    workspace.pass_time(hours=1)
    assert tasks.run(1)["rows"] == ENTRIES
    workspace.assert_delivered()


def test_a_watermark_after_aworks_clock_is_an_error(workspace: Workspace) -> None:
    tasks = TaskInstances(workspace)
    tasks.run(tasks.new())
    workspace.now -= timedelta(days=1)
    with pytest.raises(AworkConfigError, match="is after awork's clock"):
        tasks.run(tasks.new())


def test_a_cleared_run_takes_everything_from_its_start_until_now(workspace: Workspace) -> None:
    tasks = TaskInstances(workspace)
    starts = []
    for _ in range(3):
        starts.append(tasks.watermark)
        workspace.edit(len(starts), at=workspace.now - timedelta(minutes=30))
        tasks.run(tasks.new())
        workspace.pass_time(hours=1)
    before = workspace.folders()
    cleared = tasks.run(1)
    assert cleared["destination"].endswith(folder_name(starts[1], workspace.now - LOOKBACK))
    assert cleared["rows"] == 2
    assert set(workspace.folders()) > set(before)
    assert tasks.watermark == workspace.now - LOOKBACK


FAILURES = {"dies": (MemoryError,), "read fails": (AworkRequestError, AworkPagingError)}
ACTIONS = st.sampled_from(
    ["edit", "edit", "late", "create", "wait", "wait", "run", "run", "read fails", "dies", "try again", "clear"]
)


@given(
    steps=st.lists(st.tuples(ACTIONS, st.integers(0, 10_000)), min_size=4, max_size=14),
    busy=st.lists(st.integers(0, 10_000), max_size=6),
)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_whatever_happens_nothing_is_missed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], busy: list[int]
) -> None:
    with Sandbox(entries=25, seed=4, max_page_size=6) as awork:
        workspace = Workspace(awork, tmp_path_factory.mktemp("changes"), now=datetime(2026, 10, 1, tzinfo=UTC))
        tasks = TaskInstances(workspace)
        tasks.new()
        for action, number in steps:
            edits = iter(busy)
            workspace.during = lambda edits=edits: [workspace.edit(each % 25) for each in [next(edits, None)] if each]
            before = workspace.delivered()
            act(workspace, tasks, action, number)
            after = workspace.delivered()
            assert all(after[each]["resourceVersion"] >= before[each]["resourceVersion"] for each in before)
            if tasks.watermark:
                workspace.assert_delivered(before=tasks.watermark)
        workspace.during = None
        workspace.pass_time(minutes=6)
        tasks.run(tasks.new())
        workspace.assert_delivered()


def act(workspace: Workspace, tasks: TaskInstances, action: str, number: int) -> None:
    entry = number % workspace.awork.store.count()
    if action == "edit":
        workspace.edit(entry)
    elif action == "late":
        workspace.edit(entry, at=workspace.now - LOOKBACK * (number / 10_000))
    elif action == "create":
        workspace.create()
    elif action == "wait":
        workspace.pass_time(seconds=number / 10)
    else:
        run(workspace, tasks, action, number)


def run(workspace: Workspace, tasks: TaskInstances, action: str, number: int) -> None:
    """A run, one that fails on the way, another try of the last one, or one that a user clears."""
    again = action in ("try again", "clear")
    last = len(tasks.task_states) - 1
    which = tasks.new() if not again else last if action == "try again" else number % (last + 1)
    with pytest.MonkeyPatch.context() as patched:
        if action == "dies":
            patched.setattr(IncrementalLoad, "finish", lambda _: (_ for _ in ()).throw(MemoryError("killed")))
        if action == "read fails":
            answer = Answer(400, {"code": "invalid-operation", "description": "no", "link": ""})
            fails_at = len(workspace.awork.requests) + 4 + number % 6
            patched.setattr(
                workspace, "instead", lambda _: answer if len(workspace.awork.requests) == fails_at else None
            )
        with contextlib.suppress(AirflowSkipException, *FAILURES.get(action, ())):
            tasks.run(which)
