"""A key whose role changes while a list is read: every path fails and leaves what was published as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from airflow_provider_awork.exceptions import AworkConfigError, AworkPagingError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator, AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Answer, RuleRequest, Sandbox, Store
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from airflow_provider_awork.version_compat import AirflowFailException
from tests.helpers.runs import exported_ids, hook_for

SEED = 3
ENTRIES = 600

Read = Callable[[AworkHook, Path], object]


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    """Small pages and one request at a time: each path reads several pages, one after another."""
    with Sandbox(entries=ENTRIES, seed=SEED, max_page_size=100) as sandbox:
        yield sandbox


def hook_of(awork: Sandbox) -> AworkHook:
    return hook_for(awork, max_concurrent_requests=1)


def execute(operator: Any, hook: AworkHook) -> Any:
    operator.hook = hook
    instance = SimpleNamespace(dag_id="permissions", run_id="manual", task_id="read", map_index=-1, try_number=1)
    instance.xcom_push = lambda **_: None
    return operator.execute(cast(Context, {"ti": instance}))


def export(hook: AworkHook, folder: Path) -> object:
    return execute(AworkTimeEntriesToObjectStorageOperator(task_id="read", destination=folder.as_uri()), hook)


def export_list(hook: AworkHook, folder: Path) -> object:
    destination = f"{folder.as_uri()}/projects"
    return execute(AworkListToObjectStorageOperator(task_id="read", destination=destination, resource="projects"), hook)


def export_whole_list(hook: AworkHook, folder: Path) -> object:
    destination = f"{folder.as_uri()}/roles"
    return execute(AworkListToObjectStorageOperator(task_id="read", destination=destination, resource="roles"), hook)


def to_xcom(**parameters: Any) -> Read:
    return lambda hook, _: execute(AworkTimeEntriesOperator(task_id="read", fields=["id"], **parameters), hook)


def iterate(start: Callable[[AworkHook], Iterable[object]]) -> Read:
    return lambda hook, _: list(start(hook))


PATHS: dict[str, Read] = {
    "export": export,
    "list": export_list,
    "whole list": export_whole_list,
    "XCom": to_xcom(),
    "XCom with a limit": to_xcom(limit=250),
    "get_time_entries": iterate(lambda hook: hook.get_time_entries()),
    "get_time_entries with a limit": iterate(lambda hook: hook.get_time_entries(limit=250)),
    "get_simplified_time_entries": iterate(lambda hook: hook.get_simplified_time_entries()),
    "get_list": iterate(lambda hook: hook.get_list("projects")),
    "get_list in an order": iterate(lambda hook: hook.get_list("timeentries", orderby="createdOn desc")),
    "get_list whole": iterate(lambda hook: hook.get_list("roles")),
    "read_list": iterate(lambda hook: hook.client.read_list("timeentries")),
}


def change_role(awork: Sandbox, *, loses: bool, after: int) -> None:
    """Change what the key may see once a number of lists has been answered."""
    awork.settings.missing_permissions = not loses
    lists = iter(range(after))

    def rule(request: RuleRequest, _: Store) -> None:
        if request.path not in ("/me", "/me/permissions") and next(lists, None) is None:
            awork.settings.missing_permissions = loses

    awork.faults.add(rule)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("loses", [True, False], ids=["loses", "gains"])
def test_a_role_that_changes_while_a_list_is_read(awork: Sandbox, tmp_path: Path, path: str, loses: bool) -> None:
    several_pages = path not in ("list", "whole list", "get_list", "get_list whole") and loses
    change_role(awork, loses=loses, after=2 if several_pages else 0)
    with pytest.raises(AworkConfigError if loses else AworkPagingError) as caught:
        PATHS[path](hook_of(awork), tmp_path)
    first_line, rest = str(caught.value).split("\n", 1)
    assert first_line == "awork_conn_id: the key's permissions changed while it read"
    assert rest.startswith("It lost administrator" if loses else "It gained administrator")
    assert isinstance(caught.value, AirflowFailException) is loses, "another try helps a key that sees more by now"
    assert not list(tmp_path.rglob("_manifest.json"))


def test_entries_of_a_batch_that_are_hidden_by_now_are_not_gone(awork: Sandbox, tmp_path: Path) -> None:
    ids = [entry["id"] for entry in hook_of(awork).get_time_entries(limit=20)]
    change_role(awork, loses=True, after=10)
    operator = AworkBatchTimeEntriesOperator(
        task_id="read", operation="setIsBilled", value=True, time_entry_ids=ids, ignore_not_found=True, dry_run=True
    )
    with pytest.raises(AworkConfigError, match="It lost administrator"):
        execute(operator, hook_of(awork))


def test_the_former_set_stays(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_of(awork), tmp_path)
    before = exported_ids(tmp_path)
    change_role(awork, loses=True, after=3)
    with pytest.raises(AworkConfigError, match="Restore its permissions and clear the task"):
        export(hook_of(awork), tmp_path)
    assert exported_ids(tmp_path) == before
    assert len(before) == ENTRIES


@pytest.mark.parametrize("reported_first", [True, False])
def test_permissions_that_awork_reports_only_for_a_part_of_the_read(awork: Sandbox, reported_first: bool) -> None:
    asked: list[str] = []

    def refuse(request: RuleRequest, _: Store) -> Answer | None:
        if request.path != "/me/permissions":
            return None
        asked.append(request.path)
        return Answer(403) if (len(asked) == 1) is not reported_first else None

    awork.faults.add(refuse)
    with pytest.raises(AworkPagingError, match="only for a part of the read"):
        list(hook_of(awork).get_time_entries())


def test_permissions_that_are_never_reported_fail_nothing(awork: Sandbox) -> None:
    awork.faults.add(lambda request, _: Answer(403) if request.path == "/me/permissions" else None)
    assert len(list(hook_of(awork).get_time_entries())) == ENTRIES


def test_a_project_role_counts(awork: Sandbox) -> None:
    """A limited key sees more or less by its roles in projects, too."""
    roles = iter(
        [[{"projectRoleId": "r", "permissions": [{"feature": "project-timetracking", "accessLevels": ["write"]}]}], []]
    )

    def answer(request: RuleRequest, _: Store) -> Answer | None:
        if request.path != "/me/permissions":
            return None
        rights = {"isAdmin": False, "permissions": [], "projectRolesPermissions": next(roles)}
        return Answer(200, {"userPermission": rights})

    awork.faults.add(answer)
    with pytest.raises(AworkConfigError, match="It lost project-timetracking:write in project role r"):
        list(hook_of(awork).get_time_entries())


def test_who_asks_is_read_once_and_the_permissions_once_more_for_each_read(awork: Sandbox) -> None:
    hook = hook_of(awork)
    for read in range(1, 4):
        assert len(list(hook.get_time_entries())) == ENTRIES
        paths = [request.path for request in awork.requests]
        assert (paths.count("/me"), paths.count("/me/permissions")) == (1, 1 + read)
        assert paths[-1] == "/me/permissions"
    assert paths[:2] == ["/me", "/me/permissions"]


@pytest.mark.parametrize("abandon", ["break", "close"])
def test_an_iterator_that_is_abandoned_asks_for_nothing_more(awork: Sandbox, abandon: str) -> None:
    entries = hook_of(awork).get_time_entries()
    next(entries)
    if abandon == "close":
        entries.close()  # type: ignore[attr-defined]  # a generator
    del entries
    paths = [request.path for request in awork.requests]
    assert paths.count("/me/permissions") == 1


def test_an_export_asks_for_the_permissions_twice(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_of(awork), tmp_path)
    paths = [request.path for request in awork.requests]
    assert paths[:2] == ["/me", "/me/permissions"]
    assert paths[-1] == "/me/permissions"
    assert paths.count("/me") + paths.count("/me/permissions") == 3
