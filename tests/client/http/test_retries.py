"""How long a read is tried again: by time, as awork asks, and never longer than is allowed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS, RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.exceptions import AworkConfigError, AworkRequestError, AworkServerError
from airflow_provider_awork.sandbox import Answer, Sandbox, every, first
from airflow_provider_awork.version_compat import AirflowFailException


def session_to(awork: Sandbox, retry: RetryRules) -> AworkSession:
    config = build_config(token=awork.token, base_url=awork.url)
    return AworkSession(config, retry=retry, limiter=RateLimiter(requests_per_minute=10_000))


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("rules", "failures", "outage", "asked", "wait"),
    [
        (RetryRules(), 1, 0, None, 0.5),
        (RetryRules(), 3, 10, None, 2.0),
        (RetryRules(), 9, 100, None, 30.0),
        (RetryRules(), 5000, 100, None, 30.0),
        (RetryRules(), 12, 290, None, 10.0),  # the last try is at the end of the outage
        (RetryRules(), 12, 300, None, None),
        (RetryRules(), 1, 0, 15, 15),
        (RetryRules(), 1, 0, -15, 0.5),
        (RetryRules(), 1, 0, 1e9, LONGEST_WAIT_SECONDS),
        (RetryRules(), 12, 290, 60, 60),
        (RetryRules(outage_seconds=0), 1, 0, None, None),
        (RetryRules(tries=3), 3, 0, None, None),
        (RetryRules.single_try(), 1, 0, 15, None),
        (RetryRules.impatient(), 1, 0, 3600, 1.0),
        (RetryRules.impatient(), 2, 0, None, None),
    ],
)
def test_the_wait_for_the_next_try(
    rules: RetryRules, failures: int, outage: float, asked: float | None, wait: float | None
) -> None:
    assert rules.wait_after(failures, outage=outage, asked=asked) == wait


def test_five_minutes_are_outlasted_with_few_requests() -> None:
    clock, tries = 0.0, 1
    while (wait := RetryRules().wait_after(tries, outage=clock, jitter=0.5)) is not None:
        clock, tries = clock + wait, tries + 1
    assert clock == 300
    assert 10 < tries < 20


@pytest.fixture
def awork() -> Sandbox:
    with Sandbox(entries=1) as sandbox:
        yield sandbox


STATUSES = [408, 409, 425, 500, 502, 503, 504, 520, 599]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [None, "", "<html></html>", {"code": "invalid-operation", "description": "not now"}])
def test_what_is_true_only_now_is_tried_again_and_not_permanent(awork: Sandbox, status: int, body: object) -> None:
    awork.faults.add(every(1, Answer(status, body)))
    session = session_to(awork, RetryRules(tries=3, first_wait=0.01))
    with pytest.raises(AworkServerError) as caught:
        session.get("timeentries", parse=decode_page)
    assert len(awork.requests) == 3
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("code", ["duplication-violation", "already-exist-error"])
def test_a_conflict_that_stays_is_permanent(awork: Sandbox, code: str) -> None:
    awork.faults.add(every(1, Answer(409, {"code": code, "description": "taken"})))
    with pytest.raises(AworkRequestError):
        session_to(awork, RetryRules(tries=3, first_wait=0.01)).get("timeentries", parse=decode_page)
    assert len(awork.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 500, 503])
@pytest.mark.parametrize("after", ["1", in_seconds], ids=["seconds", "date"])
def test_retry_after_counts_for_other_answers_than_429(awork: Sandbox, status: int, after: object) -> None:
    told = after(2) if callable(after) else after
    awork.faults.add(first(1, Answer(status, headers={"retry-after": told})))
    session_to(awork, RetryRules(first_wait=0.01)).get("timeentries", parse=decode_page)
    refused, again = awork.requests
    assert 0.9 < again.started - refused.ended < 2.5


def test_an_outage_is_outlasted_by_time(awork: Sandbox) -> None:
    ends = time.monotonic() + 1.0
    awork.faults.add(lambda request, store: Answer(503) if time.monotonic() < ends else None)
    session_to(awork, RetryRules(outage_seconds=3, first_wait=0.01, longest_wait=0.05)).get(
        "timeentries", parse=decode_page
    )
    assert len(awork.requests) > 8


def test_an_outage_that_lasts_ends_in_the_time_allowed(awork: Sandbox) -> None:
    awork.faults.add(every(1, Answer(503)))
    started = time.monotonic()
    with pytest.raises(AworkServerError, match="503"):
        session_to(awork, RetryRules(outage_seconds=0.5, first_wait=0.01)).get("timeentries", parse=decode_page)
    assert 0.45 < time.monotonic() - started < 3
    assert awork.requests[-1].started - awork.requests[0].ended >= 0.45


@pytest.mark.parametrize(("minutes", "tries"), [(0, 1), (0.02, 3), ("0.02", 3)])
def test_the_connection_says_how_long(awork: Sandbox, minutes: object, tries: int) -> None:
    awork.faults.add(every(1, Answer(503)))
    config = build_config(token=awork.token, base_url=awork.url, extras={"outage_minutes": minutes})
    with pytest.raises(AworkServerError):
        AworkSession(config).get("timeentries", parse=decode_page)
    assert len(awork.requests) == tries


@pytest.mark.parametrize("minutes", [-1, 61, "long", "NaN"])
def test_minutes_that_cannot_be(minutes: object) -> None:
    with pytest.raises(AworkConfigError, match="outage_minutes"):
        build_config(token="key", extras={"outage_minutes": minutes})


def test_a_change_is_sent_once_whatever_is_asked(awork: Sandbox) -> None:
    awork.faults.add(lambda request, store: Answer(503, headers={"retry-after": "0"}))
    with pytest.raises(AworkServerError) as caught:
        session_to(awork, RetryRules()).send("POST", "timeentries", json={})
    assert len(awork.requests) == 1
    assert caught.value.retry_after == 0
