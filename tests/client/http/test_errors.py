"""Every error that awork documents, over real HTTP: its class, all that awork says, and what is tried again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.conditions import field
from airflow_provider_awork.client.properties import TIME_ENTRY_PROPERTIES
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
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
HINT = "Connection 'awork_default': the API key in its password is not valid\nCreate one in awork."

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


def error_of(awork: Sandbox, answer: Answer, *, method: str = "GET", token_hint: str = "") -> AworkApiError:
    """What the client makes of an answer."""
    awork.faults.add(lambda request, store: answer)
    session = AworkSession(
        build_config(token=awork.token, base_url=awork.url, token_hint=token_hint),
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


LONG = "A sentence of awork that goes on and on, and says much more than the first line of a log can show."


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Answer(401), "Connection 'awork_default': the API key in its password is not valid"),
        (
            Answer(403, {"code": "unauthorized", "description": "Not allowed."}),
            "awork answered 403 unauthorized: Not allowed.",
        ),
        (Answer(404, {"code": "not-found", "description": LONG}), "awork answered 404 not-found"),
        (Answer(503, ""), "awork answered 503 without a code"),
        (Answer(400, body_of("validation-failed")), "Duration: Duration is negative."),
        (
            Answer(400, {"code": "invalid-operation", "description": LONG, "traceId": "t" * 40}),
            "awork answered 400 invalid-operation",
        ),
        (Answer(429, {"code": "too-many-requests", "description": LONG}), "awork answered 429 too-many-requests"),
        (
            Answer(301, "", {"location": "https://gw.example:8443/api/v2/timeentries?key=secret-1#there"}),
            "host: redirected to gw.example:8443/api/v2/timeentries",
        ),
        (Answer(308, "", {"location": "/api/v2"}), "host: redirected to /api/v2"),
        (Answer(302, "", {"location": "https://user:secret-1@gw.example/"}), "host: redirected to gw.example/"),
        (Answer(302, "", {"location": "http://[::1/"}), "host: redirected to nowhere"),
        (Answer(302, ""), "host: redirected to nowhere"),
        (Answer(407, ""), "proxies: the proxy wants a user and a password"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_the_first_line_is_the_cause_and_fits_a_log(awork: Sandbox, answer: Answer, cause: str) -> None:
    lines = str(error_of(awork, answer, token_hint=HINT)).splitlines()

    assert lines[0].startswith(cause)
    assert len(lines[0]) <= 80
    assert "Request: GET timeentries" in lines
    assert [line for line in lines if f"awork answered {answer.status}" in line]
    assert "secret-1" not in "".join(lines)
    assert len(lines) == len(set(lines)), "nothing is said twice"
    if 300 <= answer.status < 400:
        assert "set host to the base URL" in "".join(lines)


@pytest.mark.parametrize(
    ("filterby", "cause"),
    [
        ("isBilable eq true", "filterby: no property 'isBilable' (did you mean isBillable?)"),
        (
            "note eq 'isBilable' and createOn gt datetime'2026-01-01T00:00:00'",
            "filterby: no property 'createOn' (did you mean createdOn?)",
        ),
        ("project/nam eq 'x'", "filterby: no property 'project/nam' (did you mean project/name?)"),
        ("nonsense eq 1", "filterby: no property 'nonsense'"),
        ("isBillable eq", None),
    ],
)
def test_a_property_that_is_none_is_named_with_the_one_that_is_meant(
    awork: Sandbox, filterby: str, cause: str | None
) -> None:
    session = AworkSession(build_config(token=awork.token, base_url=awork.url))
    query = {"page": 1, "pageSize": 1, "filterby": filterby}
    with pytest.raises(AworkFilterError) as caught:
        session.get("timeentries", query, parse=decode_page)
    lines = str(caught.value).splitlines()
    assert cause is None or lines[0] == cause
    assert len(lines[0]) <= 80
    assert filterby in str(caught.value)


def test_the_properties_are_those_of_the_columns() -> None:
    paths = {column.path.replace(".", "/") for column in TIME_ENTRY.leaves}
    assert [path for path in paths if path not in TIME_ENTRY_PROPERTIES] == []


def test_a_filter_that_is_too_long_says_how_long_it_is_and_how_many_values_fit(awork: Sandbox) -> None:
    many = field("id").in_([f"00000000-0000-4000-8000-{number:012}" for number in range(150)])
    awork.faults.add(lambda request, _: Answer(414, "") if len(request.query.get("filterby", "")) > 5000 else None)
    with closing(AworkClient(build_config(token=awork.token, base_url=awork.url))) as client:
        with pytest.raises(AworkRequestError) as caught:
            client.count("timeentries", filterby=many)
        first, second, *_ = str(caught.value).splitlines()
        assert first == "filterby: too long for one request (8,396 characters in the URL)"
        fit = re.search(r"150 values by 'or', of which about (\d+) fit", str(caught.value))
        assert fit, second
        fewer = field("id").in_([f"00000000-0000-4000-8000-{number:012}" for number in range(int(fit[1]))])
        assert client.count("timeentries", filterby=fewer) == 0
