"""awork's other lists in real DAG runs: a local awork, local files."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pendulum
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_awork.client.lists.resources import RESOURCES
from airflow_provider_awork.columns.lists import LIST_MODELS
from airflow_provider_awork.files.manifest import Manifest, verify_manifest
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.faults import Answer
from airflow_provider_awork.transfers.awork_to_object_storage import AworkListToObjectStorageOperator
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=30, seed=11) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture
def destination(tmp_path: Path) -> str:
    return f"file://{tmp_path}/out"


@pytest.fixture
def project_id(awork: Sandbox) -> str:
    """A retainer: it has rows in every list of one project."""
    return next(row["projectId"] for row in awork.lists.rows["retainers"])


def export(destination: str, **parameters: Any) -> DagResult:
    with DAG("lists_for_test", schedule=None, start_date=START) as dag:
        AworkListToObjectStorageOperator(
            task_id="export", destination=destination, retries=1, retry_delay=0, **parameters
        )
    return run_dag(dag)


def files_of(destination: str) -> list[bytes]:
    path = ObjectStoragePath(destination)
    return [(path / file.name).read_bytes() for file in manifest_of(destination).files]


def manifest_of(destination: str) -> Manifest:
    return verify_manifest(ObjectStoragePath(destination), check_sha256=True)


def rows_of(destination: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for data in files_of(destination):
        rows += pq.read_table(io.BytesIO(data)).to_pylist()
    return rows


def test_ndjson_has_each_row_as_awork_sent_it(awork: Sandbox, destination: str) -> None:
    result = export(destination, resource="projects", max_rows_per_file=10)
    lines = [line for data in files_of(destination) for line in gzip.decompress(data).splitlines()]
    stored = awork.store.texts("projects")
    assert sorted(lines) == sorted(stored.values())
    created = [msgspec.json.decode(line)["createdOn"] for line in lines]
    assert created == sorted(created)
    manifest = manifest_of(destination)
    assert (manifest.rows, manifest.columns, manifest.source.list_path) == (len(stored), None, "projects")
    assert manifest.source.sees_all_rows is True
    assert manifest.watermark is not None
    assert manifest.watermark[:26] == created[-1][:26]
    assert result.xcom("export")["rows"] == len(stored)


def test_every_list_arrives_whole(awork: Sandbox, tmp_path: Path, project_id: str) -> None:
    with DAG("all_lists", schedule=None, start_date=START) as dag:
        for name, resource in RESOURCES.items():
            AworkListToObjectStorageOperator(
                task_id=name,
                resource=name,
                project_id=None if resource.path else project_id,
                destination=f"file://{tmp_path}/{name}",
                file_format="parquet",
            )
    result = run_dag(dag)
    assert result.state == "success"
    for name, model in LIST_MODELS.items():
        manifest = manifest_of(f"file://{tmp_path}/{name}")
        columns = [column.name for column in model.to_row_model().columns]
        assert [column.name for column in manifest.columns or ()] == columns
        assert manifest.unknown_fields == {}
        assert manifest.rows == result.xcom(name)["rows"] > 0, name
    rows = {name: rows_of(f"file://{tmp_path}/{name}") for name in ("users", "teams", "projectmembers", "projecttasks")}
    assert sum(row["is_api_user"] for row in rows["users"]) == 1
    assert next(row["id"] for row in rows["users"] if row["is_api_user"]) == awork.me
    assert all(json.loads(row["user_ids"]) for row in rows["teams"])
    assert {row["of_project_id"] for row in rows["projectmembers"]} == {project_id}
    tasks = [json.loads(text) for text in awork.store.texts("projecttasks").values()]
    assert {row["id"] for row in rows["projecttasks"]} == {
        task["id"] for task in tasks if task["baseType"] == "projecttask"
    }


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_values_of_a_list_that_misfit_are_counted_and_warned_about(destination: str, file_format: str) -> None:
    with Sandbox(entries=5, seed=8) as awork, connection_in_environment(awork.url, awork.token):
        project = json.loads(next(iter(awork.store.texts("projects").values())))
        odd = {**project, "id": str(uuid4()), "timeBudget": "a lot", "tasksCount": 2.5, "trackedDuration": 36e2}
        awork.store.add_rows("projects", [odd])
        result = export(destination, resource="projects", file_format=file_format)
    assert result.state == "success"
    assert result.xcom("export")["misfits"] == manifest_of(destination).misfits == {"tasksCount": 1, "timeBudget": 1}
    assert f"tasksCount in 1 row (such as {odd['id']}), timeBudget in 1 row (such as {odd['id']})" in result.logs


def test_a_list_that_comes_whole_is_one_request(awork: Sandbox, destination: str) -> None:
    before = len(awork.requests)
    export(destination, resource="roles", file_format="parquet")
    asked = [request for request in awork.requests[before:] if request.path == "/roles"]
    assert [dict(request.query) for request in asked] == [{"showArchived": "true"}]
    assert [row["is_archived"] for row in rows_of(destination)] == [False, False, False, True]
    assert manifest_of(destination).watermark is None


def test_archived_rows_come_unless_they_are_left_out(awork: Sandbox, tmp_path: Path) -> None:
    everything, current = f"file://{tmp_path}/everything", f"file://{tmp_path}/current"
    export(everything, resource="typeofwork", file_format="parquet")
    export(current, resource="typeofwork", file_format="parquet", show_archived=False)
    archived = {row["name"] for row in rows_of(everything)} - {row["name"] for row in rows_of(current)}
    assert archived == {"Reisezeit"}


def test_filters_and_query_parameters_are_passed_on(awork: Sandbox, destination: str) -> None:
    export(
        destination,
        resource="teams",
        file_format="parquet",
        filterby="name eq '{{ dag_run.conf.get('team', 'Beratung') }}'",
        query_params={"includeUserIds": False},
    )
    (row,) = rows_of(destination)
    assert (row["name"], row["user_ids"]) == ("Beratung", None)
    assert json.loads(row["project_ids"])


def test_many_rows_need_many_pages(awork: Sandbox, destination: str) -> None:
    with Sandbox(entries=10, seed=2, max_page_size=20) as small, connection_in_environment(small.url, small.token):
        export(destination, resource="projecttasks", file_format="parquet")
        ids = [row["id"] for row in rows_of(destination)]
        tasks = [json.loads(text) for text in small.store.texts("projecttasks").values()]
    assert len(ids) > 100
    assert sorted(ids) == sorted(task["id"] for task in tasks if task["baseType"] == "projecttask")


def test_mapped_over_lists(awork: Sandbox, tmp_path: Path) -> None:
    with DAG("mapped_lists", schedule=None, start_date=START) as dag:
        AworkListToObjectStorageOperator.partial(
            task_id="export",
            destination=f"file://{tmp_path}/{{{{ task.resource }}}}",
            map_index_template="{{ task.resource }}",
        ).expand(resource=["users", "projects"])
    result = run_dag(dag)
    assert result.state == "success"
    assert result.xcom("export", map_index=1)["destination"] == f"file://{tmp_path}/projects"
    assert manifest_of(f"file://{tmp_path}/users").source.list_path == "users"


def test_without_the_right_to_list_api_users_their_mark_is_unknown(destination: str) -> None:
    refusal = Answer(401, {"code": "unauthorized", "description": "no", "link": "x"})
    with Sandbox(entries=5, seed=3) as limited, connection_in_environment(limited.url, limited.token):
        limited.faults.add(lambda request, _: refusal if request.path == "/apiusers" else None)
        result = export(destination, resource="users", file_format="parquet")
    assert {row["is_api_user"] for row in rows_of(destination)} == {None}
    assert "Which users are API users is unknown: awork answered 401 unauthorized" in result.logs


def test_missing_rights_are_told(destination: str) -> None:
    rights = {"isAdmin": False, "permissions": [{"feature": "project-timetracking", "accessLevels": ["write"]}]}
    answer = Answer(200, {"userPermission": rights})
    with Sandbox(entries=5, seed=3) as limited, connection_in_environment(limited.url, limited.token):
        limited.faults.add(lambda request, _: answer if request.path == "/me/permissions" else None)
        result = export(destination, resource="users")
    assert "lacks the permission user-master-data:read: awork leaves out of users what it may not see" in result.logs
    assert manifest_of(destination).source.sees_all_rows is False
    assert result.xcom("export")["sees_all_rows"] is False


@pytest.mark.parametrize(
    ("resource", "permission"),
    [
        ("absenceregions", "user-planning-data:write"),
        ("tasklists", "project-planning-data:read"),
        ("projects", "project-master-data:read"),
        ("allavailabletasks", "project-planning-data:read"),
    ],
)
def test_lists_that_awork_shortens_by_permission(tmp_path: Path, resource: str, permission: str) -> None:
    feature, level = permission.split(":")
    rights: dict[str, Any] = {
        "isAdmin": False,
        "permissions": [{"feature": "project-timetracking", "accessLevels": []}],
    }
    with Sandbox(entries=30, seed=11) as limited, connection_in_environment(limited.url, limited.token):
        limited.faults.add(
            lambda request, _: Answer(200, {"userPermission": rights}) if request.path == "/me/permissions" else None
        )
        project = {"project_id": limited.lists.rows["retainers"][0]["projectId"]} if resource == "tasklists" else {}
        result = export(f"file://{tmp_path}/limited", resource=resource, **project)
        assert result.xcom("export")["sees_all_rows"] is False
        assert f"lacks the permission {permission}: awork leaves out of" in result.logs
        rights["permissions"] = [{"feature": feature, "accessLevels": [level]}]
        result = export(f"file://{tmp_path}/all", resource=resource, **project)
        assert result.xcom("export")["sees_all_rows"] is True
        assert "lacks the permission" not in result.logs


def test_a_whole_list_that_pages_after_all_fails(destination: str) -> None:
    with Sandbox(entries=5, seed=3) as awork, connection_in_environment(awork.url, awork.token):
        short = Answer(200, [{"id": "x"}], headers={"aw-totalitems": "2"})
        awork.faults.add(lambda request, _: short if request.path == "/roles" else None)
        result = export(destination, resource="roles")
    assert result.state == "failed"
    assert "awork sends 1 rows of a list that should come whole, of 2" in result.logs


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"resource": "tasks"}, "resource: 'tasks' is not one of users, apiusers, teams"),
        ({"resource": "tasklists"}, "project_id: awork lists tasklists by project only"),
        ({"resource": "users", "project_id": "x"}, "project_id: awork has no users of one project"),
        ({"resource": "roles", "filterby": "name eq 'x'"}, "filterby: awork sends roles whole"),
        ({"resource": "projects", "show_archived": False}, "show_archived: awork does not tell archived projects"),
        ({"resource": "users", "query_params": {"pageSize": 5}}, "query_params: pageSize cannot be passed"),
        ({"resource": "users", "file_format": "xlsx"}, "file_format: 'xlsx'"),
        ({"resource": "users", "filterby": "frobnicate"}, "invalid-filter-or-order"),
        ({"resource": "users", "filterby": "firstName eq 'nobody'", "fail_if_empty": True}, "No user matches"),
    ],
)
def test_what_cannot_work_fails_at_once(
    awork: Sandbox, destination: str, parameters: dict[str, Any], message: str
) -> None:
    result = export(destination, **parameters)
    assert result.state == "failed"
    assert result.task("export").try_number == 1
    assert message in result.logs
    assert not (ObjectStoragePath(destination) / "_manifest.json").exists()
