"""Every time-entry operation of awork's OpenAPI document against the client's requests and the sandbox's answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest
import requests

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.entries.arguments import BATCH_FIELDS
from airflow_provider_awork.client.entries.models import BATCH_OPERATIONS
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.lists.resources import time_entries_path
from airflow_provider_awork.sandbox import RequestRecord, Sandbox
from tests.helpers.openapi import json_schema, parameters, resolve, schema_errors, time_entry_operations

NOT_OFFERED = {
    "searchReindex": "reads as a side effect on awork's search index",
    "breakDuration": "cannot be set via API, says the document",
}

WHO_ASKS = ("/me", "/me/permissions")  # around each list


@dataclass(frozen=True)
class Ids:
    """Ids of one finished entry with a project task, and of what it refers to."""

    entry: str
    other: str
    user: str
    project: str
    task: str
    type_of_work: str


def read_all(client: AworkClient, path: str, **params: str) -> None:
    list(client.read_list(path, filterby="duration ge 0", params=params))


def write_every_field(write: Callable[..., Any], ids: Ids) -> None:
    plain = {"note": "x", "isBillable": True, "isBilled": False}
    refers = {"projectId": ids.project, "taskId": ids.task, "typeOfWorkId": ids.type_of_work, "userId": ids.user}
    common: dict[str, Any] = {**plain, **refers, "timezone": "Europe/Berlin"}
    for group in ("Utc", "Local"):
        times = {
            f"{edge}{part}{group}": {"Date": "2026-11-02", "Time": clock}[part]
            for edge, clock in (("start", "09:30"), ("end", "11:15:30.1234567"))
            for part in ("Date", "Time")
        }
        write(**common, **times)
    write(**common, startDateLocal="2026-11-02", duration=60)


def every_batch(client: AworkClient, ids: Ids) -> None:
    values: dict[str, Any] = {
        "isBillable": True,
        "isBilled": True,
        "newTypeOfWorkId": ids.type_of_work,
        "newProjectId": ids.project,
        "newTaskId": ids.task,
        "newUserId": ids.user,
    }
    for operation in sorted(BATCH_OPERATIONS, key=["delete"].count):
        client.batch_time_entries(
            operation,  # type: ignore[arg-type]
            [ids.entry, ids.other],
            value=values.get(BATCH_FIELDS.get(operation, "")),
            require_all=True,
        )


OPERATIONS: dict[str, Callable[[AworkClient, Ids], Any]] = {
    "GetMyLastTimeEntries": lambda client, ids: client.get_my_last_time_entry(user_id=ids.user),
    "GetProjectTimeEntries": lambda client, ids: read_all(client, time_entries_path(project_id=ids.project)),
    "GetTaskTimeEntries": lambda client, ids: read_all(client, time_entries_path(task_id=ids.task)),
    "GetTimeEntries": lambda client, ids: read_all(client, time_entries_path()),
    "PostTimeEntry": lambda client, ids: write_every_field(client.create_time_entry, ids),
    "PostTimeEntriesBatchByOperation": every_batch,
    "PostTimeEntriesDelete": lambda client, ids: client.delete_time_entries([ids.entry]),
    "PostTimeEntriesSetBillable": lambda client, ids: client.set_time_entries_billable([ids.entry]),
    "PostTimeEntriesSetBilled": lambda client, ids: client.set_time_entries_billed([ids.entry]),
    "PostTimeEntriesSetTypeOfWork": lambda client, ids: client.set_time_entries_type_of_work(
        [ids.entry], type_of_work_id=ids.type_of_work
    ),
    "PostTimeEntriesSetUnbillable": lambda client, ids: client.set_time_entries_unbillable([ids.entry]),
    "PostTimeEntriesSetUnBilled": lambda client, ids: client.set_time_entries_unbilled([ids.entry]),
    "GetTimeEntriesSimplified": lambda client, ids: read_all(client, "timeentries/simplified", grouping="user"),
    "GetTimeEntryById": lambda client, ids: client.get_time_entry(ids.entry),
    "PutTimeEntryById": lambda client, ids: write_every_field(
        lambda **fields: client.replace_time_entry(ids.entry, **fields), ids
    ),
    "DeleteTimeEntryById": lambda client, ids: client.delete_time_entry(ids.entry),
    "PostTimeEntryRemoveBreaks": lambda client, ids: client.remove_breaks(ids.entry),
    "GetLastTimeEntriesByUserId": lambda client, ids: client.get_last_time_entry(ids.user),
}


class Exchanges:
    """The client's requests, and the answers of a second sandbox in the same state to the same requests by hand."""

    def __init__(self, awork: Sandbox, same: Sandbox) -> None:
        self._awork = awork
        self._same = same
        self._client = AworkClient(build_config(token=awork.token, base_url=awork.url))
        self._entries = [entry for entry in awork.store.entries() if unbilled_with_all_references(entry)]
        self._of: dict[str, list[tuple[RequestRecord, requests.Response]]] = {}

    def of(self, operation_id: str) -> list[tuple[RequestRecord, requests.Response]]:
        if operation_id not in self._of:
            before = len(self._awork.requests)
            OPERATIONS[operation_id](self._client, self._fresh_ids())
            records = [each for each in self._awork.requests[before:] if each.path not in WHO_ASKS]
            self._of[operation_id] = [(record, self._replayed(record)) for record in records]
        return self._of[operation_id]

    def _fresh_ids(self) -> Ids:
        entry, other = self._entries.pop(), self._entries.pop()
        references = (entry[name] for name in ("userId", "projectId", "taskId", "typeOfWorkId"))
        return Ids(entry["id"], other["id"], *references)

    def _replayed(self, record: RequestRecord) -> requests.Response:
        return requests.request(
            record.method,
            self._same.url + record.path,
            params=record.query,
            data=record.body or None,
            headers={"Authorization": f"Bearer {self._same.token}", "content-type": "application/json"},
            timeout=20,
        )


def unbilled_with_all_references(entry: dict[str, Any]) -> bool:
    return {"taskId", "projectId", "userId", "endTimeUtc"} <= entry.keys() and not entry["isBilled"]


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=200, seed=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def exchanges(awork: Sandbox) -> Iterator[Exchanges]:
    with Sandbox(entries=200, seed=5) as same:
        yield Exchanges(awork, same)


def test_every_documented_operation_has_a_call() -> None:
    assert set(OPERATIONS) == set(time_entry_operations())
    assert len(OPERATIONS) == 18


def test_every_documented_batch_operation_is_known() -> None:
    _, _, operation = time_entry_operations()["PostTimeEntriesBatchByOperation"]
    assert set(operation["x-operations"]) == set(BATCH_OPERATIONS)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_requests_are_as_documented(operation_id: str, exchanges: Exchanges) -> None:
    method, template, operation = time_entry_operations()[operation_id]
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    query_schemas, path_schemas = parameters(operation, "query"), parameters(operation, "path")
    body_schema = json_schema(operation.get("requestBody", {}))
    sent_parameters: set[str] = set()
    sent_fields: set[str] = set()

    assert exchanges.of(operation_id)
    for record, _ in exchanges.of(operation_id):
        found = re.fullmatch(pattern, record.path)
        assert found, record.path
        assert record.method == method
        for name, value in found.groupdict().items():
            assert schema_errors(path_schemas[name], value) == []
        for name, text in record.query.items():
            value = int(text) if query_schemas[name].get("type") == "integer" else text
            assert schema_errors(query_schemas[name], value) == [], name
        sent_parameters |= set(record.query)
        if body_schema is None:
            assert record.body == b""
        else:
            assert record.headers["content-type"] == "application/json"
            assert schema_errors(body_schema, json.loads(record.body)) == []
            sent_fields |= set(json.loads(record.body))
    offered = set(query_schemas) - set(NOT_OFFERED)
    assert sent_parameters == offered
    assert sent_fields == set(resolve(body_schema or {}).get("properties", {})) - set(NOT_OFFERED)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_answers_of_the_sandbox_are_as_documented(operation_id: str, exchanges: Exchanges) -> None:
    _, _, operation = time_entry_operations()[operation_id]
    for _, answer in exchanges.of(operation_id):
        assert answer.ok, answer.text
        schema = json_schema(operation["responses"][str(answer.status_code)])
        if schema is None:
            assert answer.content == b""
        else:
            assert answer.json()
            assert schema_errors(schema, answer.json()) == []


REFUSED: list[tuple[str, str, Any, int]] = [
    ("POST", "/timeentries", b"", 400),
    ("POST", "/timeentries", {"timezone": "UTC"}, 400),
    ("POST", "/timeentries/batch/setNothing", {"timeEntryIds": ["00000000-0000-4000-8000-000000000001"]}, 404),
    ("POST", "/timeentries/batch/setIsBilled", {"timeEntryIds": ["00000000-0000-4000-8000-000000000001"]}, 400),
    ("POST", "/timeentries/delete", {"ids": []}, 400),
    ("POST", "/timeentries/setbilled", {"ids": ["00000000-0000-4000-8000-000000000001"]}, 404),
    ("PUT", "/timeentries/00000000-0000-4000-8000-000000000001", {"timezone": "UTC"}, 400),
    ("DELETE", "/timeentries/00000000-0000-4000-8000-000000000001", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_refusals_of_the_sandbox_are_awork_s_error_object(
    awork: Sandbox, method: str, path: str, body: Any, status: int
) -> None:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body)
    headers = {"Authorization": f"Bearer {awork.token}"}
    answer = requests.request(method, awork.url + path, data=data, headers=headers, timeout=20)
    assert answer.status_code == status
    assert schema_errors({"$ref": "#/components/schemas/ErrorResponse"}, answer.json()) == []


def test_the_check_itself_finds_faults() -> None:
    """Without this, a validator that accepts everything would pass all tests above."""
    schemas = [
        json_schema(part)
        for _, _, operation in time_entry_operations().values()
        for part in chain([operation.get("requestBody", {})], operation["responses"].values())
    ]
    for schema in filter(None, schemas):
        assert schema_errors(schema, [{"nosuch": 1}])
        assert schema_errors(schema, "text")
