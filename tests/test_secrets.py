"""The API key and the passwords of proxies appear nowhere that Airflow shows or stores, masked or not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from airflow_provider_awork.client.http import session
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import DagResult, connection_in_environment, prepare_airflow, run_dag

KEY = "right-key-0a1b2c3d"
WRONG_KEY = "wrong-key-4e5f6a7b"
PROXY_PASSWORD = "proxy-password-8c9d"
NOBODY_LISTENS = "http://127.0.0.1:9/api/v1"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, token=KEY) as sandbox:
        yield sandbox


@pytest.fixture
def connections(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Define connections that work and that fail, with few and quick tries."""
    # Before the test itself, since it takes pytest's log handler away until the next phase.
    prepare_airflow()
    monkeypatch.setattr(session, "RetryRules", partial(session.RetryRules, tries=2, first_wait=0.01))
    proxies = {"http": f"http://someone:{PROXY_PASSWORD}@127.0.0.1:9"}
    with ExitStack() as stack:
        stack.enter_context(connection_in_environment(awork.url, KEY))
        stack.enter_context(connection_in_environment(awork.url, WRONG_KEY, conn_id="awork_wrong_key"))
        stack.enter_context(connection_in_environment(NOBODY_LISTENS, KEY, conn_id="awork_down"))
        stack.enter_context(connection_in_environment(awork.url, KEY, conn_id="awork_proxy", proxies=proxies))
        stack.enter_context(connection_in_environment(awork.url, KEY, conn_id="awork_bad_extra", read_timeout=-1))
        yield


def _dag() -> Any:
    from airflow.sdk import DAG, task

    from airflow_provider_awork.hooks.awork import AworkHook
    from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator

    with DAG("secrets", schedule=None) as dag:
        AworkTimeEntriesOperator(task_id="reads", limit=3)
        AworkTimeEntriesOperator(task_id="bad_filter", filterby="no such expression")
        for conn_id in ("awork_wrong_key", "awork_down", "awork_proxy", "awork_bad_extra"):
            AworkTimeEntriesOperator(task_id=conn_id, awork_conn_id=conn_id)

        @task
        def shows_what_it_can() -> list[str]:
            hook = AworkHook()
            client = hook.get_conn()
            _ = client.identity()
            shown = (hook, hook.config, hook.config.extras, client, client.session)
            return [text for thing in shown for text in (repr(thing), str(thing))]

        @task
        def tests_connections() -> list[str]:
            return [AworkHook(conn_id).test_connection()[1] for conn_id in ("awork_default", "awork_wrong_key")]

        shows_what_it_can()
        tests_connections()
    return dag


def _everything_stored(result: DagResult) -> str:
    return json.dumps([[ti.xcoms, ti.rendered_fields] for ti in result.task_instances.values()])


def test_no_secret_in_logs_xcoms_rendered_fields_or_errors(
    connections: None, awork: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    # All loggers, so that nothing hides at a level that a deployment may turn on.
    with caplog.at_level(logging.DEBUG):
        result = run_dag(_dag())

    states = {task_id: ti.state for (task_id, _), ti in result.task_instances.items()}
    assert states == {
        "reads": "success",
        "shows_what_it_can": "success",
        "tests_connections": "success",
        "bad_filter": "failed",
        "awork_wrong_key": "failed",
        "awork_down": "failed",
        "awork_proxy": "failed",
        "awork_bad_extra": "failed",
    }
    assert len(result.xcom("reads")) == 3
    reasons = ("awork answered 401", "invalid-filter-or-order", "connection refused", "cannot reach the proxy")
    for reason in (*reasons, "read_timeout"):
        assert reason in result.logs
    assert any(record.levelno == logging.DEBUG for record in caplog.records)
    shown = result.logs + caplog.text + _everything_stored(result)
    for secret in (KEY, WRONG_KEY, PROXY_PASSWORD):
        assert secret not in shown
