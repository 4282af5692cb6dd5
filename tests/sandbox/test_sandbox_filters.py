"""``filterby`` over HTTP, against the same condition in Python on the same data."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

Entry = dict[str, Any]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def at(entry: Entry, *path: str) -> Any:
    value: Any = entry
    for name in path:
        value = (value or {}).get(name)
    return value


MAY = datetime(2026, 5, 20, 12, 30, tzinfo=UTC)
MAY_DAY = "2026-05-20T00:00:00"

FORMS: dict[str, Callable[[Entry], bool]] = {
    "isBilled eq true": lambda e: e["isBilled"],
    "isBilled": lambda e: e["isBilled"],
    "isBilled ne true": lambda e: not e["isBilled"],
    "not isBilled": lambda e: not e["isBilled"],
    "isBillable eq true and isBilled eq false": lambda e: e["isBillable"] and not e["isBilled"],
    "isBilled eq true or duration gt 7200": lambda e: e["isBilled"] or e["duration"] > 7200,
    "isBilled eq true or isBillable eq true and duration lt 900": (
        lambda e: e["isBilled"] or (e["isBillable"] and e["duration"] < 900)
    ),
    "(isBilled eq true or isBillable eq true) and duration lt 900": (
        lambda e: (e["isBilled"] or e["isBillable"]) and e["duration"] < 900
    ),
    "not (isBilled eq true and duration gt 3600)": lambda e: not (e["isBilled"] and e["duration"] > 3600),
    "not not (isBilled eq true)": lambda e: e["isBilled"],
    "(isBilled eq true) eq false": lambda e: not e["isBilled"],
    "duration ge 3600 and duration le 7200": lambda e: 3600 <= e["duration"] <= 7200,
    "duration ge 3600L": lambda e: e["duration"] >= 3600,
    "duration gt 3599.5": lambda e: e["duration"] >= 3600,
    "duration gt 3599.5f": lambda e: e["duration"] >= 3600,
    "duration gt 3599.5M": lambda e: e["duration"] >= 3600,
    "duration gt 0xFF": lambda e: e["duration"] > 255,
    "duration gt -1": lambda e: True,
    "3600 lt duration": lambda e: e["duration"] > 3600,
    "createdOn ge datetime'2026-05-20T12:30'": lambda e: instant(e["createdOn"]) >= MAY,
    "createdOn lt datetime'2026-05-20T12:30:00'": lambda e: instant(e["createdOn"]) < MAY,
    "CreatedON lt datetime'2026-05-20T12:30:00'": lambda e: instant(e["createdOn"]) < MAY,
    "updatedOn ge datetime'2026-05-20T12:30:00' and createdOn lt datetime'2026-05-20T12:30:00'": (
        lambda e: instant(e["updatedOn"]) >= MAY > instant(e["createdOn"])
    ),
    "startDateLocal ge datetime'2026-05-20T00:00:00'": lambda e: e["startDateLocal"] >= MAY_DAY,
    "startDateLocal ge datetime'2026-05-20T00:00:01'": lambda e: e["startDateLocal"] > MAY_DAY,
    "startDateLocal eq datetime'2026-05-20T00:00'": lambda e: e["startDateLocal"] == MAY_DAY,
    "startDateUtc eq datetime'2026-05-20T00:00'": lambda e: e["startDateUtc"] == MAY_DAY + "Z",
    "startDateUtc ne startDateLocal": lambda e: e["startDateUtc"] != e["startDateLocal"] + "Z",
    "endTimeUtc eq null and startTimeUtc ne null": lambda e: "endTimeUtc" not in e and "startTimeUtc" in e,
    "userId eq null": lambda e: "userId" not in e,
    "note ne 'x'": lambda e: True,
    "project/company/name eq 'O''Neill Sports Europe'": lambda e: (
        at(e, "project", "company", "name") == "O'Neill Sports Europe"
    ),
    "project/projectStatus/type eq 'progress'": lambda e: at(e, "project", "projectStatus", "type") == "progress",
    "Project/projectstatus/TYPE ne 'progress'": lambda e: at(e, "project", "projectStatus", "type") != "progress",
    "not (project/name gt 'M')": lambda e: not (at(e, "project", "name") or "") > "M",
    "task/closedOn lt datetime'2026-04-01T00:00:00'": lambda e: (
        (at(e, "task", "closedOn") or "9") < "2026-04-01T00:00:00"
    ),
    "project eq null": lambda e: "project" not in e,
    "startswith(note,'Call')": lambda e: e.get("note", "").startswith("Call"),
    "startswith(note,'Call') eq true": lambda e: e.get("note", "").startswith("Call"),
    "startswith(note,'Call') eq false": lambda e: not e.get("note", "").startswith("Call"),
    "startswith(note,'call')": lambda e: False,
    "endswith(note,'🎉')": lambda e: e.get("note", "").endswith("🎉"),
    "substringof('Größe',note)": lambda e: "Größe" in e.get("note", ""),
    "not substringof('Größe',note)": lambda e: "Größe" not in e.get("note", ""),
    "tolower(user/lastName) eq 'köhler'": lambda e: (at(e, "user", "lastName") or "").lower() == "köhler",
    "substringof('öhl', tolower(user/lastName))": lambda e: "öhl" in (at(e, "user", "lastName") or "").lower(),
    "timezone in ('Asia/Kolkata','America/New_York')": lambda e: e["timezone"] != "Europe/Berlin",
    "breaks/any(b: b/duration gt 600)": lambda e: any(b.get("duration", 0) > 600 for b in e["breaks"]),
    "breaks/any(b: b/duration gt 600) eq false": lambda e: all(b.get("duration", 0) <= 600 for b in e["breaks"]),
    "breaks/any(b: b/endDate eq null and b/startDate ne null)": lambda e: any("endDate" not in b for b in e["breaks"]),
    "breaks/any(b: b/duration in (1,2) or isBilled eq true)": lambda e: bool(e["breaks"]) and e["isBilled"],
    "breaks/any(b: b/startDate ge datetime'2026-05-20T12:30:00')": lambda e: any(
        instant(b["startDate"]) >= MAY for b in e["breaks"]
    ),
    "breaks/count() gt 0": lambda e: len(e["breaks"]) > 0,
    "breaks/count() lt 1": lambda e: len(e["breaks"]) == 0,
    "breaks/count(b: b/duration gt 600) gt 0": lambda e: any(b.get("duration", 0) > 600 for b in e["breaks"]),
    "1 eq 1": lambda e: True,
    "true": lambda e: True,
    "null eq null": lambda e: True,
}


@pytest.mark.parametrize("expression", FORMS)
def test_means_what_it_says(reader, expression):
    expected = [entry["id"] for entry in reader.entries if FORMS[expression](entry)]

    assert reader.ids(filterby=expression) == expected


@pytest.mark.parametrize("field", ["id", "userId", "projectId", "taskId", "typeOfWorkId", "createdBy"])
@pytest.mark.parametrize("form", ["{f} eq guid'{v}'", "{f} in (guid'{v}')", "guid'{v}' eq {f}"])
def test_guids(reader, field, form):
    entries = reader.entries
    wanted = next(entry[field] for entry in entries[50:] if field in entry)
    expression = form.format(f=field, v=wanted.upper())

    assert reader.ids(filterby=expression) == [entry["id"] for entry in entries if entry.get(field) == wanted]


def test_me_is_the_user_of_the_token(reader):
    me = reader.get("/me").json()["id"]
    mine = [entry["id"] for entry in reader.entries if entry.get("userId") == me]

    assert mine
    assert reader.ids(filterby="userId eq me.id") == mine == reader.ids(filterby="user/id eq me.id")


def test_any_reaches_the_tags_of_tasks_which_are_not_in_the_answer(reader):
    def tagged(task_id: str) -> bool:
        task = json.loads(reader.awork.store.find("projecttasks", task_id))
        return any(tag["name"] == "dringend" for tag in task["tags"])

    expected = [entry["id"] for entry in reader.entries if "taskId" in entry and tagged(entry["taskId"])]

    assert expected
    assert reader.ids(filterby="task/tags/any(a: a/name eq 'dringend')") == expected
    assert reader.ids(filterby="task/tags/any(a: a/name in ('dringend','x'))") == expected


def test_collections_of_plain_values_and_other_resources(reader):
    team = reader.rows("/teams", includeUserIds="true")[1]
    member = team["userIds"][0]

    assert reader.ids("/teams", filterby=f"userIds/any(u: u eq guid'{member}')") == [team["id"]]
    assert reader.ids("/projects", filterby="company/name eq 'Zürich Bikes' or isExternal eq true")


@pytest.mark.parametrize(
    "expression",
    [
        "isBilled eq",
        "isBilled = true",
        "isBilled eq TRUE",
        "isBilled eq true AND isBillable eq true",
        "isBilled EQ true",
        "isBilled eq true and",
        "(isBilled eq true",
        "isBilled eq true)",
        "isBilled eq true; DROP TABLE timeentries",
        "nosuch eq 1",
        "project/nosuch eq 1",
        "project.name eq 'x'",
        "breaks[0]/duration gt 1",
        "breaks/duration gt 1",
        "breaks eq null",
        "project eq 'x'",
        "note/any(n: n eq 'x')",
        "breaks/any(b: b/nosuch eq 1)",
        "breaks/any(b: x/duration eq 1)",
        "breaks/any(b/duration eq 1)",
        "breaks/all(b: b/duration eq 1)",
        "id eq GUID'00000000-0000-0000-0000-000000000000'",
        "id eq guid'00000000'",
        "id eq '00000000-0000-0000-0000-000000000000'",
        "id gt guid'00000000-0000-0000-0000-000000000000'",
        "isBilled gt true",
        "isBilled eq 1",
        "duration eq '1'",
        "duration gt null",
        "duration",
        "'text'",
        "note and isBilled",
        "createdOn ge '2026-05-01'",
        "createdOn ge datetime'2026-05-01'",
        "createdOn ge datetime'2026-05-01T00:00:00Z'",
        "createdOn ge datetime'2026-05-01T00:00:00.5'",
        "createdOn ge datetime'2026-13-01T00:00:00'",
        "createdOn ge 2026-05-01T00:00:00",
        "createdOn ge yesterday",
        "createdOn ge today-3h",
        "createdOn ge today-99999999d",
        "note eq \"x\"",
        "note eq 'x",
        "startswith(note)",
        "startswith(duration,'1')",
        "startswith('x',note,'y')",
        "toupper(note) eq 'X'",
        "tolower(note)",
        "timezone in ()",
        "timezone in (1)",
        "duration eq 99999999999999999999",
        "duration eq 1e3",
    ],
)  # fmt: skip
def test_a_bad_expression_is_refused_with_aworks_error(reader, expression):
    response = reader.get(filterby=expression)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid-filter-or-order"
    assert response.json()["traceId"] == response.headers["Trace-Id"]


@pytest.mark.parametrize("encoded", ["isBilled%20eq%20true", "isBilled+eq+true", "++isBilled++eq+true++"])
def test_blanks(reader, encoded):
    response = reader.session.get(f"{reader.awork.url}/timeentries?pageSize=1&filterby={encoded}", timeout=20)

    billed = sum(entry["isBilled"] for entry in reader.entries)
    assert response.headers["aw-totalitems"] == str(billed)


@pytest.mark.parametrize("expression", ["", "  "])
def test_an_empty_expression_filters_nothing(reader, expression):
    assert reader.get(filterby=expression).headers["aw-totalitems"] == str(len(reader.entries))


def test_a_long_list_of_alternatives(reader):
    ids = [entry["id"] for entry in reader.entries[:300]]
    expression = " or ".join(f"id eq guid'{entry_id}'" for entry_id in ids)

    assert reader.ids(filterby=expression) == ids


@pytest.mark.parametrize(
    ("zone", "literal", "matches"),
    [
        ("UTC", "2026-05-04T08:00:00", True),
        ("UTC", "2026-05-04T08:00:01", False),
        ("Europe/Berlin", "2026-05-04T10:00:00", True),
        ("Europe/Berlin", "2026-05-04T10:00:01", False),
        ("America/New_York", "2026-05-04T04:00:00", True),
        ("America/New_York", "2026-05-04T04:00:01", False),
    ],
)
def test_literals_are_read_in_the_zone_of_the_settings_but_days_are_days(serve, zone, literal, matches):
    client = serve(entries=0, literal_timezone=zone)
    entry = client.awork.make_entry(createdOn="2026-05-04T08:00:00Z", started_at=datetime(2026, 5, 4, 6, tzinfo=UTC))
    client.awork.store.add(entry)

    assert client.ids(filterby=f"createdOn ge datetime'{literal}'") == [entry["id"]] * matches
    assert client.ids(filterby="startDateLocal eq datetime'2026-05-04T00:00:00'") == [entry["id"]]


def test_the_seventh_digit_of_created_on_counts_and_all_forms_compare(serve):
    client = serve(entries=0)
    texts = ["2026-05-04T08:00:00Z", "2026-05-04T08:00:00.001Z", "2026-05-04T08:00:00.0010001Z", "2026-05-04T08:00:01"]
    entries = [client.awork.make_entry(createdOn=text) for text in texts]
    client.awork.store.add(*reversed(entries))

    assert client.ids(orderby="createdOn") == [entry["id"] for entry in entries]
    assert client.ids(filterby="createdOn gt datetime'2026-05-04T08:00:00'", orderby="createdOn") == [
        entry["id"] for entry in entries[1:]
    ]


# A Wednesday.
NOW = datetime(2026, 5, 20, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "expression", "first", "last"),
    [
        ("UTC", "startDateLocal eq today", "2026-05-20", "2026-05-20"),
        ("Europe/Berlin", "startDateLocal eq today", "2026-05-21", "2026-05-21"),
        ("UTC", "startDateLocal eq today-1d", "2026-05-19", "2026-05-19"),
        ("UTC", "startDateLocal ge today-30d", "2026-04-20", "2026-06-30"),
        ("UTC", "startDateLocal ge today+5d", "2026-05-25", "2026-06-30"),
        ("UTC", "startDateLocal ge sow and startDateLocal le eow", "2026-05-18", "2026-05-24"),
        ("UTC", "startDateLocal ge som and startDateLocal le eom", "2026-05-01", "2026-05-31"),
        ("UTC", "startDateLocal lt now", "2026-04-01", "2026-05-20"),
    ],
)
def test_date_words(serve, zone, expression, first, last):
    client = serve(entries=0, now=NOW, literal_timezone=zone)
    days = [
        f"2026-{month:02}-{day:02}" for month, length in ((4, 30), (5, 31), (6, 30)) for day in range(1, length + 1)
    ]
    client.awork.store.add(*(client.awork.make_entry(startDateLocal=f"{day}T00:00:00") for day in days))

    matched = sorted(row["startDateLocal"][:10] for row in client.rows(filterby=expression))

    assert matched == [day for day in days if first <= day <= last]


def test_refused_properties(serve):
    client = serve(unfilterable={"createdOn", "project/name"})

    for expression in (
        "createdon ge datetime'2026-05-01T00:00:00'",
        "isBilled eq true and Project/Name eq 'x'",
        "breaks/any(b: createdOn ne null)",
    ):
        assert client.get(filterby=expression).json()["code"] == "invalid-filter-or-order"
    assert client.get(filterby="project/id ne null", orderby="createdOn").status_code == 200
