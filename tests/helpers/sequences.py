"""
Runs of exports that follow one another in a moving workspace, and what each of them must do.

:class:`Sequence` executes the operator over real HTTP, predicts by the model whether the run has to fail, and compares
what stands published with the history of the workspace.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import msgspec
from airflow.sdk import Asset, Context, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.exceptions import AworkConfigError, AworkError, AworkPagingError, AworkShrunkSetError
from airflow_provider_awork.files import publisher
from airflow_provider_awork.files.manifest import Manifest, verify_manifest
from airflow_provider_awork.files.marker import MARKER_NAME
from airflow_provider_awork.files.stores import open_store
from airflow_provider_awork.sandbox import Answer, Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.version_compat import AirflowFailException, AirflowSkipException
from tests.helpers.history import Entry, Period, Selection, covered
from tests.helpers.mortal_store import Killed, Life, MortalStore
from tests.helpers.moving_workspace import LOOKBACK, MovingWorkspace
from tests.helpers.runs import exported_lines, hook_for

ASSET = Asset("entries_of_sequences")
SMALLEST_CHECKED_ROWS = 20
INCREMENTAL = "incremental"  # a run that takes all since the watermark


@dataclass(frozen=True, kw_only=True)
class Run:
    """
    One try of a task instance.

    :param selection: what it exports; with ``is_load`` a window on ``updatedOn``, or none: from the watermark on.
    :param destination: below the root of the sequence, maybe with placeholders.
    :param is_load: whether it runs with ``incremental``.
    :param dies_at: the storage operation at which it is killed, and whether that operation takes effect.
    :param refused_at: the page that awork refuses to answer.
    :param role_changes_at: the page at which the key's role loses or gains its sight of other people's entries.
    """

    selection: Selection
    destination: str
    run_id: str
    task_id: str = "export"
    try_number: int = 1
    is_load: bool = False
    dies_at: tuple[int, bool] | None = None
    refused_at: int | None = None
    role_changes_at: int | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.run_id, self.task_id, self.try_number

    def is_same_instance(self, other: Run) -> bool:
        return (self.run_id, self.task_id) == (other.run_id, other.task_id)

    def cleared(self, try_number: int) -> Run:
        """The same task instance once more, without what befell it."""
        return replace(self, try_number=try_number, dies_at=None, refused_at=None, role_changes_at=None)

    def parameters(self) -> dict[str, Any]:
        chosen = self.selection
        bounds = {"window_start": chosen.start, "window_end": chosen.end} if chosen.window_field else {}
        if self.is_load:
            return {"incremental": "updatedOn", "outlets": [ASSET], "lookback": LOOKBACK, **bounds}
        zone = {"timezone": "Europe/Berlin"} if chosen.window_field == "startDateLocal" else {}
        return {"window_field": chosen.window_field, "filterby": chosen.filterby, **bounds, **zone}

    @property
    def folder(self) -> str | None:
        """Where the set lies below the root; None if the window is not chosen yet."""
        start, end = (_compact(bound) for bound in (self.selection.start, self.selection.end))
        if not self.is_load:
            return self.destination.replace("{window_start}", start).replace("{window_end}", end)
        return f"{self.destination}/from={start}_to={end}" if self.selection.window_field else None


def _compact(bound: Any) -> str:
    return f"{bound:%Y%m%dT%H%M%SZ}" if isinstance(bound, datetime) else str(bound)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a run did, and when."""

    run: Run
    period: Period
    saw_all: bool
    error: BaseException | None
    pages: int


class State:
    """State of a task or an asset, as Airflow 3.3 keeps it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


class Sequence:
    """
    Runs, one after another, and their sets.

    :param root: folder of all destinations.
    :param random: chooses what happens during the runs.
    """

    def __init__(self, awork: Sandbox, workspace: MovingWorkspace, root: Path, *, random: Random) -> None:
        self.workspace = workspace
        self.attempts: dict[tuple[str, str, int], Attempt] = {}
        self._awork = awork
        self._root = root
        self._random = random
        self._asset_state = State()
        self._task_states: dict[tuple[str, str], State] = {}
        self._dead: dict[str, Run] = {}  # by folder: runs that were killed and left their marker

    # -- running ---------------------------------------------------------------------------------------------------

    def execute(self, run: Run) -> Attempt:
        """Run the operator, and check that it did what the model predicts."""
        self._let_the_dead_go_stale(run)
        before, saw_all = self._manifests(), self.workspace.sees_all
        reason = self._reason_to_refuse(run)
        watermark = self._asset_state.values.get("awork_watermark")
        life = Life(*run.dies_at[:1], is_done=run.dies_at[1]) if run.dies_at else Life()
        begin = self.workspace.history.moment
        error = self._attempt(run, life)
        period = Period(begin, self.workspace.history.moment)
        attempt = Attempt(run=run, period=period, saw_all=saw_all, error=error, pages=self.workspace.pages)
        self.attempts[run.key] = attempt
        if life.is_over:
            self._note_the_dead(run)
            return attempt
        assert not isinstance(error, Killed)
        if error is not None:
            assert self._manifests() == before, f"a failed run changed a set: {error}"
            assert self._asset_state.values.get("awork_watermark") == watermark
        self._check_outcome(attempt, reason, before)
        return attempt

    def _attempt(self, run: Run, life: Life) -> BaseException | None:
        hook = hook_for(self._awork)
        operator = AworkTimeEntriesToObjectStorageOperator(
            task_id=run.task_id,
            destination=f"file://{self._root}/{run.destination}",
            max_rows_per_file=15,
            max_concurrent_requests=1,
            **run.parameters(),
        )
        operator.hook = hook
        instance = SimpleNamespace(
            dag_id="sequence", run_id=run.run_id, task_id=run.task_id, map_index=-1, try_number=run.try_number
        )
        state = self._task_states.setdefault((run.run_id, run.task_id), State())
        context = {
            "ti": instance,
            "task_state_store": state,
            "asset_state_store": {ASSET: self._asset_state},
            "outlet_events": OutletEventAccessors(),
        }
        with self.workspace.during(self._changes_during(run)), self._storage(life):
            try:
                operator.execute(cast(Context, context))
            except (Exception, Killed) as error:  # noqa: BLE001 - the outcome, which is judged
                return error
            finally:
                hook.close()
        return None

    def _changes_during(self, run: Run) -> Callable[[int], Answer | None]:
        def at_page(page: int) -> Answer | None:
            if page == run.role_changes_at:
                self.workspace.toggle_role()
            if self._random.random() < 0.3:
                self.workspace.change()
            self.workspace.pass_time(self._random.choice([0, 0.01, 1]))
            return Answer(400) if page == run.refused_at else None

        return at_page

    @contextmanager
    def _storage(self, life: Life) -> Iterator[None]:
        def opened(*arguments: Any, **options: Any) -> MortalStore:
            return MortalStore(open_store(*arguments, **options), life)

        def sleep(_: RateLimiter, seconds: float) -> None:
            self.workspace.pass_time(seconds)

        with mock.patch.object(publisher, "open_store", opened), mock.patch.object(RateLimiter, "sleep", sleep):
            yield

    def _note_the_dead(self, run: Run) -> None:
        for marker in self._root.rglob(MARKER_NAME):
            folder = str(marker.parent.relative_to(self._root))
            owner = json.loads(marker.read_bytes())["owner"]
            if (owner["run_id"], owner["task_id"], owner["try_number"]) == run.key:
                self._dead[folder] = run

    def _let_the_dead_go_stale(self, run: Run) -> None:
        """Let a killed run's claim become old before another task instance comes; its own next try need not wait."""
        for folder, dead in list(self._dead.items()):
            if dead.is_same_instance(run):
                continue
            marker = self._root / folder / MARKER_NAME
            if marker.exists():
                content = json.loads(marker.read_bytes())
                content["heartbeat"] = (datetime.now(UTC) - timedelta(minutes=11)).isoformat()
                marker.write_text(json.dumps(content))
                self.workspace.pass_time(660)

    # -- what a run has to do ----------------------------------------------------------------------------------------

    def _reason_to_refuse(self, run: Run) -> str | None:
        """Why a run has to fail before it reads anything; None if it may go on."""
        if run.is_load and not run.selection.window_field:
            stored = self._asset_state.values.get("awork_watermark")
            if stored and stored["visibility"]["sees_all_entries"] != self.workspace.sees_all:
                return "the watermark is of a key that sees others"
            return None
        assert run.folder is not None
        end = run.selection.end
        if isinstance(end, datetime) and end - self.workspace.now > LOOKBACK + timedelta(seconds=1):
            return "the window is still to come"
        dead, former = self._dead.get(run.folder), self._former(run.folder)
        if dead and (self._root / run.folder / MARKER_NAME).exists() and _is_other_task(dead, run):
            return "a killed task of the same dag run claimed the destination"
        if former is None:
            return None
        if _is_other_task(former.run, run):
            return "another task of the same dag run published there"
        if former.run.selection != run.selection and not former.run.is_same_instance(run):
            return "another set lies there"
        if former.saw_all and not self.workspace.sees_all:
            return "the key sees less than that of the former set"
        if run.is_load and former.saw_all != self.workspace.sees_all:
            return "the published window is of a key that sees others"
        return None

    def _former(self, folder: str) -> Attempt | None:
        manifest = self._manifest(self._root / folder)
        return self.attempts[_key_of(manifest)] if manifest else None

    def _check_outcome(self, attempt: Attempt, reason: str | None, before: dict[str, bytes]) -> None:
        run, error = attempt.run, attempt.error
        if isinstance(error, AirflowSkipException):
            assert run.folder is None, error  # only a run from the watermark on may have nothing to do
            return
        if error is not None:
            assert isinstance(error, AworkError), repr(error)
            assert str(error).strip()
        if reason:
            assert isinstance(error, AworkConfigError), f"not refused though {reason}: {error!r}"
            return
        if run.role_changes_at and attempt.pages >= run.role_changes_at:
            assert error is not None, "published though the role changed between two pages"
            return
        if run.refused_at and attempt.pages >= run.refused_at:
            assert error is not None, "published though awork refused a page"
            return
        if isinstance(error, AworkPagingError) and not isinstance(error, AirflowFailException):
            assert attempt.period.begin < attempt.period.end, f"nothing changed during the run: {error}"
            return
        self._check_shrink(attempt, before)

    def _check_shrink(self, attempt: Attempt, before: dict[str, bytes]) -> None:
        run, error = attempt.run, attempt.error
        former = json.loads(before[run.folder])["rows"] if run.folder in before else 0
        same = run.folder in before and self._selection_of(before[run.folder]) == run.selection
        limit = former / 2 if same and former >= SMALLEST_CHECKED_ROWS and not run.is_load else 0
        has = self._visible(run.selection, sees_all=attempt.saw_all)
        most = len(self.workspace.history.may_have(has, attempt.period))
        least = len(self.workspace.history.must_have(has, attempt.period))
        if isinstance(error, AworkShrunkSetError):
            assert least < limit, error
        elif most < limit:
            raise AssertionError(f"at most {most} rows replaced {former}")
        elif error is not None:
            raise AssertionError(f"no reason to fail: {error!r}") from error

    def _selection_of(self, manifest: bytes) -> Selection:
        return self.attempts[_key_of(msgspec.json.decode(manifest, type=Manifest))].run.selection

    # -- what a reader sees ------------------------------------------------------------------------------------------

    def check_sets(self) -> None:
        """Compare each set that stands published with what the workspace held when its run read it."""
        for folder in self._published_folders():
            manifest = self._manifest(folder)
            assert manifest is not None
            attempt = self.attempts[_key_of(manifest)]
            selection = self._claimed(attempt.run, manifest)
            assert manifest.source.sees_all_entries == attempt.saw_all
            has = self._visible(selection, sees_all=attempt.saw_all)
            entries = [msgspec.json.decode(line) for line in exported_lines(folder)]
            ids = [entry["id"] for entry in entries]
            history = self.workspace.history
            assert len(ids) == len(set(ids)), f"{folder} has an entry twice"
            assert history.must_have(has, attempt.period) <= set(ids), f"{folder} lacks entries"
            for entry in entries:
                assert has(entry), f"{folder} has an entry of another window: {entry}"
                assert entry in history.versions(entry["id"], attempt.period), f"{folder} has a state that never was"
            if selection.window_field == "createdOn":
                missed = history.came_after(has, attempt.period.end)
                assert not missed, f"{folder} was read before {missed} could be in it"

    def check_loads(self) -> None:
        """The newest states that the incremental sets hold are those of the workspace, for all windows together."""
        windows: dict[bool, list[tuple[datetime | None, datetime]]] = {True: [], False: []}
        delivered: dict[str, Entry] = {}
        for folder in self._published_folders():
            manifest = self._manifest(folder)
            assert manifest is not None
            run = self.attempts[_key_of(manifest)].run
            if not run.is_load:
                continue
            selection = self._claimed(run, manifest)
            assert isinstance(selection.end, datetime)
            windows[bool(manifest.source.sees_all_entries)].append((cast("datetime", selection.start), selection.end))
            for line in exported_lines(folder):
                entry = msgspec.json.decode(line)
                known = delivered.get(entry["id"])
                if known is None or known["resourceVersion"] < entry["resourceVersion"]:
                    delivered[entry["id"]] = entry
        for entry_id, entry in self.workspace.history.standing().items():
            own = windows[False] if entry["userId"] == self.workspace.me else []
            if covered(windows[True] + own, entry["updatedOn"]):
                assert delivered.get(entry_id) == entry, f"between all windows: {entry}"
        if stored := self._asset_state.values.get("awork_watermark"):
            watermark = datetime.fromisoformat(stored["watermark"])
            sees_all = stored["visibility"]["sees_all_entries"]
            assert windows[sees_all], "a watermark without a set"
            assert max(end for _, end in windows[sees_all]) >= watermark

    def check_left_over(self) -> None:
        """Where no killed run lies in between, there are the files of the set and nothing else."""
        for folder in self._published_folders():
            manifest = self._manifest(folder)
            assert manifest is not None
            if not (folder / MARKER_NAME).exists():
                names = {path.name for path in folder.iterdir() if path.is_file()}
                assert names == {"_manifest.json", *(file.name for file in manifest.files)}

    def _visible(self, selection: Selection, *, sees_all: bool) -> Callable[[Entry], bool]:
        me = self.workspace.me
        return lambda entry: selection.has(entry) and (sees_all or entry["userId"] == me)

    def _claimed(self, run: Run, manifest: Manifest) -> Selection:
        """What a set claims to hold; it must be what its run was asked for."""
        if run.selection.window_field or not run.is_load:
            return run.selection
        assert manifest.window is not None
        start, end = (
            datetime.fromisoformat(text) if text else None for text in (manifest.window.start, manifest.window.end)
        )
        return Selection(window_field="updatedOn", start=start, end=end)

    def _published_folders(self) -> list[Path]:
        return sorted(path.parent for path in self._root.rglob("_manifest.json"))

    def _manifests(self) -> dict[str, bytes]:
        return {
            str(folder.relative_to(self._root)): (folder / "_manifest.json").read_bytes()
            for folder in self._published_folders()
        }

    def _manifest(self, folder: Path) -> Manifest | None:
        if not (folder / "_manifest.json").exists():
            return None
        return verify_manifest(ObjectStoragePath(f"file://{folder}"))

    def remove(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)


def _is_other_task(there: Run, here: Run) -> bool:
    return there.run_id == here.run_id and not there.is_same_instance(here)


def _key_of(manifest: Manifest) -> tuple[str, str, int]:
    owner = manifest.run.owner
    return owner.run_id, owner.task_id, owner.try_number
