"""The hook against a local awork."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from unittest import mock
from urllib.parse import quote

import pytest

from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.exceptions import (
    AworkAssumptionError,
    AworkAuthenticationError,
    AworkConfigError,
    AworkFilterError,
    AworkKeyReplacedError,
    AworkNotFoundError,
    AworkPagingError,
)
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sandbox import Answer, RuleRequest, Sandbox, Store
from airflow_provider_awork.version_compat import AirflowFailException
from tests.helpers.airflow_harness import connection_in_environment

SOME_ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=2500, seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def hook(awork: Sandbox) -> Iterator[AworkHook]:
    with connection_in_environment(awork.url, awork.token):
        yield AworkHook()


def ids_of(awork: Sandbox) -> list[str]:
    return [entry["id"] for entry in awork.store.entries()]


def test_all_time_entries_in_order_as_awork_sent_them(hook: AworkHook, awork: Sandbox) -> None:
    entries = list(hook.get_time_entries())
    assert sorted(entry["id"] for entry in entries) == sorted(ids_of(awork))
    assert entries == sorted(entries, key=lambda each: instant_key(each["createdOn"]))
    stored = {entry["id"]: entry for entry in awork.store.entries()}
    assert all(entry == stored[entry["id"]] for entry in entries)


def test_count_is_one_request_of_one_row(hook: AworkHook, awork: Sandbox) -> None:
    before = len(awork.requests)
    assert hook.count_time_entries(filterby="isBillable eq true") == sum(
        entry["isBillable"] for entry in awork.store.entries()
    )
    (request,) = awork.requests[before:]
    assert request.query["pageSize"] == "1"


def test_limit_gives_the_oldest_and_asks_for_no_more(hook: AworkHook, awork: Sandbox) -> None:
    before = len(awork.requests)
    entries = list(hook.get_time_entries(limit=5))
    assert [entry["createdOn"] for entry in entries] == sorted(entry["createdOn"] for entry in awork.store.entries())[
        :5
    ]
    assert [each.query["pageSize"] for each in awork.requests[before:] if each.path == "/timeentries"] == ["5"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_cannot_work(hook: AworkHook, limit: int) -> None:
    with pytest.raises(AworkConfigError, match="limit"):
        list(hook.get_time_entries(limit=limit))


def test_window_of_local_days(hook: AworkHook, awork: Sandbox) -> None:
    day = max(entry["startDateLocal"] for entry in awork.store.entries())[:10]
    start = date.fromisoformat(day) - timedelta(days=7)
    entries = list(hook.get_time_entries(window_field="startDateLocal", window_start=start, window_end=day))
    expected = {
        entry["id"]
        for entry in awork.store.entries()
        if start.isoformat() <= entry.get("startDateLocal", "")[:10] < day
    }
    assert {entry["id"] for entry in entries} == expected
    assert expected
    assert hook.count_time_entries(window_field="startDateLocal", window_start=start, window_end=day) == len(expected)


def test_window_of_instants(hook: AworkHook, awork: Sandbox) -> None:
    middle = sorted(entry["createdOn"] for entry in awork.store.entries())[1000][:19]
    start = datetime.fromisoformat(middle).replace(tzinfo=UTC)
    entries = list(
        hook.get_time_entries(window_field="createdOn", window_start=start, window_end=start + timedelta(days=3))
    )
    end = (start + timedelta(days=3)).isoformat()[:19]
    expected = {entry["id"] for entry in awork.store.entries() if middle <= entry["createdOn"][:19] < end}
    assert {entry["id"] for entry in entries} == expected
    assert expected


def test_filter_and_project(hook: AworkHook, awork: Sandbox) -> None:
    project = next(entry["projectId"] for entry in awork.store.entries() if entry.get("projectId"))
    entries = list(hook.get_time_entries(project_id=project, filterby="isBilled eq false or duration gt 7200"))
    assert {entry["id"] for entry in entries} == {
        entry["id"]
        for entry in awork.store.entries()
        if entry.get("projectId") == project and (not entry["isBilled"] or entry["duration"] > 7200)
    }
    assert entries


def test_task(hook: AworkHook, awork: Sandbox) -> None:
    task = next(entry["taskId"] for entry in awork.store.entries() if entry.get("taskId"))
    expected = {entry["id"] for entry in awork.store.entries() if entry.get("taskId") == task}
    assert {entry["id"] for entry in hook.get_time_entries(task_id=task)} == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"project_id": "../users"},
        {"project_id": ""},
        {"task_id": " "},
        {"filterby": ""},
        {"filterby": "\n"},
        {"task_id": "42"},
        {"project_id": "0" * 32, "task_id": "0" * 32},
        {"window_start": "2026-11-01"},
        {"window_field": "duration", "window_start": "2026-11-01", "window_end": "2026-11-02"},
        {"window_field": "createdOn", "window_start": "2026-11-02", "window_end": "2026-11-01"},
        {"window_field": "createdOn", "window_start": datetime(2026, 11, 2), "window_end": "2026-11-03"},
    ],
)
def test_parameters_that_cannot_work_send_nothing(hook: AworkHook, awork: Sandbox, parameters: dict[str, str]) -> None:
    before = len(awork.requests)
    with pytest.raises(AworkConfigError):
        list(hook.get_time_entries(**parameters))  # type: ignore[arg-type]
    assert len(awork.requests) == before


@pytest.mark.parametrize("path", ["users", "roles"])
def test_a_blank_filter_of_a_list_sends_nothing(hook: AworkHook, awork: Sandbox, path: str) -> None:
    before = len(awork.requests)
    with pytest.raises(AworkConfigError, match="filterby"):
        list(hook.get_list(path, filterby=" "))
    assert len(awork.requests) == before


def test_a_bad_filter_is_the_users(hook: AworkHook) -> None:
    with pytest.raises(AworkFilterError, match="invalid-filter-or-order"):
        list(hook.get_time_entries(filterby="isBillable = true"))
    with pytest.raises(AworkFilterError, match=r"filterby as it was sent.*isBillable = true.*createdOn ge"):
        list(hook.get_time_entries(filterby="isBillable = true", **WINDOW))


def test_a_filter_that_is_no_text_sends_nothing(hook: AworkHook, awork: Sandbox) -> None:
    before = len(awork.requests)
    for ask in (hook.get_time_entries, hook.count_time_entries, partial(hook.get_list, "users")):
        with pytest.raises(AworkConfigError, match=r"filterby: .'a'. is not text"):
            list(ask(filterby=["a"]))
    assert len(awork.requests) <= before + 2  # who asks


def test_one_entry(hook: AworkHook, awork: Sandbox) -> None:
    entry = next(iter(awork.store.entries()))
    assert hook.get_time_entry(entry["id"]) == entry
    with pytest.raises(AworkNotFoundError):
        hook.get_time_entry("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("path", ["users", "projects", "companies", "typeofwork", "teams", "/users/"])
def test_lists_of_other_things(hook: AworkHook, path: str) -> None:
    rows = list(hook.get_list(path))
    assert rows
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("path", ["apiusers", "roles", "customfielddefinitions", "projects/{project}/members"])
def test_lists_that_come_whole_are_one_request(hook: AworkHook, awork: Sandbox, path: str) -> None:
    path = path.format(project=next(iter(awork.store.texts("projects"))))
    before = len(awork.requests)
    rows = list(hook.get_list(path, params={"showArchived": "true"}))
    assert rows == awork.lists.whole[path]
    assert [each.path for each in awork.requests[before:]] == ["/me", "/me/permissions", f"/{path}", "/me/permissions"]


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("timereports", [{"id": "b", "createdOn": "2026-02-01T00:00:00Z"}, {"id": "a"}]),
        (f"projects/{SOME_ID}/milestones", [{"id": "b", "createdOn": "2026-02-01T00:00:00Z"}] * 2),
        (f"tasks/{SOME_ID}/taskdependencies", [{"id": "b", "createdOn": "2026-01-01T00:00:00Z"}]),
    ],
)
def test_a_list_that_awork_does_not_page_is_read_once_as_it_is(
    hook: AworkHook, awork: Sandbox, path: str, rows: list[object]
) -> None:
    """Even if its rows have ``createdOn``, are not in its order and repeat."""

    def answer(request: RuleRequest, _: Store) -> Answer | None:
        return Answer(200, rows) if request.path == f"/{path}" else None

    before = len(awork.requests)
    awork.faults.add(answer)
    try:
        assert list(hook.get_list(path, params={"showArchived": "true"})) == rows
    finally:
        awork.faults.clear()
    (request,) = [each for each in awork.requests[before:] if each.path == f"/{path}"]
    assert request.query == {"showArchived": "true"}


@pytest.mark.parametrize("parameters", [{"filterby": "name eq 'Admin'"}, {"orderby": "name"}])
@pytest.mark.parametrize("path", ["roles", "timereports", f"projects/{SOME_ID}/milestones"])
def test_what_awork_would_ignore_is_refused(
    hook: AworkHook, awork: Sandbox, path: str, parameters: dict[str, str]
) -> None:
    before = len(awork.requests)
    with pytest.raises(AworkConfigError) as error:
        list(hook.get_list(path, **parameters))
    (name,) = parameters
    first_line = str(error.value).splitlines()[0]
    assert first_line == f"{name}: awork returns this list whole and would ignore it"
    assert path.replace(SOME_ID, "{id}") in str(error.value)
    assert len(awork.requests) == before


def test_a_list_of_texts_is_refused(hook: AworkHook, awork: Sandbox) -> None:
    before = len(awork.requests)
    with pytest.raises(AworkConfigError, match="path: awork returns texts at webhooks/eventtypes, not objects"):
        list(hook.get_list("webhooks/eventtypes"))
    assert len(awork.requests) == before


def test_the_api_users(hook: AworkHook, awork: Sandbox) -> None:
    assert hook.get_api_user_ids() == {awork.me}


def test_a_list_in_an_order_of_ones_own(hook: AworkHook, awork: Sandbox) -> None:
    rows = list(hook.get_list("timeentries", orderby="createdOn desc", filterby="isBillable eq true"))
    expected = (instant_key(entry["createdOn"]) for entry in awork.store.entries() if entry["isBillable"])
    assert [instant_key(row["createdOn"]) for row in rows] == sorted(expected, reverse=True)


@pytest.mark.parametrize("cap", [1000, 400])
@pytest.mark.parametrize("says_size", [True, False])
def test_a_list_in_an_order_of_ones_own_without_a_total_is_whole(
    hook: AworkHook, awork: Sandbox, monkeypatch: pytest.MonkeyPatch, cap: int, says_size: bool
) -> None:
    monkeypatch.setattr(awork.settings, "total_header", False)
    monkeypatch.setattr(awork.settings, "page_size_header", says_size)
    monkeypatch.setattr(awork.settings, "max_page_size", cap)
    rows = list(hook.get_list("timeentries", orderby="createdOn desc"))
    assert sorted(row["id"] for row in rows) == sorted(awork.store.ids())


def test_a_list_in_an_order_of_ones_own_that_has_no_end_fails(
    hook: AworkHook, awork: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awork.settings, "total_header", False)
    monkeypatch.setattr(awork.settings, "past_end", "repeated")
    with pytest.raises(AworkPagingError, match="page 4 has only rows of the pages before"):
        list(hook.get_list("timeentries", orderby="createdOn desc"))


def test_rows_that_move_to_the_next_page_come_once(hook: AworkHook, awork: Sandbox) -> None:
    """An edited row goes to the front of the order, and the last row of the first page to the second."""
    rows = hook.get_list("timeentries", orderby="updatedOn desc")
    first = next(rows)
    oldest = min(awork.store.entries(), key=lambda entry: instant_key(entry["updatedOn"]))
    awork.store.edit(oldest["id"])
    ids = [first["id"], *(row["id"] for row in rows)]
    assert len(ids) == len(set(ids))


def test_connection_as_uri(awork: Sandbox) -> None:
    uri = f"awork://:{awork.token}@{quote(awork.url, safe='')}/?requests_per_minute=500&verify=false"
    with mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_DEFAULT=uri):
        hook = AworkHook()
        assert hook.count_time_entries() == 2500
        assert (hook.config.extras.requests_per_minute, hook.config.extras.verify) == (500, False)


def test_connection_as_json(awork: Sandbox) -> None:
    connection = {"conn_type": "awork", "password": awork.token, "host": awork.url, "extra": {"read_timeout": 7}}
    with mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_DEFAULT=json.dumps(connection)):
        assert AworkHook().config.extras.read_timeout == 7


@pytest.mark.parametrize(
    ("uri", "field"),
    [
        ("awork://:key@api.awork.com/", "host"),
        ("awork://", "password"),
        ("awork://:key@/?requests_per_minute=0", "requests_per_minute"),
        ("awork://:key@/?page_size=10", "page_size"),
        ("awork://me:key@/", "login"),
        ("http://:key@api.awork.com/", "type 'http'; the type 'awork' is needed"),
        ("generic://:key@", "type 'generic'"),
    ],
)
def test_a_wrong_connection_names_itself_and_the_field(uri: str, field: str) -> None:
    with (
        mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_DEFAULT=uri),
        pytest.raises(AworkConfigError, match=f"awork_default.*{field}"),
    ):
        _ = AworkHook().config


def test_a_connection_without_a_type_is_accepted(awork: Sandbox) -> None:
    connection = {"password": awork.token, "host": awork.url}
    with mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_DEFAULT=json.dumps(connection)):
        assert AworkHook().test_connection()[0]


def test_making_a_hook_looks_nothing_up() -> None:
    AworkHook("there_is_no_such_connection")


def test_a_connection_that_is_missing_fails_at_once_with_the_way_out() -> None:
    with pytest.raises(AworkConfigError, match=r"awork_conn_id: Airflow has no connection 'nowhere'. Create it"):
        _ = AworkHook("nowhere").config


def test_test_connection_names_workspace_and_identity(hook: AworkHook, awork: Sandbox) -> None:
    works, message = hook.test_connection()
    assert works
    assert awork.settings.workspace.name in message


def test_test_connection_says_why_not(awork: Sandbox) -> None:
    with connection_in_environment(awork.url, "wrong-key"):
        works, message = AworkHook().test_connection()
    assert not works
    assert "401" in message
    assert "wrong-key" not in message


def test_test_connection_gives_up_soon_and_in_words() -> None:
    with connection_in_environment("http://127.0.0.1:9/api/v1", "key"):
        started = time.monotonic()
        outcome = AworkHook().test_connection()
    assert time.monotonic() - started < 10
    assert not outcome[0]
    assert outcome[1].startswith("Connection 'awork_default': cannot reach 127.0.0.1:9: connection refused\n")
    assert "HTTPConnection" not in outcome[1]


def test_test_connection_does_not_wait_for_a_silent_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with connection_in_environment(f"http://127.0.0.1:{port}/api/v1", "key"):
            started = time.monotonic()
            works, message = AworkHook().test_connection()
    assert time.monotonic() - started < 10
    assert not works
    assert f"127.0.0.1:{port}" in message


def test_test_connection_sends_two_tries_at_most_and_does_not_wait_as_asked(awork: Sandbox) -> None:
    sent = len(awork.requests)
    awork.faults.add(lambda request, store: Answer(503, headers={"retry-after": "3600"}))
    try:
        with connection_in_environment(awork.url, awork.token):
            started = time.monotonic()
            works, message = AworkHook().test_connection()
    finally:
        awork.faults.clear()
    assert (works, len(awork.requests) - sent) == (False, 2)
    assert "503" in message
    assert time.monotonic() - started < 10


def test_the_test_button_does_not_show_the_random_id_that_airflow_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "awork", "password": "key", "host": "http://127.0.0.1:9/api/v1"}
    monkeypatch.setenv("AIRFLOW_CONN_XK3QW9ZB", json.dumps(connection))  # as its API does
    assert AworkHook("xK3qW9zB").test_connection()[1].startswith("cannot reach 127.0.0.1:9: connection refused\n")


class TestAReplacedKey:
    """A 401 reads the connection once more: another key means that another try of the task helps."""

    @staticmethod
    def refuse(awork: Sandbox) -> AworkHook:
        with connection_in_environment(awork.url, "old-key"):
            hook = AworkHook()
            _ = hook.client
        return hook

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_another_key_is_not_permanent(self, awork: Sandbox, method: str) -> None:
        hook = self.refuse(awork)
        sent = len(awork.requests)
        send = partial(hook.client.session.send, "POST", "timeentries", json={})
        with connection_in_environment(awork.url, awork.token), pytest.raises(AworkKeyReplacedError) as caught:
            hook.client.identity() if method == "GET" else send()
        assert not isinstance(caught.value, AirflowFailException)
        assert "'awork_default' has another key" in str(caught.value)
        assert len(awork.requests) - sent == 1, "neither with the old key nor with another one"

    def test_the_same_key_is_permanent(self, awork: Sandbox) -> None:
        hook = self.refuse(awork)
        with connection_in_environment(awork.url, "old-key"), pytest.raises(AworkAuthenticationError):
            _ = hook.identity

    def test_a_connection_that_is_gone_is_permanent(self, awork: Sandbox) -> None:
        hook = AworkHook("awork_for_a_moment")
        connection = {"conn_type": "awork", "password": "old-key", "host": awork.url}
        with mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_FOR_A_MOMENT=json.dumps(connection)):
            _ = hook.client
        with pytest.raises(AworkAuthenticationError):
            _ = hook.identity

    def test_a_token_that_was_renewed(self, awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = {"conn_type": "awork", "host": awork.url, "extra": {"oauth_variable": "awork_token"}}
        monkeypatch.setenv("AIRFLOW_CONN_AWORK_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_VAR_AWORK_TOKEN", json.dumps({"access_token": "old", "refresh_token": "r"}))
        hook = AworkHook()
        _ = hook.client
        monkeypatch.setenv("AIRFLOW_VAR_AWORK_TOKEN", json.dumps({"access_token": "new", "refresh_token": "s"}))
        with pytest.raises(AworkKeyReplacedError):
            _ = hook.identity


def test_a_list_that_awork_shortens_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Sandbox(entries=20, seed=3, missing_permissions=True) as awork,
        connection_in_environment(awork.url, awork.token),
    ):
        hook = AworkHook()
        regions = [*hook.get_list("absenceregions"), *hook.get_list("absenceregions")]
        assert {user for region in regions for user in region["assignedUsers"]} <= {awork.me}
        assert caplog.text.count("lacks the permission user-planning-data:write") == 1
        assert list(hook.get_list("projects"))
        assert "project-master-data" not in caplog.text


def test_missing_rights_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Sandbox(entries=200, seed=3, missing_permissions=True) as awork,
        connection_in_environment(awork.url, awork.token),
    ):
        hook = AworkHook()
        entries = list(hook.get_time_entries())
        assert len(entries) < 200
        assert hook.identity.sees_all_entries is False
        assert "other people's time entries" in caplog.text
        assert "sees only its own" in hook.test_connection()[1]


def test_a_wrong_key_fails(awork: Sandbox) -> None:
    way_out = r"'awork_default'.*\n(.*\n)?Create one .*Settings > Integrations"
    with connection_in_environment(awork.url, "wrong-key"), pytest.raises(AworkAuthenticationError, match=way_out):
        list(AworkHook().get_time_entries())


WINDOW = {"window_field": "createdOn", "window_start": "2000-01-01", "window_end": "2100-01-01"}


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        ({"tie_break": "refused"}, {"order_by_id": False}),
        ({"unfilterable": {"createdOn"}}, {"anchor_on_created_on": False}),
    ],
)
def test_an_assumption_that_does_not_hold_names_the_extra_that_helps(
    settings: dict[str, object], extra: dict[str, object]
) -> None:
    with Sandbox(entries=1300, seed=3, max_page_size=100, **settings) as awork:
        with (
            connection_in_environment(awork.url, awork.token),
            pytest.raises(AworkAssumptionError, match=next(iter(extra))),
        ):
            list(AworkHook().get_time_entries())
        with connection_in_environment(awork.url, awork.token, **extra):
            entries = list(AworkHook().get_time_entries())
        assert len({entry["id"] for entry in entries}) == len(entries) == 1300


def test_an_order_that_is_not_kept_is_noticed() -> None:
    with (
        Sandbox(entries=1500, seed=3, ignore_orderby=True) as awork,
        connection_in_environment(awork.url, awork.token),
        pytest.raises(AworkAssumptionError, match="orderby"),
    ):
        list(AworkHook().get_time_entries())


def test_a_count_without_total_is_an_error() -> None:
    with (
        Sandbox(entries=10, seed=3, total_header=False) as awork,
        connection_in_environment(awork.url, awork.token),
        pytest.raises(AworkPagingError, match="aw-totalitems"),
    ):
        AworkHook().count_time_entries()


def test_rows_without_ids_are_all_given_in_an_order_of_ones_own() -> None:
    def page(request: RuleRequest, store: Store) -> Answer | None:
        pages = {"1": [{"name": "a"}, {"name": "b"}], "2": [{"name": "c"}]}
        number = request.query.get("page")
        return Answer(200, pages[number], {"aw-totalitems": "3"}) if number in pages else None

    with Sandbox(entries=0) as awork, connection_in_environment(awork.url, awork.token):
        awork.faults.add(page)
        assert [row["name"] for row in AworkHook().get_list("projects", orderby="name")] == ["a", "b", "c"]
