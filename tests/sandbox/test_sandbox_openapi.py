"""Answers of every endpoint against awork's own OpenAPI document."""

from __future__ import annotations

import pytest

from tests.helpers.openapi import SCHEMAS, answer_schema, row_schema, schema_errors

LISTS = [
    "/timeentries", "/users", "/projects", "/companies", "/typeofwork", "/teams", "/projecttypes", "/projectstatuses",
    "/me/projecttasks", "/me/allavailabletasks", "/absences", "/workspaceabsences", "/timebookings",
    "/projectmilestones",
]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_lists(reader, path):
    rows = reader.get(path, pageSize=1000, includeUserIds="true", includeProjectIds="true").json()

    assert rows
    # The last rows of the entries hold the open timers.
    assert schema_errors(answer_schema(path), rows[:150] + rows[-150:]) == []


WHOLE_LISTS = ["/roles", "/apiusers", "/absenceregions", "/taskschedules", "/customfielddefinitions"]
LISTS_OF_PROJECTS = [
    "/projects/{projectId}/projecttasks", "/projects/{projectId}/projectstatuses", "/projects/{projectId}/tasklists",
    "/projects/{projectId}/taskstatuses", "/projects/{projectId}/retainers", "/projects/{projectId}/members",
    "/projects/{projectId}/customfielddefinitions",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/workflows", "/projectroles", *WHOLE_LISTS, *LISTS_OF_PROJECTS])
def test_lists_beside_the_time_entries(reader, path):
    retainer = reader.awork.lists.rows["retainers"][0]["projectId"]
    rows = reader.get(path.replace("{projectId}", retainer), pageSize=1000).json()

    assert rows
    assert schema_errors(answer_schema(path), rows) == []


def test_whole_lists_have_no_pages(reader):
    for path in WHOLE_LISTS:
        response = reader.get(path, page=2, pageSize=1, showArchived="true")
        assert response.json() == reader.awork.lists.whole[path[1:]]
        assert not [name for name in response.headers if name.lower().startswith("aw-")]


def test_lists_of_a_project_that_there_is_not(reader):
    for path in LISTS_OF_PROJECTS:
        assert reader.get(path.replace("{projectId}", "11111111-2222-4333-8444-555555555555")).status_code == 404


@pytest.mark.parametrize("path", ["/me", "/users/me", "/me/permissions", "/timetracking/settings"])
def test_single_answers(reader, path):
    assert schema_errors(answer_schema(path), reader.get(path).json()) == []


def test_answers_about_one_project_task_or_entry(reader):
    entry = next(entry for entry in reader.entries if "taskId" in entry and "projectId" in entry)

    for path, name, value in (
        ("/projects/{projectId}/timeentries", "projectId", entry["projectId"]),
        ("/projects/{projectId}/projecttasks", "projectId", entry["projectId"]),
        ("/tasks/{taskId}/timeentries", "taskId", entry["taskId"]),
        ("/timeentries/{timeEntryId}", "timeEntryId", entry["id"]),
    ):
        answer = reader.get(path.replace(f"{{{name}}}", value)).json()
        assert answer
        assert schema_errors(answer_schema(path), answer) == []


def test_made_to_measure_and_edited_entries(serve):
    client = serve(entries=3)
    client.awork.store.add(client.awork.make_entry())
    client.awork.store.edit(client.awork.store.ids()[0], note="x")

    assert schema_errors(answer_schema("/timeentries"), client.rows()) == []


def test_errors(reader):
    schema = {"$ref": "#/components/schemas/ErrorResponse"}

    for response in (reader.get(filterby="x y"), reader.get(page=0), reader.get("/timeentries/x"), reader.get("/x")):
        assert response.status_code >= 400
        assert schema_errors(schema, response.json()) == []


def test_every_property_of_the_document_can_be_filtered(reader):
    """Top-level plain properties; the sandbox's own list of them must not lag behind."""
    for path in LISTS:
        properties = SCHEMAS[row_schema(path)]["properties"]
        plain = [name for name, prop in properties.items() if prop.get("type") not in (None, "array", "object")]
        assert plain
        for name in plain:
            response = reader.get(path, filterby=f"{name} ne null", orderby=name)
            assert response.status_code == 200, f"{path} {name}: {response.text}"


def test_the_check_itself_finds_faults():
    """Without this, a validator that accepts everything would pass all tests above."""
    schema = answer_schema("/timeentries")

    assert schema_errors(schema, [{"timezone": "UTC", "typeOfWorkId": "no uuid"}])
    assert schema_errors(schema, [{"timezone": "UTC"}])
    assert schema_errors(schema, [{"timezone": 1, "typeOfWorkId": "00000000-0000-4000-8000-000000000001"}])
    assert schema_errors(
        schema, [{"timezone": "", "typeOfWorkId": "00000000-0000-4000-8000-000000000001", "nosuch": 1}]
    )
