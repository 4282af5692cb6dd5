"""Every error that awork documents, over real HTTP: its class, all that awork says, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.exceptions import (
    AworkApiError,
    AworkAuthenticationError,
    AworkFilterError,
    AworkNotFoundError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkRequestError,
    AworkServerError,
    AworkValidationError,
)
from airflow_provider_awork.sandbox import Answer, Sandbox
from airflow_provider_awork.version_compat import AirflowFailException

TRIES = 3

# https://developers.awork.com/error-handling: all codes, each with the status it is likely to come with.
DOCUMENTED = {
    "workspaceid-missing": (401, AworkAuthenticationError),
    "unauthorized": (401, AworkPermissionError),
    "not-found": (404, AworkNotFoundError),
    "invalid-filter-or-order": (400, AworkFilterError),
    "validation-failed": (400, AworkValidationError),
    "invalid-model": (400, AworkValidationError),
    "invalid-operation": (400, AworkRequestError),
    "illegal-property-transition": (400, AworkRequestError),
    "invalid-batch-operation": (400, AworkRequestError),
    "date-dependency": (400, AworkValidationError),
    "date-out-of-range": (400, AworkValidationError),
    "value-out-of-range": (400, AworkValidationError),
    "duplication-violation": (400, AworkRequestError),
    "already-exist-error": (400, AworkRequestError),
    "entity-archived": (400, AworkRequestError),
    "deactivated-user": (400, AworkRequestError),
    "insufficient-subscription-level": (400, AworkRequestError),
    "insufficient-seats": (400, AworkRequestError),
    "request-body-too-large": (413, AworkRequestError),
    "concurrency-violation": (400, AworkServerError),
    "database-commit": (400, AworkServerError),
    "server-error": (500, AworkServerError),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def awork(server: Sandbox) -> Iterator[Sandbox]:
    yield server
    server.faults.clear()
    server.requests.clear()


def error_of(awork: Sandbox, answer: Answer, *, method: str = "GET") -> AworkApiError:
    """What the client makes of an answer."""
    awork.faults.add(lambda request, store: answer)
    session = AworkSession(
        build_config(token=awork.token, base_url=awork.url),
        limiter=RateLimiter(requests_per_minute=10_000, max_wait=0.05),
        retry=RetryRules(tries=TRIES, first_wait=0.001, longest_wait=0.002, rate_limit_tries=TRIES),
    )
    send: Callable[[], object] = partial(session.send, method, "timeentries", json={})
    if method == "GET":
        send = partial(session.get, "timeentries", parse=decode_page)
    with pytest.raises(AworkApiError) as caught:
        send()
    return caught.value


def body_of(code: str, **changes: Any) -> dict[str, Any]:
    return {
        "code": code,
        "description": f"What happened: {code}",
        "link": f"https://developers.awork.com/error-handling#{code}",
        "details": ["No project with the id '123' exists.", "A second detail."],
        "validationErrors": [
            {"property": "Duration", "message": "Duration is negative."},
            {"property": "TimeZone", "message": "TimeZone is required."},
        ],
        "traceId": "a65ce5745df02af216715ff06661fb3a",
        **changes,
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_documented_error_has_its_class_and_all_that_awork_says(awork: Sandbox, code: str, method: str) -> None:
    status, error_class = DOCUMENTED[code]
    body = body_of(code)

    error = error_of(awork, Answer(status, body), method=method)

    assert type(error) is error_class
    assert (error.status, error.code, error.description) == (status, code, body["description"])
    assert (error.link, error.trace_id) == (body["link"], body["traceId"])
    assert list(error.details) == body["details"]
    assert list(error.validation_errors) == body["validationErrors"]
    shown = [str(status), code, f"{method} timeentries", body["description"], *body["details"], body["traceId"]]
    shown += ["Duration: Duration is negative.", "TimeZone: TimeZone is required."]
    assert [part for part in shown if part not in str(error)] == []


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_documented_error_is_tried_again_only_where_that_can_help(awork: Sandbox, code: str) -> None:
    status, error_class = DOCUMENTED[code]
    may_help = error_class is AworkServerError

    error = error_of(awork, Answer(status, body_of(code)))

    assert isinstance(error, AirflowFailException) is not may_help
    assert len(awork.requests) == (TRIES if may_help else 1)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_change_is_never_sent_twice(awork: Sandbox, code: str) -> None:
    error_of(awork, Answer(DOCUMENTED[code][0], body_of(code)), method="POST")

    assert len(awork.requests) == 1


@pytest.mark.parametrize("absent", ["details", "validationErrors", "traceId"])
@pytest.mark.parametrize("null", [True, False])
def test_what_awork_may_leave_out_or_send_as_null(awork: Sandbox, absent: str, null: bool) -> None:
    body = body_of("not-found", **{absent: None})
    if not null:
        del body[absent]

    error = error_of(awork, Answer(404, body, {"trace-id": "of the header"}))

    assert type(error) is AworkNotFoundError
    assert error.details == (() if absent == "details" else tuple(body["details"]))
    assert error.validation_errors == (() if absent == "validationErrors" else tuple(body["validationErrors"]))
    assert error.trace_id == ("of the header" if absent == "traceId" else body["traceId"])


@pytest.mark.parametrize(
    ("answer", "error_class", "code", "description"),
    [
        # A wrong key: not the documented object.
        (Answer(401), AworkAuthenticationError, "unauthorized", "Unauthorized"),
        (Answer(401, ""), AworkAuthenticationError, None, "no error object"),
        # Undocumented, but real: codes that awork may add, another status, none of its own objects.
        (Answer(400, body_of("brand-new")), AworkRequestError, "brand-new", "What happened"),
        (Answer(400, body_of("unauthorized")), AworkPermissionError, "unauthorized", "What happened"),
        (Answer(403, body_of("unauthorized")), AworkPermissionError, "unauthorized", "What happened"),
        (Answer(409, body_of("database-commit")), AworkServerError, "database-commit", "What happened"),
        (Answer(403, "<html>blocked</html>"), AworkPermissionError, None, "no error object"),
        (Answer(404, "[]"), AworkNotFoundError, None, "no error object"),
        (Answer(405), AworkNotFoundError, "not-found", "no matching path"),
        (Answer(429, "", {"retry-after": "0"}), AworkRateLimitError, None, "no error object"),
        (Answer(502, b"\xff\xfe"), AworkServerError, None, "no error object"),
        # Rubbish where awork's document has texts and lists.
        (Answer(400, body_of({"a": []}, details="one text")), AworkRequestError, "{'a': []}", "What happened"),  # type: ignore[arg-type]
        (Answer(400, {"code": 7, "description": ["x"], "validationErrors": 5}), AworkRequestError, "7", "['x']"),
        (Answer(404, {"code": None, "description": None, "details": {}}), AworkNotFoundError, None, "no error object"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_other_answers(
    awork: Sandbox, answer: Answer, error_class: type[AworkApiError], code: str | None, description: str
) -> None:
    error = error_of(awork, answer)

    assert type(error) is error_class
    assert error.code == code
    assert description in error.description


def test_what_awork_s_edge_blocks_has_the_edge_s_reference(awork: Sandbox) -> None:
    blocked = Answer(403, "<html>blocked</html>", {"trace-id": None, "x-edge-ref": "edge-1"})

    assert error_of(awork, blocked).trace_id == "edge-1"
