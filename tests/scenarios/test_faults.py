"""A server or network that fails: waited out where that helps, never half a page, a clear and early end where not."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.client.http.answer import decode_json
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.exceptions import AworkServerError, AworkTransportError
from airflow_provider_awork.sandbox import (
    Answer,
    BrokenGzip,
    CutBody,
    Fault,
    Html,
    RuleRequest,
    Sandbox,
    ShortBody,
    Store,
    TruncatedJson,
    every,
)
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from tests.helpers.airflow_harness import connection_in_environment, run_dag
from tests.helpers.runs import QUICK_RETRIES, hook_for, read_ids

ENTRIES = 2000


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(entries=ENTRIES) as sandbox:
        yield sandbox


@pytest.fixture
def awork(server: Sandbox) -> Iterator[Sandbox]:
    server.requests.clear()
    yield server
    server.faults.clear()


def assert_complete(awork: Sandbox) -> None:
    ids = read_ids(hook_for(awork))
    assert sorted(ids) == sorted(awork.store.ids())


BROKEN = [
    *(Answer(status) for status in (500, 502, 503, 504)),
    CutBody(after_bytes=5000),
    ShortBody(),
    TruncatedJson(),
    BrokenGzip(),
    BrokenGzip(truncated=True),
    Html(),
]


@pytest.mark.parametrize("fault", BROKEN, ids=str)
def test_a_fault_on_every_seventh_request(awork: Sandbox, fault: Fault) -> None:
    awork.faults.add(every(7, fault))
    assert_complete(awork)


def on_page(number: str, fault: Fault, *, times: int) -> Callable[[RuleRequest, Store], Fault | None]:
    met = []

    def rule(request: RuleRequest, store: Store) -> Fault | None:
        if request.query.get("page") != number or len(met) == times:
            return None
        met.append(request)
        return fault

    return rule


@pytest.mark.parametrize("fault", BROKEN, ids=str)
def test_five_faults_in_a_row_on_one_page(awork: Sandbox, fault: Fault) -> None:
    awork.faults.add(on_page("3", fault, times=5))
    assert_complete(awork)


@pytest.mark.parametrize("fault", BROKEN, ids=str)
def test_a_page_that_never_comes(awork: Sandbox, fault: Fault) -> None:
    awork.faults.add(on_page("3", fault, times=1000))
    with pytest.raises((AworkServerError, AworkTransportError), match=r"timeentries|unreadable body"):
        read_ids(hook_for(awork), concurrency=1)
    assert sum(record.query.get("page") == "3" for record in awork.requests) == QUICK_RETRIES.tries


# -- servers that keep one waiting -----------------------------------------------------------------------------------


@contextmanager
def slow_server(first_bytes: bytes, *, then_each: float | None, more: bytes = b" ") -> Iterator[str]:
    """Accepts everybody, sends these bytes, then more, byte by byte, each so many seconds for ever, or nothing."""
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(first_bytes)
                for number in itertools.count():
                    if stop.wait(then_each or 60):
                        return
                    connection.sendall(more[number % len(more) :][:1])
            except OSError:
                return  # the client went

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)


WITH_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n["
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
WITHOUT_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n["


@pytest.mark.parametrize(
    ("first_bytes", "then_each", "more"),
    [
        (b"", None, b" "),
        (b"", 0.05, b"HTTP/1.1 200 OK, or so it may say at some time in the future"),
        (b"HTTP/1.1 200 OK\r\n", 0.05, b"x-header: one of many\r\n"),
        (b"HTTP/1.1 100 Continue\r\n", 0.05, b"\r\nHTTP/1.1 100 Continue\r\n"),
        (WITH_LENGTH, None, b" "),
        (WITH_LENGTH, 0.05, b" "),
        (WITHOUT_LENGTH, 0.05, b" "),
        (CHUNKED, 0.05, b"1\r\n \r\n"),
    ],
    ids=[
        "no answer",
        "a status line that trickles",
        "headers that trickle",
        "interim answers that trickle",
        "half an answer",
        "a body that trickles",
        "a body without length that trickles",
        "chunks that trickle",
    ],
)
def test_a_server_that_keeps_one_waiting_is_left_in_bounded_time(
    first_bytes: bytes, then_each: float | None, more: bytes
) -> None:
    with slow_server(first_bytes, then_each=then_each, more=more) as url:
        config = build_config(token="key", base_url=url, extras={"read_timeout": 0.2})
        session = AworkSession(config, retry=RetryRules(tries=2, first_wait=0.01, answer_factor=2))
        started = time.monotonic()
        with pytest.raises(AworkTransportError, match=r"GET me: .*([Tt]imed out|too slowly)"):
            session.get("me", parse=decode_json)
        # Two tries of at most 0.2 * 2 seconds and the time of one more byte; far from for ever on any machine.
        assert time.monotonic() - started < 10


# -- a key that stops working ----------------------------------------------------------------------------------------


def test_a_key_that_stops_working_in_the_middle(awork: Sandbox, tmp_path: Path) -> None:
    def unauthorized(request: RuleRequest, store: Store) -> Fault | None:
        return Answer(401) if request.number is not None and len(awork.requests) > 10 else None

    awork.faults.add(unauthorized)
    awork.settings.max_page_size = 100
    with DAG("a_key_that_stops", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=f"file://{tmp_path}/out", retries=3, retry_delay=0
        )
    with connection_in_environment(awork.url, awork.token):
        result = run_dag(dag)
    awork.settings.max_page_size = 1000
    task = result.task("export")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "AworkAuthenticationError" in result.logs
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    refused = [record for record in awork.requests if record.status == 401]
    assert 1 <= len(refused) <= 10  # those that were in flight already, none tried again
