"""
What stands between the wire and the endpoints: the token, the rate limit, faults, the log of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from hmac import compare_digest
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_awork.sandbox.api import BASE_PATH
from airflow_provider_awork.sandbox.errors import usual_body
from airflow_provider_awork.sandbox.faults import JSON_TYPE, Answer, Faults, RuleRequest
from airflow_provider_awork.sandbox.oauth import AUTHORIZE_PATH, TOKEN_PATH, OAuth
from airflow_provider_awork.sandbox.rate_limit import NO_LIMIT, RateLimit
from airflow_provider_awork.sandbox.settings import Settings
from airflow_provider_awork.sandbox.store import Store


@dataclass
class RequestRecord:
    """
    One request that the sandbox received.

    :param method: HTTP method.
    :param path: below the base URL, such as ``/timeentries``.
    :param query: the decoded query.
    :param headers: lower-case names; without the token.
    :param started: ``time.monotonic()`` when it came.
    :param status: that was sent; None if none was, or not yet.
    :param ended: ``time.monotonic()`` when the answer was out; None: not yet.
    :param body: what came with it, as bytes.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    started: float = field(default_factory=time.monotonic)
    status: int | None = None
    ended: float | None = None
    body: bytes = b""


class Transports(dict[tuple[str, int], asyncio.Transport]):
    """The open connections by the client's address: ASGI cannot cut one, its transport can."""

    def abort(self) -> None:
        """Cut all."""
        for transport in list(self.values()):
            transport.abort()

    def protocol(self) -> type[asyncio.Protocol]:
        """A uvicorn protocol that enters each connection here."""
        transports = self

        class TrackedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.address = transport.get_extra_info("peername")
                transports[self.address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.address, None)
                super().connection_lost(exc)

        return TrackedProtocol


class HttpConnection:
    """
    The client's side of one request, for faults.

    :param headers: what every answer carries unless it says otherwise.
    :param compress: whether to pack bodies with gzip.
    """

    def __init__(
        self,
        *,
        record: RequestRecord,
        transport: asyncio.Transport,
        receive: Receive,
        send: Send,
        headers: Mapping[str, str],
        compress: bool,
    ) -> None:
        self._record = record
        self._transport = transport
        self._receive = receive
        self._send = send
        self._headers = headers
        self._compress = compress

    async def send(self, answer: Answer, *, missing_bytes: int = 0, cut_after: int | None = None) -> None:
        if self._transport.is_closing():
            return
        answer = self._completed(answer)
        body = answer.content()
        headers = {"content-length": str(len(body) + missing_bytes), **answer.headers}
        if answer.status == 204:
            headers = headers | {"content-length": None, "content-type": None}
        raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items() if value is not None]
        self._record.status = answer.status
        await self._send({"type": "http.response.start", "status": answer.status, "headers": raw_headers})
        whole = not missing_bytes and cut_after is None
        await self._send({"type": "http.response.body", "body": body[:cut_after], "more_body": not whole})
        if not whole:
            await self._flush()
            await self.close(reset=cut_after is not None)

    def _completed(self, answer: Answer) -> Answer:
        """With the usual headers, the usual body if it has none, and compressed if the client wants it."""
        if answer.body is None:
            answer = replace(answer, body=usual_body(answer.status, self._headers["trace-id"]))
        answer = Answer(answer.status, answer.body, self._headers).with_headers(answer.headers)
        if not self._compress or answer.status == 204 or "content-encoding" in answer.headers:
            return answer
        packed = gzip.compress(answer.content(), 1)
        return replace(answer, body=packed).with_headers({"content-encoding": "gzip"})

    async def _flush(self) -> None:
        while self._transport.get_write_buffer_size() and not self._transport.is_closing():
            await asyncio.sleep(0.001)

    async def close(self, *, reset: bool = False) -> None:
        if reset:
            # Without time to linger, the system sends a reset instead of an orderly end.
            connected = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        await self._gone()

    async def sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone(), seconds)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Front:
    """
    The outer ASGI application.

    :param api: the inner one; its list endpoints are the routes named ``list``.
    :param on_answer: called with the record of each request when its answer is out.
    """

    def __init__(
        self,
        api: Starlette,
        *,
        store: Store,
        settings: Settings,
        token: str,
        oauth: OAuth,
        faults: Faults,
        rate_limit: RateLimit,
        transports: Transports,
        on_answer: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.requests: list[RequestRecord] = []
        self.errors: list[Exception] = []
        self._api = api
        self._store = store
        self._settings = settings
        self.token = token
        self._oauth = oauth
        self._faults = faults
        self._rate_limit = rate_limit
        self._transports = transports
        self._on_answer = on_answer
        self._lists = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _record(scope)
        self.requests.append(record)
        try:
            await self._handle(scope, receive, send, record)
        except Exception as error:
            self.errors.append(error)
            raise
        finally:
            record.ended = time.monotonic()
            if self._on_answer:
                self._on_answer(record)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, record: RequestRecord) -> None:
        transport = self._transports.get(tuple(scope["client"]))
        if transport is None:
            return  # The client has gone already.
        scope["awork.trace_id"] = uuid4().hex
        record.body = await _read(receive)
        refusal = self._unauthorized(scope, record)
        verdict = self._rate_limit.request() if refusal is None else NO_LIMIT
        connection = HttpConnection(
            record=record,
            transport=transport,
            receive=receive,
            send=send,
            headers={**_usual_headers(scope["awork.trace_id"], self._settings.clock), **verdict.headers},
            compress=self._settings.gzip and b"gzip" in _header(scope, b"accept-encoding"),
        )
        answer, fault = refusal or Answer(429), None
        if refusal is None and not verdict.refused:
            fault = self._faults.apply(self._rule_request(scope, record), self._store)
            # An answer of a rule's own comes instead of awork's; any other fault comes after awork did its part.
            answer = fault if isinstance(fault, Answer) else await _captured(self._api, scope, record.body)
        if self._settings.latency:
            await connection.sleep(self._settings.latency)
        await (fault or answer).deliver(answer, connection)

    def _unauthorized(self, scope: Scope, record: RequestRecord) -> Answer | None:
        """The refusal of a request without a token that is valid; None for one that has it or needs none."""
        if record.path in (TOKEN_PATH, AUTHORIZE_PATH):
            return None
        scheme, _, token = _header(scope, b"authorization").partition(b" ")
        if scheme != b"Bearer":
            return Answer(401)
        if compare_digest(token, self.token.encode()):
            return None
        state = self._oauth.state_of(token.decode("latin-1"))
        if state == "expired":
            return Answer(401, {"message": {"code": "unauthorized", "description": "Token expired"}})
        return None if state == "valid" else Answer(401)

    def _rule_request(self, scope: Scope, record: RequestRecord) -> RuleRequest:
        number = None
        if any(route.name == "list" and route.matches(scope)[0] is Match.FULL for route in self._api.routes):  # type: ignore[attr-defined]
            self._lists += 1
            number = self._lists
        return RuleRequest(number, record.method, record.path, record.query)


def _record(scope: Scope) -> RequestRecord:
    return RequestRecord(
        method=scope["method"],
        path=scope["path"].removeprefix(BASE_PATH),
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers={
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name != b"authorization"
        },
    )


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((bytes(value) for name, value in scope["headers"] if name == wanted), b"")


def _usual_headers(trace_id: str, now: datetime) -> dict[str, str]:
    return {"content-type": JSON_TYPE, "date": format_datetime(now, usegmt=True), "trace-id": trace_id}


async def _read(receive: Receive) -> bytes:
    """The body of a request, as far as it came."""
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def _captured(application: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """The inner application's answer instead of its sending it."""
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Message) -> None:
        messages.append(message)

    await application(scope, receive, collect)
    start, *rest = messages
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    # Faults change bodies, and sending counts them.
    headers.pop("content-length", None)
    return Answer(start["status"], b"".join(message["body"] for message in rest), headers)
