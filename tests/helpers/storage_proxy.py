"""An HTTP proxy in front of a storage emulator that can refuse a request, or cut its connection, on demand."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

PROXY_HOST = "127.0.0.1"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length", "server", "date"}


@dataclass(frozen=True, kw_only=True)
class StorageRequest:
    """
    What a rule sees of a request.

    :param method: HTTP method.
    :param path: decoded.
    :param query: decoded.
    :param headers: names in lower case.
    :param body: all of it.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def is_upload_of(self, name: str) -> bool:
        """Whether this request sends (a piece of) a file whose name contains ``name``, or begins to."""
        where = f"{self.path} {self.query.get('name', '')}".encode() + self.body[:1000]
        return self.method in ("PUT", "POST") and name.encode() in where


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An answer instead of the storage's own, which never sees the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """
    The connection is closed without an answer.

    :param after_storage: whether the storage did what was asked before.
    """

    after_storage: bool = False


@dataclass(frozen=True, kw_only=True)
class Stall:
    """
    Nothing comes until the test goes on, then the connection is closed. The storage never sees the request.

    :param until: set by the test.
    """

    until: threading.Event


Fault = Refusal | Cut | Stall
Rule = Callable[[StorageRequest], Fault | None]


class StorageProxy:
    """
    A running proxy.

    :param port: it listens on, on 127.0.0.1.
    """

    def __init__(self, port: int, built_in: Rule | None) -> None:
        self.port = port
        self._built_in = built_in
        self._rule: Rule | None = None

    @property
    def url(self) -> str:
        return f"http://{PROXY_HOST}:{self.port}"

    @contextmanager
    def faults(self, rule: Rule) -> Iterator[None]:
        """Let a rule decide on each request. It is called from one thread for each connection."""
        self._rule = rule
        try:
            yield
        finally:
            self._rule = None

    def decide(self, request: StorageRequest) -> Fault | None:
        """Ask the rules."""
        fault = self._rule(request) if self._rule else None
        return fault or (self._built_in(request) if self._built_in else None)


@contextmanager
def run_storage_proxy(upstream_port: int, *, built_in: Rule | None = None) -> Iterator[StorageProxy]:
    """
    Run a proxy to a port of this machine.

    :param built_in: a rule for every request. With one, requests that change something pass one at a time.
    """
    server = _Server((PROXY_HOST, 0), _Handler)
    server.proxy = StorageProxy(server.server_address[1], built_in)
    server.upstream_port = upstream_port
    server.one_at_a_time = threading.Lock() if built_in else None
    thread = threading.Thread(target=server.serve_forever, name="storage-proxy", daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: StorageProxy
    upstream_port: int
    one_at_a_time: threading.Lock | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, killed ones above all, are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _pass_on(self) -> None:
        body = self._read_body()
        target = urlsplit(self.path)
        request = StorageRequest(
            method=self.command,
            path=unquote(target.path),
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        if self.server.one_at_a_time and self.command != "GET":
            with self.server.one_at_a_time:
                answer = self._decided(request)
        else:
            answer = self._decided(request)
        if isinstance(answer, Stall):
            answer.until.wait(60)
        if not isinstance(answer, Refusal):
            self.close_connection = True
        else:
            self._answer(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on

    def _decided(self, request: StorageRequest) -> Refusal | Stall | None:
        fault = self.server.proxy.decide(request)
        if isinstance(fault, Refusal | Stall):
            return fault
        if fault is None:
            return self._ask_storage(request.body)
        if fault.after_storage:
            self._ask_storage(request.body)
        return None

    def _ask_storage(self, body: bytes) -> Refusal:
        connection = http.client.HTTPConnection(PROXY_HOST, self.server.upstream_port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            if self.command == "HEAD" and (length := response.getheader("Content-Length")):
                headers["Content-Length"] = length
            return Refusal(status=response.status, headers=headers, body=response.read())
        finally:
            connection.close()

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self._read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        """Real storage takes no half of a body, from a client that was killed for instance; emulators do."""
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError(f"{self.command} {self.path} ended after {len(data)} of {size} bytes")
        return data

    def _answer(self, answer: Refusal) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
