"""The sandbox as a context manager: data, endpoints and a server on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import uvicorn

from airflow_provider_awork.sandbox.api import BASE_PATH, Api
from airflow_provider_awork.sandbox.entry_data import DAYS, EntryMaker, default_end
from airflow_provider_awork.sandbox.faults import Faults
from airflow_provider_awork.sandbox.front import Front, RequestRecord, Transports
from airflow_provider_awork.sandbox.oauth import OAuth
from airflow_provider_awork.sandbox.rate_limit import RateLimit
from airflow_provider_awork.sandbox.settings import Settings
from airflow_provider_awork.sandbox.store import Store
from airflow_provider_awork.sandbox.workspace import make_workspace

HOST = "127.0.0.1"
DEFAULT_TOKEN = "sandbox-key"  # noqa: S105 - opens nothing but the sandbox


class Sandbox:
    """
    A local awork: ``with Sandbox(entries=1000) as awork: requests.get(awork.url + "/timeentries", ...)``.

    The same seed and dates give the same data. The server listens on 127.0.0.1 only.

    :param entries: how many time entries to generate.
    :param seed: of the generated data.
    :param token: the bearer token that requests need.
    :param port: to listen on; 0: a free one.
    :param start: first day with entries; default: 90 days before ``end``.
    :param end: first day without entries; default: a day of summer 2026 that depends on the seed.
    :param weekends: whether people work on Saturdays and Sundays, too.
    :param on_answer: called with the record of each request when its answer is out; None: nothing is called.
    :param file: path of a new SQLite file for the data; None: in memory.
    :param settings: attributes of :class:`Settings`.
    :raises OSError: the port is taken.

    Attributes: ``url`` (base URL), ``token``, ``me`` (id of the token's user), ``store``, ``lists`` (what no entry
    refers to), ``settings``, ``faults``, ``oauth`` (clients and their tokens) and ``requests``, the list of requests so
    far. When the block ends, an error of a fault rule or of the sandbox itself is raised, so that a test cannot pass
    over it.
    """

    def __init__(
        self,
        *,
        entries: int = 0,
        seed: int = 7,
        token: str = DEFAULT_TOKEN,
        port: int = 0,
        start: date | None = None,
        end: date | None = None,
        file: Path | None = None,
        weekends: bool = False,
        on_answer: Callable[[RequestRecord], None] | None = None,
        **settings: Any,
    ) -> None:
        self.end = end or default_end(seed)
        self.start = start or self.end - timedelta(days=DAYS)
        self.token = token
        self.settings = Settings(**settings)
        self.faults = Faults()
        self.store = Store(file=file, clock=lambda: self.settings.clock)
        self.oauth = OAuth(settings=self.settings)
        self._rate_limit = RateLimit(self.settings)
        self._transports = Transports()
        self._socket = _listen(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}{BASE_PATH}"
        self._fill(seed, entries, weekends=weekends)
        self._front = self._make_front(on_answer)
        self._server = self._make_server()
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="awork-sandbox", daemon=True)

    def _fill(self, seed: int, entries: int, *, weekends: bool) -> None:
        now = self.settings.now or self.settings.clock
        workspace = make_workspace(
            seed=seed, entries=entries, start=self.start, end=self.end, now=now, weekends=weekends
        )
        for table, rows in workspace.rows:
            self.store.add_prepared(table, rows)
        self.lists = workspace.lists
        self.me = workspace.data.api_user.id
        self._maker = EntryMaker(workspace.random, workspace.data)

    def _make_front(self, on_answer: Callable[[RequestRecord], None] | None) -> Front:
        api = Api(store=self.store, settings=self.settings, me=self.me, lists=self.lists, oauth=self.oauth)
        return Front(
            api.application(),
            store=self.store,
            settings=self.settings,
            token=self.token,
            oauth=self.oauth,
            faults=self.faults,
            rate_limit=self._rate_limit,
            transports=self._transports,
            on_answer=on_answer,
        )

    def _make_server(self) -> uvicorn.Server:
        config = uvicorn.Config(
            self._front,
            http=self._transports.protocol(),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        return _Server(config, self._transports)

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests so far, in the order in which they came."""
        return self._front.requests

    def make_entry(
        self,
        *,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        timezone: str = "Europe/Berlin",
        **fields: Any,
    ) -> dict[str, Any]:
        """An entry of realistic shape for ``store.add``; see :meth:`EntryMaker.make`."""
        return self._maker.make(started_at=started_at, ended_at=ended_at, timezone=timezone, **fields)

    def replace_token(self, token: str) -> None:
        """Let only another token be valid from now on, as when somebody replaces the API key."""
        self.token = token
        self._front.token = token

    def spend_requests(self, requests: int) -> None:
        """Another client of the workspace sends that many requests within the current rate-limit windows."""
        self._rate_limit.spend(requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.store.close()
        if self._front.errors and error is None:
            raise self._front.errors[0]


class _Server(uvicorn.Server):
    """A server that ends without waiting for its clients."""

    def __init__(self, config: uvicorn.Config, transports: Transports) -> None:
        super().__init__(config)
        self._transports = transports

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._transports.abort()
        await super().shutdown(sockets)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's delay off only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port} of {HOST} cannot be used: {error.strerror}") from error
    listener.listen()
    return listener
