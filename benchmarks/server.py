"""
A server that must never be the bottleneck: each page is a slice of one file that the kernel sends by itself.

It speaks as much of awork as an export asks for: entries in order of ``createdOn``, pages, filters on ``createdOn``,
``aw-*`` headers, ``/me``, ``/me/permissions``, and awork's rate limits. Run as a process of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_awork.sandbox.rate_limit import RateLimit
from airflow_provider_awork.sandbox.settings import Settings
from benchmarks.entries import EntryFiles, write_entries

DATA = Path(__file__).resolve().parent.parent / "build" / "benchmarks"
BOUND = re.compile(r"createdOn (ge|lt) datetime'([^']+)'")
ME = {"id": "u", "firstName": "Bench", "lastName": "Mark", "workspace": {"id": "w", "name": "Benchmark"}}
PERMISSIONS = {"userPermission": {"isAdmin": True, "permissions": []}}


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """
    :param entries: how many entries there are.
    :param latency: seconds before each answer.
    :param page_cap: rows of a page at most.
    :param per_minute: requests in a window of ``minute`` seconds; None for no limit.
    :param per_second: requests in a window of ``second`` seconds; None for no limit.
    :param minute: seconds.
    :param second: seconds.
    """

    entries: int
    latency: float = 0.0
    page_cap: int = 1000
    per_minute: int | None = None
    per_second: int | None = None
    minute: float = 60.0
    second: float = 1.0


@contextmanager
def running_server(options: ServerOptions) -> Iterator[str]:
    """A server in a process of its own; gives its base URL."""
    write_entries(DATA, options.entries)
    command = [sys.executable, "-m", "benchmarks.server", json.dumps(asdict(options))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise SystemExit("The benchmark's server did not start")
            yield url
        finally:
            process.terminate()


class _Entries:
    """Which bytes a page is."""

    def __init__(self, files: EntryFiles) -> None:
        self.path = files.rows
        self._starts = array("Q", files.starts.read_bytes())
        self._seconds = array("q", files.seconds.read_bytes())
        with files.rows.open("rb") as rows:  # into the page cache
            while rows.read(1 << 24):
                pass

    def first_since(self, instant: str) -> int:
        return bisect_left(self._seconds, int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()))

    def matching(self, filterby: str) -> tuple[int, int]:
        """Numbers of the first entry that matches, and of the first after those."""
        bounds = [
            (operator, self.first_since(instant.removesuffix("Z"))) for operator, instant in BOUND.findall(filterby)
        ]
        first = max((number for operator, number in bounds if operator == "ge"), default=0)
        return first, min((number for operator, number in bounds if operator == "lt"), default=len(self._seconds))

    def page(self, filterby: str, number: int, size: int) -> tuple[int, int, int]:
        """Start, length and total of a page; the comma after its last row is not in it."""
        first, after = self.matching(filterby)
        total = max(0, after - first)
        start = min(first + (number - 1) * size, after)
        end = min(start + size, after)
        length = self._starts[end] - self._starts[start] - 1 if end > start else 0
        return self._starts[start], length, total


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    entries: _Entries
    options: ServerOptions
    limit: RateLimit
    answers: Counter[int]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.endswith("/counts"):
            return self._send(200, {}, json.dumps(self.answers).encode())
        verdict = self.limit.request()
        time.sleep(self.options.latency)
        if verdict.refused:
            self.answers[429] += 1
            self._send(429, verdict.headers, b"{}")
        elif url.path.endswith("/timeentries"):
            self._send_page(parse_qs(url.query), verdict.headers)
        else:
            body = PERMISSIONS if url.path.endswith("/permissions") else ME
            self.answers[200] += 1
            self._send(200, verdict.headers, json.dumps(body).encode())

    def _send_page(self, query: dict[str, list[str]], headers: dict[str, str]) -> None:
        size = min(int(query.get("pageSize", ["100"])[0]), self.options.page_cap)
        number = int(query.get("page", ["1"])[0])
        start, length, total = self.entries.page(query.get("filterby", [""])[0], number, size)
        self.answers[200] += 1
        self._head(200, {**headers, "aw-totalitems": str(total), "aw-pagesize": str(size)}, length + 2)
        self.connection.send(b"[")
        if length:
            with self.entries.path.open("rb") as file:
                self.connection.sendfile(file, start, length)
        self.connection.send(b"]")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._head(status, headers, len(body))
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json", "content-length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: it costs time."""


def main() -> None:
    options = ServerOptions(**json.loads(sys.argv[1]))
    _Handler.options = options
    _Handler.entries = _Entries(EntryFiles.of(DATA, options.entries))
    _Handler.answers = Counter()
    _Handler.limit = RateLimit(
        Settings(
            rate_limit_per_minute=options.per_minute,
            rate_limit_per_second=options.per_second,
            minute=options.minute,
            second=options.second,
        )
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}/api/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
