"""Answers of every endpoint against awork's own OpenAPI document."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30Validator

BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "awork" / "openapi-v1-subset.json"
DOCUMENT = Path(os.environ.get("AWORK_OPENAPI", BESIDE_THE_REPOSITORY))

LISTS = [
    "/timeentries", "/users", "/projects", "/companies", "/typeofwork", "/teams", "/projecttypes", "/projectstatuses",
    "/me/projecttasks", "/me/allavailabletasks", "/absences", "/workspaceabsences", "/timebookings",
    "/projectmilestones",
]  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    if not DOCUMENT.exists():
        pytest.skip(f"awork's OpenAPI document is not at {DOCUMENT}; AWORK_OPENAPI names it")
    return json.loads(DOCUMENT.read_text())


def errors(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    # Not date-time: awork's local dates have no zone, which the format wants.
    whole = {**schema, "components": document["components"]}
    validator = OAS30Validator(whole, format_checker=FormatChecker(["uuid"]))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def schema_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    answer = document["paths"][path]["get"]["responses"]["200"]
    return answer["content"]["application/json"]["schema"]


@pytest.mark.parametrize("path", LISTS)
def test_lists(document, reader, path):
    rows = reader.get(path, pageSize=1000, includeUserIds="true", includeProjectIds="true").json()

    assert rows
    # The last rows of the entries hold the open timers.
    assert errors(document, schema_of(document, path), rows[:150] + rows[-150:]) == []


WHOLE_LISTS = ["/roles", "/apiusers", "/absenceregions", "/taskschedules", "/customfielddefinitions"]
LISTS_OF_PROJECTS = [
    "/projects/{projectId}/projecttasks", "/projects/{projectId}/projectstatuses", "/projects/{projectId}/tasklists",
    "/projects/{projectId}/taskstatuses", "/projects/{projectId}/retainers", "/projects/{projectId}/members",
    "/projects/{projectId}/customfielddefinitions",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/workflows", "/projectroles", *WHOLE_LISTS, *LISTS_OF_PROJECTS])
def test_lists_beside_the_time_entries(document, reader, path):
    """Most are in awork's whole document only, which ``AWORK_OPENAPI`` may name."""
    if path not in document["paths"]:
        pytest.skip(f"{path} is not in {DOCUMENT}")
    retainer = reader.awork.lists.rows["retainers"][0]["projectId"]
    rows = reader.get(path.replace("{projectId}", retainer), pageSize=1000).json()

    assert rows
    assert errors(document, schema_of(document, path), rows) == []


def test_whole_lists_have_no_pages(reader):
    for path in WHOLE_LISTS:
        response = reader.get(path, page=2, pageSize=1, showArchived="true")
        assert response.json() == reader.awork.lists.whole[path[1:]]
        assert not [name for name in response.headers if name.lower().startswith("aw-")]


def test_lists_of_a_project_that_there_is_not(reader):
    for path in LISTS_OF_PROJECTS:
        assert reader.get(path.replace("{projectId}", "11111111-2222-4333-8444-555555555555")).status_code == 404


@pytest.mark.parametrize("path", ["/me", "/users/me", "/me/permissions", "/timetracking/settings"])
def test_single_answers(document, reader, path):
    assert errors(document, schema_of(document, path), reader.get(path).json()) == []


def test_answers_about_one_project_task_or_entry(document, reader):
    entry = next(entry for entry in reader.entries if "taskId" in entry and "projectId" in entry)

    for path, name, value in (
        ("/projects/{projectId}/timeentries", "projectId", entry["projectId"]),
        ("/projects/{projectId}/projecttasks", "projectId", entry["projectId"]),
        ("/tasks/{taskId}/timeentries", "taskId", entry["taskId"]),
        ("/timeentries/{timeEntryId}", "timeEntryId", entry["id"]),
    ):
        answer = reader.get(path.replace(f"{{{name}}}", value)).json()
        assert answer
        assert errors(document, schema_of(document, path), answer) == []


def test_made_to_measure_and_edited_entries(document, serve):
    client = serve(entries=3)
    client.awork.store.add(client.awork.make_entry())
    client.awork.store.edit(client.awork.store.ids()[0], note="x")

    assert errors(document, schema_of(document, "/timeentries"), client.rows()) == []


def test_errors(document, reader):
    schema = {"$ref": "#/components/schemas/ErrorResponse"}

    for response in (reader.get(filterby="x y"), reader.get(page=0), reader.get("/timeentries/x"), reader.get("/x")):
        assert response.status_code >= 400
        assert errors(document, schema, response.json()) == []


def test_every_property_of_the_document_can_be_filtered(document, reader):
    """Top-level plain properties; the sandbox's own list of them must not lag behind."""
    for path in LISTS:
        schema = schema_of(document, path)["items"]["$ref"].rpartition("/")[2]
        properties = document["components"]["schemas"][schema]["properties"]
        plain = [name for name, prop in properties.items() if prop.get("type") not in (None, "array", "object")]
        assert plain
        for name in plain:
            response = reader.get(path, filterby=f"{name} ne null", orderby=name)
            assert response.status_code == 200, f"{path} {name}: {response.text}"


def test_the_check_itself_finds_faults(document):
    """Without this, a validator that accepts everything would pass all tests above."""
    schema = schema_of(document, "/timeentries")

    assert errors(document, schema, [{"timezone": "UTC", "typeOfWorkId": "no uuid"}])
    assert errors(document, schema, [{"timezone": "UTC"}])
    assert errors(document, schema, [{"timezone": 1, "typeOfWorkId": "00000000-0000-4000-8000-000000000001"}])
    assert errors(
        document, schema, [{"timezone": "", "typeOfWorkId": "00000000-0000-4000-8000-000000000001", "nosuch": 1}]
    )
