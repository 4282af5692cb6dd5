"""
All rows of a workspace, generated from a seed.

Tests start hundreds of sandboxes with the same few workspaces, and generating the rows takes longest: a process
generates each small workspace once.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random

from airflow_provider_awork.sandbox.entry_data import generate_entries, people_for
from airflow_provider_awork.sandbox.list_data import ListData, make_list_data
from airflow_provider_awork.sandbox.master_data import MasterData, make_master_data
from airflow_provider_awork.sandbox.store import PreparedRow, prepare_rows

MOST_KEPT_ENTRIES = 5000
KEPT_WORKSPACES = 16
SETTLED = timedelta(days=60)  # after the last day; no entry is created or billed later, whatever the clock says


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """
    What a sandbox serves at first.

    :param random: continues where the generation ended.
    :param data: people, projects and the like, for further entries.
    :param lists: the lists that no entry refers to.
    :param rows: the rows of each table of the store, ready to be inserted once.
    """

    random: Random
    data: MasterData
    lists: ListData
    rows: Iterable[tuple[str, Iterable[PreparedRow]]]


def make_workspace(*, seed: int, entries: int, start: date, end: date, now: datetime, weekends: bool) -> Workspace:
    """
    Generate a workspace; the same arguments give the same rows.

    :param entries: how many time entries.
    :param start: first day with entries.
    :param end: first day without entries.
    :param now: aware; nothing is created or changed later.
    :param weekends: whether people work on Saturdays and Sundays, too.
    """
    now = min(now, datetime.combine(end, time(), UTC) + SETTLED)
    if entries > MOST_KEPT_ENTRIES:
        return _generate(seed, entries, start, end, now, weekends)
    state, rows = _generate_once(seed, entries, start, end, now, weekends)
    random, data, lists = pickle.loads(state)  # noqa: S301 - of this process; each sandbox has its own copy
    return Workspace(random=random, data=data, lists=lists, rows=rows)


@lru_cache(maxsize=KEPT_WORKSPACES)
def _generate_once(
    seed: int, entries: int, start: date, end: date, now: datetime, weekends: bool
) -> tuple[bytes, list[tuple[str, list[PreparedRow]]]]:
    workspace = _generate(seed, entries, start, end, now, weekends)
    rows = [(table, list(prepared)) for table, prepared in workspace.rows]
    return pickle.dumps((workspace.random, workspace.data, workspace.lists)), rows


def _generate(seed: int, entries: int, start: date, end: date, now: datetime, weekends: bool) -> Workspace:
    random = Random(seed)
    people = people_for(entries, start, end, weekends=weekends)
    data = make_master_data(random, people=people, start=start)
    # A separate random, so that these lists do not change the entries.
    lists = make_list_data(Random(data.api_user.id), data.rows, me=data.api_user.id, start=start)
    made = generate_entries(random, data, count=entries, start=start, end=end, now=now, weekends=weekends)
    tables = [*data.rows.items(), *lists.rows.items(), ("timeentries", made)]
    rows = ((table, prepare_rows(table, each)) for table, each in tables)
    return Workspace(random=random, data=data, lists=lists, rows=rows)
