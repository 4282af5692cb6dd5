"""The batch operator in real DAG runs against a local awork."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator, AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Answer, RuleRequest, Sandbox, Stall, Store
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag
from tests.helpers.ledgers import outcomes
from tests.helpers.storage_emulators import S3Emulator

START = pendulum.datetime(2026, 1, 1, tz="UTC")
BACKLOG = "isBillable eq true and isBilled eq false and duration gt 0"
MISSING = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=120, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


def backlog(awork: Sandbox) -> list[str]:
    return awork.store.ids(lambda entry: entry["isBillable"] and not entry["isBilled"] and entry["duration"] > 0)


def billed(awork: Sandbox) -> set[str]:
    return set(awork.store.ids(lambda entry: entry["isBilled"]))


def run(dag_id: str, params: dict[str, Any] | None = None, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START, params=params or {}) as dag:
        AworkBatchTimeEntriesOperator(
            task_id="mark", retries=1, retry_delay=0, **{"operation": "setIsBilled", "value": True, **parameters}
        )
    return run_dag(dag)


def exported(destination: str, **parameters: Any) -> dict[str, Any]:
    """The output of an export of the backlog."""
    with DAG("batch_export", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=destination, filterby=BACKLOG, **parameters
        )
    output: dict[str, Any] = run_dag(dag).xcom("export")
    return output


def dag_of_export_and_mark(destination: str, **parameters: Any) -> DAG:
    with DAG("batch_manifest", schedule=None, start_date=START) as dag:
        export = AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=destination, filterby=BACKLOG, max_rows_per_file=20, **parameters
        )
        AworkBatchTimeEntriesOperator(
            task_id="mark", operation="setIsBilled", value=True, manifest=export.output, chunk_size=25
        )
    return dag


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_the_output_of_an_export_is_marked(awork: Sandbox, tmp_path: Path, file_format: str) -> None:
    to_bill, before = backlog(awork), billed(awork)
    result = run_dag(dag_of_export_and_mark(f"file://{tmp_path}", file_format=file_format))
    assert result.state == "success"
    assert billed(awork) == before | set(to_bill)
    report = result.xcom("mark")
    assert (report["entries"], report["changed"], report["already"]) == (len(to_bill), len(to_bill), 0)
    again = run("batch_again", manifest=f"{tmp_path.as_uri()}/_manifest.json").xcom("mark")
    assert (again["changed"], again["already_by"]) == (0, {awork.me: len(to_bill)})


HALF = r"cut \ud83d"  # in the middle of an emoji: valid JSON, but no text


def cut_notes(awork: Sandbox, ids: list[str]) -> dict[str, bytes]:
    """Put half of a surrogate pair into the notes of entries; give the texts of these entries."""
    for entry_id in ids:
        awork.store.edit(entry_id, note=json.loads(f'"{HALF}"'))
    return {entry_id: awork.store.texts()[entry_id] for entry_id in ids}


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_notes_with_half_of_a_surrogate_pair_are_marked_and_kept(
    awork: Sandbox, tmp_path: Path, file_format: str
) -> None:
    to_bill, before = backlog(awork), billed(awork)
    neighbours = [entry_id for entry_id in awork.store.ids() if entry_id not in to_bill]
    cut, others = cut_notes(awork, to_bill[::5]), cut_notes(awork, neighbours)
    assert all(HALF.encode() in text for text in cut.values())
    result = run_dag(dag_of_export_and_mark(f"file://{tmp_path}", file_format=file_format))
    assert result.xcom("mark")["changed"] == len(to_bill)
    assert billed(awork) == before | set(to_bill)
    texts = awork.store.texts()
    assert all(HALF.encode() in texts[entry_id] for entry_id in cut)
    assert {entry_id: texts[entry_id] for entry_id in others} == others


def test_ids_of_entries_with_half_of_a_surrogate_pair_are_marked(awork: Sandbox) -> None:
    ids = backlog(awork)[:2]
    cut_notes(awork, ids[:1])
    assert run("batch_half_of_a_pair", time_entry_ids=ids).xcom("mark")["changed"] == 2
    assert set(ids) <= billed(awork)


@pytest.mark.emulator
def test_a_set_on_s3_is_marked(awork: Sandbox, s3_emulator: S3Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_emulator.environment.items():
        monkeypatch.setenv(name, value)
    to_bill = backlog(awork)
    result = run_dag(dag_of_export_and_mark(f"{s3_emulator.create_bucket('billing')}/set"))
    assert result.xcom("mark")["changed"] == len(to_bill) > 0


@pytest.mark.parametrize("form", ["{0}", "{0}/", "{0}/_manifest.json", "path"])
def test_ways_to_name_a_manifest(awork: Sandbox, tmp_path: Path, form: str) -> None:
    exported(f"file://{tmp_path}")
    given = ObjectStoragePath(f"file://{tmp_path}") if form == "path" else form.format("{{ params.where }}")
    result = run("batch_manifest_forms", {"where": f"file://{tmp_path}"}, manifest=given, dry_run=True)
    assert result.xcom("mark")["to_change"] == len(backlog(awork)) > 0


@pytest.mark.parametrize("written", ["{{ params.output }}", "{{ params.output | tojson }}", " {{ params.output }}\n"])
def test_an_output_that_a_template_writes_as_text_is_read(awork: Sandbox, tmp_path: Path, written: str) -> None:
    output = exported(f"file://{tmp_path}")
    assert None in output.values()
    params = {"output": output}
    result = run("batch_output_as_text", params, manifest=written, dry_run=True)
    assert result.xcom("mark")["to_change"] == len(backlog(awork)) > 0


def test_a_set_that_was_replaced_since_the_export_is_not_marked(awork: Sandbox, tmp_path: Path) -> None:
    first = exported(f"file://{tmp_path}")
    awork.store.delete(backlog(awork)[:1])
    exported(f"file://{tmp_path}")
    before = billed(awork)
    result = run("batch_replaced", manifest=first)
    assert (result.task("mark").state, result.task("mark").try_number) == ("failed", 1)
    assert "exported again meanwhile" in result.logs
    assert billed(awork) == before


def test_entries_from_xcom_are_guarded_by_their_versions(awork: Sandbox) -> None:
    with DAG("batch_xcom", schedule=None, start_date=START) as dag:
        entries = AworkTimeEntriesOperator(
            task_id="entries", filterby=BACKLOG, fields=["id", "createdOn", "updatedOn", "resourceVersion"]
        )
        AworkBatchTimeEntriesOperator(
            task_id="mark", operation="setIsBilled", value=True, time_entry_ids=entries.output
        )
    to_bill = backlog(awork)
    assert run_dag(dag).xcom("mark")["changed"] == len(to_bill) > 0
    assert not backlog(awork)


@pytest.mark.parametrize("rendered", ["{{ params.ids }}", "{{ params.ids | tojson }}", "{{ params.ids | join(', ') }}"])
def test_ids_and_values_from_templates(awork: Sandbox, rendered: str) -> None:
    ids = backlog(awork)[:3]
    result = run(
        "batch_templates",
        {"ids": ids, "operation": "setIsBilled"},
        operation="{{ params.operation }}",
        value="{{ true }}",
        time_entry_ids=rendered,
    )
    assert result.xcom("mark")["changed"] == 3
    assert set(ids) <= billed(awork)


def test_a_failure_names_the_ids_and_leaves_a_report(awork: Sandbox) -> None:
    ids = backlog(awork)[:3]
    result = run("batch_failure", time_entry_ids=[*ids, MISSING])
    task = result.task("mark")
    assert (task.state, task.try_number) == ("failed", 1)
    assert f"setIsBilled: 1 of 4 time entries are not as asked; not found: 1 ({MISSING})" in result.logs
    assert task.xcoms["report"]["failed"] == {"not found": 1}
    assert task.xcoms["report"]["changed"] == 3
    assert "return_value" not in task.xcoms
    assert set(ids) <= billed(awork)
    tolerated = run("batch_tolerated", time_entry_ids=[*ids, MISSING], ignore_not_found=True)
    assert tolerated.xcom("mark")["failed"] == {"not found": 1}


def test_a_dry_run_only_reports_what_would_fail(awork: Sandbox) -> None:
    running, *others = backlog(awork)[:3]
    awork.store.edit(running, startTimeUtc="08:00:00", endTimeUtc=None, endDateUtc=None, duration=0)
    result = run("batch_dry_timer", time_entry_ids=[running, *others, MISSING], dry_run=True)
    report = result.xcom("mark")
    assert (report["to_change"], report["failed"]) == (2, {"timer runs": 1, "not found": 1})
    assert f"timer runs: {running}" in result.logs


@pytest.mark.parametrize(("status", "said"), [(503, "answer was lost 4 times"), (403, "403 unauthorized")])
def test_an_error_in_the_middle_leaves_the_report_up_to_there(
    awork: Sandbox, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setattr("airflow_provider_awork.billing.chunk_changes.FIRST_WAIT", 0.001)
    ids = backlog(awork)[:6]
    posts = 0

    def answer_the_first_chunk_only(request: RuleRequest, _: Store) -> Answer | None:
        nonlocal posts
        posts += request.method == "POST"
        return Answer(status) if request.method == "POST" and posts > 1 else None

    awork.faults.add(answer_the_first_chunk_only)
    with DAG("batch_stopped", schedule=None, start_date=START) as dag:
        AworkBatchTimeEntriesOperator(
            task_id="mark", operation="setIsBilled", value=True, time_entry_ids=ids, chunk_size=2
        )
    result = run_dag(dag)
    task = result.task("mark")
    assert (task.state, "return_value" in task.xcoms) == ("failed", False)
    assert said in result.logs
    report = task.xcoms["report"]
    assert (report["entries"], report["changed"], report["not_reached"]) == (4, 2, 2)
    assert report["first_failed"] == {"unfinished": ids[2:4]}
    assert f"unfinished: {ids[2]}, {ids[3]}" in result.logs
    assert set(ids[:2]) <= billed(awork)


def test_a_time_out_leaves_the_report_up_to_there(awork: Sandbox, tmp_path: Path) -> None:
    ids = backlog(awork)[:6]
    posts: list[RuleRequest] = []

    def stall_on_the_second_chunk(request: RuleRequest, _: Store) -> Stall | None:
        posts.extend([request] if request.method == "POST" else [])
        return Stall(60) if request.method == "POST" and len(posts) == 2 else None

    awork.faults.add(stall_on_the_second_chunk)
    with DAG("batch_timed_out", schedule=None, start_date=START) as dag:
        AworkBatchTimeEntriesOperator(
            task_id="mark",
            operation="setIsBilled",
            value=True,
            time_entry_ids=ids,
            ledger=f"file://{tmp_path}/ledger",
            chunk_size=2,
            execution_timeout=timedelta(seconds=8),
        )
    task = run_dag(dag).task("mark")
    assert task.state == "failed"
    report = task.xcoms["report"]
    assert (report["entries"], report["changed"], report["not_reached"]) == (4, 2, 2)
    assert report["first_failed"] == {"unfinished": ids[2:4]}
    assert outcomes(tmp_path / "ledger") == dict.fromkeys(ids[:2], "changed") | dict.fromkeys(ids[2:4], "sent")
    assert set(ids[:4]) <= billed(awork)

    awork.faults.clear()
    report = run("batch_after_time_out", time_entry_ids=ids, ledger=f"{tmp_path}/ledger").xcom("mark")
    assert (report["changed"], report["already_by"], report["failed"]) == (2, {awork.me: 4}, {})
    assert report["ledger"] == f"{tmp_path}/ledger"


def test_a_key_that_is_replaced_during_a_batch_is_used_by_the_next_try(awork: Sandbox) -> None:
    ids = backlog(awork)[:6]
    connection = json.loads(os.environ["AIRFLOW_CONN_AWORK_DEFAULT"])

    def replace_the_key(request: RuleRequest, _: Store) -> None:
        if request.method == "POST" and awork.token != "replaced":
            awork.replace_token("replaced")
            os.environ["AIRFLOW_CONN_AWORK_DEFAULT"] = json.dumps({**connection, "password": "replaced"})

    awork.faults.add(replace_the_key)
    result = run("batch_key", time_entry_ids=ids, chunk_size=2)
    task = result.task("mark")
    assert (task.state, task.try_number) == ("success", 2)
    assert "has another key by now" in result.logs
    assert task.xcoms["return_value"]["changed"] == 4
    assert set(ids) <= billed(awork)


def test_the_ledger_of_a_manifest_lies_beside_it_and_a_dry_run_writes_none(awork: Sandbox, tmp_path: Path) -> None:
    exported(f"file://{tmp_path}")
    names = {path.name for path in tmp_path.iterdir()}
    assert run("batch_ledger_dry", manifest=f"file://{tmp_path}", dry_run=True).xcom("mark")["to_change"] > 0
    assert {path.name for path in tmp_path.iterdir()} == names
    to_bill = backlog(awork)
    by_hand = to_bill[0]
    awork.store.edit(by_hand, duration=7200, isBilled=True, updatedBy="somebody")
    result = run("batch_ledger", manifest=f"file://{tmp_path}")
    assert result.task("mark").state == "failed"
    assert f"billed by somebody else: 1 ({by_hand})" in result.logs
    assert outcomes(tmp_path) == dict.fromkeys(to_bill[1:], "changed") | {by_hand: "billed by somebody else"}
    dry = run("batch_ledger_dry_again", manifest=f"file://{tmp_path}", dry_run=True).xcom("mark")
    assert (dry["already_by"], dry["failed"]) == ({awork.me: len(to_bill) - 1}, {"billed by somebody else": 1})


def test_nothing_to_do_is_a_success(awork: Sandbox) -> None:
    assert run("batch_nothing", time_entry_ids=[]).xcom("mark")["entries"] == 0


def test_delete_needs_a_confirmation(awork: Sandbox) -> None:
    ids = backlog(awork)[:2]
    delete = {"operation": "delete", "value": None, "time_entry_ids": ids}
    refused = run("batch_delete", **delete)
    assert (refused.task("mark").state, refused.task("mark").try_number) == ("failed", 1)
    assert "confirm_delete" in refused.logs
    assert run("batch_delete_dry", **delete, dry_run=True).xcom("mark")["to_change"] == 2
    assert set(ids) <= set(awork.store.ids())
    assert run("batch_delete_confirmed", **delete, confirm_delete=True).xcom("mark")["changed"] == 2
    assert not set(ids) & set(awork.store.ids())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "pass exactly one of them"),
        ({"time_entry_ids": [MISSING], "manifest": "file:///tmp"}, "pass exactly one of them"),
        ({"time_entry_ids": "{{ ti.xcom_pull(task_ids='nowhere') }}"}, "is not a GUID"),
        ({"time_entry_ids": "[1, "}, "is not a list of ids"),
        ({"time_entry_ids": ""}, "time_entry_ids: the text is blank"),
        ({"time_entry_ids": "{{ params.x }}"}, "time_entry_ids: the text is blank"),
        ({"time_entry_ids": " , "}, "time_entry_ids: no id in ' , '"),
        (
            {"time_entry_ids": [MISSING, {"id": MISSING, "resourceVersion": 1}, {"id": MISSING, "resourceVersion": 2}]},
            f"{MISSING} is in it twice, with two values of resource_version",
        ),
        ({"time_entry_ids": [MISSING], "ledger": " "}, "ledger: the text is blank"),
        ({"time_entry_ids": [MISSING], "ledger": "s4://x"}, "s4://"),  # Airflow 3.1 finds out later
        ({"time_entry_ids": [MISSING], "compare": "both"}, "compare: 'both' is neither"),
        ({"time_entry_ids": [MISSING], "compare": "content"}, "compare: 'content' needs more than is known"),
        ({"time_entry_ids": [MISSING], "value": "yes"}, "value: 'yes'"),
        ({"time_entry_ids": [MISSING], "operation": "setBilled"}, "operation: 'setBilled'"),
        ({"time_entry_ids": [MISSING], "chunk_size": 0}, "chunk_size: 0"),
        ({"time_entry_ids": [MISSING], "dry_run": "False"}, "dry_run: 'False' is neither True nor False"),
        ({"time_entry_ids": [MISSING], "require_all": "{{ params.x }}"}, "require_all: '{{ params.x }}' is neither"),
        ({"time_entry_ids": [MISSING], "ignore_not_found": "false"}, "ignore_not_found: 'false' is neither"),
        ({"time_entry_ids": [MISSING], "overwrite_changed": "no"}, "overwrite_changed: 'no' is neither"),
        ({"time_entry_ids": [MISSING], "operation": "delete", "confirm_delete": "True"}, "confirm_delete: not True"),
        ({"manifest": "file:///nowhere/at/all"}, "holds no _manifest.json"),
        ({"manifest": {"rows": 3}}, "neither a transfer's output nor a prefix"),
        ({"manifest": ""}, "neither a transfer's output nor a prefix"),
    ],
)
def test_bad_input_fails_clearly_before_anything_is_changed(
    awork: Sandbox, parameters: dict[str, Any], said: str
) -> None:
    result = run("batch_bad_input", {"x": ""}, **parameters)
    assert (result.task("mark").state, result.task("mark").try_number) == ("failed", 1)
    assert said in result.logs
    assert not [request for request in awork.requests if request.method == "POST"]


def test_another_workspace_is_refused(awork: Sandbox, tmp_path: Path) -> None:
    exported(f"file://{tmp_path}")
    with Sandbox(entries=0, workspace=type(awork.settings.workspace)(id=MISSING)) as other:
        with connection_in_environment(other.url, other.token):
            result = run("batch_other_workspace", manifest=f"file://{tmp_path}")
        assert f"belongs to workspace {MISSING}" in result.logs
        assert not [request for request in other.requests if request.method == "POST"]
    assert result.task("mark").state == "failed"
