"""The operations over real HTTP: what is sent, what comes back, what is refused before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.entries.models import BATCH_OPERATIONS
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.exceptions import (
    AworkBatchError,
    AworkConfigError,
    AworkNotFoundError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkRequestError,
    AworkServerError,
    AworkTransportError,
    AworkValidationError,
)
from airflow_provider_awork.sandbox import Answer, Fault, Html, Sandbox, Stall, TruncatedJson
from airflow_provider_awork.version_compat import AirflowFailException

Entry = dict[str, Any]

MISSING = "00000000-0000-4000-8000-000000000001"
READ_ONLY = {"id", "createdOn", "createdBy", "resourceVersion", "isExternal", "breaks", "breakDuration"}
STAMPS = {"updatedOn", "updatedBy", "resourceVersion"}


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=150, seed=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def untouched() -> Iterator[Sandbox]:
    """For calls that send nothing, or whose answer a rule makes up."""
    with Sandbox(entries=150, seed=5) as sandbox:
        yield sandbox


@pytest.fixture
def client(awork: Sandbox) -> Iterator[AworkClient]:
    with client_of(awork) as client:
        yield client


@contextmanager
def client_of(awork: Sandbox, **extras: Any) -> Iterator[AworkClient]:
    config = build_config(token=awork.token, base_url=awork.url, extras=extras)
    limiter = RateLimiter(requests_per_minute=10_000, max_wait=0.3)
    client = AworkClient(
        config, session=AworkSession(config, retry=RetryRules(tries=8, first_wait=0.01), limiter=limiter)
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def answered_with(awork: Sandbox, fault: Fault) -> Iterator[AworkClient]:
    """A client whose requests all meet a fault."""
    awork.faults.add(lambda request, store: fault)
    try:
        with client_of(awork, **({"read_timeout": 1} if isinstance(fault, Stall) else {})) as client:
            yield client
    finally:
        awork.faults.clear()
        awork.requests.clear()


def first(awork: Sandbox, where: Callable[[Entry], Any]) -> Entry:
    return next(entry for entry in awork.store.entries() if where(entry))


def finished(entry: Entry) -> bool:
    return {"endTimeUtc", "projectId", "taskId", "userId", "note"} <= entry.keys() and not entry["isBilled"]


def running(entry: Entry) -> bool:
    return "startTimeUtc" in entry and "endTimeUtc" not in entry


def stored(awork: Sandbox, entry_id: str) -> Entry:
    return first(awork, lambda entry: entry["id"] == entry_id)


def required(awork: Sandbox) -> dict[str, Any]:
    entry = first(awork, finished)
    return {"userId": entry["userId"], "typeOfWorkId": entry["typeOfWorkId"], "timezone": "Europe/Berlin"}


def sent(awork: Sandbox) -> Entry:
    body: Entry = json.loads(awork.requests[-1].body)
    return body


# -- create ------------------------------------------------------------------------------------------------------


def test_create_in_local_times(client: AworkClient, awork: Sandbox) -> None:
    entry = client.create_time_entry(
        **required(awork), startDateLocal=date(2026, 7, 1), startTimeLocal=time(9, 30), duration=5400, note="Größe"
    )
    assert entry == stored(awork, entry["id"])
    assert (entry["startDateUtc"], entry["startTimeUtc"]) == ("2026-07-01T00:00:00Z", "07:30:00")
    assert (entry["endTimeLocal"], entry["duration"], entry["note"]) == ("11:00:00", 5400, "Größe")


@pytest.mark.parametrize(
    "started_at",
    [
        datetime(2026, 7, 1, 0, 30, 15, 250000, tzinfo=ZoneInfo("Europe/Berlin")),
        "2026-07-01T00:30:15.25+02:00",
        "2026-06-30T22:30:15.250Z",
    ],
)
def test_create_from_instants(client: AworkClient, awork: Sandbox, started_at: datetime | str) -> None:
    entry = client.create_time_entry(
        **required(awork), started_at=started_at, ended_at=datetime(2026, 6, 30, 23, tzinfo=UTC)
    )
    assert (
        sent(awork).items()
        >= {
            "startDateUtc": "2026-06-30T00:00:00Z",
            "startTimeUtc": "22:30:15.250000",
            "endDateUtc": "2026-06-30T00:00:00Z",
            "endTimeUtc": "23:00:00",
        }.items()
    )
    assert (entry["startDateLocal"], entry["startTimeLocal"]) == ("2026-07-01T00:00:00", "00:30:15.2500000")


def test_create_of_a_day_and_a_duration(client: AworkClient, awork: Sandbox) -> None:
    entry = client.create_time_entry(**required(awork), startDateLocal="2026-07-01", duration=3600, taskId=None)
    assert "startTimeUtc" not in entry
    assert "taskId" not in sent(awork)
    assert (entry["startDateLocal"], entry["duration"]) == ("2026-07-01T00:00:00", 3600)


def test_a_new_entry_is_in_the_next_list(client: AworkClient, awork: Sandbox) -> None:
    entry = client.create_time_entry(**required(awork), startDateLocal="2026-07-01", duration=1)
    assert client.get_time_entry(entry["id"]) == entry
    assert client.count("timeentries") == 151


# -- arguments that cannot work ----------------------------------------------------------------------------------

NAIVE = datetime(2026, 7, 1, 9, 30)
START = {"startDateLocal": "2026-07-01"}
BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, "startDateLocal"),
    ({"startDateLocal": None}, "startDateLocal"),
    ({"endDateLocal": "2026-07-01"}, "startDateLocal"),
    ({**START, "userId": "me"}, "userId: 'me'"),
    ({**START, "userId": None}, "userId"),
    ({**START, "projectId": "42"}, "projectId: '42'"),
    ({**START, "taskId": 7}, "taskId: 7"),
    ({**START, "typeOfWorkId": ""}, "typeOfWorkId: ''"),
    ({**START, "timezone": "Berlin"}, "timezone: 'Berlin'"),
    ({**START, "duration": -1}, "duration: -1"),
    ({**START, "duration": 1.5}, "duration: 1.5"),
    ({**START, "duration": True}, "duration: True"),
    ({**START, "duration": 2**31}, "duration"),
    ({**START, "isBilled": "true"}, "isBilled: 'true'"),
    ({**START, "isBillable": 1}, "isBillable: 1"),
    ({**START, "note": 5}, "note: 5"),
    ({**START, "notes": "x"}, "notes: not a field"),
    ({**START, "breakDuration": 5}, "breakDuration: not a field"),
    ({**START, "startDateUtc": "2026-07-01"}, "startDateUtc and startDateLocal"),
    ({**START, "ended_at": "2026-07-01T10:00Z"}, "endDateUtc and startDateLocal"),
    ({"started_at": NAIVE}, "started_at: 2026-07-01T09:30:00 has no time zone"),
    ({"started_at": "2026-07-01T09:30"}, "started_at: .* has no time zone"),
    ({"started_at": "yesterday"}, "started_at: 'yesterday'"),
    ({"started_at": date(2026, 7, 1)}, "started_at: .* not a datetime"),
    ({"started_at": "2026-07-01T09:30Z", "startTimeUtc": "09:30"}, "started_at: pass it or startTimeUtc"),
    ({"started_at": "2026-07-01T09:30Z", "ended_at": "2026-07-01T09:29Z"}, "end .* before the start"),
    ({"startDateUtc": NAIVE}, "startDateUtc: .* is not a date"),
    ({"startDateUtc": "2026-07-01T09:30:00Z"}, "startDateUtc: .* startTimeUtc"),
    ({"startDateUtc": "2026-02-30"}, "startDateUtc: '2026-02-30'"),
    ({**START, "startTimeLocal": "25:00"}, "startTimeLocal: '25:00'"),
    ({**START, "startTimeLocal": "9:30"}, "startTimeLocal: '9:30'"),
    ({**START, "startTimeLocal": time(9, tzinfo=UTC)}, "startTimeLocal: .* time zone"),
    ({**START, "endTimeLocal": "10:00"}, "endTimeLocal: needs endDateLocal"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_FIELDS, ids=lambda each: str(each)[:60])
def test_bad_fields_of_a_new_entry_are_named_and_nothing_is_sent(
    untouched: Sandbox, fields: dict[str, Any], message: str
) -> None:
    with client_of(untouched) as client, pytest.raises(AworkConfigError, match=message):
        client.create_time_entry(**{**required(untouched), **fields})
    assert untouched.requests == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.replace_time_entry(MISSING, timezone="UTC", startDateUtc="2026-07-01"), "typeOfWorkId"),
        (lambda client: client.replace_time_entry(MISSING, timezone="UTC", typeOfWorkId=MISSING), "startDateLocal"),
        (lambda client: client.replace_time_entry("x", timezone="UTC"), "time_entry_id: 'x'"),
        (lambda client: client.update_time_entry(MISSING), "changes"),
        (lambda client: client.update_time_entry(MISSING, duration=-1), "duration: -1"),
        (lambda client: client.update_time_entry(MISSING, timezone=None), "timezone: cannot be cleared"),
        (lambda client: client.update_time_entry(MISSING, started_at=NAIVE), "started_at"),
        (lambda client: client.update_time_entry("../users", note="x"), r"time_entry_id: '\.\./users'"),
        (lambda client: client.delete_time_entry(""), "time_entry_id: ''"),
        (lambda client: client.remove_breaks("x"), "time_entry_id: 'x'"),
        (lambda client: client.get_last_time_entry("x"), "user_id: 'x'"),
        (lambda client: client.get_my_last_time_entry(user_id="x"), "user_id: 'x'"),
        (lambda client: client.batch_time_entries("setBilled", [MISSING], value=True), "operation: 'setBilled'"),
        (lambda client: client.batch_time_entries("setIsBilled", [], value=True), "time_entry_ids: is empty"),
        (lambda client: client.batch_time_entries("setIsBilled", MISSING, value=True), "time_entry_ids: .* one text"),
        (lambda client: client.batch_time_entries("setIsBilled", [MISSING, "x"], value=True), "time_entry_ids: 'x'"),
        (lambda client: client.batch_time_entries("setIsBilled", [MISSING]), "value: setIsBilled needs one"),
        (lambda client: client.batch_time_entries("setIsBilled", [MISSING], value="true"), "value: 'true'"),
        (lambda client: client.batch_time_entries("setUser", [MISSING], value=True), "value: True"),
        (lambda client: client.batch_time_entries("delete", [MISSING], value=True), "value: delete takes none"),
        (lambda client: client.set_time_entries_billed([]), "time_entry_ids: is empty"),
        (lambda client: client.delete_time_entries(iter(())), "time_entry_ids: is empty"),
        (lambda client: client.set_time_entries_type_of_work([MISSING], type_of_work_id="x"), "type_of_work_id: 'x'"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_sent(
    untouched: Sandbox, call: Callable[[Any], Any], message: str
) -> None:
    with client_of(untouched) as client, pytest.raises(AworkConfigError, match=message):
        call(client)
    assert untouched.requests == []


# -- replace and update ------------------------------------------------------------------------------------------


def test_replace_clears_what_is_left_out(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    after = client.replace_time_entry(
        before["id"], **required(awork), startDateLocal="2026-07-01", startTimeLocal="08:00", duration=60
    )
    assert not {"note", "projectId", "project", "taskId", "task"} & after.keys()
    assert {name: after[name] for name in ("id", "createdOn")} == {name: before[name] for name in ("id", "createdOn")}


@pytest.mark.parametrize("kind", [finished, running, lambda entry: "startTimeUtc" not in entry])
def test_update_keeps_all_else(client: AworkClient, awork: Sandbox, kind: Callable[[Entry], bool]) -> None:
    before = first(awork, lambda entry: kind(entry) and "taskId" in entry and "projectId" in entry)
    after = client.update_time_entry(before["id"], note="changed")
    assert not READ_ONLY & sent(awork).keys()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    # The sandbox makes nested objects of the stored rows, which know less of a task's status.
    assert changed <= {"note", "task", *STAMPS}
    assert changed >= {"note", "resourceVersion"}


def test_update_of_an_entry_with_breaks_keeps_them(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, lambda entry: entry.get("breakDuration") and "endTimeUtc" in entry)
    after = client.update_time_entry(before["id"], note="changed")
    for name in ("breaks", "breakDuration", "duration", "startTimeUtc", "endTimeUtc"):
        assert after[name] == before[name]


def test_update_of_the_entry_of_a_deleted_user(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, lambda entry: "userId" not in entry)
    assert "userId" not in client.update_time_entry(before["id"], note="changed")


def test_update_of_the_duration_keeps_the_start(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    after = client.update_time_entry(before["id"], duration=60)
    assert (after["startTimeUtc"], after["duration"]) == (before["startTimeUtc"], 60)
    assert after["endTimeUtc"] != before["endTimeUtc"]


def test_update_of_the_start_keeps_the_end(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, lambda entry: finished(entry) and not entry["breaks"] and entry["endTimeLocal"] > "12")
    after = client.update_time_entry(before["id"], startTimeLocal="06:00")
    assert (after["startTimeLocal"], after["endTimeUtc"]) == ("06:00:00", before["endTimeUtc"])
    assert after["duration"] > before["duration"]


@pytest.mark.parametrize(
    "start", [{"startDateLocal": "2026-01-05"}, {"startDateUtc": "2026-01-05"}, {"started_at": "2026-01-05T08:00Z"}]
)
def test_update_of_the_day_of_the_start_moves_the_entry(
    client: AworkClient, awork: Sandbox, start: dict[str, Any]
) -> None:
    before = first(awork, lambda entry: entry.get("breakDuration") and finished(entry))
    after = client.update_time_entry(before["id"], **start)
    assert after["startDateUtc"] == "2026-01-05T00:00:00Z"
    assert (after["duration"], after["breakDuration"]) == (before["duration"], before["breakDuration"])
    assert after["endDateUtc"][:8] == "2026-01-"


def test_update_of_the_days_of_both_ends_keeps_the_times(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, lambda entry: finished(entry) and entry["startDateLocal"] == entry["endDateLocal"])
    after = client.update_time_entry(before["id"], startDateLocal="2026-01-05", endDateLocal="2026-01-05")
    assert [after[name] for name in ("startTimeLocal", "endTimeLocal", "duration")] == [
        before[name] for name in ("startTimeLocal", "endTimeLocal", "duration")
    ]
    with pytest.raises(AworkConfigError, match="endTimeLocal: needs endDateLocal too"):
        client.update_time_entry(before["id"], startDateLocal="2026-01-06", endTimeLocal="23:00")


def test_update_of_an_entry_of_a_day_that_has_an_end_date_keeps_the_duration(
    client: AworkClient, awork: Sandbox
) -> None:
    before = first(awork, lambda entry: "startTimeUtc" not in entry and entry["duration"])
    awork.store.edit(before["id"], endDateLocal=before["startDateLocal"], endDateUtc=before["startDateUtc"])
    assert client.update_time_entry(before["id"], note="changed")["duration"] == before["duration"]


def test_update_cannot_clear_the_end_alone(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    after = client.update_time_entry(before["id"], endTimeLocal=None)
    assert (after["startTimeUtc"], after["duration"]) == (before["startTimeUtc"], before["duration"])
    assert finished(after)


@pytest.mark.parametrize("changes", [{"duration": 0}, {"duration": 0, "endTimeLocal": None, "endDateLocal": None}])
def test_update_makes_no_running_timer_of_a_finished_entry(
    client: AworkClient, awork: Sandbox, changes: dict[str, Any]
) -> None:
    before, texts = first(awork, finished), awork.store.texts()
    with pytest.raises(AworkConfigError, match=r"duration: .* running timer"):
        client.update_time_entry(before["id"], **changes)
    assert awork.store.texts() == texts


def test_update_of_a_running_timer_and_of_a_day_may_set_the_duration_to_0(client: AworkClient, awork: Sandbox) -> None:
    for before in (first(awork, running), first(awork, lambda entry: "startTimeUtc" not in entry)):
        assert client.update_time_entry(before["id"], duration=0)["duration"] == 0


def test_update_in_the_hour_that_comes_twice_moves_nothing(client: AworkClient, awork: Sandbox) -> None:
    """Local times would be read as the first of the two hours."""
    entry = client.create_time_entry(**required(awork), started_at="2026-10-25T01:30Z", ended_at="2026-10-25T01:45Z")
    after = client.update_time_entry(entry["id"], note="changed")
    assert (after["startTimeUtc"], after["startTimeLocal"]) == ("01:30:00", "02:30:00")


def test_update_can_take_the_time_of_day_away(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    after = client.update_time_entry(before["id"], startTimeLocal=None)
    assert "startTimeUtc" not in after
    assert "endTimeUtc" not in after
    assert (after["duration"], after["startDateLocal"]) == (before["duration"], before["startDateLocal"])


def test_another_project_drops_the_task(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    other = first(awork, lambda entry: entry.get("projectId", before["projectId"]) != before["projectId"])
    after = client.update_time_entry(before["id"], projectId=other["projectId"])
    assert after["projectId"] == other["projectId"] == after["project"]["id"]
    assert "taskId" not in after


def test_no_project_drops_the_task_and_no_task_keeps_the_project(client: AworkClient, awork: Sandbox) -> None:
    one, two = [entry for entry in awork.store.entries() if finished(entry)][:2]
    without = client.update_time_entry(one["id"], projectId=None)
    assert not {"projectId", "project", "taskId", "task"} & without.keys()
    after = client.update_time_entry(two["id"], taskId=None)
    assert (after["projectId"], "taskId" in after) == (two["projectId"], False)


def test_another_task_brings_its_project(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    other = first(awork, lambda entry: finished(entry) and entry["projectId"] != before["projectId"])
    after = client.update_time_entry(before["id"], taskId=other["taskId"])
    assert (after["taskId"], after["projectId"]) == (other["taskId"], other["projectId"])


def test_the_same_project_keeps_the_task(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, finished)
    after = client.update_time_entry(before["id"], projectId=before["projectId"])
    assert after["taskId"] == before["taskId"]


def test_update_of_an_entry_that_is_gone(client: AworkClient) -> None:
    with pytest.raises(AworkNotFoundError):
        client.update_time_entry(MISSING, note="x")


# -- the rest of the single ones ---------------------------------------------------------------------------------


def test_delete(client: AworkClient, awork: Sandbox) -> None:
    entry = first(awork, finished)
    client.delete_time_entry(entry["id"])
    assert entry["id"] not in awork.store.ids()
    with pytest.raises(AworkNotFoundError):
        client.delete_time_entry(entry["id"])


def test_remove_breaks(client: AworkClient, awork: Sandbox) -> None:
    before = first(awork, lambda entry: entry.get("breakDuration") and "endTimeUtc" in entry)
    after = client.remove_breaks(before["id"])
    assert (after["breaks"], after["breakDuration"]) == ([], 0)
    assert after["duration"] == before["duration"] + before["breakDuration"]


def test_last_entries(client: AworkClient, awork: Sandbox) -> None:
    user = first(awork, finished)["userId"]
    own = [entry for entry in awork.store.entries() if entry.get("userId") == user]
    latest = max(own, key=lambda entry: (entry["startDateUtc"], entry.get("startTimeUtc", "")))
    assert client.get_last_time_entry(user) == latest
    assert client.get_my_last_time_entry(user_id=user) == latest


def test_no_last_entry_is_none(client: AworkClient) -> None:
    assert client.get_my_last_time_entry() is None
    assert client.get_last_time_entry(MISSING) is None


def test_simplified_entries_are_read_whole(client: AworkClient, awork: Sandbox) -> None:
    pages = client.read_list("timeentries/simplified", params={"grouping": "user"}, page_size=20)
    rows = [msgspec.json.decode(row) for page in pages for row in page]
    assert sorted(row["id"] for row in rows) == sorted(awork.store.ids())
    assert not {"note", "updatedOn", "timezone", "endDateUtc"} & set().union(*rows)


# -- batches -----------------------------------------------------------------------------------------------------


def test_a_batch_says_what_became_of_each_id(client: AworkClient, awork: Sandbox) -> None:
    ids = awork.store.ids(finished)[:3]
    result = client.batch_time_entries("setIsBilled", [*ids, MISSING, ids[0].upper()], value=True)
    assert (result.ok, result.not_found) == (tuple(ids), (MISSING,))
    assert result.unauthorized == result.bad_request == result.unreported == ()
    assert sent(awork) == {"timeEntryIds": [*ids, MISSING], "isBilled": True}
    assert all(stored(awork, each)["isBilled"] for each in ids)
    result.raise_for_failures(tolerate_not_found=True)
    with pytest.raises(
        AworkBatchError, match=f"setIsBilled: 1 time entries are not as asked, 3 are; not found: 1 .{MISSING}"
    ):
        result.raise_for_failures()


def test_what_is_not_allowed_is_told_per_id(client: AworkClient, awork: Sandbox) -> None:
    awork.settings.admin = False
    billed = first(awork, lambda entry: entry["isBilled"] and "projectId" in entry)["id"]
    unbillable = first(awork, lambda entry: not entry["isBillable"] and "projectId" in entry)["id"]
    assert client.batch_time_entries("delete", [billed]).unauthorized == (billed,)
    result = client.batch_time_entries("setIsBilled", [unbillable], value=True)
    assert result.bad_request == (unbillable,)
    with pytest.raises(AirflowFailException, match="bad request: 1"):
        result.raise_for_failures(tolerate_not_found=True)


def test_require_all_changes_all_or_none(client: AworkClient, awork: Sandbox) -> None:
    ids = awork.store.ids(finished)[:3]
    before = awork.store.texts()
    result = client.batch_time_entries("setIsBilled", [*ids, MISSING], value=True, require_all=True)
    assert awork.store.texts() == before
    assert (result.ok, result.not_found, result.unreported) == ((), (MISSING,), tuple(ids))
    with pytest.raises(AworkBatchError, match="unreported: 3") as caught:
        result.raise_for_failures(tolerate_not_found=True)
    assert caught.value.result is result
    assert caught.value.failures == {"unreported": tuple(ids)}
    assert client.batch_time_entries("setIsBilled", ids, value=True, require_all=True).ok == tuple(ids)


def test_many_failures_are_counted_and_the_first_named(client: AworkClient) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(30)]
    with pytest.raises(AworkBatchError) as caught:
        client.batch_time_entries("delete", ids).raise_for_failures()
    assert "not found: 30" in str(caught.value)
    assert ids[4] in str(caught.value)
    assert ids[5] not in str(caught.value)


@pytest.mark.parametrize(
    "body", [{}, {"ok": None}, {"ok": {"ids": None}, "notFound": {}}, {"ok": {"ids": []}, "new": 1}, {"badRequest": {}}]
)
def test_ids_in_no_list_are_unreported(untouched: Sandbox, body: Entry) -> None:
    with answered_with(untouched, Answer(207, body)) as client:
        result = client.batch_time_entries("delete", [MISSING])
    assert (result.ok, result.unreported) == ((), (MISSING,))


def test_ids_in_another_spelling_are_the_same(untouched: Sandbox) -> None:
    entry_id = first(untouched, finished)["id"]
    with answered_with(untouched, Answer(207, {"ok": {"ids": [entry_id.upper()]}})) as client:
        assert client.batch_time_entries("delete", [entry_id]).unreported == ()


def test_each_id_that_was_asked_for_is_in_one_list_and_a_failure_outweighs_ok(untouched: Sandbox) -> None:
    first_id, second_id, third_id = untouched.store.ids()[:3]
    answer = {
        "ok": {"ids": [first_id.upper(), first_id, second_id, MISSING]},
        "badRequest": {"ids": [first_id]},
        "notFound": {"ids": [MISSING.upper(), third_id]},
        "unauthorized": {"ids": [third_id.upper()]},
    }
    with answered_with(untouched, Answer(207, answer)) as client:
        result = client.batch_time_entries("setIsBilled", [first_id, second_id, third_id], value=True)
    assert (result.ok, result.bad_request) == ((second_id,), (first_id,))
    assert (result.unauthorized, result.not_found, result.unreported) == ((third_id,), (), ())


def test_all_batch_operations(client: AworkClient, awork: Sandbox) -> None:
    entry, other = [each for each in awork.store.entries() if finished(each)][:2]
    values: dict[str, Any] = {
        "setTypeOfWork": other["typeOfWorkId"],
        "setIsBillable": True,
        "setIsBilled": False,
        "setProject": other["projectId"],
        "setTask": other["taskId"],
        "setUser": other["userId"],
        "delete": None,
    }
    assert set(values) == set(BATCH_OPERATIONS)
    for operation, value in values.items():
        result = client.batch_time_entries(operation, [entry["id"]], value=value)  # type: ignore[arg-type]
        assert result.ok == (entry["id"],)
        if operation == "setUser":
            after = stored(awork, entry["id"])
    for name in ("typeOfWorkId", "projectId", "taskId", "userId"):
        assert after[name] == other[name]
    assert entry["id"] not in awork.store.ids()


def test_the_old_setters(client: AworkClient, awork: Sandbox) -> None:
    ids = awork.store.ids(finished)[:2]
    other = first(awork, lambda entry: entry["typeOfWorkId"] != stored(awork, ids[0])["typeOfWorkId"])["typeOfWorkId"]

    def values(name: str) -> set[Any]:
        return {stored(awork, each)[name] for each in ids}

    client.set_time_entries_unbillable(ids)
    assert values("isBillable") == {False}
    client.set_time_entries_billable(ids)
    assert values("isBillable") == {True}
    client.set_time_entries_billed(ids)
    assert values("isBilled") == {True}
    with pytest.raises(AworkRequestError, match="400 invalid-operation"):
        client.set_time_entries_unbillable(ids)
    client.set_time_entries_unbilled(ids)
    assert values("isBilled") == {False}
    client.set_time_entries_type_of_work(ids, type_of_work_id=other)
    assert values("typeOfWorkId") == {other}
    client.delete_time_entries(ids)
    assert not set(ids) & set(awork.store.ids())


# -- what goes wrong ---------------------------------------------------------------------------------------------

CHANGES: list[Callable[[AworkClient, Sandbox, str], Any]] = [
    lambda client, awork, each: client.create_time_entry(**required(awork), startDateLocal="2026-07-01", duration=1),
    lambda client, awork, each: client.update_time_entry(each, note="changed"),
    lambda client, awork, each: client.delete_time_entry(each),
    lambda client, awork, each: client.remove_breaks(each),
    lambda client, awork, each: client.batch_time_entries("setIsBilled", [each], value=True),
    lambda client, awork, each: client.set_time_entries_billed([each]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_lost_answer_says_that_nobody_knows_and_is_not_sent_again(
    client: AworkClient, awork: Sandbox, change: Callable[[AworkClient, Sandbox, str], Any]
) -> None:
    entry_id = first(awork, finished)["id"]
    before = awork.store.texts()
    awork.faults.add(lambda request, store: Stall(0) if request.method != "GET" else None)
    with pytest.raises(AworkTransportError, match="unknown whether awork did it") as caught:
        change(client, awork, entry_id)
    assert not isinstance(caught.value, AirflowFailException)
    assert [record.method for record in awork.requests if record.method != "GET"] == [awork.requests[-1].method]
    assert f"{awork.requests[-1].method} {awork.requests[-1].path[1:]}" in str(caught.value)
    assert awork.store.texts() != before, "the sandbox did it; only the answer was lost"


@pytest.mark.parametrize("fault", [Html(), TruncatedJson(), Stall(3), Answer(200, []), Answer(200, b"")])
def test_an_answer_that_is_no_entry_is_a_lost_one(untouched: Sandbox, fault: Fault) -> None:
    with answered_with(untouched, fault) as client:
        with pytest.raises(AworkTransportError, match="unknown whether awork did it"):
            client.create_time_entry(**required(untouched), startDateLocal="2026-07-01", duration=1)
        assert len(untouched.requests) == 1


@pytest.mark.parametrize("fault", [Html(), TruncatedJson(), Answer(207, []), Answer(207, {"ok": {"ids": "x"}})])
def test_a_batch_result_that_cannot_be_read_is_a_lost_one(untouched: Sandbox, fault: Fault) -> None:
    with (
        answered_with(untouched, fault) as client,
        pytest.raises(AworkTransportError, match=r"POST timeentries/batch/delete: .*unknown whether awork did it"),
    ):
        client.batch_time_entries("delete", [MISSING])


@pytest.mark.parametrize("change", CHANGES)
def test_a_server_error_is_not_sent_again(
    client: AworkClient, awork: Sandbox, change: Callable[[AworkClient, Sandbox, str], Any]
) -> None:
    entry_id = first(awork, finished)["id"]
    awork.faults.add(lambda request, store: Answer(503) if request.method != "GET" else None)
    with pytest.raises(AworkServerError, match="503"):
        change(client, awork, entry_id)
    assert len([record for record in awork.requests if record.method != "GET"]) == 1


@pytest.mark.parametrize("change", CHANGES[:2])
def test_after_a_429_what_rests_on_no_old_state_is_sent_again_and_done_once(
    client: AworkClient, awork: Sandbox, change: Callable[[AworkClient, Sandbox, str], Any]
) -> None:
    entry_id = first(awork, finished)["id"]
    refusals = iter([Answer(429, headers={"ratelimit-reset": "0.1"})] * 2)
    awork.faults.add(lambda request, store: next(refusals, None) if request.method != "GET" else None)
    change(client, awork, entry_id)
    statuses = [record.status for record in awork.requests if record.method != "GET"]
    assert statuses == [429, 429, 200]
    assert awork.store.count() in (150, 151)


@pytest.mark.parametrize("change", CHANGES[2:])
def test_a_429_on_a_change_of_present_entries_goes_to_the_caller(
    client: AworkClient, awork: Sandbox, change: Callable[[AworkClient, Sandbox, str], Any]
) -> None:
    entry_id, before = first(awork, finished)["id"], awork.store.texts()
    refusals = iter([Answer(429, headers={"ratelimit-reset": "0.3"})])
    awork.faults.add(lambda request, store: next(refusals, None) if request.method != "GET" else None)
    with pytest.raises(AworkRateLimitError):
        change(client, awork, entry_id)
    assert awork.store.texts() == before
    assert len(awork.requests) == 1
    client.get_time_entry(entry_id)
    assert client.session.limiter.waited_seconds > 0.2, "the session waits before its next request"


def test_awork_s_refusals_come_with_all_it_says(client: AworkClient, awork: Sandbox) -> None:
    with pytest.raises(AworkValidationError, match="projectId") as caught:
        client.create_time_entry(**required(awork), startDateLocal="2026-07-01", projectId=MISSING)
    assert caught.value.validation_errors[0]["property"] == "projectId"
    assert caught.value.trace_id
    awork.settings.missing_permissions = True
    with pytest.raises(AworkPermissionError, match="unauthorized"):
        client.delete_time_entry(first(awork, finished)["id"])
    with pytest.raises(AworkPermissionError):
        client.get_last_time_entry(first(awork, finished)["userId"])
