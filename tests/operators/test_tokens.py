"""OAuth tokens in real DAG runs: kept fresh by one task, read by all others, never shown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.client.http.oauth import TokenPair, parse_pair
from airflow_provider_awork.exceptions import AworkConfigError, AworkPollError
from airflow_provider_awork.hooks import token_store
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.hooks.token_store import TokenStore
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.operators.tokens import AworkRefreshTokenOperator
from airflow_provider_awork.sandbox import Answer, CutBody, Fault, Sandbox
from airflow_provider_awork.triggers.poller import Poller
from tests.helpers.airflow_harness import DagResult, prepare_airflow, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")
VARIABLE = "awork_person_token"
CLIENT, SECRET = "agency-warehouse", "client-secret-0a1b"
PUBLIC = "agency-laptop"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20) as sandbox:
        sandbox.oauth.add_client(CLIENT, secret=SECRET)
        sandbox.oauth.add_client(PUBLIC)
        yield sandbox


@pytest.fixture(autouse=True)
def _connection(awork: Sandbox) -> Iterator[None]:
    # Before the test itself, since it takes pytest's log handler away until the next phase.
    prepare_airflow()
    awork.faults.clear()
    with connection(awork):
        yield


def connection(awork: Sandbox, **fields: Any) -> Any:
    described = {
        "conn_type": "awork",
        "host": awork.url,
        "login": CLIENT,
        "password": SECRET,
        "extra": {"oauth_variable": VARIABLE},
        **fields,
    }
    return mock.patch.dict(os.environ, AIRFLOW_CONN_AWORK_PERSON=json.dumps(described))


def set_variable(text: str) -> None:
    from airflow.models.variable import Variable as StoredVariable

    StoredVariable.set(VARIABLE, text)


def stored() -> TokenPair:
    from airflow.models.variable import Variable as StoredVariable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(select(StoredVariable).filter_by(key=VARIABLE)).one()
        return parse_pair(row.val)


def authorise(awork: Sandbox, client_id: str = CLIENT) -> dict[str, Any]:
    """A person authorises, and stores awork's answer as it came."""
    answer = awork.oauth.authorise(client_id)
    set_variable(json.dumps(answer))
    return answer


def outside_of_a_task() -> Any:
    """Where there is no task, Airflow looks for Variables in the environment only."""
    return mock.patch.dict(os.environ, {f"AIRFLOW_VAR_{VARIABLE.upper()}": stored().to_json()})


def age(hours: float, **changes: Any) -> TokenPair:
    """Make the stored pair older."""
    import msgspec

    pair = msgspec.structs.replace(stored(), refreshed_at=datetime.now(UTC) - timedelta(hours=hours), **changes)
    set_variable(pair.to_json())
    return pair


def refresh(dag_id: str, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        AworkRefreshTokenOperator(
            task_id="refresh", **{"awork_conn_id": "awork_person", "retries": 1, "retry_delay": 0, **parameters}
        )
    return run_dag(dag)


def export(dag_id: str) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator(task_id="entries", awork_conn_id="awork_person", fields=["id"], retries=1)
    return run_dag(dag)


def token_requests(awork: Sandbox) -> list[Any]:
    return [request for request in awork.requests if request.path == "/accounts/token"]


def on_token_endpoint(awork: Sandbox, fault: Fault) -> None:
    awork.faults.add(lambda request, store: fault if request.path == "/accounts/token" else None)


# -- the good case ------------------------------------------------------------------------------------------------


def test_tokens_rotate_from_run_to_run_and_exports_read_the_newest(awork: Sandbox) -> None:
    seen = [authorise(awork)["access_token"]]
    for number in range(3):
        result = refresh("tokens_rotate")
        summary = result.xcom("refresh")
        assert (result.state, summary["refreshed"], summary["variable"]) == ("success", True, VARIABLE)
        pair = stored()
        assert pair.expires_at
        assert timedelta(hours=23) < pair.expires_at - datetime.now(UTC) <= timedelta(hours=24)
        assert (pair.refreshed_by, pair.refreshing_since) == ("tokens_rotate", None)
        assert pair.access_token not in seen
        seen.append(pair.access_token)
        assert len(export(f"tokens_export_{number}").xcom("entries")) == 20
        age(12)


def test_a_public_client_has_no_secret(awork: Sandbox) -> None:
    authorise(awork, PUBLIC)
    with connection(awork, login=PUBLIC, password=None):
        assert refresh("tokens_public").xcom("refresh")["refreshed"]


def test_a_young_pair_stays_unless_forced(awork: Sandbox) -> None:
    authorise(awork)
    refresh("tokens_young")
    before, asked = stored(), len(token_requests(awork))
    second = refresh("tokens_young")
    assert (second.state, second.xcom("refresh")["refreshed"]) == ("success", False)
    assert (stored(), len(token_requests(awork))) == (before, asked)
    assert refresh("tokens_young", force="{{ true }}").xcom("refresh")["refreshed"]
    assert refresh("tokens_young", min_age=timedelta(0)).xcom("refresh")["refreshed"]
    assert stored().refresh_token != before.refresh_token


# -- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_void_refresh_token_says_who_has_to_do_what(awork: Sandbox) -> None:
    answer = authorise(awork)
    refresh("tokens_void")
    set_variable(json.dumps(answer))  # somebody restored an old value
    result = refresh("tokens_void")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    for part in ("invalid_grant", "'awork_person'", "authorise again", VARIABLE):
        assert part in result.logs
    assert stored() == parse_pair(json.dumps(answer))


def test_a_wrong_secret_costs_nothing(awork: Sandbox) -> None:
    authorise(awork)
    with connection(awork, password="wrong-secret"):
        result = refresh("tokens_wrong_secret")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    assert "invalid_client" in result.logs
    assert refresh("tokens_wrong_secret").state == "success"


@pytest.mark.parametrize(
    "fault",
    [CutBody(10), Answer(500)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_lost_answer_is_never_asked_for_again(awork: Sandbox, fault: Fault) -> None:
    answer = authorise(awork)
    age(12, expires_at=datetime.now(UTC) + timedelta(hours=12))
    on_token_endpoint(awork, fault)
    asked = len(token_requests(awork))
    result = refresh("tokens_lost")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    assert "may have voided the refresh token" in result.logs
    assert "the access token works" in result.logs

    awork.faults.clear()
    later = refresh("tokens_lost")  # the next scheduled run
    assert later.state == "failed"
    assert "is not finished" in later.logs
    assert len(token_requests(awork)) == asked + 1
    # Exports go on meanwhile.
    assert export("tokens_lost_export").state == "success"
    assert stored().access_token == answer["access_token"]
    # A person decides to try, or authorises again.
    forced = refresh("tokens_lost", force=True)
    got_it = isinstance(fault, CutBody)
    assert forced.state == ("failed" if got_it else "success")
    authorise(awork)
    assert refresh("tokens_lost").xcom("refresh")["refreshed"]


def test_where_awork_is_not_reached_another_try_is_safe(awork: Sandbox) -> None:
    answer = authorise(awork)
    with connection(awork, host="http://127.0.0.1:9/api/v1"):
        result = refresh("tokens_down")
    assert (result.state, result.task("refresh").try_number) == ("failed", 2)
    assert "awork was not reached" in result.logs
    assert stored() == parse_pair(json.dumps(answer))
    assert refresh("tokens_down").state == "success"


def test_a_used_up_rate_limit_costs_nothing(awork: Sandbox) -> None:
    answers = iter([Answer(429, headers={"ratelimit-reset": "1"})])
    authorise(awork)
    awork.faults.add(lambda request, store: next(answers, None) if request.path == "/accounts/token" else None)
    result = refresh("tokens_429")
    assert (result.state, result.task("refresh").try_number) == ("success", 2)


def test_a_pair_without_a_new_refresh_token_keeps_the_old_one(awork: Sandbox) -> None:
    answer = authorise(awork)
    on_token_endpoint(awork, Answer(200, {"access_token": "another", "token_type": "Bearer"}))
    assert refresh("tokens_not_rotated").state == "success"
    assert (stored().access_token, stored().refresh_token) == ("another", answer["refresh_token"])
    assert stored().expires_at is None


def test_a_pair_that_cannot_be_stored_is_said_to_be_lost(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    authorise(awork)
    write = TokenStore.write

    def fails(self: TokenStore, pair: TokenPair) -> None:
        if pair.refreshing_since is None:
            raise ConnectionError("the API server is down")
        write(self, pair)

    monkeypatch.setattr(TokenStore, "write", fails)
    monkeypatch.setattr(token_store, "FIRST_WAIT", 0.0)
    result = refresh("tokens_not_stored")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    for part in ("the API server is down", "awork issued a new token pair", "authorise again"):
        assert part in result.logs
    monkeypatch.undo()
    assert "is not finished" in refresh("tokens_not_stored").logs


def test_a_store_that_fails_at_first_is_tried_again(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    authorise(awork)
    failures, write = iter([True, True]), TokenStore.write

    def fails_at_first(self: TokenStore, pair: TokenPair) -> None:
        if pair.refreshing_since is None and next(failures, False):
            raise ConnectionError("the API server is down")
        write(self, pair)

    monkeypatch.setattr(TokenStore, "write", fails_at_first)
    monkeypatch.setattr(token_store, "FIRST_WAIT", 0.0)
    assert refresh("tokens_stored_late").state == "success"
    assert stored().refreshed_by == "tokens_stored_late"


def test_a_variable_that_airflow_reads_elsewhere_is_noticed_before_anything_is_spent(awork: Sandbox) -> None:
    answer = authorise(awork)
    asked = len(token_requests(awork))
    with mock.patch.dict(os.environ, {f"AIRFLOW_VAR_{VARIABLE.upper()}": json.dumps(answer)}):
        result = refresh("tokens_shadowed")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    assert "does not read back" in result.logs
    assert len(token_requests(awork)) == asked


KILLED = """
import os
import signal
from unittest import mock

import pendulum
from airflow.sdk import DAG

from airflow_provider_awork.client.http.oauth import OAuthClient
from airflow_provider_awork.operators.tokens import AworkRefreshTokenOperator
from tests.helpers.airflow_harness import run_dag

refresh = OAuthClient.refresh

def refresh_and_die(self, pair):
    refresh(self, pair)
    os.kill(os.getpid(), signal.SIGKILL)

with DAG("tokens_killed", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
    AworkRefreshTokenOperator(task_id="refresh", awork_conn_id="awork_person")
with mock.patch.object(OAuthClient, "refresh", refresh_and_die):
    run_dag(dag)
"""


def test_killed_between_the_exchange_and_the_store(awork: Sandbox, tmp_path: Path) -> None:
    answer = authorise(awork)
    asked = len(token_requests(awork))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert len(token_requests(awork)) == asked + 1
    assert stored().refreshing_since
    assert stored().refresh_token == answer["refresh_token"]

    after = refresh("tokens_after_kill")
    assert (after.state, after.task("refresh").try_number) == ("failed", 1)
    for part in ("is not finished", "authorise again", VARIABLE, "force=True"):
        assert part in after.logs
    assert len(token_requests(awork)) == asked + 1
    assert export("tokens_after_kill_export").state == "success"
    assert "invalid_grant" in refresh("tokens_after_kill", force=True).logs
    authorise(awork)
    assert refresh("tokens_after_kill").state == "success"


# -- reading ------------------------------------------------------------------------------------------------------


def test_an_expired_access_token_names_the_connection_and_the_dag(awork: Sandbox) -> None:
    authorise(awork)
    refresh("keeps_tokens_fresh")
    awork.oauth.expire_access_tokens()
    result = export("tokens_expired")
    task = result.task("entries")
    assert (task.state, task.try_number, "return_value" in task.xcoms) == ("failed", 1, False)
    for part in ("401", "Token expired", "'awork_person'", VARIABLE, "DAG 'keeps_tokens_fresh' refreshes it"):
        assert part in result.logs
    age(12)
    refresh("keeps_tokens_fresh")
    assert export("tokens_fresh_again").state == "success"


def test_the_end_of_a_token_is_announced(awork: Sandbox) -> None:
    authorise(awork)
    age(23.5, expires_at=datetime.now(UTC) + timedelta(minutes=30))
    result = export("tokens_ending")
    assert result.state == "success"
    assert "see why its last run did not" in result.logs


def test_one_hook_reads_its_token_once(awork: Sandbox) -> None:
    authorise(awork)
    counted = mock.patch.object(TokenStore, "read", autospec=True, side_effect=TokenStore.read)
    with outside_of_a_task(), counted as read:
        hook = AworkHook("awork_person")
        assert read.call_count == 0
        assert hook.count_time_entries() == hook.count_time_entries() == 20
        assert read.call_count == 1


def test_the_test_button_works(awork: Sandbox) -> None:
    authorise(awork)
    with outside_of_a_task():
        works, message = AworkHook("awork_person").test_connection()
    assert works, message


async def _poll_across_a_refresh(awork: Sandbox) -> list[int]:
    def count(hook: AworkHook) -> int:
        return hook.count_time_entries()

    async with Poller("awork_person") as poller:
        with outside_of_a_task():
            counts = [await poller.ask(count)]
        awork.oauth.expire_access_tokens()
        authorise(awork)
        with outside_of_a_task():
            with pytest.raises(AworkPollError, match="another key now"):
                await poller.ask(count)
            counts.append(await poller.ask(count))
        return counts


def test_triggers_go_on_with_the_next_token(awork: Sandbox) -> None:
    authorise(awork)
    assert asyncio.run(_poll_across_a_refresh(awork)) == [20, 20]


# -- connections and Variables that cannot work -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"extra": {"oauth_variable": "awork_person"}}, "does not end in _token"),
        ({"extra": {"oauth_variable": "no_such_token"}}, "there is no Variable 'no_such_token'"),
        ({"extra": {}}, "login"),
        ({"schema": "https"}, "schema"),
    ],
)
def test_a_wrong_connection_names_the_field(awork: Sandbox, fields: dict[str, Any], said: str) -> None:
    with connection(awork, **fields), pytest.raises(AworkConfigError, match=f"awork_person.*{said}"):
        _ = AworkHook("awork_person").config


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": None}, "login"),
        ({"login": None, "extra": {}}, "oauth_variable"),
        ({"host": "api.awork.com"}, "host"),
    ],
)
def test_a_connection_that_cannot_be_refreshed(awork: Sandbox, fields: dict[str, Any], said: str) -> None:
    authorise(awork)
    with connection(awork, **fields):
        result = refresh("tokens_wrong_connection")
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    assert said in result.logs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a-token",
        "[]",
        "null",
        '{"access_token": "hidden-5e6f"}',
        '{"access_token": "a b", "refresh_token": "hidden"}',
    ],
)
def test_a_variable_with_something_else(awork: Sandbox, text: str) -> None:
    elsewhere = mock.patch.dict(os.environ, {f"AIRFLOW_VAR_{VARIABLE.upper()}": text})
    with elsewhere, pytest.raises(AworkConfigError, match=f"awork_person.*{VARIABLE}") as raised:
        _ = AworkHook("awork_person").config
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("force", ["perhaps", 1, None])
def test_force_is_true_or_false(awork: Sandbox, force: Any) -> None:
    authorise(awork)
    result = refresh("tokens_force", force=force)
    assert (result.state, result.task("refresh").try_number) == ("failed", 1)
    assert "force" in result.logs


# -- secrets ------------------------------------------------------------------------------------------------------


def test_no_secret_is_shown(awork: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    answers = [authorise(awork)]
    with caplog.at_level(logging.DEBUG, logger="airflow_provider_awork"), caplog.at_level(logging.INFO):
        results = [refresh("tokens_secret"), export("tokens_secret_export")]
        answers.append(json.loads(stored().to_json()))
        with connection(awork, password="wrong-secret-7c8d"):
            results.append(refresh("tokens_secret", force=True))
        awork.oauth.expire_access_tokens()
        results.append(export("tokens_secret_export"))
        on_token_endpoint(awork, CutBody(20))
        results.append(refresh("tokens_secret", force=True))
    assert [result.state for result in results] == ["success", "success", "failed", "failed", "failed"]
    stored_by_airflow = [[ti.xcoms, ti.rendered_fields] for result in results for ti in result.task_instances.values()]
    hook = AworkHook("awork_person")
    shown = [result.logs for result in results] + [caplog.text, json.dumps(stored_by_airflow)]
    with outside_of_a_task():
        shown += [repr(hook.config), repr(hook.oauth_client()), repr(stored()), str(stored())]
    secrets = [SECRET, "wrong-secret-7c8d", *(a[key] for a in answers for key in ("access_token", "refresh_token"))]
    assert len(set(secrets)) == 6
    for secret in secrets:
        assert secret not in "".join(shown)


def test_airflow_masks_the_variable_where_it_shows_it(awork: Sandbox) -> None:
    from airflow.api_fastapi.core_api.datamodels.variables import VariableResponse
    from airflow.sdk.log import redact

    answer = authorise(awork)
    refresh("tokens_masked")
    pair = stored()
    shown = VariableResponse.model_validate(
        {"key": VARIABLE, "value": pair.to_json(), "description": "", "is_encrypted": True, "team_name": None}
    )
    assert answer
    assert not any(secret in shown.model_dump_json() for secret in pair.secrets())
    with outside_of_a_task():
        _ = TokenStore(VARIABLE).read()
    assert pair.secrets()[0] not in str(redact(f"a line with {pair.secrets()[0]}"))
    assert pair.secrets()[1] not in str(redact(f"a line with {pair.secrets()[1]}"))
