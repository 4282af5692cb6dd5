"""
Sequences of runs: the union of what stands published is the workspace, or a run failed and said why.

Each sequence is made from its seed, the number in the id of its test, so that each can be repeated alone.
Entries are created, edited, deleted and committed late, roles change, clocks differ, runs are cleared, killed and
repeated between and during real executions over HTTP. At most one change of the role falls into one run: a role that
shrinks and grows back between two reads of the permissions shows in nothing that awork answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from unittest import mock

import pytest

from airflow_provider_awork.files import stores
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.history import FILTERS, Selection, whole_hour, whole_seconds
from tests.helpers.moving_workspace import LOOKBACK, MovingWorkspace
from tests.helpers.sequences import Run, Sequence

SEQUENCES = 200


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox() as sandbox, mock.patch.object(stores, "_sync"):  # no power is cut here
        yield sandbox


class Plan:
    """Chooses the runs of a sequence: a few pipelines, each with windows of its own, cleared and mixed up at times."""

    def __init__(self, random: Random, workspace: MovingWorkspace) -> None:
        self._random = random
        self._workspace = workspace
        self._runs: list[Run] = []
        self._pipelines = random.sample(["whole", "hours", "local", "utc", "load", "windows", "fixed"], k=2)
        self._filterby = random.choice([None, *FILTERS])
        self._next_hour = whole_hour(workspace.now, hours=-random.randrange(1, 3))

    def next(self) -> Run:
        run = self._again() if self._runs and self._random.random() < 0.35 else self._of_pipeline()
        run = self._with_accident(run)
        self._runs.append(run)
        return run

    def _again(self) -> Run:
        """A cleared run, another run of the same, or another task of the same run."""
        run = self._random.choice(self._runs)
        tries = max(each.try_number for each in self._runs if each.is_same_instance(run))
        kind = self._random.random()
        if kind < 0.5:
            return run.cleared(tries + 1)
        if kind < 0.8:
            return replace(run.cleared(1), run_id=self._new_run_id())
        others = [each for each in self._runs if each.run_id == run.run_id and each.task_id == "second"]
        return replace(run.cleared(1 + len(others)), task_id="second")

    def _of_pipeline(self) -> Run:
        pipeline = self._random.choice(self._pipelines)
        run_id = self._new_run_id()
        if pipeline == "load":
            return Run(selection=Selection(), destination="load", run_id=run_id, is_load=True)
        if pipeline == "windows":
            return Run(selection=self._hours("updatedOn"), destination="windows", run_id=run_id, is_load=True)
        if pipeline == "hours":
            selection = replace(self._hours("createdOn"), filterby=self._filterby)
            return Run(selection=selection, destination="hours/from={window_start}", run_id=run_id)
        if pipeline == "whole":
            return Run(selection=Selection(filterby=self._any_filter()), destination="whole", run_id=run_id)
        if pipeline == "fixed":
            return Run(selection=self._day("startDateUtc"), destination="fixed", run_id=run_id)
        field = "startDateLocal" if pipeline == "local" else "startDateUtc"
        return Run(selection=self._day(field), destination=f"{pipeline}/day={{window_start}}", run_id=run_id)

    def _hours(self, field: str) -> Selection:
        """The next hours, as a scheduler whose clock is up to a lookback ahead or behind sees them, or some others."""
        if self._random.random() < 0.8:
            start, hours = self._next_hour, 1
            skew = timedelta(
                seconds=self._random.randrange(-int(LOOKBACK.total_seconds()), int(LOOKBACK.total_seconds()))
            )
            self._pass_until(whole_seconds(start) + timedelta(hours=1) + skew)
            self._next_hour = start + timedelta(hours=1)
        else:
            start, hours = (
                whole_hour(self._workspace.now, hours=-self._random.randrange(1, 72)),
                self._random.randrange(1, 30),
            )
        return Selection(window_field=field, start=start, end=start + timedelta(hours=hours))

    def _day(self, field: str) -> Selection:
        start = self._workspace.now.date() - timedelta(days=self._random.randrange(4))
        return Selection(window_field=field, start=start, end=start + timedelta(days=self._random.choice([1, 1, 2])))

    def _any_filter(self) -> str | None:
        return self._filterby if self._random.random() < 0.9 else self._random.choice(list(FILTERS))

    def _pass_until(self, at: datetime) -> None:
        seconds = (at - self._workspace.now).total_seconds()
        if seconds > 0:
            self._workspace.pass_time(seconds)

    def _with_accident(self, run: Run) -> Run:
        kind = self._random.random()
        if kind < 0.15:
            return replace(run, dies_at=(self._random.randrange(1, 30), self._random.random() < 0.5))
        if kind < 0.22:
            return replace(run, refused_at=self._random.randrange(1, 5))
        if kind < 0.32:
            return replace(run, role_changes_at=self._random.randrange(1, 5))
        return run

    def _new_run_id(self) -> str:
        return f"run {len({run.run_id for run in self._runs})}"


def fill(workspace: MovingWorkspace, random: Random) -> None:
    """The entries of the last days."""
    for _ in range(random.choice([0, 10, 45, 60])):
        workspace.create(created=workspace.now - timedelta(hours=random.uniform(0.5, 72)))


def live(workspace: MovingWorkspace, random: Random) -> None:
    """What happens between two runs."""
    for _ in range(random.randrange(6)):
        workspace.change()
        workspace.pass_time(random.choice([0, 0.5, 20, 400]))
    kind = random.random()
    if kind < 0.08:
        workspace.toggle_role()
    elif kind < 0.13:
        workspace.delete(share=random.choice([0.4, 0.8]))
    if random.random() < 0.3:
        workspace.pass_time(random.choice([600, 3600, 86400]))


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_what_stands_is_the_workspace(awork: Sandbox, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    awork.settings.max_page_size = random.choice([5, 12, 1000])
    day = random.choice([date(2026, 10, 1), date(2026, 10, 25), date(2026, 12, 31)])
    now = datetime(day.year, day.month, day.day, random.randrange(24), random.randrange(60), tzinfo=UTC)
    workspace = MovingWorkspace(awork, random=random, now=now)
    fill(workspace, random)
    plan = Plan(random, workspace)
    sequence = Sequence(awork, workspace, tmp_path / "lake", random=random)
    for _ in range(random.randrange(3, 8)):
        live(workspace, random)
        sequence.execute(plan.next())
        sequence.check_sets()
    workspace.pass_time(3600)  # all that was late is there by now
    sequence.check_sets()
    sequence.check_loads()
    sequence.check_left_over()
