"""Rate limits. Windows are far longer than a test, or are waited for: nothing here depends on speed."""

from __future__ import annotations

import time


def test_a_used_up_minute_is_429_with_aworks_headers(serve):
    client = serve(rate_limit_per_minute=3, minute=3000)

    answers = [client.get() for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining-minute"] for answer in answers] == ["2", "1", "0", "0", "0"]
    refused = answers[3].headers
    assert (refused["ratelimit-limit"], refused["ratelimit-remaining"]) == ("3", "0")
    assert 2900 < int(refused["ratelimit-reset"]) <= 3000
    assert refused["x-ratelimit-limit-minute"] == "3"
    assert "x-ratelimit-limit-second" not in refused
    assert "Retry-After" not in refused
    assert answers[3].json()["traceId"] == refused["Trace-Id"]
    assert [request.status for request in client.awork.requests] == [200, 200, 200, 429, 429]


def test_the_generic_headers_speak_of_the_tighter_window(serve):
    client = serve(rate_limit_per_minute=1000, rate_limit_per_second=2, minute=3000, second=2000)

    client.get()
    second = client.get()
    third = client.get()

    assert (second.headers["ratelimit-limit"], second.headers["ratelimit-remaining"]) == ("2", "0")
    assert second.headers["x-ratelimit-remaining-minute"] == "998"
    assert third.status_code == 429
    assert third.headers["x-ratelimit-remaining-second"] == "0"
    assert 1900 < int(third.headers["ratelimit-reset"]) <= 2000
    assert third.headers["x-ratelimit-remaining-minute"] == "998"


def test_a_new_window_begins_when_the_old_one_ends(serve):
    client = serve(rate_limit_per_second=1, second=0.2)

    statuses = []
    for _ in range(3):
        statuses.append(client.get().status_code)
        time.sleep(0.25)

    assert statuses == [200, 200, 200]


def test_limits_can_be_switched_while_the_sandbox_runs(serve):
    client = serve()
    assert client.get().status_code == 200

    client.awork.settings.rate_limit_per_minute = 1
    client.awork.settings.minute = 3000
    assert [client.get().status_code for _ in range(2)] == [200, 429]

    client.awork.settings.rate_limit_per_minute = None
    assert client.get().status_code == 200


def test_other_clients_spend_the_same_budget(serve):
    client = serve(rate_limit_per_minute=10, minute=3000)

    client.awork.spend_requests(8)

    assert client.get().headers["ratelimit-remaining"] == "1"
    client.awork.spend_requests(100)
    assert client.get().status_code == 429


def test_a_wrong_token_costs_nothing(serve):
    client = serve(rate_limit_per_minute=1, minute=3000)
    client.session.headers["Authorization"] = "Bearer wrong"
    assert [client.get().status_code for _ in range(3)] == [401, 401, 401]

    client.session.headers["Authorization"] = f"Bearer {client.awork.token}"
    assert client.get().status_code == 200
