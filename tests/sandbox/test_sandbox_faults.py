"""Each fault, as a real client sees it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ConnectionError, ContentDecodingError, ReadTimeout

from airflow_provider_awork.sandbox import (
    Answer,
    BrokenGzip,
    CutBody,
    Delay,
    Headers,
    Html,
    PrettyPrinted,
    Sandbox,
    ShortBody,
    Stall,
    TruncatedJson,
    at,
    every,
    first,
)


def faulty(serve, fault):
    """A client whose first request has the fault."""
    client = serve()
    client.awork.faults.add(first(1, fault))
    return client


def assert_fine(client):
    assert len(client.get(pageSize=1000).json()) == 40


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 502, 503, 504])
def test_answer_has_aworks_error_object(serve, status):
    client = faulty(serve, Answer(status))

    response = client.get()

    assert response.status_code == status == client.awork.requests[0].status
    assert {"code", "description", "link", "traceId"} <= response.json().keys()
    assert response.json()["traceId"] == response.headers["Trace-Id"]
    assert_fine(client)


def test_answer_401_is_wrapped(serve):
    assert faulty(serve, Answer(401)).get().json()["message"]["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("body", "content"),
    [(b"\xff\x00", b"\xff\x00"), ("grün", "grün".encode()), ({"a": [1]}, b'{"a":[1]}'), ([], b"[]"), ("", b"")],
)
def test_answer_with_a_body_and_headers(serve, body, content):
    response = faulty(serve, Answer(200, body, {"Retry-After": "7", "Date": None, "Trace-ID": "t1"})).get()

    assert response.content == content
    assert response.headers["retry-after"] == "7"
    assert response.headers["trace-id"] == "t1"
    assert "date" not in response.headers


def test_stall_sends_nothing(serve):
    client = faulty(serve, Stall(1000))

    with pytest.raises(ReadTimeout):
        client.session.get(client.awork.url + "/timeentries", timeout=0.2)

    assert client.awork.requests[0].status is None
    assert_fine(client)


def test_stall_ends_with_a_closed_connection(serve):
    client = faulty(serve, Stall(0.1))

    with pytest.raises(ConnectionError):
        client.get()

    assert_fine(client)


def test_a_stalled_request_does_not_keep_the_sandbox_from_closing():
    with ThreadPoolExecutor(1) as pool:
        with Sandbox() as awork:
            awork.faults.add(first(1, Stall(1000)))
            headers = {"Authorization": f"Bearer {awork.token}"}
            answer = pool.submit(requests.get, awork.url + "/users", headers=headers, timeout=200)
            while not awork.requests:
                time.sleep(0.01)
        with pytest.raises(ConnectionError):
            answer.result()


@pytest.mark.parametrize("after", [0, 1, 50_000])
def test_cut_body_resets_the_connection(serve, after):
    client = faulty(serve, CutBody(after))

    with pytest.raises((ChunkedEncodingError, ConnectionError)) as raised:
        client.get(pageSize=1000)

    assert "reset" in str(raised.value).lower()
    assert_fine(client)


def test_short_body_ends_before_its_length(serve):
    client = faulty(serve, ShortBody(100))

    with pytest.raises(ChunkedEncodingError, match="100 more expected"):
        client.get(pageSize=1000)

    assert_fine(client)


def test_truncated_json_has_a_length_that_fits(serve):
    client = faulty(serve, TruncatedJson())
    response = client.get(pageSize=1000)

    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.content)
    assert_fine(client)


def test_broken_gzip(serve):
    client = faulty(serve, BrokenGzip())

    with pytest.raises(ContentDecodingError):
        client.get(pageSize=1000)

    assert_fine(client)


def test_truncated_gzip_gives_half_a_text(serve):
    client = faulty(serve, BrokenGzip(truncated=True))

    response = client.get(pageSize=1000)

    assert int(response.headers["Content-Length"]) > 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.content)
    assert_fine(client)


def test_html(serve):
    response = faulty(serve, Html()).get()

    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert response.text.startswith("<!DOCTYPE html>")
    assert "aw-page" not in response.headers


@pytest.mark.parametrize("packed", [False, True])
def test_pretty_printed(serve, packed):
    client = faulty(serve, PrettyPrinted())
    client.awork.settings.gzip = packed
    client.session.headers["Accept-Encoding"] = "gzip"

    pretty, plain = client.get(), client.get()

    assert pretty.json() == plain.json()
    assert pretty.content.startswith(b"[\n  {\n")
    assert ("Content-Encoding" in pretty.headers) is packed


def test_headers_replaced_and_dropped(serve):
    client = faulty(serve, Headers({"AW-TotalItems": "999", "aw-pagesize": None}))

    response = client.get()

    assert response.headers["aw-totalitems"] == "999"
    assert "aw-pagesize" not in response.headers
    assert response.headers["aw-items"] == "10"
    assert client.get().headers["aw-totalitems"] == "40"


def test_delay_lets_later_requests_overtake_with_the_data_of_its_time(serve):
    client = serve()

    def rule(request, store):
        if request.number == 1:
            return Delay(0.5)
        store.delete(store.ids()[:1])
        return None

    client.awork.faults.add(rule)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.get, pageSize=1000)
        while not client.awork.requests:
            time.sleep(0.01)
        fast = requests.get(client.awork.url + "/timeentries", headers=dict(client.session.headers), timeout=20)

    assert fast.headers["aw-totalitems"] == "39"
    assert len(slow.result().json()) == 40
    delayed, overtaking = client.awork.requests
    while delayed.ended is None:  # the client may have the answer before its end is noted
        time.sleep(0.01)
    assert overtaking.ended < delayed.ended


def test_rules_change_the_store_before_the_answer(serve):
    client = serve()

    def replace_the_oldest(request, store):
        if request.path == "/timeentries":
            store.delete(store.ids()[:1])
            store.add(client.awork.make_entry(note=f"before request {request.number}"))

    client.awork.faults.add(replace_the_oldest)
    before = client.entries
    client.get("/me")

    after = client.rows()

    assert [row["id"] for row in after[:-1]] == [entry["id"] for entry in before[1:]]
    assert after[-1]["note"] == "before request 1"


def test_only_requests_to_lists_are_numbered(serve):
    client = serve()
    seen = []
    client.awork.faults.add(lambda request, store: seen.append((request.number, request.path, dict(request.query))))

    client.get("/me")
    client.get("/users", page=1)
    client.get("/timeentries/x")
    client.get("/nosuch")
    client.get("/timeentries", filterby="isBilled eq true")

    assert seen == [
        (None, "/me", {}),
        (1, "/users", {"page": "1"}),
        (None, "/timeentries/x", {}),
        (None, "/nosuch", {}),
        (2, "/timeentries", {"filterby": "isBilled eq true"}),
    ]


def test_helper_rules(serve):
    client = serve()
    for rule in (every(4, Answer(504)), at(2, Answer(502)), first(1, Answer(501)), at(4, Answer(599))):
        client.awork.faults.add(rule)

    assert [client.get().status_code for _ in range(8)] == [501, 502, 200, 504, 200, 200, 200, 504]
    assert client.get("/me").status_code == 200

    client.awork.faults.clear()
    assert [client.get().status_code for _ in range(4)] == [200] * 4


def test_an_error_in_a_rule_is_a_500_and_fails_the_test_that_wrote_it():
    def broken(request, store):
        raise LookupError("a rule with a mistake")

    awork = Sandbox()
    awork.faults.add(broken)
    awork.__enter__()
    headers = {"Authorization": f"Bearer {awork.token}"}
    assert requests.get(awork.url + "/users", headers=headers, timeout=20).status_code == 500

    with pytest.raises(LookupError, match="a rule with a mistake"):
        awork.__exit__(None, None, None)


def test_latency_holds_every_answer(serve):
    client = serve(latency=0.3)

    started = time.monotonic()
    client.get()

    # A lower bound only: a slow machine cannot break it.
    assert time.monotonic() - started >= 0.3
