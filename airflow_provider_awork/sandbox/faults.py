"""
Faults that tests put between the sandbox's answer and the client.

A *rule* is called before each request that the token and the rate limit let through, and may change the store; the
fault it returns decides what the client gets. Rules run one after another on the server's thread: a rule that blocks
blocks the whole server.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Protocol

from airflow_provider_awork.sandbox.store import Store, compact_json

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True)
class RuleRequest:
    """
    What a rule sees of a request.

    :param number: counts the requests to list endpoints from 1; None for other endpoints.
    :param method: HTTP method.
    :param path: below the base URL, such as ``/timeentries``.
    :param query: the decoded query.
    """

    number: int | None
    method: str
    path: str
    query: Mapping[str, str]


class Connection(Protocol):
    """What a fault can do with the client's connection."""

    async def send(self, answer: Answer, *, missing_bytes: int = 0, cut_after: int | None = None) -> None:
        """
        Send an answer.

        :param missing_bytes: announce that many bytes more than come, then close the connection.
        :param cut_after: reset the connection after that many bytes of the body.
        """

    async def close(self) -> None:
        """Close the connection without an answer."""

    async def sleep(self, seconds: float) -> None:
        """Wait, at most until the client goes."""


class Fault(Protocol):
    """How an answer reaches the client."""

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        """Send the answer, a changed one, or nothing."""


Rule = Callable[[RuleRequest, Store], Fault | None]


@dataclass(frozen=True)
class Answer:
    """
    An answer; as a fault, it is sent instead of the sandbox's own.

    :param status: HTTP status.
    :param body: bytes, a text, a value to be sent as JSON, or None for awork's usual body of that status.
    :param headers: names in any case; None drops one that the sandbox adds.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict)

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.send(self)

    def content(self) -> bytes:
        """The body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else compact_json(self.body)).encode()

    def with_headers(self, headers: Mapping[str, str | None]) -> Answer:
        """The answer with further headers, which win over those it has."""
        own = {name.lower(): value for name, value in self.headers.items()}
        return replace(self, headers={**own, **{name.lower(): value for name, value in headers.items()}})


@dataclass(frozen=True)
class Stall:
    """Nothing comes for so many seconds; then the connection is closed."""

    seconds: float

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.sleep(self.seconds)
        await connection.close()


@dataclass(frozen=True)
class Delay:
    """The answer, as it was at the time of the request, comes so many seconds later."""

    seconds: float

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.sleep(self.seconds)
        await connection.send(answer)


@dataclass(frozen=True)
class CutBody:
    """The connection is reset in mid-body."""

    after_bytes: int

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.send(answer, cut_after=self.after_bytes)


@dataclass(frozen=True)
class ShortBody:
    """``Content-Length`` announces more than comes before the connection is closed."""

    missing_bytes: int = 100

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        body = answer.content()
        cut = replace(answer, body=body[: max(0, len(body) - self.missing_bytes)])
        await connection.send(cut, missing_bytes=self.missing_bytes)


@dataclass(frozen=True)
class TruncatedJson:
    """The first half of the JSON, with a ``Content-Length`` that fits."""

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        body = answer.content()
        await connection.send(replace(answer, body=body[: len(body) // 2]))


@dataclass(frozen=True)
class BrokenGzip:
    """
    A damaged gzip body, whether the client asked for gzip or not.

    :param truncated: False: the checksum does not fit. True: the second half is missing, which many clients do not
        notice before they parse the text.
    """

    truncated: bool = False

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        packed = gzip.compress(answer.content(), 1)
        if self.truncated:
            packed = packed[: len(packed) // 2]
        else:
            checksum = packed[-8:-4]
            packed = packed[:-8] + bytes(255 - byte for byte in checksum) + packed[-4:]
        await connection.send(replace(answer, body=packed).with_headers({"content-encoding": "gzip"}))


@dataclass(frozen=True)
class Html:
    """A page for people, with status 200, as a proxy or a captive portal sends."""

    text: str = "<!DOCTYPE html><html><body><h1>We will be right back</h1></body></html>"

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.send(Answer(200, self.text, {"content-type": "text/html; charset=utf-8"}))


@dataclass(frozen=True)
class PrettyPrinted:
    """The same JSON with line breaks and indentation."""

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        body = json.dumps(json.loads(answer.content()), indent=2, ensure_ascii=False)
        await connection.send(replace(answer, body=body))


@dataclass(frozen=True)
class Headers:
    """The same answer with other headers; None drops one."""

    headers: Mapping[str, str | None]

    async def deliver(self, answer: Answer, connection: Connection) -> None:
        await connection.send(answer.with_headers(self.headers))


class Faults:
    """The rules of a sandbox. All are called on each request; the first fault that one returns is used."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Call this rule on each request from now on."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def apply(self, request: RuleRequest, store: Store) -> Fault | None:
        """Call the rules."""
        with self._lock:
            rules = list(self._rules)
        faults = [rule(request, store) for rule in rules]
        return next((fault for fault in faults if fault is not None), None)


def every(n: int, fault: Fault) -> Rule:
    """A rule: the fault on each n-th request to a list endpoint."""
    return lambda request, _: fault if request.number is not None and request.number % n == 0 else None


def at(number: int, fault: Fault) -> Rule:
    """A rule: the fault on that request to a list endpoint, counted from 1."""
    return lambda request, _: fault if request.number == number else None


def first(n: int, fault: Fault) -> Rule:
    """A rule: the fault on the first n requests to list endpoints."""
    return lambda request, _: fault if request.number is not None and request.number <= n else None
