"""One request to awork: authentication, time-outs, retries, rate limit, errors, trace ids."""

from __future__ import annotations

import contextlib
import functools
import logging
import mmap
import platform
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import requests
import urllib3

from airflow_provider_awork import __version__
from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.auth import BearerAuth
from airflow_provider_awork.client.http.config import AworkConfig, check_environment_proxies
from airflow_provider_awork.client.http.errors import error_from, key_replaced, without_secrets
from airflow_provider_awork.client.http.faults import Target, fault_from
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.transport import BoundedAdapter
from airflow_provider_awork.exceptions import (
    AworkAuthenticationError,
    AworkError,
    AworkServerError,
    AworkTransportError,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

USER_AGENT = f"airflow-provider-awork/{__version__} python/{platform.python_version()}"
CHUNK_BYTES = 1 << 19
FIRST_BUFFER_BYTES = 1 << 23
MOST_CONNECTIONS = 50
IMPATIENT_SECONDS = 4.0  # two tries of so long are over within ten seconds
IMPATIENT_RULES = RetryRules.impatient()


class AworkSession:
    """
    Sends requests over pooled connections; thread safe.

    :param config: the connection's settings.
    :param limiter: pacing; by default from the settings.
    :param retry: retry rules; by default from the settings.
    :param read_token: reads the token of the connection again; called once, after a 401.
    :raises AworkConfigError: the environment's proxy cannot be understood.
    """

    def __init__(
        self,
        config: AworkConfig,
        *,
        limiter: RateLimiter | None = None,
        retry: RetryRules | None = None,
        read_token: Callable[[], str] | None = None,
    ) -> None:
        check_environment_proxies(requests.utils.get_environ_proxies(config.base_url))
        self.config = config
        self.limiter = limiter or RateLimiter.for_share(config.extras.requests_per_minute)
        self.requests_sent = 0
        self._retry = retry or RetryRules(outage_seconds=config.extras.outage_minutes * 60)
        self._read_token = read_token
        self._http = _SessionWithoutRedirects()
        self._http.auth = BearerAuth(config.token)
        self._http.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        longest = config.extras.read_timeout * self._retry.answer_factor
        adapter = BoundedAdapter(seconds=longest, pool_connections=1, pool_maxsize=MOST_CONNECTIONS)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, parse: Callable[[Answer], T]) -> T:
        """
        Read with retries.

        :param path: path below the base URL, such as ``timeentries``.
        :param params: query parameters; None values are left out.
        :param parse: turns a whole answer into a value; an ``AworkTransportError`` from it counts as a failed try.
        :raises AworkConfigError: a setting of the connection cannot work, at once.
        :raises AworkTransportError: no whole answer after all tries.
        :raises AworkServerError: 5xx after all tries.
        :raises AworkKeyReplacedError: 401, and the connection has another key by now.
        :raises AworkRateLimitError: 429 after all waits.
        :raises AworkRequestError: 4xx, at once.
        """
        failures, first_failure = 0, 0.0
        while True:
            try:
                return parse(self._send("GET", path, params=params, tries=self._retry.rate_limit_tries))
            except (AworkTransportError, AworkServerError) as error:
                failures += 1
                first_failure = first_failure or time.monotonic()
                wait = self._retry.wait_after(
                    failures,
                    outage=time.monotonic() - first_failure,
                    asked=error.retry_after if isinstance(error, AworkServerError) else None,
                    jitter=random.random(),  # noqa: S311 - spreads requests, hides nothing
                )
                if wait is None:
                    raise
                cause = str(error).partition("\n")[0]
                log.warning("GET %s: try %d failed, next in %.1f s: %s", path, failures, wait, cause)
            self.limiter.sleep(wait)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        slot: float | None = None,
        waits: bool = False,
    ) -> Answer:
        """
        Send a change once.

        :param slot: the right to send it, which the caller holds (:meth:`.RateLimiter.slot`); None takes one.
        :param waits: wait and send it again after a 429, which means that nothing was done. Only for a change that does
            not rest on a state that was read: that state may be another one after the wait.
        :raises AworkRateLimitError: 429. Later requests of this session wait as long as awork says.
        :raises AworkTransportError: the answer is lost; whether awork made the change is unknown.
        """
        tries = self._retry.rate_limit_tries if waits else 1
        return self._send(method, path, params=params, json=json, slot=slot, tries=tries)

    def close(self) -> None:
        """Wake waiting requests and close the connections."""
        self.limiter.close()
        self._http.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        json: Any = None,
        slot: float | None = None,
        tries: int,
    ) -> Answer:
        for refusals in range(1, tries + 1):
            with self.limiter.slot() if slot is None else contextlib.nullcontext(slot) as sent:
                status, answer = self._exchange(method, path, params, json)
                self.limiter.observe(answer.headers, sent=sent)
            if status != 429:
                break
            self.limiter.pause(answer.headers, refusals=refusals)
        if 200 <= status < 300:
            return answer
        config = self.config
        error = error_from(
            answer,
            method=method,
            path=path,
            secrets=config.secrets(),
            token_hint=config.token_hint,
            filterby=(params or {}).get("filterby"),
        )
        if isinstance(error, AworkAuthenticationError) and self._key_is_replaced:
            raise key_replaced(error, connection=config.connection)
        raise error

    @functools.cached_property
    def _key_is_replaced(self) -> bool:
        """Whether the connection has another key by now; read once, when awork refuses the one in use."""
        if self._read_token is None:
            return False
        try:
            return self._read_token() != self.config.token
        except AworkError as error:
            log.warning("The connection cannot be read again: %s", error)
            return False

    def _exchange(self, method: str, path: str, params: Mapping[str, Any] | None, json: Any) -> tuple[int, Answer]:
        extras = self.config.extras
        self.requests_sent += 1
        try:
            with self._http.request(
                method,
                f"{self.config.base_url}/{path}",
                params={name: value for name, value in (params or {}).items() if value is not None},
                json=json,
                timeout=(extras.connect_timeout, extras.read_timeout),
                verify=extras.verify,
                proxies=extras.proxies,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response)
                answer = Answer(status=response.status_code, headers=response.headers, body=body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise fault_from(error, self._target(f"{method} {path}")) from None
        return answer.status, answer

    def _read(self, response: requests.Response) -> memoryview:
        """Read the whole body; urllib3 checks Content-Length and the encoding."""
        body, length = _buffer(FIRST_BUFFER_BYTES), 0
        # Not stream(): it waits for whole chunks, and a body that trickles in would never reach its deadline.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            if length + len(chunk) > len(body):
                smaller, body = body, _buffer(2 * (length + len(chunk)))
                body.write(memoryview(smaller)[:length])
            body[length : length + len(chunk)] = chunk
            length += len(chunk)
        return memoryview(body)[:length]

    def _target(self, request: str) -> Target:
        config = self.config
        return Target(
            request=request,
            base_url=config.base_url,
            connection=config.connection,
            connect_timeout=config.extras.connect_timeout,
            read_timeout=config.extras.read_timeout,
        )

    def redact(self, text: str) -> str:
        """Return a text without the connection's secrets."""
        redacted: str = without_secrets(text, self.config.secrets())
        return redacted


class _SessionWithoutRedirects(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # requests parses the location of a redirect even if it is not to follow it, and fails on a malformed one.
        return None


def impatient_session(config: AworkConfig) -> AworkSession:
    """Return a session for a person who waits for the outcome: two tries of a few seconds, and short waits."""
    extras = msgspec.structs.replace(
        config.extras,
        connect_timeout=min(config.extras.connect_timeout, IMPATIENT_SECONDS),
        read_timeout=min(config.extras.read_timeout, IMPATIENT_SECONDS),
    )
    return AworkSession(
        msgspec.structs.replace(config, extras=extras),
        retry=IMPATIENT_RULES,
        limiter=RateLimiter(requests_per_minute=extras.requests_per_minute, max_wait=IMPATIENT_SECONDS),
    )


def _buffer(size: int) -> mmap.mmap:
    """
    Return anonymous memory for a body.

    It goes back to the system with the last row that points into it, where malloc would keep the megabytes of all
    pages in flight. Pages that are not written to cost nothing. Huge pages, because the first touch of each small
    one can cost as much as parsing the bytes in it.
    """
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # neither on every system nor in every kernel
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
