"""
The typed error of an answer that is not 2xx. Source: https://developers.awork.com/error-handling

A bad key is answered with ``{"message": {code, description}}`` instead of awork's error object, a missing permission
with 401 and the error object. Something between awork and us may answer with HTML.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote_plus, urlsplit

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.rate_limit import said_wait
from airflow_provider_awork.client.properties import TIME_ENTRY_PROPERTIES
from airflow_provider_awork.exceptions import (
    AworkApiError,
    AworkAuthenticationError,
    AworkFilterError,
    AworkKeyReplacedError,
    AworkNotFoundError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkRequestError,
    AworkServerError,
    AworkValidationError,
)

# 408 request time-out, 409 conflict, 425 too early: true only now.
TRANSIENT_STATUSES = {408, 409, 425}
MOST_OF_A_LOCATION = 200
LONGEST_USUAL_FILTER = 7500  # characters; many servers take 8 KB for the whole request line
TEXTS = re.compile(r"'(?:[^']|'')*'")
NAMES = re.compile(r"[A-Za-z_][\w/]*")
# Of the filter language.
WORDS = {"and", "any", "datetime", "endswith", "eq", "false", "ge", "gt", "guid", "in", "le", "lt", "ne", "not", "null"}
WORDS |= {"or", "startswith", "substringof", "true"}
TRANSIENT_CODES = {"server-error", "concurrency-violation", "database-commit"}
# Conflicts that stay.
LASTING_CODES = {"already-exist-error", "duplication-violation"}
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
    Return the typed error of an answer that is not 2xx.

    :param secrets: texts that the error must not show, even if the answer does.
    :param token_hint: detail for an error of the key.
    :param filterby: the filter that was sent, as a detail for an error in it.
    """
    error, is_error_object = _error_object(answer, secrets)
    code = _text(error.get("code"))
    error_class = _error_class(answer.status, code, is_error_object)
    details = [str(detail) for detail in _items(error.get("details"))]
    summary = None
    if error_class is AworkAuthenticationError and token_hint:
        summary, _, way_out = token_hint.partition("\n")
        details.append(way_out)
    if error_class is AworkFilterError and filterby:
        said = " ".join([_text(error.get("description")) or "", *details])
        summary = unknown_property(filterby, said) if path.endswith("timeentries") else None
        details.append(f"filterby as it was sent, which positions count in: {filterby!r}")
    if 300 <= answer.status < 400:
        summary, way_out = _redirect(answer)
        details.append(way_out)
    if answer.status == 414 and filterby:
        summary, way_out = _too_long(filterby)
        details.append(way_out)
    if answer.status == 407:
        summary = "proxies: the proxy wants a user and a password"
        details.append("Put them into its URL in the extra 'proxies'.")
    no_object = f"no error object in the answer ({answer.headers.get('content-type', 'no content type')})"
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
        retry_after=said_wait(answer.headers),
        summary=summary,
    )


def unknown_property(filterby: str, said: str) -> str | None:
    """
    Return which property of a filter is none, and which one may be meant; None if all look right.

    :param filterby: a filter on time entries.
    :param said: awork's description of the fault.
    """
    known = {name.lower(): name for name in TIME_ENTRY_PROPERTIES}
    for name in NAMES.findall(TEXTS.sub("", filterby)):
        if name.lower() in known or name.lower() in WORDS:
            continue
        meant = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
        hint = f" (did you mean {known[meant[0]]}?)" if meant else ""
        if hint or repr(name) in said:
            return f"filterby: no property {name!r}{hint}"
    return None


def _too_long(filterby: str) -> tuple[str, str]:
    """Return how long a filter is in a URL, and how many of the values that it joins with ``or`` fit."""
    length, values = len(quote_plus(filterby)), filterby.count(" or ") + 1
    fit = max(1, int(min(LONGEST_USUAL_FILTER, length / 2) * values / length))
    return (
        f"filterby: too long for one request ({length:,} characters in the URL)",
        f"It joins {values} values by 'or', of which about {fit} fit. Spread them over several requests.",
    )


def _redirect(answer: Answer) -> tuple[str, str]:
    """Return where a redirect leads, host and path only, and the way out."""
    try:
        url = urlsplit(answer.headers.get("location", ""))
        where = f"{url.hostname}:{url.port}" if url.port else url.hostname or ""
        where += url.path
    except ValueError:
        where = ""
    where = "".join(each for each in where if each.isprintable())[:MOST_OF_A_LOCATION] or "nowhere"
    return (
        f"host: redirected to {where}",
        "Redirects are not followed, since the key would go along: set host to the base URL of the API there.",
    )


def key_replaced(error: AworkAuthenticationError, *, connection: str) -> AworkKeyReplacedError:
    """Return the error to raise for a key that is not valid, if the connection has another one by now."""
    return AworkKeyReplacedError(
        status=error.status,
        code=error.code,
        description=error.description,
        summary=f"Connection {connection!r} has another key by now",
        details=["Another try uses it."],
        method=error.method,
        path=error.path,
        trace_id=error.trace_id,
    )


def _error_object(answer: Answer, secrets: Collection[str]) -> tuple[dict[str, Any], bool]:
    """Return the fields that describe the error, and whether they are awork's error object."""
    try:
        body = without_secrets(json_text.decode(answer.body), secrets)
    except msgspec.DecodeError:
        return {}, False
    if not isinstance(body, dict) or not body:
        return {}, False
    message = body.get("message")
    return (message, False) if isinstance(message, dict) else (body, True)


def _error_class(status: int, code: str | None, is_error_object: bool) -> type[AworkApiError]:
    if status == 429:
        return AworkRateLimitError
    if status >= 500 or code in TRANSIENT_CODES:
        return AworkServerError
    if status in TRANSIENT_STATUSES and code not in LASTING_CODES:
        return AworkServerError
    if code in ERROR_BY_CODE:
        return ERROR_BY_CODE[code]
    if status == 401 and not is_error_object:
        return AworkAuthenticationError
    if status in (401, 403) or code == "unauthorized":
        return AworkPermissionError
    if status == 404:
        return AworkNotFoundError
    return AworkRequestError


def _text(value: Any) -> str | None:
    """Return a field of an error body as text, of whatever type it came."""
    return None if value is None else str(value)


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def without_secrets(value: Any, secrets: Collection[str]) -> Any:
    """Return a JSON value whose texts have ``***`` in place of each secret."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, list):
        return [without_secrets(each, secrets) for each in value]
    if isinstance(value, dict):
        return {without_secrets(name, secrets): without_secrets(each, secrets) for name, each in value.items()}
    return value
