"""Paging, order, headers and rights of the list endpoints, over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
import requests

from airflow_provider_awork.sandbox import Sandbox, Workspace

LISTS = [
    "/timeentries", "/users", "/projects", "/companies", "/typeofwork", "/teams", "/projecttypes", "/projectstatuses",
    "/me/projecttasks", "/me/allavailabletasks", "/absences",
]  # fmt: skip


def created(entry):
    return datetime.fromisoformat(entry["createdOn"]), entry["createdOn"]


def test_an_answer_has_aworks_headers(reader):
    response = reader.get(page=2, pageSize=400)

    assert response.headers["aw-page"] == "2"
    assert response.headers["aw-pagesize"] == "400"
    assert response.headers["aw-items"] == "400" == str(len(response.json()))
    assert response.headers["aw-totalitems"] == "1100"
    assert response.headers["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", response.headers["Trace-Id"])
    assert parsedate_to_datetime(response.headers["Date"]).tzinfo
    assert "ratelimit-limit" not in response.headers


def test_bodies_are_compact_and_leave_nulls_out(reader):
    body = reader.get(pageSize=1000).content

    assert b": " not in re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*"', b'""', body)
    assert b":null" not in body
    assert "ö".encode() in body


@pytest.mark.parametrize("path", LISTS)
def test_every_list_pages(reader, path):
    whole = reader.get(path, pageSize=1000)
    total = int(whole.headers["aw-totalitems"])
    pieces = [row for page in range(1, 6) for row in reader.get(path, pageSize=3, page=page).json()]

    assert total >= 4
    assert len(whole.json()) == min(total, 1000)
    assert pieces == whole.json()[:15]
    assert len({row["id"] for row in whole.json()}) == len(whole.json())


def test_pages_in_any_size_make_up_the_whole(reader):
    whole = [entry["id"] for entry in sorted(reader.entries, key=lambda entry: (created(entry), entry["id"]))]

    for size in (1000, 999, 37):
        assert reader.ids(pageSize=size, orderby="createdOn,id") == whole


def test_page_size_is_10_by_default_and_1000_at_most(reader):
    assert len(reader.get().json()) == 10
    most = reader.get(pageSize=5000)
    assert (len(most.json()), most.headers["aw-pagesize"]) == (1000, "1000")


def test_a_page_past_the_end_is_empty(reader):
    response = reader.get(page=10**15, pageSize=1000)

    assert (response.status_code, response.json(), response.headers["aw-items"]) == (200, [], "0")
    assert response.headers["aw-totalitems"] == "1100"


@pytest.mark.parametrize("name", ["page", "pageSize"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", ""])
def test_a_page_that_is_no_positive_number_is_refused(reader, name, value):
    response = reader.get(**{name: value})

    assert response.status_code == 400
    assert response.json()["code"] == "validation-failed"
    assert response.json()["validationErrors"][0]["property"] == name


def test_unknown_parameters_do_nothing(reader):
    assert reader.get(startDate="2026-05-01", select="id").json() == reader.get().json()


@pytest.mark.parametrize(
    ("order", "key", "reverse"),
    [
        ("createdOn", lambda e: created(e), False),
        ("CreatedOn DESC", lambda e: created(e), True),
        ("createdOn desc,id desc", lambda e: (created(e), e["id"]), True),
        ("updatedOn asc", lambda e: datetime.fromisoformat(e["updatedOn"]), False),
        ("duration", lambda e: e["duration"], False),
        ("startDateLocal,startTimeLocal", lambda e: (e["startDateLocal"], e.get("startTimeLocal", "")), False),
        ("Project/Name asc", lambda e: e.get("project", {}).get("name", ""), False),
        ("project/projectStatus/type,id", lambda e: (
            e.get("project", {}).get("projectStatus", {}).get("type", ""), e["id"]
        ), False),
    ],
)  # fmt: skip
def test_order(reader, order, key, reverse):
    rows = reader.rows(orderby=order, pageSize=400)
    keys = [key(row) for row in rows]

    assert len({row["id"] for row in rows}) == 1100
    assert keys == sorted(map(key, reader.entries), reverse=reverse)


@pytest.mark.parametrize(
    "order", ["nosuch", "project/nosuch", "project", "breaks", "createdOn, id", "createdOn up", "createdOn,", "a b c"]
)
def test_a_bad_order_is_refused(reader, order):
    response = reader.get(orderby=order)

    assert (response.status_code, response.json()["code"]) == (400, "invalid-filter-or-order")


def test_entries_of_a_project_and_of_a_task(reader):
    entry = next(entry for entry in reader.entries if "taskId" in entry and "projectId" in entry)
    project, task = entry["projectId"], entry["taskId"]

    assert reader.ids(f"/projects/{project}/timeentries") == [
        e["id"] for e in reader.entries if e.get("projectId") == project
    ]
    assert reader.ids(f"/tasks/{task.upper()}/timeentries", filterby="duration gt 60") == [
        e["id"] for e in reader.entries if e.get("taskId") == task and e["duration"] > 60
    ]
    assert task in reader.ids(f"/projects/{project}/projecttasks")


def test_one_entry(reader):
    entry = reader.entries[7]

    assert reader.get(f"/timeentries/{entry['id']}").json() == entry


@pytest.mark.parametrize(
    "path",
    [
        "/nosuch",
        "/timeentries/x",
        "/timeentries/00000000-0000-4000-8000-000000000000",
        "/projects/00000000-0000-4000-8000-000000000000/timeentries",
        "/projects/00000000-0000-4000-8000-000000000000/projecttasks",
        "/tasks/00000000-0000-4000-8000-000000000000/timeentries",
        "/tasks/'/timeentries",
    ],
)
def test_what_is_not_there_is_404(reader, path):
    response = reader.get(path)

    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert response.json()["traceId"] == response.headers["Trace-Id"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "sandbox-key"}])
@pytest.mark.parametrize("path", ["/timeentries", "/me", "/nosuch"])
def test_without_the_token_everything_is_the_wrapped_401(unchanged, header, path):
    response = requests.get(unchanged.url + path, headers=header, timeout=20)

    assert response.status_code == 401
    assert response.json() == {"message": {"code": "unauthorized", "description": "Unauthorized"}}
    assert len(response.content) == 64


def test_archived_rows_come_when_asked_for(reader):
    shown, hidden = reader.rows("/typeofwork", showArchived="true"), reader.rows("/typeofwork")

    assert [row for row in shown if not row["isArchived"]] == hidden
    assert len(hidden) < len(shown)


def test_teams_name_users_and_projects_when_asked(reader):
    plain, full = reader.rows("/teams"), reader.rows("/teams", includeUserIds="true", includeProjectIds="true")

    assert not any("userIds" in team or "projectIds" in team for team in plain)
    assert all(team["userIds"] and team["projectIds"] for team in full)


def test_me_names_the_workspace(serve):
    client = serve(workspace=Workspace(name="Blau & Söhne", id="00000000-0000-4000-8000-000000000001"))

    for path in ("/me", "/users/me"):
        workspace = client.get(path).json()["workspace"]
        assert workspace["name"] == "Blau & Söhne"
        assert workspace["id"] == "00000000-0000-4000-8000-000000000001"
    assert client.get("/me").json()["id"] == client.awork.me


def test_without_permission_only_own_entries_are_visible(serve):
    client = serve(entries=600, missing_permissions=True)
    own = client.awork.store.ids(lambda entry: entry.get("userId") == client.awork.me)
    other = next(entry for entry in client.entries if entry.get("userId") != client.awork.me and "projectId" in entry)
    permission = client.get("/me/permissions").json()["userPermission"]

    assert own
    assert client.ids() == own
    assert client.get(f"/timeentries/{other['id']}").status_code == 404
    assert {user for region in client.get("/absenceregions").json() for user in region["assignedUsers"]} <= {
        client.awork.me
    }
    assert set(client.ids(f"/projects/{other['projectId']}/timeentries")) <= set(own)
    assert permission["isAdmin"] is False
    assert {"feature": "project-timetracking", "accessLevels": ["read"]} in permission["permissions"]

    client.awork.settings.missing_permissions = False
    assert len(client.ids()) == 600
    assert client.get("/me/permissions").json()["userPermission"]["isAdmin"] is True


def test_the_server_caps_pages(serve):
    client = serve(max_page_size=25)

    response = client.get(pageSize=1000)

    assert (len(response.json()), response.headers["aw-pagesize"]) == (25, "25")
    assert len(client.get(pageSize=1000, page=2).json()) == 15


def test_headers_that_are_missing(serve):
    client = serve(total_header=False, page_size_header=False)

    headers = client.get().headers

    assert "aw-totalitems" not in headers
    assert "aw-pagesize" not in headers
    assert headers["aw-items"] == "10"


def test_order_that_is_refused(serve):
    client = serve(unorderable={"createdOn"})

    assert client.get(orderby="updatedOn").status_code == 200
    assert client.get(orderby="id,CREATEDON desc").json()["code"] == "invalid-filter-or-order"


def test_order_that_is_ignored(serve):
    client = serve(ignore_orderby=True)
    inserted = client.awork.store.ids()

    assert client.ids(orderby="createdOn,id") == inserted
    assert inserted != [entry["id"] for entry in sorted(client.entries, key=created)]

    client.awork.settings.ignore_orderby = "random"
    orders = {tuple(client.ids(orderby="createdOn,id")) for _ in range(5)}
    assert len(orders) == 5


def test_tie_break(serve):
    client = serve(entries=0)
    store = client.awork.store
    store.add(*(client.awork.make_entry(createdOn=f"2026-05-04T08:00:0{n % 2}Z") for n in range(40)))

    assert len({tuple(client.ids(orderby="createdOn,id")) for _ in range(5)}) == 1

    client.awork.settings.tie_break = "random"
    orders = [client.rows(orderby="createdOn,id") for _ in range(5)]
    assert len({tuple(row["id"] for row in rows) for rows in orders}) == 5
    assert all(a["createdOn"] <= b["createdOn"] for rows in orders for a, b in pairwise(rows))

    client.awork.settings.tie_break = "refused"
    assert client.get(orderby="createdOn").status_code == 200
    assert client.get(orderby="createdOn,id").json()["code"] == "invalid-filter-or-order"


def test_holes_are_in_full_pages_only(serve):
    client = serve(holes=2)

    first, last = (client.get(pageSize=20, page=page, orderby="id") for page in (1, 2))

    assert (len(first.json()), first.headers["aw-items"], first.headers["aw-totalitems"]) == (18, "18", "40")
    assert len(last.json()) == 20
    ids = sorted(client.awork.store.ids())
    shown = [row["id"] for row in first.json()]
    assert (shown[0], shown[-1]) == (ids[0], ids[19])


def test_holes_are_never_the_first_or_last_row(serve):
    client = serve(holes=2)

    assert [len(client.get(pageSize=size).json()) for size in (1, 2, 3)] == [1, 2, 2]


def test_a_page_after_the_last_one(serve):
    client = serve()
    client.awork.settings.past_end = "empty"
    assert client.get(pageSize=15, page=4, orderby="id").json() == []

    client.awork.settings.past_end = "refused"
    assert client.get(pageSize=15, page=3).status_code == 200
    assert client.get(pageSize=15, page=4).status_code == 400

    client.awork.settings.past_end = "repeated"
    again = client.get(pageSize=15, page=7, orderby="id").json()
    assert len(again) == 10
    assert again == client.get(pageSize=15, page=3, orderby="id").json()


def test_seconds_of_literals(serve):
    client = serve()
    client.awork.store.add(client.awork.make_entry(createdOn="2030-01-01T08:30:20Z"))
    before, after = (f"createdOn ge datetime'2030-01-01T08:30:{second}'" for second in (20, 21))

    assert [len(client.rows(filterby=each)) for each in (before, after)] == [1, 0]

    client.awork.settings.literal_seconds = "dropped"
    assert [len(client.rows(filterby=each)) for each in (before, after)] == [1, 1]

    client.awork.settings.literal_seconds = "refused"
    assert client.get(filterby=after).json()["code"] == "invalid-filter-or-order"
    assert client.get(filterby="createdOn ge datetime'2030-01-01T08:30'").status_code == 200


def test_gzip_when_switched_on_and_accepted(serve):
    client = serve()
    plain = client.get()
    client.session.headers["Accept-Encoding"] = "gzip"

    assert "Content-Encoding" not in client.get().headers

    client.awork.settings.gzip = True
    packed = client.get()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content)
    assert packed.content == plain.content


def test_requests_are_recorded_without_the_token(serve):
    client = serve()
    client.get("/timeentries", filterby="note eq 'a&b=ü'", page=2)
    client.get("/nosuch")
    requests.get(client.awork.url + "/me", timeout=20)

    first, second, third = client.awork.requests

    assert (first.method, first.path, first.status) == ("GET", "/timeentries", 200)
    assert first.query == {"filterby": "note eq 'a&b=ü'", "page": "2"}
    assert first.started <= first.ended <= second.started
    assert [second.status, third.status] == [404, 401]
    assert first.headers["user-agent"].startswith("python-requests")
    assert client.awork.token not in repr(vars(first))


def test_a_wrong_setting_is_an_error():
    with pytest.raises(TypeError, match="latncy"):
        Sandbox(latncy=1)
    with Sandbox() as awork, pytest.raises(AttributeError):
        awork.settings.latncy = 1


def test_the_clock_may_be_ahead_or_behind(serve):
    for offset in (-3600, 3600):
        client = serve(clock_offset=offset)
        expected = datetime.now(UTC) + timedelta(seconds=offset)

        told = parsedate_to_datetime(client.get("/me").headers["date"])
        entry_id = client.awork.store.ids()[0]
        stamped = datetime.fromisoformat(client.awork.store.edit(entry_id, note="x")["updatedOn"][:19] + "+00:00")
        within = f"updatedOn gt datetime'{expected - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}' and updatedOn le now"

        for at in (told, stamped):
            assert abs((at - expected).total_seconds()) < 300
        assert [row["id"] for row in client.get("/timeentries", filterby=within).json()] == [entry_id]
