"""
OAuth 2: a pair of tokens, and the exchange of its refresh token for a new pair.

Source: https://developers.awork.com/authentication. awork's refresh token rotates: one use gives a new pair and voids
it. So a request whose answer is lost may have voided it, and is never sent again.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import requests
import urllib3
from requests.auth import HTTPBasicAuth

from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.config import ConnectionExtras, check_environment_proxies
from airflow_provider_awork.client.http.errors import error_from
from airflow_provider_awork.client.http.faults import Target, fault_from
from airflow_provider_awork.client.http.session import USER_AGENT
from airflow_provider_awork.client.http.transport import BoundedAdapter
from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkMissingExtraError,
    AworkRateLimitError,
    AworkTokenError,
    AworkTokenLostError,
    AworkTransportError,
)

TOKEN_PATH = "accounts/token"  # noqa: S105 - a path
# An answer may take this many times the read time-out in all.
ANSWER_FACTOR = 2.0


class TokenPair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a deployment knows of a person's authorisation. awork's own answer, stored as it came, is one, too.

    :param access_token: what requests carry; valid for a day.
    :param refresh_token: what the next pair is had for; valid once, for 30 days.
    :param expires_at: when the access token ends; None where it is not known.
    :param refreshed_at: when the pair was issued; None for one that a person stored.
    :param refreshed_by: id of the DAG that stored the pair.
    :param refreshing_since: since when a refresh is under way. Found by another run, it says that the refresh was cut
        off, or goes on.
    """

    access_token: str
    refresh_token: str
    expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    refreshed_by: str | None = None
    refreshing_since: datetime | None = None

    def __repr__(self) -> str:
        return f"TokenPair(refreshed_at={self.refreshed_at}, expires_at={self.expires_at})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich shows local variables in tracebacks
        return [("refreshed_at", self.refreshed_at), ("expires_at", self.expires_at)]

    def secrets(self) -> list[str]:
        """What must never be shown."""
        return [self.access_token, self.refresh_token]

    def to_json(self) -> str:
        """One JSON object."""
        return msgspec.json.encode(self).decode()


def parse_pair(text: str) -> TokenPair:
    """
    A stored pair, or awork's answer as it came.

    :raises AworkConfigError: it is neither; the text itself is not shown.
    """
    try:
        pair = msgspec.json.decode(text, type=TokenPair)
    except msgspec.DecodeError as error:
        raise AworkConfigError(f"not a JSON object with access_token and refresh_token ({error})") from None
    for name, token in (("access_token", pair.access_token), ("refresh_token", pair.refresh_token)):
        if not _is_token(token):
            raise AworkConfigError(f"{name} is empty, or has blanks, line breaks or non-ASCII characters")
    return pair


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """
    A client application that awork knows.

    :param client_id: its id.
    :param client_secret: its secret; None for a public client. Never part of ``repr``.
    :param base_url: base URL of the API.
    :param extras: time-outs, certificates and proxies.
    """

    client_id: str
    client_secret: str | None
    base_url: str
    extras: ConnectionExtras

    def __repr__(self) -> str:
        return f"OAuthClient(client_id={self.client_id!r}, base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich shows local variables in tracebacks
        return [("client_id", self.client_id), ("base_url", self.base_url)]

    def refresh(self, pair: TokenPair) -> TokenPair:
        """
        Exchange a refresh token, once.

        :raises AworkConfigError: a setting of the connection cannot work; the pair is as good as before.
        :raises AworkTransportError: awork was not reached; the pair is as good as before.
        :raises AworkRateLimitError: awork did nothing; the pair is as good as before.
        :raises AworkTokenError: awork refuses.
        :raises AworkTokenLostError: no usable answer came, so the refresh token may be void.
        :raises AworkMissingExtraError: oauthlib is not installed.
        """
        protocol = _protocol(self.client_id)
        public = {} if self.client_secret else {"client_id": self.client_id}
        form = protocol.prepare_refresh_body(refresh_token=pair.refresh_token, **public)
        answer = self._post(form)
        if answer.status != 200:
            raise _refusal(answer, [*pair.secrets(), *filter(None, [self.client_secret])])
        return _new_pair(protocol, answer, pair)

    def _post(self, form: str) -> Answer:
        extras = self.extras
        check_environment_proxies(requests.utils.get_environ_proxies(self.base_url))
        with requests.Session() as http:
            for scheme in ("http://", "https://"):
                http.mount(scheme, BoundedAdapter(seconds=extras.read_timeout * ANSWER_FACTOR))
            try:
                response = http.post(
                    f"{self.base_url}/{TOKEN_PATH}",
                    data=form,
                    headers={
                        "Content-Type": "application/x-www-form-urlencoded",
                        "Accept": "application/json",
                        "User-Agent": USER_AGENT,
                    },
                    auth=self._auth,
                    timeout=(extras.connect_timeout, extras.read_timeout),
                    verify=extras.verify,
                    proxies=extras.proxies,
                    allow_redirects=False,
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._not_answered(error) from None
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    def _auth(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """HTTP Basic for confidential clients; nothing for public ones, not even what a netrc file has."""
        if not self.client_secret:
            return request
        basic = HTTPBasicAuth(self.client_id.encode(), self.client_secret.encode())
        signed: requests.PreparedRequest = basic(request)
        return signed

    def _not_answered(self, error: Exception) -> Exception:
        request = f"POST {TOKEN_PATH}"
        target = Target(
            request=request,
            base_url=self.base_url,
            connection="",
            connect_timeout=self.extras.connect_timeout,
            read_timeout=self.extras.read_timeout,
        )
        fault = fault_from(error, target)
        if isinstance(fault, AworkConfigError):  # nothing was sent
            return fault
        if _reached_nobody(error):
            return AworkTransportError(f"{request}: awork was not reached, so nothing is lost\n{fault}")
        return AworkTokenLostError(f"{request}: {type(error).__name__}: the answer is lost")


def _protocol(client_id: str) -> Any:
    try:
        from oauthlib.oauth2 import WebApplicationClient
    except ImportError as error:
        raise AworkMissingExtraError(
            "Refreshing OAuth tokens needs oauthlib. Run: pip install 'airflow-provider-awork[oauth]'"
        ) from error
    return WebApplicationClient(client_id)


def _new_pair(protocol: Any, answer: Answer, old: TokenPair) -> TokenPair:
    from oauthlib.oauth2 import OAuth2Error

    now = datetime.now(UTC)
    try:
        token = protocol.parse_request_body_response(bytes(answer.body).decode())
        seconds = token.get("expires_in")
        # RFC 6749, section 6: without a new refresh token, the old one stays.
        pair = TokenPair(
            access_token=token["access_token"],
            refresh_token=token.get("refresh_token") or old.refresh_token,
            expires_at=None if seconds is None else now + timedelta(seconds=int(seconds)),
            refreshed_at=now,
        )
        return parse_pair(pair.to_json())
    except (OAuth2Error, AworkConfigError, ValueError, TypeError, AttributeError, OverflowError) as error:
        # Not the error's text: it may quote the body.
        kind = answer.headers.get("content-type", "no content type")
        raise AworkTokenLostError(
            f"awork answered 200 to the refresh, but not with a token pair ({kind}, {len(answer.body)} bytes, "
            f"{type(error).__name__})"
        ) from None


def _refusal(answer: Answer, secrets: list[str]) -> Exception:
    error = error_from(_as_awork_error(answer), method="POST", path=TOKEN_PATH, secrets=secrets)
    if isinstance(error, AworkRateLimitError):
        return error
    if 400 <= answer.status < 500:
        return AworkTokenError(str(error))
    return AworkTokenLostError(str(error))


def _as_awork_error(answer: Answer) -> Answer:
    """The token endpoint answers with awork's ``code`` and ``description``; RFC 6749 has other names."""
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return answer
    if not isinstance(body, dict) or "error" not in body:
        return answer
    named = {"code": body["error"], "description": body.get("error_description"), "traceId": body.get("traceId")}
    return Answer(status=answer.status, headers=answer.headers, body=msgspec.json.encode(named))


def _reached_nobody(error: Exception) -> bool:
    """Whether it is certain that the request did not leave: no connection, or no TLS handshake, came about."""
    reason: Any = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3.exceptions.ProxyError):
        reason = reason.original_error
    if isinstance(reason, urllib3.exceptions.SSLError):
        return bool(reason.args) and isinstance(reason.args[0], ssl.SSLCertVerificationError)
    return isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
