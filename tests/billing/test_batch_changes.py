"""Many entries changed in chunks, against a local awork over HTTP: exactly those, each once, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_awork.billing import chunk_changes, entry_states
from airflow_provider_awork.billing.batch_changes import BatchChange
from airflow_provider_awork.billing.batch_report import BatchReport
from airflow_provider_awork.billing.entry_keys import EntryKey, entry_keys
from airflow_provider_awork.exceptions import (
    AworkAuthenticationError,
    AworkBatchError,
    AworkConfigError,
    AworkNotFoundError,
    AworkServerError,
    AworkTransportError,
    AworkValidationError,
)
from airflow_provider_awork.sandbox import Answer, CutBody, Fault, Html, RuleRequest, Sandbox, Store
from tests.helpers.change_log import ChangeLog
from tests.helpers.runs import hook_for

MISSING = "00000000-0000-4000-8000-000000000001"
BATCH = "/timeentries/batch/"

Entry = dict[str, Any]


@pytest.fixture
def awork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(chunk_changes, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(entry_states, "STALE_AFTER", 3600.0)
    with Sandbox(entries=150, seed=11) as sandbox:
        yield sandbox


def run(
    awork: Sandbox,
    keys: Sequence[EntryKey],
    operation: str = "setIsBilled",
    value: bool | str | None = True,
    extras: dict[str, Any] | None = None,
    **parameters: Any,
) -> BatchReport:
    hook = hook_for(awork, **(extras or {}))
    change = BatchChange(operation=operation, value=value, **{"chunk_size": 20, **parameters})
    return change.run(hook.client, keys, identity=hook.identity)


def unbilled(awork: Sandbox, count: int = 50) -> list[Entry]:
    """Entries to bill, in order of createdOn, with gaps of other entries in between."""
    entries = sorted(awork.store.entries(), key=lambda entry: entry["createdOn"])
    return [entry for entry in entries if not entry["isBilled"] and "projectId" in entry and entry["duration"]][:count]


def keys_of(entries: Sequence[Entry]) -> list[EntryKey]:
    return entry_keys(entries)


def ids(entries: Sequence[Entry]) -> list[str]:
    return [entry["id"] for entry in entries]


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


def posts(awork: Sandbox) -> list[list[str]]:
    return [json.loads(r.body)["timeEntryIds"] for r in awork.requests if r.path.startswith(BATCH)]


def on_post(number: int, fault: Fault | None = None, *, do: Callable[[Store], object] | None = None) -> Any:
    """A rule for the n-th batch request; ``do`` happens before awork sees it."""
    count = 0

    def rule(request: RuleRequest, store: Store) -> Fault | None:
        nonlocal count
        if not request.path.startswith(BATCH):
            return None
        count += 1
        if count != number:
            return None
        if do:
            do(store)
        return fault

    return rule


# -- what is done ------------------------------------------------------------------------------------------------


def test_exactly_the_entries_are_changed_each_once_in_chunks(awork: Sandbox) -> None:
    entries, before, changes = unbilled(awork), billed(awork), ChangeLog(awork)
    report = run(awork, keys_of(entries))
    assert (report.entries, report.changed, report.already.total(), report.failed) == (50, 50, 0, {})
    assert billed(awork) == before | set(ids(entries))
    assert sorted(changes.ids) == sorted(ids(entries))
    assert [len(each) for each in posts(awork)] == [20, 20, 10]


def test_entries_that_are_so_already_are_left_alone_and_counted_with_who_changed_them(awork: Sandbox) -> None:
    entries = unbilled(awork)
    for entry in entries[:3]:
        awork.store.edit(entry["id"], isBilled=True, updatedBy="somebody")
    changes = ChangeLog(awork)
    report = run(awork, keys_of(entries))
    assert (report.changed, report.already, report.failed) == (47, {"somebody": 3}, {})
    assert not set(changes.ids) & set(ids(entries[:3]))
    again = run(awork, keys_of(entries))
    assert (again.changed, again.already) == (0, {"somebody": 3, awork.me: 47})
    assert len(changes.ids) == 47


def test_entries_changed_since_the_export_are_left_alone_and_reported(awork: Sandbox) -> None:
    entries = unbilled(awork)
    changed = awork.store.edit(entries[5]["id"], duration=60)
    report = run(awork, keys_of(entries))
    assert report.failed == {"changed since the export": [changed["id"]]}
    assert (report.changed, changed["id"] in billed(awork)) == (49, False)
    with pytest.raises(
        AworkBatchError, match="1 of 50 time entries are not as asked; changed since the export: 1 "
    ) as e:
        report.raise_for_failures()
    assert e.value.result is report
    assert e.value.failures == {"changed since the export": (changed["id"],)}
    told = run(awork, keys_of(entries), overwrite_changed=True)
    assert (told.changed, told.already.total(), told.failed) == (1, 49, {})


@pytest.mark.parametrize("known", [("updatedOn",), ("resourceVersion",), ("createdOn", "resourceVersion")])
def test_one_of_both_versions_tells_a_change(awork: Sandbox, known: tuple[str, ...]) -> None:
    entry, other = unbilled(awork, 2)
    awork.store.edit(entry["id"], note="changed")
    keys = entry_keys([{"id": each["id"], **{name: each[name] for name in known}} for each in (entry, other)])
    report = run(awork, keys)
    assert (report.changed, report.failed) == (1, {"changed since the export": [entry["id"]]})


def test_entries_with_an_open_timer_are_not_billed(awork: Sandbox) -> None:
    entries = unbilled(awork, 4)
    running, paused = (
        awork.store.edit(entry["id"], startTimeUtc="08:00:00", endTimeUtc=None, endDateUtc=None, duration=duration)
        for entry, duration in zip(entries[2:], (0, 5400), strict=True)
    )
    of_a_day = awork.store.edit(entries[1]["id"], startTimeUtc=None, endTimeUtc=None, endDateUtc=None, duration=3600)
    report = run(awork, keys_of([entries[0], of_a_day, running, paused]))
    assert (report.changed, report.failed) == (2, {"timer runs": ids([running, paused])})
    assert run(awork, keys_of([running, paused]), "setIsBillable", False).failed == {}


def test_what_is_gone_is_reported_or_tolerated(awork: Sandbox) -> None:
    entries = unbilled(awork)
    awork.store.delete(ids(entries[::10]))
    report = run(awork, keys_of(entries))
    assert report.failed == {"not found": ids(entries[::10])}
    assert report.changed == 45
    with pytest.raises(AworkBatchError, match="not found: 5 "):
        report.raise_for_failures()
    tolerant = run(awork, keys_of(entries), ignore_not_found=True)
    tolerant.raise_for_failures()
    assert tolerant.to_dict()["failed"] == {"not found": 5}


@pytest.mark.parametrize("operation", [("setIsBilled", True), ("delete", None)])
def test_a_404_that_is_not_aworks_does_not_mean_that_an_entry_is_gone(
    awork: Sandbox, operation: tuple[str, bool | None]
) -> None:
    entries, changes = unbilled(awork, 3), ChangeLog(awork)
    no_route = Answer(404, "<html>no route</html>", {"content-type": "text/html"})
    awork.faults.add(lambda request, _: no_route if request.path.startswith("/timeentries/") else None)
    with pytest.raises(AworkNotFoundError, match=r"404 without a code: no error object in the answer"):
        run(awork, entry_keys(ids(entries)), *operation, ignore_not_found=True)
    assert changes.ids == []
    assert set(ids(entries)) <= set(awork.store.ids())


def test_plain_ids_are_read_one_by_one(awork: Sandbox) -> None:
    entries = unbilled(awork, 5)
    report = run(awork, entry_keys([*ids(entries), ids(entries)[0].upper(), MISSING]))
    assert (report.entries, report.changed, report.failed) == (6, 5, {"not found": [MISSING]})
    assert sum(request.path.startswith("/timeentries/") and request.method == "GET" for request in awork.requests) == 6


def test_a_thousand_entries_share_a_request(awork: Sandbox) -> None:
    run(awork, keys_of(unbilled(awork, 50)), chunk_size=50)
    assert [request.path for request in awork.requests] == [
        "/me", "/me/permissions", "/timeentries", "/timeentries/batch/setIsBilled",
    ]  # fmt: skip


def during_the_reading(awork: Sandbox, do: Callable[[Store], object]) -> None:
    """Do something once the first two of the entries were read."""
    read: list[RuleRequest] = []

    def rule(request: RuleRequest, store: Store) -> None:
        if request.method == "GET" and request.path.startswith("/timeentries"):
            read.append(request)
            if len(read) == 3:
                do(store)

    awork.faults.add(rule)


@pytest.mark.parametrize("extras", [{}, {"literal_timezone": "America/New_York"}, {"anchor_on_created_on": False}])
@pytest.mark.parametrize("known", [[], ["resourceVersion"], ["createdOn", "updatedOn"]])
def test_what_changes_during_a_long_reading_is_noticed(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch, known: list[str], extras: dict[str, Any]
) -> None:
    monkeypatch.setattr(entry_states, "STALE_AFTER", 0.0)
    monkeypatch.setattr(entry_states, "PAGE_SIZE", 1)
    awork.settings.max_page_size = 10
    awork.settings.literal_timezone = extras.get("literal_timezone", "UTC")
    entries = unbilled(awork, 12)
    edited, running = entries[0], entries[1]
    timer = {"startTimeUtc": "08:00:00", "endTimeUtc": None, "endDateUtc": None, "duration": 0}

    def meanwhile(store: Store) -> None:
        store.edit(edited["id"], duration=36_000)
        store.edit(running["id"], **timer)

    during_the_reading(awork, meanwhile)
    keys = entry_keys([{"id": entry["id"], **{name: entry[name] for name in known}} for entry in entries])
    report = run(awork, keys, extras={"max_concurrent_requests": 1, **extras})
    noticed = {"timer runs": [running["id"]], **({"changed since the export": [edited["id"]]} if known else {})}
    assert report.failed == noticed
    assert report.changed == 12 - len(noticed)


def test_where_updates_cannot_be_asked_for_the_log_says_so(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entry_states, "STALE_AFTER", 0.0)
    awork.settings.unfilterable = {"updatedOn"}
    assert run(awork, entry_keys(ids(unbilled(awork, 3)))).changed == 3
    assert "in which the entries were read may go unnoticed" in caplog.text


def test_few_entries_among_many_are_read_one_by_one(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_awork.billing.entry_states.PAGE_SIZE", 10)
    awork.settings.max_page_size = 10
    entries = unbilled(awork)
    report = run(awork, keys_of([entries[0], entries[-1]]))
    assert (report.changed, report.failed) == (2, {})
    lists = [request for request in awork.requests if request.path == "/timeentries"]
    assert len(lists) <= 5  # the first page, and those on their way when it said how many follow
    assert awork.requests[-2].path == f"/timeentries/{entries[-1]['id']}"


@pytest.mark.parametrize("extras", [{"anchor_on_created_on": False}, {"literal_timezone": "Asia/Kolkata"}])
def test_right_also_where_created_on_cannot_be_filtered(awork: Sandbox, extras: dict[str, Any]) -> None:
    awork.settings.literal_timezone = extras.get("literal_timezone", "UTC")
    if not extras.get("anchor_on_created_on", True):
        awork.settings.unfilterable = {"createdOn"}
    entries = unbilled(awork, 30)
    report = run(awork, keys_of(entries), extras=extras)
    assert (report.changed, report.failed) == (30, {})


def test_literals_read_in_another_zone_cost_requests_but_no_exactness(awork: Sandbox) -> None:
    entries = unbilled(awork, 10)
    report = run(awork, keys_of(entries), extras={"literal_timezone": "Asia/Kolkata"})
    assert (report.changed, report.failed) == (10, {})


def test_a_dry_run_changes_nothing_and_says_what_would_change(awork: Sandbox) -> None:
    entries, changes = unbilled(awork, 30), ChangeLog(awork)
    awork.store.delete([entries[0]["id"]])
    report = run(awork, keys_of(entries), dry_run=True)
    assert (report.to_change, report.changed, report.failed) == (29, 0, {"not found": [entries[0]["id"]]})
    assert changes.ids == []
    assert posts(awork) == []


# -- all or nothing ----------------------------------------------------------------------------------------------


def test_require_all_looks_at_all_before_the_first_change(awork: Sandbox) -> None:
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.store.delete([entries[-1]["id"]])
    report = run(awork, keys_of(entries), require_all=True)
    assert (report.changed, report.to_change, report.failed) == (0, 49, {"not found": [entries[-1]["id"]]})
    assert changes.ids == []
    assert run(awork, keys_of(entries[:-1]), require_all=True).changed == 49


@pytest.mark.parametrize("lists_unchanged_as_ok", [False, True])
def test_require_all_stops_at_a_chunk_that_awork_refuses(awork: Sandbox, lists_unchanged_as_ok: bool) -> None:
    awork.settings.lists_unchanged_as_ok = lists_unchanged_as_ok
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.faults.add(on_post(2, do=lambda store: store.delete([entries[25]["id"]])))
    report = run(awork, keys_of(entries), require_all=True)
    assert sorted(changes.ids) == sorted(ids(entries[:20]))
    assert report.changed == 20
    assert report.failed["not found"] == [entries[25]["id"]]
    assert sorted(report.failed["not tried"]) == sorted(set(ids(entries[20:])) - {entries[25]["id"]})
    assert report.entries == 50


@pytest.mark.parametrize("operation", [("setIsBilled", True), ("delete", None)])
@pytest.mark.parametrize("lists_unchanged_as_ok", [False, True])
def test_require_all_is_no_success_if_awork_left_a_chunk_alone(
    awork: Sandbox, lists_unchanged_as_ok: bool, operation: tuple[str, bool | None]
) -> None:
    awork.settings.lists_unchanged_as_ok = lists_unchanged_as_ok
    entries, changes = unbilled(awork, 10), ChangeLog(awork)
    awork.faults.add(on_post(1, do=lambda store: store.delete([entries[0]["id"]])))
    report = run(awork, keys_of(entries), *operation, require_all=True, ignore_not_found=True)
    assert changes.ids == []
    assert set(ids(entries[1:])) <= set(awork.store.ids())
    assert (report.changed, report.failed["not tried"]) == (0, ids(entries[1:]))
    with pytest.raises(AworkBatchError, match="not tried: 9 "):
        report.raise_for_failures()
    again = run(awork, keys_of(entries), *operation, require_all=True, ignore_not_found=True)
    assert (again.changed, again.failures()) == (9, {})


# -- answers that are lost ---------------------------------------------------------------------------------------

DONE_BUT_LOST = [CutBody(after_bytes=3), CutBody(after_bytes=0)]
NOT_DONE = [Answer(500), Answer(503)]


@pytest.mark.parametrize("fault", [*DONE_BUT_LOST, *NOT_DONE], ids=repr)
def test_a_lost_answer_is_never_sent_again_blindly(awork: Sandbox, fault: Fault) -> None:
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.faults.add(on_post(2, fault))
    report = run(awork, keys_of(entries))
    assert (report.changed, report.already.total(), report.failed) == (50, 0, {})
    assert sorted(changes.ids) == sorted(ids(entries))
    assert len(posts(awork)) == (3 if fault in DONE_BUT_LOST else 4)


def test_after_a_lost_answer_what_somebody_else_did_is_not_ours(awork: Sandbox) -> None:
    entries = unbilled(awork, 10)

    def meanwhile(store: Store) -> None:
        store.edit(entries[0]["id"], isBilled=True, updatedBy="somebody")
        store.edit(entries[1]["id"], duration=1)
        store.delete([entries[2]["id"]])

    awork.faults.add(on_post(1, Answer(500), do=meanwhile))
    report = run(awork, keys_of(entries))
    assert (report.changed, report.already) == (7, {})
    assert report.failed == {
        "billed by this run or by somebody else": [entries[0]["id"]],  # nobody can tell
        "changed since the export": [entries[1]["id"]],
        "not found": [entries[2]["id"]],
    }


def test_an_answer_lost_again_and_again_ends_with_a_clear_error_that_a_retry_can_mend(awork: Sandbox) -> None:
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.faults.add(lambda request, _: Answer(500) if request.path.startswith(BATCH) else None)
    with pytest.raises(AworkTransportError, match=r"lost 4 times for a chunk of 20 .* Run again later"):
        run(awork, keys_of(entries))
    assert changes.ids == []
    awork.faults.clear()
    assert run(awork, keys_of(entries)).changed == 50


def test_a_429_on_the_change_is_waited_for(awork: Sandbox) -> None:
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.faults.add(on_post(2, Answer(429, headers={"ratelimit-reset": "0"})))
    assert run(awork, keys_of(entries)).changed == 50
    assert sorted(changes.ids) == sorted(ids(entries))


@pytest.mark.parametrize(
    "fault", [Answer(500), CutBody(after_bytes=100), Answer(429, headers={"ratelimit-reset": "0"})]
)
def test_faults_while_reading_the_state_are_retried(awork: Sandbox, fault: Fault) -> None:
    awork.faults.add(lambda request, _: fault if request.number == 2 else None)
    assert run(awork, keys_of(unbilled(awork))).changed == 50


def test_a_key_that_dies_on_the_way_stops_at_once_and_the_next_run_finishes(awork: Sandbox) -> None:
    entries, changes = unbilled(awork), ChangeLog(awork)
    awork.faults.add(on_post(2, Answer(401, {"message": {"code": "unauthorized", "description": "Unauthorized"}})))
    with pytest.raises(AworkAuthenticationError):
        run(awork, keys_of(entries))
    assert len(changes.ids) == 20
    awork.faults.clear()
    report = run(awork, keys_of(entries))
    assert (report.changed, report.already, report.entries) == (30, {awork.me: 20}, 50)
    assert sorted(changes.ids) == sorted(ids(entries))


# -- what awork refuses ------------------------------------------------------------------------------------------


def test_what_awork_refuses_is_reported_by_kind_with_the_first_ids(awork: Sandbox) -> None:
    awork.settings.admin = False
    entries = unbilled(awork, 150)
    unbillable = ids([entry for entry in entries if not entry["isBillable"]])
    billable = ids([entry for entry in entries if entry["isBillable"]])
    report = run(awork, keys_of(entries))
    assert report.changed == len(billable)
    assert sorted(report.failed["bad request"]) == sorted(unbillable)
    with pytest.raises(AworkBatchError, match=f"bad request: {len(unbillable)} .{report.failed['bad request'][0]}"):
        report.raise_for_failures()
    refused = run(awork, keys_of([awork.store.edit(billable[0])]), "delete", None)
    assert refused.failed == {"unauthorized": [billable[0]]}


def test_entries_that_a_key_cannot_see_do_not_count_as_gone(awork: Sandbox) -> None:
    entries = unbilled(awork, 10)
    awork.settings.missing_permissions = True
    for operation, value in (("setIsBilled", True), ("delete", None)):
        report = run(awork, keys_of(entries), operation, value, ignore_not_found=True)
        assert report.failed == {"unauthorized": ids(entries)}
    with pytest.raises(AworkBatchError, match="unauthorized: 10 "):
        report.raise_for_failures()


def test_an_entry_that_may_not_be_read_is_unauthorized(awork: Sandbox) -> None:
    entries = unbilled(awork, 3)
    answer = Answer(401, {"code": "unauthorized", "description": "Not yours", "link": "", "traceId": "1"})
    awork.faults.add(lambda request, _: answer if request.path == f"/timeentries/{entries[1]['id']}" else None)
    report = run(awork, entry_keys(ids(entries)))
    assert (report.changed, report.failed) == (2, {"unauthorized": [entries[1]["id"]]})


def test_ids_that_awork_does_not_report_are_failures(awork: Sandbox) -> None:
    entries = unbilled(awork, 3)

    def change_two(store: Store) -> None:
        for entry in entries[:2]:
            store.edit(entry["id"], isBilled=True, updatedBy=awork.me)

    awork.faults.add(on_post(1, Answer(207, {"ok": {"ids": ids(entries)[:2]}}), do=change_two))
    report = run(awork, keys_of(entries))
    assert (report.changed, report.failed) == (2, {"unreported": [entries[2]["id"]]})


def test_a_request_that_awork_refuses_as_a_whole_is_raised(awork: Sandbox) -> None:
    with pytest.raises(AworkValidationError, match="newTypeOfWorkId"):
        run(awork, keys_of(unbilled(awork, 3)), "setTypeOfWork", MISSING)


def test_server_errors_while_reading_give_up_in_the_end(awork: Sandbox) -> None:
    awork.faults.add(lambda request, _: Answer(500) if request.number else None)
    with pytest.raises(AworkServerError):
        run(awork, keys_of(unbilled(awork, 3)))


# -- every operation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "field"),
    [("setTypeOfWork", "typeOfWorkId"), ("setProject", "projectId"), ("setTask", "taskId"), ("setUser", "userId")],
)
def test_operations_that_set_an_id(awork: Sandbox, operation: str, field: str) -> None:
    entries = [entry for entry in unbilled(awork, 60) if field in entry]
    value = entries[0][field]
    so = [entry for entry in entries if entry[field] == value and not (operation == "setProject" and "taskId" in entry)]
    report = run(awork, keys_of(entries), operation, f"{{{value.upper()}}}")
    if operation == "setProject":
        assert not [entry for entry in awork.store.entries() if entry["id"] in ids(entries) and "taskId" in entry]
    assert (report.changed, report.already.total()) == (len(entries) - len(so), len(so))
    assert {entry[field] for entry in awork.store.entries() if entry["id"] in ids(entries)} == {value}
    assert run(awork, keys_of(entries), operation, value).already.total() == len(entries)


def test_to_make_unbillable_also_clears_billed(awork: Sandbox) -> None:
    entries = [entry for entry in awork.store.entries() if "projectId" in entry][:40]
    so = [entry for entry in entries if not entry["isBillable"] and not entry["isBilled"]]
    report = run(awork, keys_of(entries), "setIsBillable", False)
    assert (report.changed, report.already.total()) == (40 - len(so), len(so))
    assert not billed(awork) & set(ids(entries))


def test_delete_counts_what_is_gone_already(awork: Sandbox) -> None:
    entries = unbilled(awork, 30)
    awork.store.delete(ids(entries[:2]))
    awork.faults.add(on_post(1, CutBody(after_bytes=1)))
    report = run(awork, keys_of(entries), "delete", None)
    assert (report.changed, report.already, report.failed) == (28, {"unknown": 2}, {})
    assert not set(awork.store.ids()) & set(ids(entries))
    assert len(awork.store.ids()) == 120


def test_delete_leaves_changed_entries_alone(awork: Sandbox) -> None:
    entries = unbilled(awork, 3)
    awork.store.edit(entries[0]["id"], note="worth keeping")
    report = run(awork, keys_of(entries), "delete", None)
    assert (report.changed, report.failed) == (2, {"changed since the export": [entries[0]["id"]]})


# -- parameters and the report -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"operation": "setBilled", "value": True}, "operation: 'setBilled'"),
        ({"operation": "setIsBilled"}, "value: setIsBilled needs one"),
        ({"operation": "setIsBilled", "value": "yes"}, "value: 'yes'"),
        ({"operation": "delete", "value": True}, "value: delete takes none"),
        ({"operation": "setUser", "value": "me"}, "value: 'me' is not a GUID"),
        ({"operation": "delete", "dry_run": "False"}, "dry_run: 'False' is neither True nor False"),
        ({"operation": "delete", "require_all": 1}, "require_all: 1"),
        ({"operation": "delete", "ignore_not_found": "false"}, "ignore_not_found: 'false'"),
        ({"operation": "delete", "overwrite_changed": None}, "overwrite_changed: None"),
        ({"operation": "delete", "chunk_size": 0}, "chunk_size: 0"),
        ({"operation": "delete", "chunk_size": 1001}, "chunk_size: 1001"),
        ({"operation": "delete", "chunk_size": True}, "chunk_size: True"),
    ],
)
def test_parameters_that_cannot_work(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(AworkConfigError, match=said):
        BatchChange(**parameters)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("abc", "'abc' is not a list"),
        ({"id": MISSING}, "is not a list"),
        (7, "7 is not a list"),
        ([7], "7 is neither an id"),
        ([{"ID": MISSING}], "is neither an id nor a dict with the id"),
        (["abc"], "'abc' is not a GUID"),
        ([{"id": MISSING, "resourceVersion": "x"}], "resourceVersion"),
        ([{"id": MISSING, "createdOn": "yesterday"}], "'yesterday' is not an instant"),
    ],
)
def test_ids_that_are_none(entries: Any, said: str) -> None:
    with pytest.raises(AworkConfigError, match=said):
        entry_keys(entries)


def test_nothing_to_change_is_a_success(awork: Sandbox) -> None:
    report = run(awork, [])
    report.raise_for_failures()
    assert report.to_dict()["entries"] == 0


def test_the_report_is_small(awork: Sandbox) -> None:
    gone = [f"00000000-0000-4000-8000-{number:012}" for number in range(60)]
    entries = unbilled(awork, 50)
    for number, entry in enumerate(entries):
        awork.store.edit(entry["id"], isBilled=True, updatedBy=f"user {number}")
    report = run(awork, [*entry_keys(gone), *keys_of(entries)])
    summary = report.to_dict()
    assert summary["failed"] == {"not found": 60}
    assert summary["first_failed"] == {"not found": gone[:5]}
    assert (summary["already"], len(summary["already_by"])) == (50, 20)
    assert len(json.dumps(summary)) < 2000
    assert str(report) == "setIsBilled: 110 time entries, 0 changed, 50 already as asked, 60 not found, " + (
        "without a ledger nobody knows by whom"
    )


# -- anything at all ---------------------------------------------------------------------------------------------

FATES = ["to do", "billed by somebody", "edited", "gone", "timer"]
POST_FAULTS = [None, None, Answer(500), CutBody(after_bytes=2), Answer(429, headers={"ratelimit-reset": "0"}), Html()]


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(entries=90, seed=11) as sandbox:
        yield sandbox


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=25),
    faults=st.lists(st.sampled_from(POST_FAULTS), max_size=8),
    chunk_size=st.integers(1, 12),
    plain=st.booleans(),
    stale_after=st.sampled_from([0.0, 3600.0]),
)
def test_whatever_happens_each_entry_is_changed_once_or_told(
    shared: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    fates: list[str],
    faults: list[Fault],
    chunk_size: int,
    plain: bool,
    stale_after: float,
) -> None:
    monkeypatch.setattr(chunk_changes, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(entry_states, "STALE_AFTER", stale_after)
    store, before = shared.store, shared.store.entries()
    entries = unbilled(shared, len(fates))
    keys = entry_keys(ids(entries)) if plain else keys_of(entries)
    by_fate: dict[str, set[str]] = {fate: set() for fate in FATES}
    for entry, fate in zip(entries, fates, strict=True):
        by_fate[fate].add(entry["id"])
        if fate == "gone":
            store.delete([entry["id"]])
        elif fate != "to do":
            timer = {"startTimeUtc": "08:00:00", "endTimeUtc": None, "duration": 0}
            changes = {"billed by somebody": {"isBilled": True}, "edited": {"note": "other"}, "timer": timer}
            store.edit(entry["id"], updatedBy="somebody", **changes[fate])
    unplanned = iter(faults)
    shared.faults.add(lambda request, _: next(unplanned, None) if request.path.startswith(BATCH) else None)
    edit = store.edit
    changes_seen = ChangeLog(shared)
    try:
        for _ in range(3):
            with suppress(AworkTransportError):
                report = run(shared, keys, chunk_size=chunk_size)
                break
        to_change = by_fate["to do"] | (by_fate["edited"] if plain else set())
        assert sorted(changes_seen.ids) == sorted(to_change)
        assert report.changed + report.already[shared.me] == len(to_change)
        assert report.already["somebody"] == len(by_fate["billed by somebody"])
        expected = {
            "not found": by_fate["gone"],
            "timer runs": by_fate["timer"],
            "changed since the export": by_fate["edited"] - to_change,
        }
        assert {kind: set(found) for kind, found in report.failed.items()} == {k: v for k, v in expected.items() if v}
    finally:
        store.edit = edit  # type: ignore[method-assign]
        shared.faults.clear()
        store.delete(store.ids())
        store.add(*before)
