"""awork's OAuth endpoints as the sandbox has them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from airflow_provider_awork.sandbox import Sandbox

CONFIDENTIAL = ("agency-warehouse", "s3cret:with%odd chars")
PUBLIC = "agency-laptop"
REDIRECT = "http://localhost:8400/callback"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=3) as sandbox:
        sandbox.oauth.add_client(CONFIDENTIAL[0], secret=CONFIDENTIAL[1])
        sandbox.oauth.add_client(PUBLIC)
        yield sandbox


def ask(awork: Sandbox, form: dict[str, str], **options: Any) -> requests.Response:
    return requests.post(f"{awork.url}/accounts/token", data=form, timeout=10, **options)


def refresh(awork: Sandbox, token: str) -> requests.Response:
    return ask(awork, {"grant_type": "refresh_token", "refresh_token": token}, auth=CONFIDENTIAL)


def me(awork: Sandbox, token: str) -> requests.Response:
    return requests.get(f"{awork.url}/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_each_use_of_a_refresh_token_gives_a_new_pair_and_voids_it(awork: Sandbox) -> None:
    first = awork.oauth.authorise(CONFIDENTIAL[0])
    second = refresh(awork, first["refresh_token"]).json()
    again = refresh(awork, first["refresh_token"])
    assert (second["token_type"], second["expires_in"]) == ("Bearer", 86400)
    assert {second["access_token"], second["refresh_token"]}.isdisjoint(first.values())
    assert (again.status_code, again.json()["code"]) == (400, "invalid_grant")
    assert refresh(awork, second["refresh_token"]).status_code == 200


def test_an_access_token_works_until_it_expires(awork: Sandbox) -> None:
    pair = awork.oauth.authorise(PUBLIC)
    assert me(awork, pair["access_token"]).status_code == 200
    awork.oauth.expire_access_tokens()
    expired = me(awork, pair["access_token"])
    assert expired.status_code == 401
    assert "token expired" in expired.text.lower()
    assert me(awork, awork.token).status_code == 200


def test_an_old_refresh_token_is_dead(awork: Sandbox) -> None:
    awork.settings.refresh_token_seconds = 0
    pair = awork.oauth.authorise(CONFIDENTIAL[0])
    awork.settings.refresh_token_seconds = 30 * 86400
    assert refresh(awork, pair["refresh_token"]).json()["code"] == "invalid_grant"


def test_public_clients_name_themselves_in_the_body(awork: Sandbox) -> None:
    token = awork.oauth.authorise(PUBLIC)["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert ask(awork, form).status_code == 401
    assert ask(awork, {**form, "client_id": PUBLIC}).status_code == 200


@pytest.mark.parametrize(
    "auth", [(CONFIDENTIAL[0], "wrong"), ("somebody", CONFIDENTIAL[1]), (CONFIDENTIAL[0], ""), None]
)
def test_a_client_that_does_not_authenticate_is_refused(awork: Sandbox, auth: tuple[str, str] | None) -> None:
    token = awork.oauth.authorise(CONFIDENTIAL[0])["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": CONFIDENTIAL[0]}
    answer = ask(awork, form, auth=auth)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_client")
    assert refresh(awork, token).status_code == 200


def test_a_refresh_token_belongs_to_its_client(awork: Sandbox) -> None:
    token = awork.oauth.authorise(PUBLIC)["refresh_token"]
    assert refresh(awork, token).json()["code"] == "invalid_grant"


def test_parameters_outside_the_body_are_refused(awork: Sandbox) -> None:
    token = awork.oauth.authorise(CONFIDENTIAL[0])["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    for options in ({"params": {"a": "b"}}, {"headers": {"Content-Type": "application/json"}}):
        answer = ask(awork, form, auth=CONFIDENTIAL, **options)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert ask(awork, {**form, "grant_type": "password"}, auth=CONFIDENTIAL).json()["code"] == "unsupported_grant_type"


def authorization_code(awork: Sandbox, client_id: str, **further: str) -> str:
    query = {"client_id": client_id, "response_type": "code", "redirect_uri": REDIRECT, "state": "xyz", **further}
    answer = requests.get(f"{awork.url}/accounts/authorize", params=query, allow_redirects=False, timeout=10)
    assert answer.headers["location"].startswith(f"{REDIRECT}?")
    answered = parse_qs(urlsplit(answer.headers["location"]).query)
    assert answered["state"] == ["xyz"]
    return answered["code"][0]


def test_a_code_gives_a_pair_once(awork: Sandbox) -> None:
    code = authorization_code(awork, CONFIDENTIAL[0])
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    assert me(awork, ask(awork, form, auth=CONFIDENTIAL).json()["access_token"]).status_code == 200
    assert ask(awork, form, auth=CONFIDENTIAL).json()["code"] == "invalid_grant"


def test_public_clients_need_pkce(awork: Sandbox) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "client_id": PUBLIC}
    answers = {
        "without": ask(awork, {**form, "code": authorization_code(awork, PUBLIC)}),
        "wrong": ask(
            awork,
            {**form, "code": authorization_code(awork, PUBLIC, code_challenge=challenge), "code_verifier": "other"},
        ),
        "right": ask(
            awork,
            {**form, "code": authorization_code(awork, PUBLIC, code_challenge=challenge), "code_verifier": verifier},
        ),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "without": 400,
        "wrong": 400,
        "right": 200,
    }
