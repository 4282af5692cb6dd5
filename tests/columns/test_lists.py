"""awork's other lists: their columns against awork's own document, and rows of a local awork as values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import requests

from airflow_provider_awork.client.lists.resources import RESOURCES
from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.lists import LIST_MODELS
from airflow_provider_awork.columns.model import RowModel
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.openapi import leaves

PROJECT = "11111111-2222-4333-8444-555555555555"
NAMES = list(LIST_MODELS)


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=4) as sandbox:
        yield sandbox


def test_every_resource_has_columns() -> None:
    assert LIST_MODELS.keys() == RESOURCES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_the_leaves_of_the_official_model(name: str) -> None:
    resource = RESOURCES[name]
    schema = resource.endpoint(None if resource.path else PROJECT).row_schema
    whole = {"project"} if schema == "ProjectMilestone" else frozenset()
    assert {c.path: c.type for c in LIST_MODELS[name].to_row_model().leaves} == dict(leaves(schema, whole=whole))


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_extra_comes_last(name: str) -> None:
    columns = [column.name for column in LIST_MODELS[name].to_row_model().columns]
    assert len(set(columns)) == len(columns)
    assert columns[0] == "id"
    assert columns[-1] == "extra"


def test_columns_are_only_ever_appended() -> None:
    names = {name: [column.name for column in model.to_row_model().columns] for name, model in LIST_MODELS.items()}
    assert (names["users"][1:3], names["users"].index("created_at")) == (["first_name", "last_name"], 28)
    assert (names["projects"].index("project_status_name"), names["projects"].index("company_name")) == (25, 31)
    assert (names["projecttasks"].index("due_on"), names["projecttasks"].index("due_at")) == (5, 91)


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
    resource = RESOURCES[name]
    return resource.fill_path(None if resource.path else project["id"])


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_the_local_awork_fits_its_model(awork: Sandbox, name: str) -> None:
    rows = rows_of(awork, path_in(awork, name))
    leftovers = Leftovers()
    table = RowDecoder(LIST_MODELS[name].to_row_model(), leftovers).to_arrow(rows)
    assert rows
    assert table.num_rows == len(rows)
    assert leftovers == Leftovers()
    assert table["extra"].null_count == len(rows)
    ids = [sent(row)["id"] for row in rows]
    assert table["id"].to_pylist() == ids


def test_values_of_a_project(awork: Sandbox) -> None:
    rows = rows_of(awork, "projects")
    table = RowDecoder(LIST_MODELS["projects"].to_row_model(), Leftovers()).to_arrow(rows)
    for project, row in zip(map(sent, rows), table.to_pylist(), strict=True):
        assert row["company_id"] == project["company"]["id"]
        assert row["project_status_id"] == project["projectStatus"]["id"]
        assert row["extra"] is None
        assert row["project_type_name"] == project["projectType"]["name"]
        assert json.loads(row["company_tags"]) == []
        assert row["time_budget"] == project["timeBudget"]
        assert row["created_at"].isoformat()[:19] == project["createdOn"][:19]
        assert row["start_at"].isoformat()[:10] == project["startDate"][:10] == row["start_date"][:10]
        assert row["closed_at"] is None


def test_what_is_known_beyond_the_row() -> None:
    rows = [msgspec.Raw(b'{"id":"a"}'), msgspec.Raw(b'{"id":"b","spin":1}')]

    def values_of(model: RowModel) -> dict[str, list[Any]]:
        return RowDecoder(model, Leftovers()).decode(rows)

    users, members = LIST_MODELS["users"], LIST_MODELS["projectmembers"]
    assert values_of(users.to_row_model())["is_api_user"] == [None, None]
    assert values_of(users.to_row_model(api_user_ids=frozenset("b")))["is_api_user"] == [False, True]
    assert values_of(members.to_row_model(project_id=PROJECT))["of_project_id"] == [PROJECT, PROJECT]
    assert values_of(members.to_row_model())["extra"] == [None, '{"spin":1}']


def test_whether_a_user_is_an_api_user_rests_on_no_misfit() -> None:
    rows = [msgspec.Raw(b'{"id":5}'), msgspec.Raw(b'{"id":"b"}')]
    leftovers = Leftovers()
    model = LIST_MODELS["users"].to_row_model(api_user_ids=frozenset("c"))
    assert RowDecoder(model, leftovers).decode(rows)["is_api_user"] == [None, False]
    assert leftovers.misfits == {"id": 1}
