from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from string import ascii_lowercase
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.billing.entry_keys import EntryState
from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.lists import LIST_MODELS
from airflow_provider_awork.columns.model import DERIVED, Column, ColumnType, RowModel, column_name, to_texts
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.exceptions import AworkTransportError
from tests.helpers.entries import Entry, make_entries, page, raw, raw_entries, split, split_instant
from tests.helpers.openapi import leaves


def values_of(entry: Entry | bytes) -> tuple[dict[str, Any], Leftovers]:
    """The columns of one entry, and what it has in ``extra``."""
    leftovers = Leftovers()
    entries = split(b"[" + entry + b"]") if isinstance(entry, bytes) else raw(entry)
    values = RowDecoder(TIME_ENTRY, leftovers).decode(entries)
    assert list(values) == [column.name for column in TIME_ENTRY.columns]
    return {name: value for name, (value,) in values.items()}, leftovers


def entry() -> Entry:
    return next(make_entries(1))


# --- the columns


def test_columns_are_the_leaves_of_the_official_model() -> None:
    assert {leaf.path: leaf.type for leaf in TIME_ENTRY.leaves} == dict(leaves("TimeTracking", whole={"task.project"}))
    without_column = {leaf.path for leaf in TIME_ENTRY.leaves} - {column.path for column in TIME_ENTRY.columns}
    assert without_column == {
        *("typeOfWork.id", "user.id", "project.id", "task.id", "task.taskStatus.id", "task.parentTask.id")
    }


MODELS = {"timeentries": TIME_ENTRY, **{name: model.to_row_model() for name, model in LIST_MODELS.items()}}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_no_column_repeats_the_object_it_is_in(model: RowModel) -> None:
    names = [column.name for column in model.columns]
    assert [name for name in names if re.search(r"(^|_)(\w+)_\2(_|$)", name)] == []
    assert len(set(names)) == len(names)
    for column in model.columns:
        assert set(column.name) <= set(ascii_lowercase + "_")
        for owner in column.path.split(".")[:-1]:
            assert not re.search(rf"{snake_case(owner)}_(\w+_)?{snake_case(owner)}(_|$)", column.name)


def snake_case(path: str) -> str:
    return re.sub("[A-Z]", lambda match: "_" + match[0].lower(), path.replace(".", "_"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("user.firstName", "user_first_name"),
        ("project.projectKey", "project_key"),
        ("project.projectStatus.id", "project_status_id"),
        ("project.projectType.isArchived", "project_type_is_archived"),
        ("project.company.name", "project_company_name"),
        ("project.projects", "project_projects"),
        ("task.taskIdentifier", "task_identifier"),
        ("task.taskStatusId", "task_status_id"),
        ("task.taskStatus.name", "task_status_name"),
        ("task.parentTask.name", "task_parent_name"),
        ("task.project", "task_project"),
        ("parentTask.name", "parent_task_name"),
        ("status.isDeactivated", "status_is_deactivated"),
    ],
)
def test_names_are_the_paths_in_snake_case_without_repetition(path: str, name: str) -> None:
    assert column_name(path) == name


def test_names_are_unique_and_derived_columns_come_last() -> None:
    assert len({column.name for column in TIME_ENTRY.columns}) == len(TIME_ENTRY.columns)
    derived = [column.name for column in TIME_ENTRY.columns if column.path == DERIVED]
    assert [column.name for column in TIME_ENTRY.columns[-len(derived) :]] == derived
    assert derived[-1] == "extra"


def test_columns_are_only_ever_appended() -> None:
    """Readers put files of different versions together by position, so what was released stays where it was."""
    names = [column.name for column in TIME_ENTRY.columns]
    assert (names.index("id"), names.index("duration"), names.index("project_company_name")) == (0, 8, 41)
    assert (names.index("started_at"), names.index("extra")) == (71, 81)


def test_markdown_has_a_row_for_each_column() -> None:
    lines = TIME_ENTRY.columns_markdown().splitlines()
    assert len(lines) == len(TIME_ENTRY.columns) + 2
    assert {line.count("|") for line in lines} == {5}
    assert "| `project_company_name` | text | `project.company.name` | Name of the client. |" in lines
    assert all(line == line.strip() for line in lines)


# --- decoding


def test_a_typical_entry_fills_its_columns() -> None:
    given_entry = entry()
    values, leftovers = values_of(given_entry)
    for column in TIME_ENTRY.columns:
        if column.path == DERIVED or column.type is ColumnType.JSON:
            continue
        assert values[column.name] == at(given_entry, column.path), column.name
    assert values["breaks"] == "[]"
    assert values["extra"] is None
    assert leftovers == Leftovers()


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def test_absent_and_null_are_the_same() -> None:
    everything_null = with_nulls(entry())
    assert values_of(everything_null) == values_of({})
    assert set(values_of({})[0].values()) == {None, False}
    inner_null = {"task": with_nulls(entry()["task"]), "user": {}, "unknown": None}
    assert values_of(inner_null) == values_of({})
    beside_a_change = {"task": {"taskStatus": {"unknown": None, "order": "1"}, "parentTask": {"unknown": None}}}
    assert values_of(beside_a_change)[0]["extra"] == '{"task":{"taskStatus":{"order":"1"}}}'


def with_nulls(value: Entry) -> Entry:
    return dict.fromkeys(value)


def test_no_entries_give_empty_columns() -> None:
    assert RowDecoder(TIME_ENTRY, Leftovers()).decode([]) == {column.name: [] for column in TIME_ENTRY.columns}
    assert RowDecoder(TIME_ENTRY, Leftovers()).to_arrow([]).num_rows == 0


def test_unknown_keys_go_to_extra_and_are_counted() -> None:
    sent = entry()
    known, _ = values_of(sent)
    sent["colour"] = "red"
    sent["task"] = {**sent["task"], "lists": [{"id": 1}], "primaryTaskListId": "x"}
    sent["project"] = {**sent["project"], "company": {**sent["project"]["company"], "a.b": 1.0}}
    leftovers = Leftovers()
    values = RowDecoder(TIME_ENTRY, leftovers).decode(split(page([sent, entry(), sent])))
    assert not leftovers.misfits
    assert leftovers.unknown_fields == {
        "colour": 2,
        "task.lists": 2,
        "task.primaryTaskListId": 2,
        "project.company.a.b": 2,
    }
    extra = json.loads(values["extra"][2])
    assert extra == {
        "colour": "red",
        "task": {"lists": [{"id": 1}], "primaryTaskListId": "x"},
        "project": {"company": {"a.b": 1.0}},
    }
    assert {name: values[name][0] for name in known if name not in ("extra", "task_project")} == {
        name: value for name, value in known.items() if name not in ("extra", "task_project")
    }


@pytest.mark.parametrize(
    ("path", "value", "column"),
    [
        ("duration", "3600", "duration"),
        ("duration", 3600.5, "duration"),
        ("duration", True, "duration"),
        ("resourceVersion", 2**63, "resource_version"),
        ("note", 5, "note"),
        ("note", {"html": "<b>"}, "note"),
        ("isBilled", "false", "is_billed"),
        ("isBilled", 0, "is_billed"),
        ("startDateUtc", 1_700_000_000, "start_date_utc"),
        ("user", "Zoë", "user_first_name"),
        ("user.firstName", ["Zoë"], "user_first_name"),
        ("project.company", [], "project_company_name"),
        ("task.taskStatus.order", "1", "task_status_order"),
        ("task.parentTask.name", 1, "task_parent_name"),
    ],
)
def test_values_of_another_type_go_to_extra(path: str, value: Any, column: str) -> None:
    sent = entry()
    *parents, key = path.split(".")
    place = sent
    for parent in parents:
        place[parent] = dict(place[parent])
        place = place[parent]
    place[key] = value
    expected: Any = value
    for step in reversed([*parents, key]):
        expected = {step: expected}
    values, leftovers = values_of(sent)
    assert values[column] is None
    assert json.loads(values["extra"]) == expected
    assert (leftovers.misfits, leftovers.misfit_ids) == ({path: 1}, {path: sent["id"]})
    assert not leftovers.unknown_fields
    assert values["id"] == sent["id"]
    assert values["type_of_work_name"] == sent["typeOfWork"]["name"]


WHOLE = [("3600.0", 3600), ("3.6e3", 3600), ("36E+2", 3600), ("-0.0", 0), ("9223372036854775807.0", 2**63 - 1)]
NOT_WHOLE = ["3600.5", "36e-1", "9223372036854775808.0", "1e19", "1e999999999", "1e-999999999", f"1.{'0' * 200}"]
NOT_WHOLE += ["1e99999999999999999999", "-1e-5", '"3600.0"', "true"]


@pytest.mark.parametrize(("text", "number"), [*WHOLE, *((text, None) for text in NOT_WHOLE)])
def test_whole_numbers_may_be_written_with_a_fraction_or_an_exponent(text: str, number: int | None) -> None:
    values, leftovers = values_of(f'{{"duration":{text},"task":{{"plannedDuration":{text}}}}}'.encode())
    assert values["duration"] == values["task_planned_duration"] == number
    kept = f'{{"duration":{text},"task":{{"plannedDuration":{text}}}}}' if number is None else None
    assert values["extra"] == kept
    assert leftovers.misfits == ({} if number is not None else {"duration": 1, "task.plannedDuration": 1})


@pytest.mark.parametrize("field", ["startTimeUtc", "endTimeUtc", "startTimeLocal", "endTimeLocal", "duration"])
def test_no_state_rests_on_a_misfit(field: str) -> None:
    sent = {"startTimeUtc": "10:00:00", "duration": 0, "id": "a", field: [1]}
    rows = split(page([sent, sent | {field: None}]))
    values = RowDecoder(TIME_ENTRY, Leftovers()).decode(rows)
    assert [values[name][0] for name in STATES] == [None, None, None]
    assert [values[name][1] for name in STATES] == [field != "startTimeUtc", False, False]
    table = RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(rows)
    assert [table[name].null_count for name in STATES] == [1, 1, 1]


def test_extra_keeps_numbers_as_they_were_written() -> None:
    values, _ = values_of(b'{"x": 1.10, "y": 12345678901234567890123, "duration": 1e400, "task": {"z": -0.0}}')
    assert values["extra"] == '{"x":1.10,"y":12345678901234567890123,"duration":1e400,"task":{"z":-0.0}}'


def test_an_entry_that_is_no_object_goes_to_extra() -> None:
    values, leftovers = values_of(b"[1, 2]")
    assert values["extra"] == "[1, 2]"
    assert leftovers.misfits == {"(entry)": 1}


def test_an_id_in_an_object_that_differs_from_the_id_beside_it_goes_to_extra() -> None:
    same, other = entry(), entry()
    other["user"] = {**other["user"], "id": "another", "mood": 1}
    other["task"] = {
        **other["task"],
        "id": "a task",
        "taskStatus": {**other["task"]["taskStatus"], "id": "a status", "colour": "red"},
        "parentTask": {"id": "a parent"},
    }
    del other["projectId"]
    leftovers = Leftovers()
    decoder = RowDecoder(TIME_ENTRY, leftovers)
    for _ in range(2):
        extras = decoder.to_arrow(split(page([same, other, same])))["extra"].to_pylist()
        assert extras[0] is extras[2] is None
        assert json.loads(extras[1]) == {
            "user": {"id": "another", "mood": 1},
            "project": {"id": same["project"]["id"]},
            "task": {
                "id": "a task",
                "taskStatus": {"id": "a status", "colour": "red"},
                "parentTask": {"id": "a parent"},
            },
        }
    differing = ["user.id", "project.id", "task.id", "task.taskStatus.id", "task.parentTask.id"]
    assert not leftovers.misfits
    assert leftovers.unknown_fields == dict.fromkeys([*differing, "user.mood", "task.taskStatus.colour"], 2)


def test_64_bits() -> None:
    values, _ = values_of({"resourceVersion": 2**63 - 1, "duration": -(2**63)})
    assert (values["resource_version"], values["duration"]) == (2**63 - 1, -(2**63))
    table = RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(raw({"resourceVersion": 2**63 - 1}))
    assert table["resource_version"].to_pylist() == [2**63 - 1]


@pytest.mark.parametrize(
    "text", ["", "null", "\x00", "a\r\nb", "\u2028", "🎉", "</script>", "=1+1", "x" * 1_000_000, '"']
)
def test_texts_stay_as_they_are(text: str) -> None:
    values, _ = values_of({"note": text})
    assert values["note"] == text
    assert RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(raw({"note": text}))["note"].to_pylist() == [text]


def test_breaks_are_json_as_sent() -> None:
    breaks = b'[{"startDate":"2026-01-01T10:00:00.1234567Z", "duration":1.0,"new":[]}]'
    assert values_of(b'{"breaks":' + breaks + b"}")[0]["breaks"] == breaks.decode()


def test_the_project_of_the_task_is_kept_where_it_is_another() -> None:
    sent = entry()
    assert values_of(sent)[0]["task_project"] is None
    other = {**sent["task"]["project"], "name": "other", "new": 1}
    sent["task"] = {**sent["task"], "project": other}
    values, leftovers = values_of(sent)
    assert json.loads(values["task_project"]) == other
    assert leftovers == Leftovers()
    del sent["project"]
    assert json.loads(values_of(sent)[0]["task_project"]) == other


def test_broken_utf8_is_an_error_of_transport() -> None:
    for body in (b'{"note":"\xff"}', b'{"new":"\xff"}', b'{"user":{"firstName":"\xff"}}', b'{"breaks":["\xff"]}'):
        with pytest.raises(AworkTransportError, match="not valid UTF-8"):
            values_of(body)


# --- time


def timestamps(values: dict[str, Any]) -> list[datetime | None]:
    return [values[name] for name in ("started_at", "ended_at", "started_at_local", "ended_at_local")]


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 30)),
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.sampled_from(
        ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
    ),
    st.sampled_from([0, 1, 3, 6, 7]),
)
def test_split_times_come_together_again(start: datetime, length: timedelta, zone: str, digits: int) -> None:
    unit = 10 ** (6 - min(digits, 6))
    instants = [at.replace(microsecond=at.microsecond // unit * unit, tzinfo=UTC) for at in (start, start + length)]
    sent = split_instant(instants[0], zone, "start", digits=digits) | split_instant(
        instants[1], zone, "end", digits=digits
    )
    values, _ = values_of(sent)
    local = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]
    assert timestamps(values) == [instant.replace(tzinfo=None) for instant in instants] + local
    assert values["work_date"] == local[0].date()
    batch = RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(raw(sent))
    assert batch["started_at"].to_pylist() == [instants[0]]
    assert batch["ended_at_local"].to_pylist() == [local[1]]


@pytest.mark.parametrize(
    ("zone", "instant", "local", "day"),
    [
        ("Europe/Berlin", "2025-03-30T00:59:59Z", "2025-03-30T01:59:59", "2025-03-30"),
        ("Europe/Berlin", "2025-03-30T01:00:00Z", "2025-03-30T03:00:00", "2025-03-30"),
        ("Europe/Berlin", "2025-10-26T00:30:00Z", "2025-10-26T02:30:00", "2025-10-26"),
        ("Europe/Berlin", "2025-10-26T01:30:00Z", "2025-10-26T02:30:00", "2025-10-26"),
        ("Europe/Berlin", "2025-12-31T23:30:00Z", "2026-01-01T00:30:00", "2026-01-01"),
        ("Asia/Kolkata", "2025-03-29T18:30:00Z", "2025-03-30T00:00:00", "2025-03-30"),
        ("America/New_York", "2026-01-01T04:59:59Z", "2025-12-31T23:59:59", "2025-12-31"),
    ],
)
def test_days_and_changes_of_the_clocks(zone: str, instant: str, local: str, day: str) -> None:
    values, _ = values_of(split_instant(datetime.fromisoformat(instant), zone, "start"))
    assert values["started_at"] == datetime.fromisoformat(instant).replace(tzinfo=None)
    assert values["started_at_local"] == datetime.fromisoformat(local)
    assert values["work_date"] == date.fromisoformat(day)


def test_a_time_inside_the_date_does_not_count_twice() -> None:
    """The example of awork's OpenAPI document."""
    values, _ = values_of({"endDateUtc": "2022-03-01T18:21:05Z", "endTimeUtc": "11:45:00"})
    assert values["ended_at"] == datetime(2022, 3, 1, 11, 45)
    assert (values["end_date_utc"], values["end_time_utc"]) == ("2022-03-01T18:21:05Z", "11:45:00")


def test_the_seventh_digit_is_cut_off_the_timestamp_and_kept_in_the_text() -> None:
    sent = {"startDateUtc": "2022-03-01T00:00:00Z", "startTimeUtc": "13:08:51.9999999"}
    values, _ = values_of(sent | {"createdOn": "2022-03-01T13:08:51.8220639Z"})
    assert values["started_at"] == datetime(2022, 3, 1, 13, 8, 51, 999999)
    assert values["created_at"] == datetime(2022, 3, 1, 13, 8, 51, 822063)
    assert (values["start_time_utc"], values["created_on"]) == ("13:08:51.9999999", "2022-03-01T13:08:51.8220639Z")


@pytest.mark.parametrize(
    "text",
    ["2022-03-01T12:00:00.5Z", "2022-03-01T12:00:00.5000000", "2022-03-01T13:00:00.500+01:00", "2022-03-01 12:00:00.5"],
)
def test_instants_of_creation_are_utc(text: str) -> None:
    values, _ = values_of({"createdOn": text, "updatedOn": text})
    assert values["created_at"] == values["updated_at"] == datetime(2022, 3, 1, 12, 0, 0, 500_000)


@pytest.mark.parametrize(
    ("day", "time"),
    [
        ("2022-02-30T00:00:00Z", "10:00:00"),
        ("2022-03-01T00:00:00Z", "25:00:00"),
        ("2022-03-01T00:00:00Z", "10:00:00+02:00"),
        ("2022-03-01T00:00:00Z", ""),
        ("", "10:00:00"),
        ("soon", "later"),
    ],
)
def test_times_that_cannot_be_read_stay_texts(day: str, time: str) -> None:
    sent = {"startDateUtc": day, "startTimeUtc": time, "startDateLocal": day, "createdOn": f"{day}?"}
    values, leftovers = values_of(sent)
    assert values["started_at"] is None
    assert values["created_at"] is None
    assert (values["start_date_utc"], values["start_time_utc"], values["extra"]) == (day, time, None)
    assert leftovers == Leftovers()
    assert RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(raw(sent))["started_at"].to_pylist() == [None]


# --- states


START = {"startDateUtc": "2026-01-05T00:00:00Z", "startTimeUtc": "09:00:00"}
END = {"endDateUtc": "2026-01-05T00:00:00Z", "endTimeUtc": "10:00:00"}
CLOSED_BREAK = {"startDate": "2026-01-05T09:10:00Z", "endDate": "2026-01-05T09:20:00Z", "duration": 600}
OPEN_BREAK = {"startDate": "2026-01-05T09:30:00Z"}
STATES = ("is_running", "is_paused", "is_duration_only")


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        (START | {"duration": 0}, "is_running"),
        (START, "is_running"),
        ({"startDateLocal": "2026-01-05T00:00:00", "startTimeLocal": "10:00:00", "duration": 0}, "is_running"),
        (START | {"duration": 0, "breaks": [CLOSED_BREAK]}, "is_running"),
        (START | {"duration": 0, "breaks": []}, "is_running"),
        (START | {"duration": 0, "breaks": [OPEN_BREAK, CLOSED_BREAK]}, "is_running"),
        (START | {"duration": 0, "breaks": [CLOSED_BREAK, OPEN_BREAK]}, "is_paused"),
        (START | {"duration": 0, "breaks": [OPEN_BREAK | {"endDate": None}]}, "is_paused"),
        (START | END | {"duration": 3600}, None),
        (START | END | {"duration": 0}, None),
        (START | {"endDateUtc": "2026-01-05T00:00:00Z", "duration": 0}, "is_running"),
        (START | END | {"duration": 3600, "breaks": [OPEN_BREAK]}, None),
        (START | {"duration": 3600}, "is_running"),
        (START | {"duration": 3600, "breaks": [CLOSED_BREAK, OPEN_BREAK]}, "is_paused"),
        (START | {"startTimeLocal": "10:00:00", "endTimeLocal": "11:00:00", "duration": 3600}, "is_running"),
        (END | {"duration": 3600}, None),
        ({"startDateUtc": "2026-01-05T00:00:00Z", "duration": 1800}, "is_duration_only"),
        ({"startDateUtc": "2026-01-05T00:00:00Z", "duration": 0}, None),
        ({}, None),
    ],
)
def test_states(sent: Entry, state: str | None) -> None:
    values, _ = values_of(sent)
    assert {name: values[name] for name in STATES} == {name: name == state for name in STATES}
    assert msgspec.convert({"id": "x", **sent}, EntryState).is_open == (state in ("is_running", "is_paused"))


@pytest.mark.parametrize("breaks", ["soon", ["of another type"], {"endDate": None}])
def test_an_open_timer_whose_breaks_cannot_be_read_has_no_state(breaks: Any) -> None:
    values, _ = values_of(START | {"duration": 0, "breaks": breaks})
    assert {values[name] for name in STATES} == {None}
    values, _ = values_of(START | END | {"duration": 0, "breaks": breaks})
    assert {values[name] for name in STATES} == {False}


# --- Arrow and texts hold the same


LEAVES: dict[ColumnType, st.SearchStrategy[Any]] = {
    ColumnType.TEXT: st.text(st.characters(exclude_categories=["Cs"])),
    ColumnType.BOOLEAN: st.booleans(),
    ColumnType.INTEGER: st.integers(-(2**70), 2**70),
    ColumnType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    ColumnType.JSON: st.lists(st.integers(0, 9)),
}


def nested(path: str, value: Any) -> Entry:
    key, _, rest = path.partition(".")
    return {key: nested(rest, value) if rest else value}


def merge(into: Entry, other: Entry) -> Entry:
    for key, value in other.items():
        into[key] = merge(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
    return into


@st.composite
def odd_entries(draw: st.DrawFn) -> Entry:
    """Entries with any of the columns, now and then with values of another type or unknown keys."""
    chosen: list[Column] = draw(st.lists(st.sampled_from(TIME_ENTRY.leaves), max_size=12))
    sent: Entry = {}
    for column in chosen:
        merge(sent, nested(column.path, draw(LEAVES[column.type] | st.none() | st.sampled_from([0, "", [], {"a": 1}]))))
    return merge(
        sent, draw(st.dictionaries(st.sampled_from(["new", "user", "task"]), st.none() | st.just(3), max_size=1))
    )


@given(st.lists(odd_entries(), max_size=4))
def test_nothing_is_lost_and_arrow_and_texts_hold_the_same(entries: list[Entry]) -> None:
    batch = split(page(entries))
    values = RowDecoder(TIME_ENTRY, Leftovers()).decode(batch)
    for index, sent in enumerate(entries):
        drop_repeated_ids(sent)
        if at(sent, "task.project") is not None and at(sent, "task.project") == sent.get("project"):
            del sent["task"]["project"]  # left out where it is the same
        assert without_nulls(restored(values, index)) == without_nulls(sent)
    texts, table = (
        texts_of(RowDecoder(TIME_ENTRY, Leftovers()), batch),
        RowDecoder(TIME_ENTRY, Leftovers()).to_arrow(batch),
    )
    for column in TIME_ENTRY.columns:
        assert [as_text(value) for value in table[column.name].to_pylist()] == texts[column.name]


def drop_repeated_ids(sent: Entry) -> None:
    for path, beside in TIME_ENTRY.repeated_ids.items():
        own = at(sent, beside)
        if isinstance(own, str) and at(sent, path) == own:
            del at(sent, path.removesuffix(".id"))["id"]


def texts_of(decoder: RowDecoder, batch: Sequence[msgspec.Raw]) -> dict[str, list[str | None]]:
    """The texts of each column."""
    rows = [tuple(chain(*cells)) for cells in zip(*decoder.to_cells(batch, texts_of_rows), strict=True)]
    return {column.name: [row[index] for row in rows] for index, column in enumerate(TIME_ENTRY.columns)}


def texts_of_rows(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> list[tuple[str | None, ...]]:
    return list(zip(*map(to_texts, columns, values), strict=True))


def restored(values: dict[str, list[Any]], index: int) -> Entry:
    """The entry that columns were made of."""
    result: Entry = {}
    for column in TIME_ENTRY.columns:
        value = values[column.name][index]
        if column.path != DERIVED and value is not None:
            merge(result, nested(column.path, json.loads(value) if column.type is ColumnType.JSON else value))
    return merge(result, json.loads(values["extra"][index] or "{}"))


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return {key: inner for key, inner in kept.items() if inner != {}}


def as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return text + ("Z" if value.tzinfo else "")
    return str(value)


def test_arrow_and_texts_hold_the_same_for_typical_entries() -> None:
    batch = raw_entries(300)
    decoder = RowDecoder(TIME_ENTRY, Leftovers())
    texts, table = texts_of(decoder, batch), decoder.to_arrow(batch)
    table.validate(full=True)
    assert table.schema == TIME_ENTRY.arrow_schema
    for column in TIME_ENTRY.columns:
        assert [as_text(value) for value in table[column.name].to_pylist()] == texts[column.name]


@pytest.mark.parametrize("most_objects", [4_000, 20])
def test_objects_that_come_again_are_what_they_are_in_each_row(
    monkeypatch: pytest.MonkeyPatch, most_objects: int
) -> None:
    monkeypatch.setattr("airflow_provider_awork.columns.decoding.MOST_OBJECTS", most_objects)
    entries = list(make_entries(400))
    for number, sent in enumerate(entries):
        if number % 3 == 0:
            sent["user"] = sent["user"] | {"mood": number % 2, "hasImage": "yes"}
    of_all, of_each = Leftovers(), Leftovers()
    decoder = RowDecoder(TIME_ENTRY, of_all)
    for start in range(0, 400, 50):
        batch = split(page(entries[start : start + 50]))
        alone = RowDecoder(TIME_ENTRY, of_each)
        expected = alone.decode(batch)
        assert decoder.decode(batch) == expected
        assert decoder.to_arrow(batch) == alone.to_arrow(batch)
        assert texts_of(decoder, batch) == texts_of(alone, batch)
        assert json.loads(expected["extra"][-start % 3]) == {
            "user": {"mood": (start + -start % 3) % 2, "hasImage": "yes"}
        }
    assert of_all == of_each
    assert (of_all.unknown_fields["user.mood"], of_all.misfits["user.hasImage"]) == (402, 402)


def test_pretty_printed_entries_have_the_same_values() -> None:
    entries = list(make_entries(20))
    values = RowDecoder(TIME_ENTRY, Leftovers()).decode(split(page(entries, pretty=True)))
    compact = RowDecoder(TIME_ENTRY, Leftovers()).decode(split(page(entries)))
    assert {name: value for name, value in values.items() if name != "task_project"} == {
        name: value for name, value in compact.items() if name != "task_project"
    }
    assert msgspec.json.encode(values["id"]) == msgspec.json.encode([sent["id"] for sent in entries])
