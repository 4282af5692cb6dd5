"""awork's other lists: their columns against awork's own document, and rows of a local awork as values."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.lists import RESOURCES, Resource, find_resource, list_path
from airflow_provider_awork.columns.time_entry import DERIVED, ColumnType, RowModel
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.sandbox import Sandbox

OPENAPI = Path(os.environ.get("AWORK_OPENAPI") or Path(__file__).parents[3] / "shared/awork/openapi-v1-subset.json")
PROJECT = "11111111-2222-4333-8444-555555555555"
TYPES = {
    ("boolean", None): ColumnType.BOOLEAN,
    ("integer", "int32"): ColumnType.INTEGER,
    ("integer", "int64"): ColumnType.INTEGER,
    ("number", "double"): ColumnType.NUMBER,
}
NAMES = list(RESOURCES)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    if not OPENAPI.exists():
        pytest.skip(f"awork's OpenAPI document is not at {OPENAPI}; AWORK_OPENAPI names it")
    loaded: dict[str, Any] = json.loads(OPENAPI.read_text())
    return loaded


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=4) as sandbox:
        yield sandbox


def openapi_leaves(schemas: dict[str, Any], name: str, prefix: str = "") -> Iterator[tuple[str, ColumnType]]:
    """Each leaf of an official model; an array, and the whole project within a milestone, count as one."""
    for key, member in schemas[name]["properties"].items():
        path = f"{prefix}{key}"
        if member.get("type") == "array" or (name, path) == ("ProjectMilestone", "project"):
            yield path, ColumnType.JSON
        elif "$ref" in member:
            yield from openapi_leaves(schemas, member["$ref"].rpartition("/")[2], f"{path}.")
        else:
            yield path, TYPES.get((member["type"], member.get("format")), ColumnType.TEXT)


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_the_leaves_of_the_official_model(document: dict[str, Any], name: str) -> None:
    schemas, resource = document["components"]["schemas"], RESOURCES[name]
    if resource.schema not in schemas:
        pytest.skip(f"{resource.schema} is not in {OPENAPI}")
    columns = resource.model().columns
    assert {c.path: c.type for c in columns if c.path != DERIVED} == dict(openapi_leaves(schemas, resource.schema))


def official_operation(document: dict[str, Any], path: str) -> dict[str, Any]:
    path = path.replace(PROJECT, "{projectId}")
    if f"/{path}" not in document["paths"]:
        pytest.skip(f"/{path} is not in {OPENAPI}")
    operation: dict[str, Any] = document["paths"][f"/{path}"]["get"]
    return operation


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_parameters_are_the_official_ones(document: dict[str, Any], name: str) -> None:
    resource = RESOURCES[name]
    operation = official_operation(document, list_path(name, None if resource.path else PROJECT))
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["items"]["$ref"].rpartition("/")[2] == resource.schema
    given = {
        parameter.get("name") or parameter["$ref"].rpartition("/")[2] for parameter in operation.get("parameters", ())
    }
    assert ({"page", "pageSize", "orderby", "filterby"} <= given) == resource.paged
    assert ("showArchived" in given) == resource.archivable
    assert resource.params.keys() <= given


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_extra_comes_last(name: str) -> None:
    columns = [column.name for column in RESOURCES[name].model().columns]
    assert len(set(columns)) == len(columns)
    assert columns[0] == "id"
    assert columns[-1] == "extra"


def test_columns_are_only_ever_appended() -> None:
    names = {name: [column.name for column in resource.model().columns] for name, resource in RESOURCES.items()}
    assert (names["users"][1:3], names["users"].index("created_at")) == (["first_name", "last_name"], 28)
    assert (names["projects"].index("project_status_nested_id"), names["projects"].index("company_name")) == (26, 34)
    assert (names["projecttasks"].index("due_on"), names["projecttasks"].index("due_at")) == (5, 96)


def rows_of(awork: Sandbox, path: str) -> list[msgspec.Raw]:
    parameters = {"pageSize": "1000", "showArchived": "true", "includeUserIds": "true", "includeProjectIds": "true"}
    answer = requests.get(
        f"{awork.url}/{path}", params=parameters, headers={"Authorization": f"Bearer {awork.token}"}, timeout=20
    )
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=list[msgspec.Raw])


def sent(row: msgspec.Raw) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(row)
    return decoded


def path_in(awork: Sandbox, name: str) -> str:
    """The list of all projects, else that of a project which is a retainer."""
    project = next(row for row in map(sent, rows_of(awork, "projects")) if row["isRetainer"])
    return list_path(name, None if RESOURCES[name].path else project["id"])


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_the_local_awork_fits_its_model(awork: Sandbox, name: str) -> None:
    rows = rows_of(awork, path_in(awork, name))
    unknown: Counter[str] = Counter()
    table = RowDecoder(RESOURCES[name].model(), unknown).to_arrow(rows)
    assert rows
    assert table.num_rows == len(rows)
    assert not unknown
    assert table["extra"].null_count == len(rows)
    ids = [sent(row)["id"] for row in rows]
    assert table["id"].to_pylist() == ids


def test_values_of_a_project(awork: Sandbox) -> None:
    rows = rows_of(awork, "projects")
    table = RowDecoder(RESOURCES["projects"].model(), Counter()).to_arrow(rows)
    for project, row in zip(map(sent, rows), table.to_pylist(), strict=True):
        assert row["company_id"] == row["company_nested_id"] == project["company"]["id"]
        assert row["project_type_name"] == project["projectType"]["name"]
        assert json.loads(row["company_tags"]) == []
        assert row["time_budget"] == project["timeBudget"]
        assert row["created_at"].isoformat()[:19] == project["createdOn"][:19]
        assert row["start_at"].isoformat()[:10] == project["startDate"][:10] == row["start_date"][:10]
        assert row["closed_at"] is None


def test_what_is_known_beyond_the_row() -> None:
    rows = [msgspec.Raw(b'{"id":"a"}'), msgspec.Raw(b'{"id":"b","spin":1}')]

    def values_of(model: RowModel) -> dict[str, list[Any]]:
        return RowDecoder(model, Counter()).decode(rows)

    users, members = RESOURCES["users"], RESOURCES["projectmembers"]
    assert values_of(users.model())["is_api_user"] == [None, None]
    assert values_of(users.model(api_user_ids=frozenset("b")))["is_api_user"] == [False, True]
    assert values_of(members.model(project_id=PROJECT))["of_project_id"] == [PROJECT, PROJECT]
    assert values_of(members.model())["extra"] == [None, '{"spin":1}']


def test_an_unknown_list_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(AworkConfigError, match=r"'tasks' is not one of users, apiusers, .*projecttasks"):
        find_resource("tasks")


@pytest.mark.parametrize(
    ("name", "project_id", "message"),
    [
        ("users", PROJECT, "no users of one project"),
        ("projectmembers", None, "lists projectmembers by project only"),
        ("projecttasks", "42", "project_id"),
    ],
)
def test_a_list_that_awork_does_not_have_is_an_error(name: str, project_id: str | None, message: str) -> None:
    with pytest.raises(AworkConfigError, match=message):
        list_path(name, project_id)


def test_tasks_of_all_projects_and_of_one() -> None:
    assert list_path("projecttasks") == "me/projecttasks"
    assert list_path("projecttasks", PROJECT) == f"projects/{PROJECT}/projecttasks"


def test_every_resource_has_a_place() -> None:
    def is_placed(resource: Resource) -> bool:
        return bool(resource.path or resource.project_path)

    assert all(map(is_placed, RESOURCES.values()))
