"""Batch changes with a ledger, over real HTTP: what is marked is what was invoiced, and the rest is named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.billing import chunk_changes, entry_states
from airflow_provider_awork.billing.batch_changes import BatchChange
from airflow_provider_awork.billing.batch_report import BatchReport
from airflow_provider_awork.billing.entry_keys import EntryKey, entry_keys
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.exceptions import (
    AworkBatchError,
    AworkConfigError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkTransportError,
)
from airflow_provider_awork.files.ledger import Ledger
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sandbox import Answer, Fault, RuleRequest, Sandbox, Store
from tests.helpers.airflow_harness import connection_in_environment
from tests.helpers.change_log import ChangeLog
from tests.helpers.ledgers import change, lines, outcomes, parts
from tests.helpers.runs import hook_for

BATCH = "/timeentries/batch/"
Entry = dict[str, Any]
RATE_LIMITED = Answer(429, headers={"retry-after": "0"})


@pytest.fixture
def awork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(chunk_changes, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(entry_states, "STALE_AFTER", 3600.0)
    with Sandbox(entries=150, seed=11) as sandbox:
        yield sandbox


def unbilled(awork: Sandbox, count: int = 20) -> list[Entry]:
    entries = sorted(awork.store.entries(), key=lambda entry: entry["createdOn"])
    return [entry for entry in entries if not entry["isBilled"] and "projectId" in entry and entry["duration"]][:count]


def ids(entries: list[Entry]) -> list[str]:
    return [entry["id"] for entry in entries]


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


def on_batch(*numbers: int, fault: Fault | None = None, do: Callable[[Store], object] = lambda _: None) -> Any:
    """A rule for the n-th batch requests: something happens before awork sees them, and then the fault."""
    count = 0

    def rule(request: RuleRequest, store: Store) -> Fault | None:
        nonlocal count
        count += request.path.startswith(BATCH)
        if not request.path.startswith(BATCH) or count not in numbers:
            return None
        do(store)
        return fault

    return rule


@pytest.fixture(params=["with a ledger", "without"])
def apply(request: pytest.FixtureRequest, awork: Sandbox, tmp_path: Path) -> Callable[..., BatchReport]:
    def run(keys: list[EntryKey], **parameters: Any) -> BatchReport:
        hook = hook_for(awork)
        if request.param == "with a ledger":
            return change(hook, keys, tmp_path, **parameters)
        batch = BatchChange(**{"operation": "setIsBilled", "value": True, "chunk_size": 20, **parameters})
        return batch.run(hook.client, keys, identity=hook.identity)

    return run


# -- look and write are neighbours ---------------------------------------------------------------------------------


def test_what_changes_while_a_429_is_waited_for_is_not_billed(
    awork: Sandbox, apply: Callable[..., BatchReport]
) -> None:
    entries = unbilled(awork)
    edited, by_hand = entries[3]["id"], entries[4]["id"]

    def meanwhile(store: Store) -> None:
        store.edit(edited, duration=entries[3]["duration"] + 7200)

    awork.faults.add(on_batch(1, fault=RATE_LIMITED, do=meanwhile))
    report = apply(entry_keys(entries))
    assert (report.changed, report.failed) == (19, {"changed since the export": [edited]})
    assert edited not in billed(awork)
    assert by_hand in billed(awork)


def test_what_is_billed_by_hand_while_a_429_is_waited_for_is_not_ours(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    by_hand = entries[3]["id"]
    hand = lambda store: store.edit(by_hand, isBilled=True, updatedBy="somebody")  # noqa: E731
    awork.faults.add(on_batch(1, fault=RATE_LIMITED, do=hand))
    report = change(hook_for(awork), entry_keys(entries), tmp_path)
    assert (report.changed, report.failed) == (19, {"billed by somebody else": [by_hand]})
    assert outcomes(tmp_path)[by_hand] == "billed by somebody else"


def test_a_429_again_and_again_ends_with_nothing_sent(awork: Sandbox, apply: Callable[..., BatchReport]) -> None:
    entries, before = unbilled(awork), billed(awork)
    awork.faults.add(on_batch(*range(1, 99), fault=RATE_LIMITED))
    with pytest.raises(AworkRateLimitError):
        apply(entry_keys(entries))
    assert billed(awork) == before
    assert sum(request.path.startswith(BATCH) for request in awork.requests) == 10


@pytest.mark.parametrize("requests_per_minute", [60, 70])
def test_the_write_does_not_wait_for_the_rate_limit_after_the_look(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch, requests_per_minute: int
) -> None:
    """Minutes last six seconds here. With 60 requests a minute, the budget is used up when all 56 ids are read."""
    monkeypatch.setattr(entry_states, "STALE_AFTER", 0.1)
    limiter = RateLimiter.for_share(requests_per_minute, minute=6.0)
    hook = hook_for(awork, limiter=limiter)
    batch = BatchChange(operation="setIsBilled", value=True)
    report = batch.run(hook.client, entry_keys(ids(unbilled(awork, 56))), identity=hook.identity)
    assert report.changed == 56
    *_, look, write = awork.requests
    assert write.path.startswith(BATCH)
    assert (look.path, "updatedOn ge" in look.query["filterby"]) == ("/timeentries", True)
    assert write.started - look.started < 4
    assert report.to_dict()["look_to_write_seconds"] < 4


def test_a_slow_ledger_makes_the_chunk_be_looked_at_again(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_states, "STALE_AFTER", 0.3)
    entries = unbilled(awork)
    edited = entries[0]["id"]
    calls: list[int] = []

    def slow(self: Any, written: Any) -> None:
        calls.append(len(written))
        if len(calls) == 1:
            awork.store.edit(edited, duration=1)
            time.sleep(0.4)

    monkeypatch.setattr(Ledger, "store", slow)
    hook = hook_for(awork)
    batch = BatchChange(operation="setIsBilled", value=True)
    report = batch.run(hook.client, entry_keys(entries), identity=hook.identity, ledger=Ledger())
    assert (report.changed, report.failed) == (19, {"changed since the export": [edited]})
    assert calls[0] == 20


# -- whose entries are billed ----------------------------------------------------------------------------------------


def test_an_entry_that_somebody_changed_and_billed_is_named(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    by_hand = entries[7]
    awork.store.edit(by_hand["id"], duration=by_hand["duration"] + 7200)
    awork.store.edit(by_hand["id"], isBilled=True, updatedBy="somebody")
    for _ in range(2):
        report = change(hook_for(awork), entry_keys(entries), tmp_path)
        assert report.failed == {"billed by somebody else": [by_hand["id"]]}
        with pytest.raises(AworkBatchError, match=f"billed by somebody else: 1 .{by_hand['id']}"):
            report.raise_for_failures()
    assert report.already == {awork.me: 19}
    assert [line["updated_by"] for line in lines(tmp_path) if line["entry_id"] == by_hand["id"]] == ["somebody"]


def test_without_a_ledger_the_report_says_what_it_cannot_know(awork: Sandbox) -> None:
    entries, hook = unbilled(awork, 3), hook_for(awork)
    awork.store.edit(entries[0]["id"], isBilled=True, updatedBy="somebody")
    batch = BatchChange(operation="setIsBilled", value=True)
    report = batch.run(hook.client, entry_keys(ids(entries)), identity=hook.identity)
    assert (report.changed, report.already, report.to_dict()["ledger"]) == (2, {"somebody": 1}, None)
    assert str(report).endswith("1 already as asked, without a ledger nobody knows by whom")


def test_what_is_changed_after_it_was_billed_is_counted(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    change(hook_for(awork), entry_keys(entries), tmp_path)
    awork.store.edit(entries[0]["id"], duration=60, updatedBy="somebody")
    report = change(hook_for(awork), entry_keys(entries), tmp_path)
    assert (report.already, report.failed) == ({awork.me: 19, "somebody": 1}, {})
    assert report.changed_later == [entries[0]["id"]]


def test_an_entry_that_changes_between_look_and_write_is_named_each_time(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    edited = entries[2]
    awork.faults.add(on_batch(1, do=lambda store: store.edit(edited["id"], duration=edited["duration"] + 7200)))
    for _ in range(2):
        report = change(hook_for(awork), entry_keys(entries), tmp_path)
        assert report.failed == {"changed while it was written": [edited["id"]]}
    assert report.already == {awork.me: 19}


# -- the ledger ------------------------------------------------------------------------------------------------------


def test_a_line_before_and_after_each_chunk(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork, 30)
    seen: list[list[str]] = []
    awork.faults.add(on_batch(1, 2, do=lambda _: seen.append(parts(tmp_path))))
    change(hook_for(awork), entry_keys(entries), tmp_path)
    assert [len(each) for each in seen] == [1, 3]
    assert [name.split("-")[1:3] for name in parts(tmp_path)] == [["setIsBilled", f"0000{n}"] for n in (1, 2, 3, 4)]
    now = {entry["id"]: entry for entry in awork.store.entries()}
    sent, done = ([line for line in lines(tmp_path) if line["outcome"] == each] for each in ("sent", "changed"))
    assert [line["entry_id"] for line in sent] == [line["entry_id"] for line in done] == ids(entries)
    for line, entry in zip(done, entries, strict=True):
        assert (line["version_before"], line["version_after"]) == (
            entry["resourceVersion"], now[entry["id"]]["resourceVersion"],
        )  # fmt: skip
        assert (line["dag_id"], line["run_id"], line["task_id"], line["try_number"]) == (
            "billing",
            "october",
            "mark",
            1,
        )
        assert (line["value"], line["updated_by"]) == (True, awork.me)


def test_nothing_is_noted_twice_and_no_part_is_written_again(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    change(hook_for(awork), entry_keys(entries), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in parts(tmp_path)}
    change(hook_for(awork), entry_keys(entries), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in parts(tmp_path)} == before
    assert {path.name for path in tmp_path.iterdir()} == set(before)


@pytest.mark.parametrize("compare", ["version", "content"])
def test_several_operations_follow_each_other_on_the_same_versions(
    awork: Sandbox, tmp_path: Path, compare: str
) -> None:
    entries = unbilled(awork)
    other = next(e["typeOfWorkId"] for e in awork.store.entries() if e["typeOfWorkId"] != entries[0]["typeOfWorkId"])
    keys, hook = entry_keys(entries), hook_for(awork)
    first = change(hook, keys, tmp_path, operation="setTypeOfWork", value=other, compare=compare)
    first.raise_for_failures()
    edited = entries[5]["id"]
    awork.store.edit(edited, duration=60, updatedBy="somebody")
    report = change(hook, keys, tmp_path, compare=compare)
    assert (report.changed, report.failed) == (19, {"changed since the export": [edited]})


def test_an_edit_right_after_our_own_change_is_not_taken_for_ours(awork: Sandbox, tmp_path: Path) -> None:
    """Its version would otherwise count as the one that our change left."""
    entries = unbilled(awork)
    other = next(e["typeOfWorkId"] for e in awork.store.entries() if e["typeOfWorkId"] != entries[0]["typeOfWorkId"])
    edited = entries[5]["id"]

    def edit_before_the_second_look(request: RuleRequest, store: Store) -> None:
        done = any(each.path.startswith(BATCH) and each.status == 207 for each in awork.requests)
        if request.path == "/timeentries" and done and not changed:
            changed.append(edited)
            store.edit(edited, duration=60, updatedBy="somebody")

    changed: list[str] = []
    awork.faults.add(edit_before_the_second_look)
    first = change(hook_for(awork), entry_keys(entries), tmp_path, operation="setTypeOfWork", value=other)
    assert first.failed == {"changed while it was written": [edited]}
    report = change(hook_for(awork), entry_keys(entries), tmp_path)
    assert (report.changed, report.failed) == (19, {"changed since the export": [edited]})


def test_what_a_killed_run_had_sent_is_told_apart(awork: Sandbox, tmp_path: Path) -> None:
    entries, log, hook = unbilled(awork, 60), ChangeLog(awork), hook_for(awork)
    send = hook.client.session.send

    def send_and_die(*arguments: Any, **parameters: Any) -> Any:
        answer = send(*arguments, **parameters)
        if len(log.ids) > 20:
            raise KeyboardInterrupt
        return answer

    hook.client.session.send = send_and_die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        change(hook, entry_keys(entries), tmp_path)
    last = outcomes(tmp_path)
    assert [last[each] for each in ids(entries)[:40]] == ["changed"] * 20 + ["sent"] * 20
    assert not {*ids(entries)[40:]} & last.keys()
    assert len(log.ids) == 40
    report = change(hook_for(awork), entry_keys(entries), tmp_path)
    assert (report.changed, report.already, report.failed) == (20, {awork.me: 40}, {})
    assert set(outcomes(tmp_path).values()) == {"changed"}
    assert sorted(log.ids) == sorted(ids(entries))


# -- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "counts"),
    [
        ({"note": "other"}, False),
        ({"startTimeLocal": "08:00:00"}, False),
        ({"duration": 1}, True),
        ({"isBillable": None}, True),
        ({"userId": "00000000-0000-4000-8000-000000000001"}, True),
        ({"projectId": None}, True),
        ({"taskId": "00000000-0000-4000-8000-000000000001"}, True),
        ({"typeOfWorkId": "00000000-0000-4000-8000-000000000001"}, True),
        ({"startDateLocal": "2020-01-01T00:00:00"}, True),
    ],
)
def test_content_is_what_money_rests_on(
    awork: Sandbox, apply: Callable[..., BatchReport], edit: Entry, counts: bool
) -> None:
    entry, other = [entry for entry in unbilled(awork, 40) if entry["isBillable"]][:2]
    awork.store.edit(entry["id"], **edit)
    report = apply(entry_keys([entry, other]), compare="content")
    assert (report.changed, report.failed) == (
        (1, {"changed since the export": [entry["id"]]}) if counts else (2, {})
    )  # fmt: skip


@pytest.mark.parametrize("compare", ["content", "contents"])
def test_content_that_is_not_known_is_an_error(awork: Sandbox, compare: str) -> None:
    hook, keys = hook_for(awork), entry_keys(ids(unbilled(awork, 3)))

    def run() -> None:
        BatchChange(operation="setIsBilled", value=True, compare=compare).run(hook.client, keys, identity=hook.identity)

    with pytest.raises(AworkConfigError, match=r"^compare: '"):
        run()
    assert not [request for request in awork.requests if request.method == "POST"]


# -- what awork answers ----------------------------------------------------------------------------------------------


def test_a_server_that_ignores_require_all_is_reported_as_it_is(
    awork: Sandbox, apply: Callable[..., BatchReport]
) -> None:
    awork.settings.admin = False
    awork.settings.knows_require_all = False
    entries = [entry for entry in unbilled(awork, 150) if entry["isBillable"]][:19]
    refused = next(entry for entry in unbilled(awork, 150) if not entry["isBillable"])
    report = apply(entry_keys([*entries, refused]), require_all=True)
    assert (report.changed, report.failed) == (19, {"bad request": [refused["id"]]})
    assert set(ids(entries)) <= billed(awork)
    assert refused["id"] not in billed(awork)


def test_lists_of_an_answer_are_read_with_care(awork: Sandbox, apply: Callable[..., BatchReport]) -> None:
    entries = unbilled(awork, 3)
    one, two, three = ids(entries)
    answer = {"ok": {"ids": [one.upper(), two]}, "badRequest": {"ids": [two.upper(), "0" * 8]}, "notFound": None}

    def do(store: Store) -> None:
        store.edit(one, isBilled=True, updatedBy=awork.me)

    awork.faults.add(on_batch(1, fault=Answer(207, answer), do=do))
    report = apply(entry_keys(entries))
    assert (report.entries, report.changed) == (3, 1)
    assert report.failed == {"bad request": [two], "unreported": [three]}


def test_an_ok_that_is_not_true_is_named(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork, 3)
    awork.faults.add(on_batch(1, fault=Answer(207, {"ok": {"ids": ids(entries)}})))
    report = change(hook_for(awork), entry_keys(entries), tmp_path)
    assert (report.changed, report.failed) == (0, {"ok, but not changed": ids(entries)})
    assert change(hook_for(awork), entry_keys(entries), tmp_path).changed == 3


# -- errors on the way -----------------------------------------------------------------------------------------------


def test_a_refusal_on_the_first_read_means_that_nothing_was_sent(awork: Sandbox, tmp_path: Path) -> None:
    entries, left = unbilled(awork, 30), []
    forbidden = Answer(403, {"code": "unauthorized", "description": "No.", "link": "", "traceId": "1"})
    hook = hook_for(awork)
    assert hook.identity
    awork.faults.add(lambda request, _: forbidden if request.path == "/timeentries" else None)
    with pytest.raises(AworkPermissionError):
        BatchChange(operation="setIsBilled", value=True, chunk_size=20).run(
            hook.client, entry_keys(entries), identity=hook.identity, on_stop=left.append
        )
    assert left[0].failed == {"not sent": ids(entries)[:20]}
    assert left[0].not_reached == 10


def test_after_a_look_that_fails_what_awork_answered_counts(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    hook = hook_for(awork)
    assert hook.identity
    forbidden = Answer(403, {"code": "unauthorized", "description": "No.", "link": "", "traceId": "1"})
    awork.faults.add(
        lambda request, _: forbidden if request.path == "/timeentries" and billed(awork) >= set(ids(entries)) else None
    )
    with pytest.raises(AworkPermissionError):
        change(hook, entry_keys(entries), tmp_path)
    assert set(outcomes(tmp_path).values()) == {"changed"}
    assert {line["version_after"] for line in lines(tmp_path)} == {None}
    awork.faults.clear()
    assert change(hook_for(awork), entry_keys(entries), tmp_path).already == {awork.me: 20}


def test_a_key_that_is_replaced_ends_the_try_and_the_next_one_finishes(awork: Sandbox, tmp_path: Path) -> None:
    entries, log = unbilled(awork, 60), ChangeLog(awork)
    with connection_in_environment(awork.url, awork.token):
        hook = AworkHook()
        assert hook.identity
        with connection_in_environment(awork.url, "replaced"):
            awork.faults.add(on_batch(1, do=lambda _: awork.replace_token("replaced")))
            with pytest.raises(Exception, match="has another key by now") as caught:
                change(hook, entry_keys(entries), tmp_path)
            assert "AirflowFailException" not in {each.__name__ for each in type(caught.value).__mro__}
            assert len(log.ids) == 20
            report = change(AworkHook(), entry_keys(entries), tmp_path)
    assert (report.changed, report.already, report.failed) == (40, {awork.me: 20}, {})
    assert sorted(log.ids) == sorted(ids(entries))


def test_an_answer_that_is_lost_for_good_leaves_what_was_sent(awork: Sandbox, tmp_path: Path) -> None:
    entries = unbilled(awork)
    awork.faults.add(on_batch(*range(1, 9), fault=Answer(500)))
    with pytest.raises(AworkTransportError, match="lost 4 times"):
        change(hook_for(awork), entry_keys(entries), tmp_path)
    assert set(outcomes(tmp_path).values()) == {"sent"}
    awork.faults.clear()
    assert change(hook_for(awork), entry_keys(entries), tmp_path).changed == 20


# -- which entries -----------------------------------------------------------------------------------------------------


def test_the_same_entry_twice_is_one_with_all_that_is_known(awork: Sandbox) -> None:
    entry = unbilled(awork, 1)[0]
    (key,) = entry_keys([entry["id"], entry, {"id": entry["id"].upper()}])
    assert (key.resource_version, key.created_on) == (entry["resourceVersion"], entry["createdOn"])
    assert entry_keys([entry, entry["id"]]) == [key]
    awork.store.edit(entry["id"], duration=1)
    hook = hook_for(awork)
    report = BatchChange(operation="setIsBilled", value=True).run(hook.client, [key], identity=hook.identity)
    assert report.failed == {"changed since the export": [entry["id"]]}


def test_two_versions_of_an_entry_are_an_error(awork: Sandbox) -> None:
    entry = unbilled(awork, 1)[0]
    with pytest.raises(AworkConfigError, match=f"time_entry_ids: {entry['id']} is in it twice, with two values of"):
        entry_keys([entry, json.loads(json.dumps(entry)) | {"resourceVersion": 1}])
