"""One request over real HTTP: errors, retries, limits, secrets."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from rich.pretty import pretty_repr

from airflow_provider_awork.client.http.answer import decode_json
from airflow_provider_awork.client.http.config import ConnectionExtras, build_config
from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS, RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.exceptions import (
    AworkAuthenticationError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkRequestError,
    AworkServerError,
    AworkTransportError,
)
from airflow_provider_awork.sandbox import (
    Answer,
    BrokenGzip,
    CutBody,
    Html,
    Sandbox,
    ShortBody,
    Stall,
    TruncatedJson,
    at,
    every,
    first,
)
from airflow_provider_awork.version_compat import AirflowFailException

QUICK = RetryRules(tries=4, first_wait=0.01, longest_wait=0.05)


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=30, seed=1) as sandbox:
        yield sandbox


def session_for(
    awork: Sandbox, *, token: str | None = None, retry: RetryRules = QUICK, max_wait: float = 0.3, **extras: object
) -> AworkSession:
    config = build_config(token=token or awork.token, base_url=awork.url, extras=extras)
    return AworkSession(config, retry=retry, limiter=RateLimiter(requests_per_minute=10_000, max_wait=max_wait))


def read(session: AworkSession) -> int:
    return len(session.get("timeentries", {"page": 1, "pageSize": 100}, parse=decode_page).rows)


TROUBLES = [
    Answer(500),
    Answer(502, body=b"<html>bad gateway</html>", headers={"content-type": "text/html"}),
    Answer(503),
    Answer(504),
    CutBody(after_bytes=500),
    ShortBody(missing_bytes=10),
    TruncatedJson(),
    BrokenGzip(),
    Html(),
    Answer(400, body=b'{"code":"database-commit","description":"not saved","link":""}'),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: f"{type(each).__name__} {getattr(each, 'status', '')}")
def test_a_read_outlasts_trouble_and_uses_nothing_half_read(awork: Sandbox, trouble: object) -> None:
    awork.faults.add(first(3, trouble))
    assert read(session_for(awork)) == 30
    assert len(awork.requests) == 4


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: f"{type(each).__name__} {getattr(each, 'status', '')}")
def test_a_read_gives_up_after_the_stated_number_of_tries(awork: Sandbox, trouble: object) -> None:
    awork.faults.add(every(1, trouble))
    with pytest.raises((AworkTransportError, AworkServerError)) as caught:
        read(session_for(awork))
    assert not isinstance(caught.value, AirflowFailException), "another try of the task may help"
    assert len(awork.requests) == QUICK.tries


def test_a_server_that_never_answers_is_timed_out(awork: Sandbox) -> None:
    awork.faults.add(every(1, Stall(3)))
    with pytest.raises(AworkTransportError, match=r"GET timeentries.*[Tt]imed out"):
        read(session_for(awork, retry=RetryRules(tries=2, first_wait=0.01), read_timeout=0.2))


def test_a_host_that_is_down_is_named() -> None:
    config = build_config(token="key", base_url="http://127.0.0.1:9/api/v1")
    with pytest.raises(AworkTransportError, match=r"127\.0\.0\.1"):
        AworkSession(config, retry=QUICK).get("me", parse=decode_json)


def test_a_wrong_key_is_an_authentication_error_that_does_not_show_it(awork: Sandbox) -> None:
    with pytest.raises(AworkAuthenticationError, match="401") as caught:
        read(session_for(awork, token="wrong-key-123"))
    assert "wrong-key-123" not in str(caught.value)


def test_an_error_page_of_something_in_between_is_not_taken_for_awork(awork: Sandbox) -> None:
    awork.faults.add(every(1, Answer(403, body=b"<html>blocked</html>", headers={"content-type": "text/html"})))
    with pytest.raises(AworkPermissionError, match=r"no error object.*text/html"):
        read(session_for(awork))


def test_a_redirect_is_not_followed_with_the_key(awork: Sandbox) -> None:
    awork.faults.add(every(1, Answer(302, headers={"location": f"{awork.url}/me"})))
    with pytest.raises(AworkRequestError, match="302"):
        read(session_for(awork))
    assert len(awork.requests) == 1


def in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"ratelimit-reset": "0.2"}, "ratelimit-reset"),
        ({"retry-after": "0.2"}, "Retry-After"),
        ({"retry-after": in_a_minute}, "Retry-After"),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1000000000"}, "Retry-After"),
        ({"retry-after": "soon"}, "unreadable Retry-After"),
        ({}, "no time given"),
    ],
)
def test_a_429_waits_for_what_the_server_says_within_bounds(
    awork: Sandbox,
    headers: dict[str, str | Callable[[], str]],
    said: str | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {name: value() if callable(value) else value for name, value in headers.items()}
    awork.faults.add(first(2, Answer(429, headers=told)))
    waits, pause = [], RateLimiter.pause

    def observed(limiter: RateLimiter, *arguments: Any, **parameters: Any) -> float:
        waits.append(pause(limiter, *arguments, **parameters))
        return waits[-1]

    monkeypatch.setattr(RateLimiter, "pause", observed)
    with caplog.at_level(logging.WARNING):
        assert read(session_for(awork)) == 30
    assert [record.status for record in awork.requests] == [429, 429, 200]
    pauses = [later.started - earlier.ended for earlier, later in zip(awork.requests, awork.requests[1:], strict=False)]
    assert all(each > 0.05 for each in pauses)
    assert all(0.1 <= wait <= 0.3 for wait in waits)
    assert len(waits) == 2
    if said and said != "no time given":
        assert said in caplog.text


ODD_RESETS = ["3600", "1796000000", "-5", "NaN", "inf", "1e300", "1_0", "9" * 5000, "soon", ""]


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("reset", ODD_RESETS, ids=lambda each: each[:12])
def test_no_reset_makes_a_request_wait_longer_than_the_bound(awork: Sandbox, status: int, reset: str) -> None:
    body = [] if status == 200 else None
    used_up = {"x-ratelimit-remaining-minute": "0", "x-ratelimit-remaining-second": "0", "ratelimit-reset": reset}
    awork.faults.add(first(1, Answer(status, body, headers={"aw-totalitems": "0", **used_up})))
    config = build_config(token=awork.token, base_url=awork.url)
    limiter = RateLimiter(requests_per_minute=10_000, minute=0.5, second=0.01, max_wait=0.5)
    session = AworkSession(config, retry=QUICK, limiter=limiter)

    started = time.monotonic()
    if status == 200:
        assert read(session) == 0
    assert read(session) == 30

    assert time.monotonic() - started < 5
    assert limiter.waited_seconds < 1.5


@pytest.mark.parametrize("reset", ["3600", "1796000000", "1e300"])
def test_a_used_up_minute_is_over_after_five_minutes_at_the_latest(reset: str) -> None:
    limiter = RateLimiter(requests_per_minute=1000)
    limiter.observe({"x-ratelimit-remaining-minute": "0", "ratelimit-reset": reset}, sent=time.monotonic())
    assert 290 < limiter._wait(time.monotonic() + 1) <= LONGEST_WAIT_SECONDS == 300


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
        "Fri, 31 Dec 2026 23:59:59 +99999999999999",
        "9" * 5000,
    ],
    ids=lambda each: each[-20:],
)
@pytest.mark.parametrize("name", ["retry-after", "date"])
def test_dates_far_away_are_bounded_or_unreadable(date: str, name: str) -> None:
    headers = {"retry-after": in_a_minute(), name: date}
    assert 0.1 <= RateLimiter(requests_per_minute=1).pause(headers) <= LONGEST_WAIT_SECONDS


def test_endless_429_ends_with_a_clear_error(awork: Sandbox) -> None:
    awork.faults.add(every(1, Answer(429, headers={"ratelimit-reset": "0"})))
    with pytest.raises(AworkRateLimitError, match="429"):
        read(session_for(awork, retry=RetryRules(rate_limit_tries=3)))
    assert len(awork.requests) == 3


def test_a_change_is_sent_once(awork: Sandbox) -> None:
    awork.faults.add(lambda request, store: CutBody(after_bytes=0))
    with pytest.raises(AworkTransportError, match="POST timeentries"):
        session_for(awork).send("POST", "timeentries", json={})
    assert len(awork.requests) == 1


def test_every_request_says_who_asks(awork: Sandbox) -> None:
    read(session_for(awork))
    assert awork.requests[0].headers["user-agent"].startswith("airflow-provider-awork/")
    assert "aw-internal-request" not in awork.requests[0].headers


def test_the_key_is_in_no_repr(awork: Sandbox) -> None:
    config = build_config(
        token="very-secret-key",
        extras={"proxies": {"https": "http://user:proxy-secret@127.0.0.1:1"}},
    )
    session = AworkSession(config)
    for shown in (repr(config), str(config), repr(session), repr(vars(session)), repr(session._http.auth)):
        assert "very-secret-key" not in shown
    assert "very-secret-key" not in pretty_repr(config)
    assert "127.0.0.1" not in pretty_repr(config)
    with pytest.raises(AworkTransportError) as caught:
        AworkSession(config, retry=RetryRules(tries=1)).get("me", parse=decode_json)
    assert "proxy-secret" not in str(caught.value)


def test_an_error_does_not_show_the_key_although_awork_does(awork: Sandbox) -> None:
    told = f"the key {awork.token} is blocked"
    body = {
        "code": told,
        "description": told,
        "link": told,
        "details": [told, {"key": told}],
        "validationErrors": [{"property": told, told: [told]}],
        "traceId": told,
    }
    awork.faults.add(every(1, Answer(400, body=body)))
    with pytest.raises(AworkRequestError) as caught:
        read(session_for(awork))
    error = caught.value
    assert "the key *** is blocked" in str(error)
    assert awork.token not in str(error) + repr(error) + repr(vars(error))


def test_defaults_are_those_of_the_documentation() -> None:
    extras = ConnectionExtras()
    assert (extras.connect_timeout, extras.read_timeout, extras.requests_per_minute) == (10, 60, 900)


def test_a_fault_in_the_middle_only_costs_that_page(awork: Sandbox) -> None:
    awork.faults.add(at(2, Answer(500)))
    session = session_for(awork)
    assert [read(session), read(session)] == [30, 30]
    assert len(awork.requests) == 3
