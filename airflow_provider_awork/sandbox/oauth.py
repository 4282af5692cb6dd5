"""
awork's OAuth endpoints. Facts: sections 2.2 and 2.3 of the API facts; https://developers.awork.com/authentication

Where they are thin: the person who authorises always agrees, as the sandbox's one user; errors have RFC 6749's codes in
``{code, description}``; a refresh leaves earlier access tokens valid until they expire, and using a void refresh token
voids nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from binascii import Error as BadBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_awork.sandbox.settings import Settings

TOKEN_PATH = "/accounts/token"  # noqa: S105 - a path
AUTHORIZE_PATH = "/accounts/authorize"

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class _Client:
    id: str
    secret: str | None


@dataclass(frozen=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str | None


@dataclass(frozen=True)
class _RefreshToken:
    client_id: str
    ends: float


@dataclass
class _Refusal(Exception):
    """An error answer of the token endpoint."""

    code: str
    description: str
    status: int = 400


@dataclass(kw_only=True)
class OAuth:
    """
    Clients and their tokens.

    :param settings: how long tokens live.
    """

    settings: Settings
    _clients: dict[str, _Client] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _access_tokens: dict[str, float] = field(default_factory=dict)
    _refresh_tokens: dict[str, _RefreshToken] = field(default_factory=dict)

    def add_client(self, client_id: str, *, secret: str | None = None) -> None:
        """Register a client: confidential with a secret, public without."""
        self._clients[client_id] = _Client(client_id, secret)

    def authorise(self, client_id: str) -> dict[str, Any]:
        """What the token endpoint answers once a person has authorised the client."""
        return self._issue(self._clients[client_id])

    def expire_access_tokens(self) -> None:
        """As if all access tokens were older than they live."""
        self._access_tokens = dict.fromkeys(self._access_tokens, 0.0)

    def state_of(self, access_token: str) -> Literal["valid", "expired", "unknown"]:
        """Whether requests with this token are answered."""
        ends = self._access_tokens.get(access_token)
        if ends is None:
            return "unknown"
        return "valid" if time.time() < ends else "expired"

    def routes(self, base_path: str) -> list[Route]:
        """The endpoints; they need no bearer token."""

        async def token(request: Request) -> Response:
            return self._token(request, await request.body())

        async def authorize(request: Request) -> Response:
            return self._authorize(request.query_params)

        return [
            Route(f"{base_path}{TOKEN_PATH}", token, methods=["POST"], name="change"),
            Route(f"{base_path}{AUTHORIZE_PATH}", authorize, methods=["GET"], name="single"),
        ]

    def _authorize(self, query: Mapping[str, str]) -> Response:
        if query.get("client_id") not in self._clients or query.get("response_type") != "code":
            return _json({"code": "invalid_request", "description": "client_id or response_type is wrong."}, 400)
        code, redirect_uri = token_urlsafe(24), query.get("redirect_uri", "")
        self._codes[code] = _Code(query["client_id"], redirect_uri, query.get("code_challenge"))
        answer = {"code": code} | ({"state": query["state"]} if "state" in query else {})
        return RedirectResponse(f"{redirect_uri}?{urlencode(answer)}", status_code=302)

    def _token(self, request: Request, body: bytes) -> Response:
        try:
            return _json(self._granted(request, body), 200)
        except _Refusal as refusal:
            return _json({"code": refusal.code, "description": refusal.description}, refusal.status)

    def _granted(self, request: Request, body: bytes) -> dict[str, Any]:
        if request.url.query:
            raise _Refusal("invalid_request", "Parameters belong in the body.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
            raise _Refusal("invalid_request", f"The content type must be {_FORM}.")
        form = dict(parse_qsl(body.decode(errors="replace")))
        client = self._authenticated(request.headers.get("authorization"), form)
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(client, form)
        if form.get("grant_type") == "authorization_code":
            return self._exchanged(client, form)
        raise _Refusal("unsupported_grant_type", "Only authorization_code and refresh_token are supported.")

    def _authenticated(self, authorization: str | None, form: Mapping[str, str]) -> _Client:
        """The client: confidential ones by HTTP Basic, public ones by ``client_id`` in the body."""
        client_id, secret = _basic(authorization) if authorization else (form.get("client_id", ""), None)
        client = self._clients.get(client_id)
        if client is None or client.secret != secret:
            raise _Refusal("invalid_client", "The client is unknown or did not authenticate.", 401)
        return client

    def _refreshed(self, client: _Client, form: Mapping[str, str]) -> dict[str, Any]:
        known = self._refresh_tokens.get(form.get("refresh_token", ""))
        if known is None or known.client_id != client.id or time.time() >= known.ends:
            raise _Refusal("invalid_grant", "The refresh token is invalid, used or expired.")
        del self._refresh_tokens[form["refresh_token"]]
        return self._issue(client)

    def _exchanged(self, client: _Client, form: Mapping[str, str]) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or (code.client_id, code.redirect_uri) != (client.id, form.get("redirect_uri", "")):
            raise _Refusal("invalid_grant", "The code is invalid or used, or the redirect URI is another one.")
        if code.challenge is None and client.secret is None:
            raise _Refusal("invalid_request", "Public clients need PKCE.")
        if code.challenge is not None and code.challenge != _s256(form.get("code_verifier", "")):
            raise _Refusal("invalid_grant", "The code verifier does not fit.")
        return self._issue(client)

    def _issue(self, client: _Client) -> dict[str, Any]:
        now, access_token, refresh_token = time.time(), f"access-{token_urlsafe(24)}", f"refresh-{token_urlsafe(24)}"
        self._access_tokens[access_token] = now + self.settings.access_token_seconds
        self._refresh_tokens[refresh_token] = _RefreshToken(client.id, now + self.settings.refresh_token_seconds)
        return {
            "token_type": "Bearer",
            "expires_in": int(self.settings.access_token_seconds),
            "access_token": access_token,
            "refresh_token": refresh_token,
        }


def _basic(authorization: str) -> tuple[str, str | None]:
    kind, _, credentials = authorization.partition(" ")
    try:
        client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (BadBase64, UnicodeDecodeError):
        return "", None
    return (client_id, secret) if kind.lower() == "basic" else ("", None)


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _json(value: Any, status: int) -> Response:
    return Response(json.dumps(value), status_code=status, media_type="application/json")
