"""One request to awork: authentication, time-outs, retries, rate limit, errors, trace ids."""

from __future__ import annotations

import contextlib
import logging
import mmap
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import tenacity
import urllib3

from airflow_provider_awork import __version__
from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.auth import BearerAuth
from airflow_provider_awork.client.http.config import AworkConfig
from airflow_provider_awork.client.http.errors import error_from, without_secrets
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.transport import BoundedAdapter
from airflow_provider_awork.exceptions import AworkServerError, AworkTransportError

log = logging.getLogger(__name__)

T = TypeVar("T")

USER_AGENT = f"airflow-provider-awork/{__version__} python/{platform.python_version()}"
CHUNK_BYTES = 1 << 19
FIRST_BUFFER_BYTES = 1 << 23
MOST_CONNECTIONS = 50


@dataclass(frozen=True, kw_only=True)
class RetryRules:
    """
    How often a read is tried again, and how long it waits in between.

    :param tries: tries of one request, if it fails with 5xx, a time-out, a cut connection or an unreadable body.
    :param first_wait: seconds before the second try; doubles with each try, with jitter.
    :param longest_wait: the longest of these waits, in seconds.
    :param rate_limit_tries: tries of one request that is answered with 429; the server sets these waits.
    :param answer_factor: a whole answer, header lines and body, may take this many times the read time-out.
    """

    tries: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    rate_limit_tries: int = 10
    answer_factor: float = 5.0

    @classmethod
    def single_try(cls) -> RetryRules:
        """For pollers: try once and let the caller handle the error."""
        return cls(tries=1, rate_limit_tries=1)


class AworkSession:
    """
    Sends requests over pooled connections; thread safe.

    :param config: the connection's settings.
    :param limiter: pacing; by default from the settings.
    :param retry: retry rules.
    """

    def __init__(
        self, config: AworkConfig, *, limiter: RateLimiter | None = None, retry: RetryRules | None = None
    ) -> None:
        self.config = config
        self.limiter = limiter or RateLimiter.for_share(config.extras.requests_per_minute)
        self.requests_sent = 0
        self._retry = retry or RetryRules()
        self._http = requests.Session()
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
        :raises AworkTransportError: no whole answer after all tries.
        :raises AworkServerError: 5xx after all tries.
        :raises AworkRateLimitError: 429 after all waits.
        :raises AworkRequestError: 4xx, at once.
        """
        for attempt in self._attempts(f"GET {path}"):
            with attempt:
                return parse(self._send("GET", path, params=params))
        raise AssertionError("tenacity re-raises")

    def send(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Answer:
        """
        Send a change once. Only a 429, which means that nothing was done, is tried again.

        :raises AworkTransportError: the answer is lost; whether awork made the change is unknown.
        """
        return self._send(method, path, params=params, json=json)

    def close(self) -> None:
        """Wake waiting requests and close the connections."""
        self.limiter.close()
        self._http.close()

    def _attempts(self, request: str) -> tenacity.Retrying:
        def log_failed_try(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            wait = state.next_action.sleep if state.next_action else 0
            log.warning(
                "%s: try %d of %d failed, next in %.1f s: %s",
                request,
                state.attempt_number,
                self._retry.tries,
                wait,
                error,
            )

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._retry.tries),
            wait=tenacity.wait_exponential(multiplier=self._retry.first_wait, max=self._retry.longest_wait)
            + tenacity.wait_random(0, self._retry.first_wait),
            retry=tenacity.retry_if_exception_type((AworkTransportError, AworkServerError)),
            before_sleep=log_failed_try,
            sleep=self.limiter.sleep,
            reraise=True,
        )

    def _send(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Answer:
        for refusals in range(1, self._retry.rate_limit_tries + 1):
            with self.limiter.slot() as sent:
                status, answer = self._exchange(method, path, params, json)
                self.limiter.observe(answer.headers, sent=sent)
            if status != 429:
                break
            self.limiter.pause(answer.headers, refusals=refusals)
        if 200 <= status < 300:
            return answer
        filterby = (params or {}).get("filterby")
        config = self.config
        raise error_from(
            answer,
            method=method,
            path=path,
            secrets=config.secrets(),
            token_hint=config.token_hint,
            filterby=filterby,
        )

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
            raise AworkTransportError(f"{method} {path}: {self.redact(f'{type(error).__name__}: {error}')}") from None
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

    def redact(self, text: str) -> str:
        """Return a text without the connection's secrets."""
        redacted: str = without_secrets(text, self.config.secrets())
        return redacted


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
