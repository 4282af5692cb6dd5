"""The exchange of a refresh token, over real HTTP: one request, and every end of it told apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from rich.pretty import pretty_repr

from airflow_provider_awork.client.http.config import ConnectionExtras
from airflow_provider_awork.client.http.oauth import OAuthClient, TokenPair, parse_pair
from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkRateLimitError,
    AworkTokenError,
    AworkTokenLostError,
    AworkTransportError,
)
from airflow_provider_awork.sandbox import Answer, BrokenGzip, CutBody, Fault, Html, Sandbox, ShortBody, Stall
from airflow_provider_awork.sandbox import TruncatedJson as Truncated

CLIENT, SECRET, PUBLIC = "agency-warehouse", "s3cret:with%odd chars", "agency-laptop"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.oauth.add_client(CLIENT, secret=SECRET)
        sandbox.oauth.add_client(PUBLIC)
        yield sandbox


@pytest.fixture
def awork(sandbox: Sandbox) -> Iterator[Sandbox]:
    yield sandbox
    sandbox.faults.clear()


def client(awork: Sandbox, client_id: str = CLIENT, secret: str | None = SECRET, **extras: Any) -> OAuthClient:
    return OAuthClient(client_id=client_id, client_secret=secret, base_url=awork.url, extras=ConnectionExtras(**extras))


def a_pair(awork: Sandbox, client_id: str = CLIENT) -> TokenPair:
    answer = awork.oauth.authorise(client_id)
    return TokenPair(access_token=answer["access_token"], refresh_token=answer["refresh_token"])


def test_a_new_pair(awork: Sandbox) -> None:
    old = a_pair(awork)
    new = client(awork).refresh(old)
    assert {new.access_token, new.refresh_token}.isdisjoint(old.secrets())
    assert awork.oauth.state_of(new.access_token) == "valid"
    assert new.expires_at
    assert new.refreshed_at
    assert new.expires_at - new.refreshed_at == timedelta(days=1)
    assert abs(new.refreshed_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert parse_pair(new.to_json()) == new
    request = awork.requests[-1]
    assert (request.method, request.path, request.query) == ("POST", "/accounts/token", {})
    assert parse_qs(request.body.decode()) == {"grant_type": ["refresh_token"], "refresh_token": [old.refresh_token]}


def test_scopes_in_the_answer_do_no_harm(awork: Sandbox) -> None:
    body = {"access_token": "a", "refresh_token": "r", "token_type": "bearer", "scope": "full_access offline_access"}
    awork.faults.add(lambda request, store: Answer(200, body))
    assert client(awork).refresh(a_pair(awork)).secrets() == ["a", "r"]


def test_a_public_client_sends_its_id_and_no_password_of_a_netrc_file(
    awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client(awork, PUBLIC, None).refresh(a_pair(awork, PUBLIC))
    assert parse_qs(awork.requests[-1].body.decode())["client_id"] == [PUBLIC]


@pytest.mark.parametrize(
    "fault",
    [
        CutBody(0),
        CutBody(20),
        ShortBody(),
        Truncated(),
        BrokenGzip(),
        Html(),
        Stall(3),
        Answer(500),
        Answer(503, "<html></html>", {"content-type": "text/html"}),
        Answer(204, b""),
        Answer(200, {}),
        Answer(200, []),
        Answer(200, b"\xff\xfe"),
        Answer(200, {"access_token": 1}),
        Answer(200, {"access_token": "hidden\n", "token_type": "Bearer"}),
        Answer(200, {"access_token": "hidden", "token_type": "Bearer", "expires_in": "soon"}),
        Answer(200, {"access_token": "hidden", "token_type": "Bearer", "expires_in": 1e300}),
        Answer(302, "", {"location": "http://127.0.0.1:9/elsewhere"}),
    ],
    ids=repr,
)
def test_without_a_usable_answer_the_token_counts_as_lost(awork: Sandbox, fault: Fault) -> None:
    pair = a_pair(awork)
    awork.faults.add(lambda request, store: fault)
    before = len(awork.requests)
    with pytest.raises(AworkTokenLostError) as raised:
        client(awork, read_timeout=0.5).refresh(pair)
    assert len(awork.requests) == before + 1
    assert not any(secret in str(raised.value) for secret in (*pair.secrets(), SECRET, "hidden"))


def test_nobody_there_is_nothing_lost() -> None:
    unreachable = OAuthClient(
        client_id=CLIENT, client_secret=SECRET, base_url="http://127.0.0.1:9/api/v1", extras=ConnectionExtras()
    )
    with pytest.raises(AworkTransportError, match="nothing is lost"):
        unreachable.refresh(TokenPair(access_token="a", refresh_token="r"))


def test_a_proxy_that_is_not_there_is_nothing_lost_and_not_shown(awork: Sandbox) -> None:
    proxies = {"http": "http://someone:proxy-password@127.0.0.1:9"}
    with pytest.raises(AworkTransportError, match="nothing is lost") as raised:
        client(awork, proxies=proxies).refresh(a_pair(awork))
    assert "proxy-password" not in str(raised.value)


def test_a_used_up_rate_limit_is_nothing_lost(awork: Sandbox) -> None:
    awork.faults.add(lambda request, store: Answer(429, headers={"retry-after": "7"}))
    with pytest.raises(AworkRateLimitError) as raised:
        client(awork).refresh(a_pair(awork))
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(400, {"code": "invalid_grant", "description": "Used."}), "invalid_grant.*Used"),
        (Answer(400, {"error": "invalid_grant", "error_description": "Used."}), "invalid_grant.*Used"),
        (Answer(403, "<html></html>", {"content-type": "text/html"}), "403"),
        (Answer(401), "401"),
    ],
)
def test_a_refusal_says_why(awork: Sandbox, answer: Answer, said: str) -> None:
    awork.faults.add(lambda request, store: answer)
    with pytest.raises(AworkTokenError, match=said) as raised:
        client(awork).refresh(a_pair(awork))
    assert not isinstance(raised.value, AworkTokenLostError)


def test_a_refusal_does_not_show_tokens_although_awork_does(awork: Sandbox) -> None:
    pair = a_pair(awork)
    shown = f"{pair.refresh_token} of {SECRET} was used"
    awork.faults.add(lambda request, store: Answer(400, {"error": "invalid_grant", "error_description": shown}))
    with pytest.raises(AworkTokenError, match=r"\*\*\* of \*\*\* was used") as raised:
        client(awork).refresh(pair)
    assert not any(secret in str(raised.value) for secret in (*pair.secrets(), SECRET))


def test_tokens_are_in_no_repr(awork: Sandbox) -> None:
    pair = a_pair(awork)
    for thing in (pair, client(awork)):
        for shown in (repr(thing), pretty_repr(thing)):
            assert not any(secret in shown for secret in (*pair.secrets(), SECRET))


def test_awork_s_own_answer_is_a_pair(awork: Sandbox) -> None:
    import json

    answer = awork.oauth.authorise(CLIENT)
    pair = parse_pair(json.dumps(answer))
    assert (pair.access_token, pair.refresh_token, pair.expires_at) == (
        answer["access_token"],
        answer["refresh_token"],
        None,
    )


@pytest.mark.parametrize(
    "text", ["", "hidden", "{}", '{"access_token": "hidden"}', '["hidden"]', '{"access_token": 1}']
)
def test_anything_else_is_none_and_is_not_shown(text: str) -> None:
    with pytest.raises(AworkConfigError) as raised:
        parse_pair(text)
    assert "hidden" not in str(raised.value)
