"""What changes time entries: awork's documented rules, over plain HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests

MISSING = "00000000-0000-4000-8000-000000000001"


def send(client, method, path, body=None, **params):
    return client.session.request(method, client.awork.url + path, json=body, params=params, timeout=20)


def post(client, path, body=None):
    return send(client, "POST", path, body)


def batch(client, operation, ids, **fields):
    answer = post(client, f"/timeentries/batch/{operation}", {"timeEntryIds": ids, **fields})
    assert answer.status_code == 207, answer.text
    return {name: each["ids"] for name, each in answer.json().items() if each["ids"]}


def stored(client, entry_id):
    return next(entry for entry in client.awork.store.entries() if entry["id"] == entry_id)


def kind(client, *, billed=False, billable=True, **wanted):
    """Ids of finished entries of others with a task of a project, of that kind."""
    return client.awork.store.ids(
        lambda entry: (
            {"projectId", "taskId", "userId", "endTimeUtc"} <= entry.keys()
            and (entry["isBilled"], entry["isBillable"]) == (billed, billable)
            and all(entry.get(name) == value for name, value in wanted.items())
        )
    )


def form(client, **fields):
    entry = next(entry for entry in client.awork.store.entries() if "userId" in entry)
    common = {"timezone": "Europe/Berlin", "typeOfWorkId": entry["typeOfWorkId"], "userId": entry["userId"]}
    return {name: value for name, value in {**common, **fields}.items() if value is not None}


@pytest.fixture
def client(serve):
    return serve(entries=200, seed=5)


# -- times -------------------------------------------------------------------------------------------------------

SUMMER = {"startDateUtc": "2026-07-01T00:00:00Z", "startTimeUtc": "22:30:00.1234567"}
TIMES = [
    (SUMMER | {"duration": 60}, {"startDateLocal": "2026-07-02T00:00:00", "startTimeLocal": "00:30:00.1234567"}),
    (SUMMER | {"duration": 60}, {"endTimeUtc": "22:31:00.1234567", "endDateLocal": "2026-07-02T00:00:00"}),
    (SUMMER, {"duration": 0, "endTimeUtc": None}),
    (SUMMER | {"endDateUtc": "2026-07-02", "endTimeUtc": "00:30:00.1234567", "duration": 5}, {"duration": 7200}),
    ({"endDateUtc": "2026-07-01", "endTimeUtc": "10:00", "duration": 3600}, {"startTimeUtc": "09:00:00"}),
    ({"startDateLocal": "2026-07-02", "startTimeLocal": "00:30"}, {"startDateUtc": "2026-07-01T00:00:00Z"}),
    ({"startDateLocal": "2026-07-02", "duration": 60}, {"startDateUtc": "2026-07-02T00:00:00Z", "startTimeUtc": None}),
    # The hour that summer time skips, and the one that comes twice.
    ({"startDateLocal": "2026-03-29", "startTimeLocal": "01:59", "duration": 120}, {"endTimeLocal": "03:01:00"}),
    ({"startDateLocal": "2026-10-25", "startTimeLocal": "02:30", "duration": 3600}, {"endTimeLocal": "02:30:00"}),
    ({"startDateLocal": "2026-10-25", "startTimeLocal": "02:30", "duration": 3600}, {"startTimeUtc": "00:30:00"}),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_times_are_completed_in_both_groups(client, method):
    ids = client.awork.store.ids(lambda entry: "endTimeUtc" in entry and not entry["breaks"] and "userId" in entry)
    for entry_id, (times, expected) in zip(ids, TIMES, strict=False):
        path = "/timeentries" if method == "POST" else f"/timeentries/{entry_id}"
        answer = send(client, method, path, form(client, **times))
        assert answer.status_code == 200, answer.text
        assert {name: answer.json().get(name) for name in expected} == expected
    assert len(ids) > len(TIMES)


BAD = [
    ({"startDateLocal": "2026-07-01", "startDateUtc": "2026-07-01"}, "validation-failed", "startDateLocal"),
    ({}, "validation-failed", "startDate"),
    ({"startDateLocal": "2026-07-01", "timezone": "Berlin"}, "validation-failed", "timezone"),
    ({"startDateLocal": "2026-07-01", "timezone": None}, "validation-failed", "timezone"),
    ({"startDateLocal": "2026-07-01", "duration": -5}, "validation-failed", "duration"),
    ({"startDateLocal": "2026-07-01", "duration": "5"}, "validation-failed", "duration"),
    ({"startDateLocal": "2026-07-01", "nosuch": 1}, "validation-failed", "nosuch"),
    ({"startDateLocal": "01.07.2026"}, "validation-failed", "startDateLocal"),
    ({"startDateLocal": "2026-07-01", "startTimeLocal": "25:00"}, "validation-failed", "startDateLocal"),
    ({"startTimeLocal": "09:00"}, "validation-failed", "startDateLocal"),
    ({"startDateLocal": "2026-07-01", "projectId": MISSING}, "validation-failed", "projectId"),
    ({"startDateLocal": "2026-07-01", "userId": "me"}, "validation-failed", "userId"),
    (
        {"startDateUtc": "2026-07-02", "startTimeUtc": "09:00", "endDateUtc": "2026-07-01", "endTimeUtc": "10:00"},
        "date-dependency",
        "endDate",
    ),
]


def test_bad_forms_are_400_with_the_field_and_change_nothing(client):
    before = client.awork.store.texts()
    for fields, code, field in BAD:
        for method, path in (("POST", "/timeentries"), ("PUT", f"/timeentries/{kind(client)[0]}")):
            answer = send(client, method, path, form(client, **fields))
            assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
            assert answer.json()["validationErrors"][0]["property"] == field
            assert answer.json()["traceId"]
    assert client.awork.store.texts() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
def test_a_body_that_is_no_object(client, body):
    answer = client.session.post(client.awork.url + "/timeentries", data=body, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("invalid-model", "validation-failed")


# -- single entries ----------------------------------------------------------------------------------------------


def test_a_new_entry_is_billable_as_its_project_is(client):
    projects = {entry["project"]["isBillableByDefault"]: entry for entry in client.entries if "project" in entry}
    for by_default, entry in projects.items():
        times = {"startDateLocal": "2026-07-01", "duration": 60, "projectId": entry["projectId"]}
        assert post(client, "/timeentries", form(client, **times)).json()["isBillable"] is by_default
        flipped = post(client, "/timeentries", form(client, **times, isBillable=not by_default)).json()
        assert flipped["isBillable"] is not by_default
    assert len(projects) == 2


def test_a_new_entry_has_the_project_of_its_task(client):
    task = stored(client, kind(client)[0])
    times = {"startDateLocal": "2026-07-01", "duration": 60}
    entry = post(client, "/timeentries", form(client, **times, taskId=task["taskId"])).json()
    assert entry["projectId"] == entry["project"]["id"] == entry["task"]["project"]["id"] == task["projectId"]
    assert entry["createdBy"] == entry["updatedBy"] == client.awork.me


def test_a_change_moves_the_stamps_and_never_created_on(client):
    entry_id = kind(client)[0]
    before = stored(client, entry_id)
    paths = [
        ("PUT", f"/timeentries/{entry_id}", form(client, startDateLocal="2026-07-01", duration=60)),
        ("POST", f"/timeentries/{entry_id}/removebreaks", None),
        ("POST", "/timeentries/setbilled", {"ids": [entry_id]}),
        ("POST", "/timeentries/batch/setIsBilled", {"timeEntryIds": [entry_id], "isBilled": False}),
    ]
    for method, path, body in paths:
        assert send(client, method, path, body).ok
        after = stored(client, entry_id)
        assert after["resourceVersion"] > before["resourceVersion"]
        assert after["updatedOn"] > before["updatedOn"]
        assert after["updatedBy"] == client.awork.me
        assert (after["createdOn"], after["createdBy"]) == (before["createdOn"], before["createdBy"])
        before = after


def test_put_replaces(client):
    entry_id = kind(client)[0]
    client.awork.store.edit(entry_id, note="x")
    assert send(client, "PUT", f"/timeentries/{entry_id}", form(client, startDateLocal="2026-07-01", duration=60)).ok
    after = stored(client, entry_id)
    assert not {"note", "taskId", "task", "projectId", "project", "endTimeUtc", "startTimeLocal"} & after.keys()
    assert (after["isBillable"], after["isBilled"]) == (False, False)


def test_put_keeps_breaks(client):
    entry = next(entry for entry in client.entries if entry.get("breakDuration") and "endTimeUtc" in entry)
    times = {name: entry[name] for name in ("startDateUtc", "startTimeUtc", "endDateUtc", "endTimeUtc")}
    after = send(client, "PUT", f"/timeentries/{entry['id']}", form(client, **times)).json()
    assert (after["breaks"], after["duration"]) == (entry["breaks"], entry["duration"])


def test_of_a_running_entry_only_the_start_changes(client):
    entry = next(entry for entry in client.entries if "startTimeUtc" in entry and "endTimeUtc" not in entry)
    path = f"/timeentries/{entry['id']}"
    start = {"startDateUtc": entry["startDateUtc"], "startTimeUtc": "04:00:00"}
    after = send(client, "PUT", path, form(client, **start)).json()
    assert (after["startTimeUtc"], after["duration"]) == ("04:00:00", 0)
    refused = send(client, "PUT", path, form(client, **start, duration=60))
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-operation")


def test_removing_the_breaks_of_a_paused_timer_resumes_it(client):
    entry = next(entry for entry in client.entries if any("endDate" not in each for each in entry["breaks"]))
    after = post(client, f"/timeentries/{entry['id']}/removebreaks").json()
    assert (after["breaks"], after["duration"], "endTimeUtc" in after) == ([], 0, False)


def test_delete(client):
    entry_id = kind(client)[0]
    answer = send(client, "DELETE", f"/timeentries/{entry_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert send(client, "DELETE", f"/timeentries/{entry_id}").status_code == 404
    assert client.get(f"/timeentries/{entry_id}").status_code == 404


def test_no_content_also_for_clients_that_take_gzip(serve):
    client = serve(gzip=True)
    client.session.headers["Accept-Encoding"] = "gzip"
    answer = client.get(f"/users/{MISSING}/timeentries/last")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/timeentries").status_code == 200


def test_the_last_entry_ignores_the_future_and_takes_a_day_as_its_midnight(serve):
    client = serve(entries=0)
    make, now = client.awork.make_entry, datetime(2026, 7, 1, 12, tzinfo=UTC)
    client.awork.settings.now = now
    user = {"userId": client.awork.me}
    morning, future = (
        make(started_at=now - timedelta(hours=3), **user),
        make(started_at=now + timedelta(hours=1), **user),
    )
    day = make(
        **user, startDateUtc="2026-07-01T00:00:00Z", startTimeUtc=None, endDateUtc=None, endTimeUtc=None, duration=60
    )
    client.awork.store.add(future, day)
    assert client.get("/me/timeentries/last").json()["id"] == day["id"]
    client.awork.store.add(morning, make(started_at=now - timedelta(hours=1)))
    assert client.get("/me/timeentries/last").json()["id"] == morning["id"]
    assert client.get(f"/users/{client.awork.me}/timeentries/last").json()["id"] == morning["id"]
    assert client.get(f"/users/{MISSING}/timeentries/last").status_code == 204


def test_only_administrators_read_the_last_entry_of_others(client):
    user = stored(client, kind(client)[0])["userId"]
    assert client.get("/me/timeentries/last", userId=user).json()["userId"] == user
    client.awork.settings.admin = False
    for answer in (client.get("/me/timeentries/last", userId=user), client.get(f"/users/{user}/timeentries/last")):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert client.get("/me/timeentries/last").status_code == 204


def test_simplified_entries(client):
    rows = client.rows("/timeentries/simplified", orderby="createdOn", filterby="isBilled eq true")
    assert [row["id"] for row in rows] == client.ids(orderby="createdOn", filterby="isBilled eq true")
    assert set().union(*rows) <= {
        "id", "duration", "startDateUtc", "startDateLocal", "startTimeLocal", "isBillable", "isBilled", "createdBy",
        "createdOn", "taskId", "task", "projectId", "project", "userId", "user", "typeOfWorkId", "typeOfWork",
    }  # fmt: skip
    assert rows == client.rows(
        "/timeentries/simplified", orderby="createdOn", filterby="isBilled eq true", grouping="x"
    )


# -- batches -----------------------------------------------------------------------------------------------------


def test_an_unknown_operation_is_404_and_a_missing_value_400(client):
    ids = {"timeEntryIds": kind(client)[:1]}
    assert post(client, "/timeentries/batch/setbilled", ids).status_code == 404
    for operation in ("setTypeOfWork", "setIsBillable", "setIsBilled", "setProject", "setTask", "setUser"):
        answer = post(client, f"/timeentries/batch/{operation}", ids)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation-failed")
    for field in ("newTypeOfWorkId", "newProjectId", "newTaskId", "newUserId"):
        operation = "set" + field[3:].removesuffix("Id")
        assert post(client, f"/timeentries/batch/{operation}", {**ids, field: MISSING}).status_code == 400
    assert post(client, "/timeentries/batch/delete", {"timeEntryIds": []}).status_code == 400


def test_a_batch_reports_each_id(client):
    client.awork.settings.admin = False
    billed, open_ = kind(client, billed=True)[0], kind(client)[0]
    assert batch(client, "delete", [billed, open_, MISSING, open_]) == {
        "ok": [open_],
        "notFound": [MISSING],
        "unauthorized": [billed],
    }
    assert open_ not in client.awork.store.ids()


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("delete", {}),
        ("setIsBillable", {"isBillable": False}),
        ("setIsBilled", {"isBilled": False}),
        ("setProject", {"newProjectId": "projectId"}),
        ("setTask", {"newTaskId": "taskId"}),
        ("setUser", {"newUserId": "userId"}),
    ],
)
def test_billed_entries_need_an_administrator(client, operation, fields):
    billed = kind(client, billed=True)[0]
    fields = {name: stored(client, billed).get(value, value) if isinstance(value, str) else value
              for name, value in fields.items()}  # fmt: skip
    client.awork.settings.admin = False
    before = client.awork.store.texts()
    assert batch(client, operation, [billed], **fields) == {"unauthorized": [billed]}
    assert client.awork.store.texts() == before
    client.awork.settings.admin = True
    assert batch(client, operation, [billed], **fields) == {"ok": [billed]}


def test_billed_entries_can_be_billed_again_and_get_another_type_of_work(client):
    client.awork.settings.admin = False
    billed = kind(client, billed=True)[0]
    type_of_work = stored(client, kind(client)[0])["typeOfWorkId"]
    assert batch(client, "setIsBilled", [billed], isBilled=True) == {"ok": [billed]}
    assert batch(client, "setIsBillable", [billed], isBillable=True) == {"ok": [billed]}
    assert batch(client, "setTypeOfWork", [billed], newTypeOfWorkId=type_of_work) == {"ok": [billed]}
    assert stored(client, billed)["typeOfWork"]["id"] == type_of_work


def test_unbillable_clears_billed_in_a_batch_and_is_400_in_the_old_setter(client):
    one, two = kind(client, billed=True)[:2]
    assert batch(client, "setIsBillable", [one], isBillable=False) == {"ok": [one]}
    assert (stored(client, one)["isBillable"], stored(client, one)["isBilled"]) == (False, False)
    answer = post(client, "/timeentries/setunbillable", {"ids": [kind(client)[0], two]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-operation")
    assert stored(client, two)["isBillable"]


def test_what_is_not_billable_is_billed_by_administrators_only(client):
    entry_id = kind(client, billable=False)[0]
    client.awork.settings.admin = False
    assert batch(client, "setIsBilled", [entry_id], isBilled=True) == {"badRequest": [entry_id]}
    assert post(client, "/timeentries/setbilled", {"ids": [entry_id]}).status_code == 400
    client.awork.settings.admin = True
    assert batch(client, "setIsBilled", [entry_id], isBilled=True) == {"ok": [entry_id]}


def test_set_project_drops_the_task_and_set_task_sets_the_project(client):
    entry_id = kind(client)[0]
    before = stored(client, entry_id)
    other = next(
        entry
        for entry in client.entries
        if "taskId" in entry and entry.get("projectId") not in (None, before["projectId"])
    )
    batch(client, "setProject", [entry_id], newProjectId=other["projectId"])
    after = stored(client, entry_id)
    assert after["project"] == other["project"]
    assert not {"taskId", "task"} & after.keys()
    batch(client, "setTask", [entry_id], newTaskId=before["taskId"])
    after = stored(client, entry_id)
    assert (after["taskId"], after["projectId"], after["project"]) == (
        before["taskId"],
        before["projectId"],
        before["project"],
    )


def test_a_private_task_leaves_the_project(serve):
    client = serve(entries=600)
    task = next(entry["taskId"] for entry in client.entries if entry.get("task", {}).get("baseType") == "private")
    entry_id = kind(client)[0]
    project = stored(client, entry_id)["projectId"]
    assert batch(client, "setTask", [entry_id], newTaskId=task) == {"ok": [entry_id]}
    assert stored(client, entry_id)["projectId"] == project


def test_require_all_changes_all_or_none(client):
    ids = kind(client)[:3]
    before = client.awork.store.texts()
    result = batch(client, "setIsBilled", [*ids, MISSING], isBilled=True, requireAllTimeEntries=True)
    assert result == {"notFound": [MISSING]}
    assert client.awork.store.texts() == before
    assert batch(client, "setIsBilled", ids, isBilled=True, requireAllTimeEntries=True) == {"ok": ids}


# -- permissions -------------------------------------------------------------------------------------------------


def test_without_rights_only_own_entries_change(serve):
    client = serve(entries=30, missing_permissions=True)
    own = client.awork.make_entry(userId=client.awork.me)
    client.awork.store.add(own)
    foreign = kind(client, billable=True)[0]
    result = batch(client, "setIsBilled", [own["id"], foreign], isBilled=True)
    assert result["unauthorized"] == [foreign]
    for method, path, body in (
        ("DELETE", f"/timeentries/{foreign}", None),
        ("PUT", f"/timeentries/{foreign}", form(client, startDateLocal="2026-07-01")),
        ("POST", "/timeentries", form(client, startDateLocal="2026-07-01")),
        ("POST", "/timeentries/setbilled", {"ids": [foreign]}),
    ):
        answer = send(client, method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
    assert post(client, "/timeentries", form(client, startDateLocal="2026-07-01", userId=client.awork.me)).ok


def test_permissions_say_who_is_an_administrator(serve):
    client = serve(admin=False)
    rights = client.get("/me/permissions").json()["userPermission"]
    assert not rights["isAdmin"]
    assert all("write" in each["accessLevels"] for each in rights["permissions"])


# -- old setters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["setbillable", "setunbillable", "setbilled", "setunbilled"])
def test_the_old_setters_change_all_or_none(client, path):
    ids = kind(client)[:2]
    before = client.awork.store.texts()
    assert post(client, f"/timeentries/{path}", {"ids": [*ids, MISSING]}).status_code == 404
    assert post(client, f"/timeentries/{path}", {"ids": []}).status_code == 400
    assert client.awork.store.texts() == before
    assert post(client, f"/timeentries/{path}", {"ids": ids}).status_code == 204


def test_billed_already_is_no_change_and_needs_no_permission(client):
    billed = kind(client, billed=True)[0]
    client.awork.settings.missing_permissions = True
    before = client.awork.store.texts()
    assert post(client, "/timeentries/setbilled", {"ids": [billed]}).status_code == 204
    assert client.awork.store.texts() == before


def test_the_old_unbilling_and_deleting_of_billed_entries_need_an_administrator(client):
    billed = kind(client, billed=True)[0]
    client.awork.settings.admin = False
    for path in ("setunbilled", "delete"):
        assert post(client, f"/timeentries/{path}", {"ids": [billed]}).status_code == 401
    client.awork.settings.admin = True
    assert post(client, "/timeentries/delete", {"ids": [billed, MISSING]}).status_code == 204
    assert billed not in client.awork.store.ids()


# -- transactions ------------------------------------------------------------------------------------------------


def test_changes_of_many_clients_at_once_are_all_there(client):
    """Each thread adds its entries and bills one of the old ones; a test changes the store meanwhile."""
    ids = kind(client)[:8]
    body = form(client, startDateLocal="2026-07-01", duration=60)
    headers = {"Authorization": f"Bearer {client.awork.token}"}

    def work(entry_id):
        for _ in range(5):
            made = requests.post(client.awork.url + "/timeentries", json=body, headers=headers, timeout=20).json()
            client.awork.store.edit(made["id"], note="by the test")
        url = client.awork.url + "/timeentries/setbilled"
        return requests.post(url, json={"ids": [entry_id]}, headers=headers, timeout=20).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, ids)) == {204}
    entries = client.awork.store.entries()
    assert len(entries) == 240
    assert sum(entry.get("note") == "by the test" for entry in entries) == 40
    versions = [entry["resourceVersion"] for entry in entries if entry.get("note") == "by the test"]
    assert len(set(versions)) == 40
    assert all(stored(client, entry_id)["isBilled"] for entry_id in ids)


def test_a_transaction_that_fails_leaves_nothing(client):
    store, entry_id = client.awork.store, kind(client)[0]
    before = store.texts()

    def fail_half_way():
        with store.transaction():
            store.edit(entry_id, note="half")
            store.delete(kind(client)[1:3])
            store.edit(MISSING, note="no such entry")

    with pytest.raises(KeyError):
        fail_half_way()
    assert store.texts() == before


def test_requests_are_recorded_with_their_bodies(client):
    post(client, "/timeentries/setbilled", {"ids": [MISSING]})
    client.get("/me")
    assert [record.body for record in client.awork.requests] == [b'{"ids": ["' + MISSING.encode() + b'"]}', b""]
