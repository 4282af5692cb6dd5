"""Every operation as a method of the hook, against a local awork."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.client.entries.operations import TimeEntryOperations
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import connection_in_environment

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=200, seed=5) as sandbox:
        yield sandbox


@pytest.fixture
def hook(awork: Sandbox) -> Iterator[AworkHook]:
    with connection_in_environment(awork.url, awork.token):
        hook = AworkHook()
        yield hook
        hook.close()


@pytest.fixture
def entries(awork: Sandbox) -> list[dict[str, Any]]:
    """Finished, not billed, with a project and a user."""
    return [
        entry
        for entry in awork.store.entries()
        if {"projectId", "taskId", "userId", "endTimeUtc"} <= entry.keys() and not entry["isBilled"]
    ]


def stored(awork: Sandbox, entry_id: str) -> dict[str, Any]:
    return next(entry for entry in awork.store.entries() if entry["id"] == entry_id)


def test_every_operation_of_the_client_is_a_method_with_the_same_parameters() -> None:
    for name, operation in inspect.getmembers(TimeEntryOperations, inspect.isfunction):
        if not name.startswith("_"):
            own = inspect.signature(getattr(AworkHook, name))
            assert own.parameters == inspect.signature(operation).parameters, name


def test_an_update_keeps_a_note_that_was_cut_in_the_middle_of_an_emoji(
    hook: AworkHook, awork: Sandbox, entries: list[dict[str, Any]]
) -> None:
    note = json.loads(r'"cut \ud83d, \ude00\ud83d turned round, whole \ud83d\ude00"')
    entry = awork.store.edit(entries[3]["id"], note=note)
    changed = hook.update_time_entry(entry["id"], isBillable=not entry["isBillable"])
    assert stored(awork, entry["id"])["note"] == note
    assert stored(awork, entry["id"])["isBillable"] is not entry["isBillable"]
    assert changed["note"] == "cut \ufffd, \ufffd\ufffd turned round, whole \U0001f600"


def test_create_update_replace_delete(hook: AworkHook, awork: Sandbox, entries: list[dict[str, Any]]) -> None:
    like = entries[0]
    entry = hook.create_time_entry(
        userId=like["userId"],
        typeOfWorkId=like["typeOfWorkId"],
        timezone="Europe/Berlin",
        projectId=like["projectId"],
        startDateLocal="2026-07-01",
        duration=7200,
        note="Workshop",
    )
    assert hook.update_time_entry(entry["id"], note="Workshop, day 1")["duration"] == 7200
    replaced = hook.replace_time_entry(
        entry["id"],
        typeOfWorkId=like["typeOfWorkId"],
        timezone="Europe/Berlin",
        startDateLocal="2026-07-01",
        duration=60,
    )
    assert "projectId" not in replaced
    assert replaced == stored(awork, entry["id"])
    hook.delete_time_entry(entry["id"])
    assert entry["id"] not in awork.store.ids()


def test_breaks_and_last_entries(hook: AworkHook, awork: Sandbox) -> None:
    paused = next(entry for entry in awork.store.entries() if entry.get("breakDuration") and "userId" in entry)
    assert hook.remove_breaks(paused["id"])["breaks"] == []
    last = hook.get_last_time_entry(paused["userId"])
    assert last
    assert last == hook.get_my_last_time_entry(user_id=paused["userId"])


def test_batch(hook: AworkHook, awork: Sandbox, entries: list[dict[str, Any]]) -> None:
    ids = [entry["id"] for entry in entries[:3]]
    result = hook.batch_time_entries("setIsBilled", ids, value=True, require_all=True)
    result.raise_for_failures()
    assert result.ok == tuple(ids)
    assert all(stored(awork, each)["isBilled"] for each in ids)
    assert json.loads(awork.requests[-1].body)["requireAllTimeEntries"] is True


def test_the_old_setters(hook: AworkHook, awork: Sandbox, entries: list[dict[str, Any]]) -> None:
    entry, other = entries[3], entries[4]
    ids = [entry["id"]]
    hook.set_time_entries_unbillable(ids)
    assert not stored(awork, ids[0])["isBillable"]
    hook.set_time_entries_billable(ids)
    hook.set_time_entries_billed(ids)
    assert stored(awork, ids[0])["isBillable"]
    assert stored(awork, ids[0])["isBilled"]
    hook.set_time_entries_unbilled(ids)
    assert not stored(awork, ids[0])["isBilled"]
    hook.set_time_entries_type_of_work(ids, type_of_work_id=other["typeOfWorkId"])
    assert stored(awork, ids[0])["typeOfWorkId"] == other["typeOfWorkId"]
    hook.delete_time_entries(ids)
    assert ids[0] not in awork.store.ids()


def test_simplified_entries(hook: AworkHook, awork: Sandbox) -> None:
    rows = list(hook.get_simplified_time_entries(filterby="isBillable eq true", grouping="user"))
    assert {row["id"] for row in rows} == set(awork.store.ids(lambda entry: entry["isBillable"]))
    assert all("createdOn" in row and "note" not in row for row in rows)
    assert [row["createdOn"][:19] for row in rows] == sorted(row["createdOn"][:19] for row in rows)


def test_arguments_that_cannot_work_send_nothing(hook: AworkHook, awork: Sandbox) -> None:
    before = len(awork.requests)
    with pytest.raises(AworkConfigError, match="userId"):
        hook.create_time_entry(timezone="UTC", startDateLocal="2026-07-01")  # type: ignore[typeddict-item]
    with pytest.raises(AworkConfigError, match="time_entry_ids"):
        hook.batch_time_entries("delete", [])
    assert len(awork.requests) == before


def test_the_table_of_operations_names_every_method() -> None:
    page = PAGE.read_text()
    rows = re.findall(r"^\| (`.*) \| `(.*)` \|$", page, re.MULTILINE)
    methods = {name for cell, _ in rows for name in re.findall(r"`(\w+)\(", cell)}
    operations = {name for name, _ in inspect.getmembers(TimeEntryOperations, inspect.isfunction) if name[0] != "_"}
    lists = {"get_time_entries", "get_simplified_time_entries", "count_time_entries"}
    assert methods == operations | lists
    assert all(hasattr(AworkHook, name) for name in methods)
    assert len({call for _, call in rows}) == 18
