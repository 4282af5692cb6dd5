"""awork's list endpoints: the table against awork's own document, and the lists that have a name."""

from __future__ import annotations

import re

import pytest

from airflow_provider_awork.client.lists.resources import LIST_ENDPOINTS, RESOURCES, find_endpoint, find_resource
from airflow_provider_awork.exceptions import AworkConfigError
from tests.helpers.openapi import list_operations, parameters, row_schema

PROJECT = "11111111-2222-4333-8444-555555555555"
PAGING = {"page", "pageSize", "orderby", "filterby"}
OFFICIAL = list_operations()


def template(path: str) -> str:
    """The path in our table, where parameters have no names."""
    return re.sub(r"\{\w+\}", "{id}", path.removeprefix("/"))


def test_the_table_has_every_list_endpoint_of_the_official_document() -> None:
    assert LIST_ENDPOINTS.keys() == set(map(template, OFFICIAL))
    assert len(LIST_ENDPOINTS) == len(OFFICIAL) == 155
    assert sum(not endpoint.is_paged for endpoint in LIST_ENDPOINTS.values()) == 66


@pytest.mark.parametrize("path", OFFICIAL)
def test_an_endpoint_is_as_documented(path: str) -> None:
    endpoint = LIST_ENDPOINTS[template(path)]
    offered = parameters(OFFICIAL[path], "query").keys()
    assert endpoint.is_paged == (offered >= PAGING)
    assert endpoint.is_paged or not PAGING & offered
    assert endpoint.parameters == offered - PAGING
    assert endpoint.row_schema == row_schema(path)


@pytest.mark.parametrize("path", LIST_ENDPOINTS)
def test_an_endpoint_is_found_by_its_path(path: str) -> None:
    filled = path.replace("{id}", PROJECT)
    assert find_endpoint(filled) is LIST_ENDPOINTS[path]
    assert find_endpoint(f"/{filled.upper()}/?showArchived=true") is LIST_ENDPOINTS[path]


@pytest.mark.parametrize("path", ["tasks", "projects/1", "projects/1/nosuch", "projects//members/x", ""])
def test_other_paths_are_no_known_list(path: str) -> None:
    assert find_endpoint(path) is None


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_is_at_known_endpoints_that_take_what_is_always_sent(name: str) -> None:
    resource = RESOURCES[name]
    assert resource.templates
    endpoints = [LIST_ENDPOINTS[path] for path in resource.templates]
    assert resource.params.keys() <= endpoints[0].parameters
    assert len({endpoint.is_paged for endpoint in endpoints}) == 1
    for path in resource.templates:
        assert ("{id}" in path) == (path == resource.project_path)


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
        find_resource(name).fill_path(project_id)


def test_tasks_of_all_projects_and_of_one() -> None:
    assert find_resource("projecttasks").fill_path() == "me/projecttasks"
    assert find_resource("projecttasks").fill_path(PROJECT) == f"projects/{PROJECT}/projecttasks"
