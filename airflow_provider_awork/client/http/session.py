"""One request to awork: authentication, time-outs, retries, rate limit, errors, trace ids."""

from __future__ import annotations

import contextlib
import logging
import mmap
import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import requests
import tenacity
import urllib3

from airflow_provider_awork import __version__
from airflow_provider_awork.client.http import surrogates
from airflow_provider_awork.client.http.auth import BearerAuth
from airflow_provider_awork.client.http.config import AworkConfig
from airflow_provider_awork.client.http.rate_limit import RateLimiter, said_wait
from airflow_provider_awork.client.http.transport import BoundedAdapter
from airflow_provider_awork.exceptions import (
    AworkApiError,
    AworkAuthenticationError,
    AworkFilterError,
    AworkNotFoundError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkRequestError,
    AworkServerError,
    AworkTransportError,
    AworkValidationError,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

USER_AGENT = f"airflow-provider-awork/{__version__} python/{platform.python_version()}"
CHUNK_BYTES = 1 << 19
FIRST_BUFFER_BYTES = 1 << 23
MOST_CONNECTIONS = 50

TRANSIENT_CODES = {"server-error", "concurrency-violation", "database-commit"}
ERROR_BY_CODE: dict[str, type[AworkRequestError]] = {
    "workspaceid-missing": AworkAuthenticationError,
    "not-found": AworkNotFoundError,
    "invalid-filter-or-order": AworkFilterError,
    "validation-failed": AworkValidationError,
    "invalid-model": AworkValidationError,
    "date-dependency": AworkValidationError,
    "date-out-of-range": AworkValidationError,
    "value-out-of-range": AworkValidationError,
}


@dataclass(frozen=True, kw_only=True)
class RetryRules:
    """
    How often and how patiently a read is tried again.

    :param tries: tries of one request that meet 5xx, time-outs, cut connections or unreadable bodies.
    :param first_wait: seconds before the second try; doubles from try to try, with jitter.
    :param longest_wait: seconds that such a wait is at most.
    :param rate_limit_tries: how many 429 answers one request outlasts; their waits are the server's.
    :param answer_factor: an answer, header lines and body, may take this many times the read time-out in all.
    """

    tries: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    rate_limit_tries: int = 10
    answer_factor: float = 5.0

    @classmethod
    def single_try(cls) -> RetryRules:
        """For those who ask at intervals: an error is theirs to wait for."""
        return cls(tries=1, rate_limit_tries=1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer with status 2xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes | memoryview


def decode_json(answer: Answer) -> Any:
    """The body as Python objects; None for an empty body (204)."""
    return decode_body(surrogates.decode, answer) if answer.body else None


def decode_raw_json(answer: Answer) -> Any:
    """The body as :func:`decode_json` gives it, but with texts that can only go back to awork as they came."""
    return decode_body(surrogates.decode_raw, answer) if answer.body else None


def decode_body(decode: Callable[[bytes | memoryview], T], answer: Answer) -> T:
    """
    Decode a body.

    :raises AworkTransportError: the body is not what was asked for: cut JSON, or HTML from something in between.
    """
    try:
        return decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = answer.headers.get("content-type", "no content type")
        raise AworkTransportError(f"unreadable body ({kind}, {len(answer.body)} bytes): {error}") from None


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
        Change something: sent once. Only a 429, which says that nothing was done, is tried again.

        :raises AworkTransportError: the answer is lost; whether awork carried the request out is unknown.
        """
        return self._send(method, path, params=params, json=json)

    def close(self) -> None:
        """Wake waiting requests up, and close the connections."""
        self.limiter.close()
        self._http.close()

    def _attempts(self, what: str) -> tenacity.Retrying:
        def say(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            wait = state.next_action.sleep if state.next_action else 0
            log.warning(
                "%s: try %d of %d failed, next in %.1f s: %s",
                what,
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
            before_sleep=say,
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
        # Not stream(): it waits for whole chunks, and a body that trickles in would never meet its deadline.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            if length + len(chunk) > len(body):
                smaller, body = body, _buffer(2 * (length + len(chunk)))
                body.write(memoryview(smaller)[:length])
            body[length : length + len(chunk)] = chunk
            length += len(chunk)
        return memoryview(body)[:length]

    def redact(self, text: str) -> str:
        """The text without the connection's secrets."""
        redacted: str = without_secrets(text, self.config.secrets())
        return redacted


def without_secrets(value: Any, secrets: Collection[str]) -> Any:
    """A text, or the texts within lists and the values of dicts, without secrets."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, list):
        return [without_secrets(each, secrets) for each in value]
    if isinstance(value, dict):
        return {without_secrets(name, secrets): without_secrets(each, secrets) for name, each in value.items()}
    return value


def _buffer(size: int) -> mmap.mmap:
    """
    Memory of its own for a body.

    It goes back to the system with the last row that is taken from it, where malloc would keep the megabytes of all
    pages in flight, and costs nothing where it is not written to. Huge pages, because the first touch of each small
    one can cost as much as parsing what lies in it.
    """
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # neither on every system nor in every kernel
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def error_from(
    answer: Answer,
    *,
    method: str,
    path: str,
    secrets: Collection[str],
    token_hint: str = "",
    filterby: str | None = None,
) -> AworkApiError:
    """
    The typed error of an answer that is not 2xx. Source: https://developers.awork.com/error-handling

    A bad key is answered with ``{"message": {code, description}}`` instead of awork's error object, a lacking
    permission with 401 and the error object; something in between may answer with HTML.

    :param secrets: what the error must not show, even if the answer does.
    """
    try:
        body = without_secrets(surrogates.decode(answer.body), secrets)
    except msgspec.DecodeError:
        body = None
    error = body if isinstance(body, dict) else {}
    wrapped = isinstance(error.get("message"), dict)
    if wrapped:
        error = error["message"]
    code = _text(error.get("code"))
    no_object = f"no error object in the answer ({answer.headers.get('content-type', 'no content type')})"
    error_class = _error_class(answer.status, code, wrapped or not error)
    further: dict[str, Any] = {}
    if error_class is AworkRateLimitError:
        further["retry_after"] = said_wait(answer.headers)
    details = [str(detail) for detail in _items(error.get("details"))]
    if error_class is AworkAuthenticationError and token_hint:
        details.append(token_hint)
    if error_class is AworkFilterError and filterby:
        details.append(f"filterby as it was sent, which positions count in: {filterby!r}")
    return error_class(
        status=answer.status,
        code=code,
        description=_text(error.get("description")) or no_object,
        method=method,
        path=path,
        link=_text(error.get("link")),
        details=details,
        validation_errors=[each for each in _items(error.get("validationErrors")) if isinstance(each, dict)],
        trace_id=_text(error.get("traceId")) or answer.headers.get("trace-id") or answer.headers.get("x-edge-ref"),
        **further,
    )


def _text(value: Any) -> str | None:
    """A field of an error body, whatever something in between made of it."""
    return None if value is None else str(value)


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _error_class(status: int, code: str | None, without_error_object: bool) -> type[AworkApiError]:
    if status == 429:
        return AworkRateLimitError
    if status >= 500 or code in TRANSIENT_CODES:
        return AworkServerError
    if code in ERROR_BY_CODE:
        return ERROR_BY_CODE[code]
    if status == 401 and without_error_object:
        return AworkAuthenticationError
    if status in (401, 403) or code == "unauthorized":
        return AworkPermissionError
    if status == 404:
        return AworkNotFoundError
    return AworkRequestError
