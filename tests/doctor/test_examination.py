"""The doctor over real HTTP: a healthy workspace, and each way in which one can be broken, named in the right row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.doctor.examination import CHECKS, RETRY, UNANSWERED_CHECKS, examine
from airflow_provider_awork.doctor.report import Finding, Outcome, Report
from airflow_provider_awork.sandbox import Answer, Fault, Headers, Html, RuleRequest, Sandbox, Settings, Store
from tests.helpers.runs import hook_for, read_ids

OK, WARNING, FAILED, UNPROVEN, SKIPPED = Outcome
HEALTHY = {"rate_limit_per_minute": 1000, "minute": 1.0, "rate_limit_per_second": 1000, "second": 0.02}
ENTRIES = 1150


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(entries=ENTRIES, seed=5) as sandbox:
        yield sandbox


@pytest.fixture
def awork(server: Sandbox) -> Iterator[Sandbox]:
    """A healthy workspace, which the test may break."""
    change(server, HEALTHY)
    yield server
    change(server, {name: getattr(Settings(), name) for name in Settings.__slots__})
    server.faults.clear()
    server.requests.clear()


def change(awork: Sandbox, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        setattr(awork.settings, name, value)


def examined(awork: Sandbox, *, token: str | None = None, url: str | None = None, **extras: Any) -> Report:
    """The report, after what must be true of each: few requests that read, and a row for each check."""
    before = len(awork.requests)
    config = build_config(token=token or awork.token, base_url=url or awork.url, extras=extras)
    limiter = RateLimiter(requests_per_minute=10_000, requests_per_second=10_000, max_wait=0.01)
    session = AworkSession(config, retry=replace(RETRY, first_wait=0.001, longest_wait=0.002), limiter=limiter)
    report = examine(AworkClient(config, session=session), connection="awork_default")
    requests = awork.requests[before:]
    assert len(requests) < 30
    assert {request.method for request in requests} <= {"GET"}
    assert [finding.check for finding in report.findings] == list(CHECKS)
    assert all(finding.meaning for finding in report.findings if finding.outcome in (WARNING, FAILED))
    assert all(finding.setting for finding in report.findings if finding.outcome in (WARNING, FAILED))
    assert config.token not in str(report.to_dict())
    return report


def rows(report: Report) -> dict[str, Outcome]:
    """The outcome of each check that is not ok."""
    return {finding.check: finding.outcome for finding in report.findings if finding.outcome is not OK}


def row(report: Report, check: str) -> Finding:
    return next(finding for finding in report.findings if finding.check == check)


def test_a_healthy_workspace(awork: Sandbox) -> None:
    report = examined(awork)

    assert rows(report) == {}
    assert report.holds
    assert report.proven
    assert report.requests == len(awork.requests) < 15
    assert report.workspace_name == awork.settings.workspace.name
    assert report.identity in row(report, "Workspace").found
    assert "1000 a minute" in row(report, "Rate limit").found
    assert read_ids(hook_for(awork), page_size=300) == ids_in_order(awork)


def ids_in_order(awork: Sandbox) -> list[str]:
    def instant(entry: dict[str, Any]) -> tuple[str, str]:
        whole, _, fraction = entry["createdOn"].removesuffix("Z").partition(".")
        return f"{whole}.{fraction:0<7}", entry["id"]

    return [entry["id"] for entry in sorted(awork.store.entries(), key=instant)]


def on_entries(fault: Fault, *, having: str = "") -> Callable[[RuleRequest, Store], Fault | None]:
    """A rule: the fault on each list of time entries that is asked for with some text in its query."""
    return lambda request, store: (
        fault if request.path == "/timeentries" and having in str(request.query.values()) else None
    )


@dataclass(frozen=True, kw_only=True)
class Broken:
    """
    One way in which a workspace is broken.

    :param rows: the outcome of each check that is not ok.
    :param names: texts in the first of these rows: what was found, and what to set.
    :param settings: of the sandbox.
    :param rule: a fault of the sandbox.
    :param extras: of the connection.
    :param mended_by: extras with which the guarantees hold, as the row says.
    """

    rows: dict[str, Outcome]
    names: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    rule: Callable[[RuleRequest, Store], Fault | None] | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    mended_by: dict[str, Any] = field(default_factory=dict)


NEEDS_ORDER = dict.fromkeys(
    ("Order of ties", "Filter on createdOn", "Zone of literals", "Seconds of literals", "Filter on updatedOn"), SKIPPED
)
NEEDS_FILTER = {"Zone of literals": SKIPPED, "Seconds of literals": SKIPPED}
NEEDS_ZONE = {"Seconds of literals": SKIPPED, "Filter on updatedOn": SKIPPED}
SHUFFLED = {"Order by createdOn": FAILED, "Order of ties": FAILED, "Order by updatedOn": WARNING}
UNFILTERED = on_entries(
    Answer(200, '[{"id": "x", "createdOn": "2020-01-01T00:00:00Z"}]', {"aw-totalitems": "1150"}), having="createdOn ge"
)

BROKEN = {
    "missing permission": Broken(
        settings={"missing_permissions": True},
        rows={"Permissions": FAILED, "Order of ties": UNPROVEN},  # few own entries, none on the same day
        names=("only its own", "administrator's key", "without an error"),
    ),
    "rights unknown": Broken(
        rule=lambda request, store: Answer(404) if request.path == "/me/permissions" else None,
        rows={"Permissions": UNPROVEN},
        names=("does not report", "administrator's key"),
    ),
    "no total header": Broken(
        settings={"total_header": False},
        rows={"Page headers": FAILED, "Short pages": UNPROVEN},
        names=("aw-totalitems missing", "proxy"),
    ),
    "no page size header": Broken(
        settings={"page_size_header": False}, rows={"Page headers": WARNING}, names=("aw-pagesize missing", "proxy")
    ),
    "headers that contradict the entries": Broken(
        rule=on_entries(Headers({"aw-items": "999"}), having="'1000'"),
        rows={"Page headers": WARNING},
        names=("aw-items says 999, but 1000 entries came", "exports do not rely", "support"),
    ),
    "another page than asked for, as it says": Broken(
        rule=on_entries(Headers({"aw-page": "0"}), having="'1000'"),
        rows={"Page headers": WARNING},
        names=("asked for page 1, aw-page says 0", "exports do not rely"),
    ),
    "a page size that was not asked for": Broken(
        rule=on_entries(Headers({"aw-pagesize": "5000"}), having="'1000'"),
        rows={"Page headers": WARNING},
        names=("aw-pagesize says 5000", "do not rely", "support"),
    ),
    "a total that is too small": Broken(
        rule=on_entries(Headers({"aw-totalitems": "70"}), having="'1000'"),
        rows={"Page headers": FAILED},
        names=("aw-totalitems says 70", "support"),
    ),
    "page size capped at 100": Broken(
        settings={"max_page_size": 100},
        rows={"Page size": WARNING},
        names=("capped at 100", "10 times as many requests", "nothing"),
    ),
    "page size capped at 100, unsaid": Broken(
        settings={"max_page_size": 100, "page_size_header": False},
        rows={"Page headers": WARNING, "Page size": WARNING},
        names=("aw-pagesize missing",),
    ),
    "short pages": Broken(
        settings={"holes": 2},
        rows={"Short pages": FAILED},
        names=("page 1 has 998 of 1000", "accept_short_pages: true"),
        mended_by={"accept_short_pages": True},
    ),
    "an error past the end": Broken(
        settings={"past_end": "refused"},
        rows={"Past the end": FAILED},
        names=("refused", "value-out-of-range", "support"),
    ),
    "the last page again past the end": Broken(
        settings={"past_end": "repeated"}, rows={"Past the end": FAILED}, names=("150 entries come again", "support")
    ),
    "createdOn not orderable": Broken(
        settings={"unorderable": {"createdOn"}},
        rows={"Order by createdOn": FAILED, **NEEDS_ORDER},
        names=("refused", "support"),
    ),
    "orderby ignored": Broken(
        settings={"ignore_orderby": True}, rows=SHUFFLED, names=("accepted, but not kept", "support")
    ),
    "orderby ignored, each time another order": Broken(
        settings={"ignore_orderby": "random"}, rows=SHUFFLED, names=("accepted, but not kept", "support")
    ),
    "a second order term refused": Broken(
        settings={"tie_break": "refused"},
        rows={"Order of ties": FAILED},
        names=("second term is refused", "order_by_id: false"),
        mended_by={"order_by_id": False},
    ),
    "unstable ties": Broken(
        settings={"tie_break": "random"},
        rows={"Order of ties": FAILED},
        names=("not kept", "order_by_id: false"),
        mended_by={"order_by_id": False},
    ),
    "createdOn not filterable": Broken(
        settings={"unfilterable": {"createdOn"}},
        rows={"Filter on createdOn": FAILED, **NEEDS_FILTER},
        names=("refused", "anchor_on_created_on: false"),
        mended_by={"anchor_on_created_on": False},
    ),
    "filters ignored": Broken(
        rule=UNFILTERED,
        rows={"Filter on createdOn": FAILED, **NEEDS_FILTER},
        names=("accepted, but not applied", "support"),
    ),
    "literals in Berlin's zone": Broken(
        settings={"literal_timezone": "Europe/Berlin"},
        rows={"Zone of literals": FAILED, **NEEDS_ZONE},
        names=("UTC+02:00", "not in UTC", "literal_timezone: Europe/Berlin"),
        mended_by={"literal_timezone": "Europe/Berlin"},
    ),
    "literals in New York's zone": Broken(
        settings={"literal_timezone": "America/New_York"},
        rows={"Zone of literals": FAILED, **NEEDS_ZONE},
        names=("UTC-04:00", "literal_timezone: America/New_York"),
        mended_by={"literal_timezone": "America/New_York"},
    ),
    "literals in India's zone": Broken(
        settings={"literal_timezone": "Asia/Kolkata"},
        rows={"Zone of literals": FAILED, **NEEDS_ZONE},
        names=("UTC+05:30", "literal_timezone: Asia/Kolkata"),
        mended_by={"literal_timezone": "Asia/Kolkata"},
    ),
    "the connection's zone is not awork's": Broken(
        extras={"literal_timezone": "Europe/Berlin"},
        rows={"Zone of literals": FAILED, **NEEDS_ZONE},
        names=("UTC+00:00", "not in Europe/Berlin", "literal_timezone: UTC"),
        mended_by={"literal_timezone": "UTC"},
    ),
    "seconds of literals dropped": Broken(
        settings={"literal_seconds": "dropped"},
        rows={"Seconds of literals": FAILED, "Filter on updatedOn": FAILED},
        names=("dropped", "anchor_on_created_on: false"),
    ),
    "seconds of literals refused": Broken(
        settings={"literal_seconds": "refused"},
        rows={"Seconds of literals": FAILED, "Filter on updatedOn": WARNING},
        names=("refused", "anchor_on_created_on: false"),
        mended_by={"anchor_on_created_on": False},
    ),
    "days in filters shifted to the west": Broken(
        settings={"literal_timezone": "America/New_York", "shifted_days": True},
        extras={"literal_timezone": "America/New_York"},
        rows={"Filter on days": FAILED},
        names=("does not find the entries of 20", "would miss entries, without an error", "createdOn"),
    ),
    "startDateLocal not filterable": Broken(
        settings={"unfilterable": {"startDateLocal"}},
        rows={"Filter on days": WARNING, "Order of ties": UNPROVEN},
        names=("refused", "windows on startDateLocal fail", "createdOn"),
    ),
    "updatedOn not filterable": Broken(
        settings={"unfilterable": {"updatedOn"}},
        rows={"Filter on updatedOn": WARNING},
        names=("refused", "incremental", 'window_field="startDateLocal"'),
    ),
    "updatedOn not orderable": Broken(
        settings={"unorderable": {"updatedOn"}}, rows={"Order by updatedOn": WARNING}, names=("refused", "nothing")
    ),
    "no rate-limit headers": Broken(
        settings={"rate_limit_per_minute": None, "rate_limit_per_second": None},
        rows={"Rate limit": WARNING},
        names=("does not tell", "requests_per_minute (now 900)"),
    ),
    "no Date header": Broken(
        rule=on_entries(Headers({"date": None})),
        rows={"Clock": WARNING},
        names=("no Date header", "incremental loads fail", "proxy"),
    ),
    "a smaller budget than the connection's": Broken(
        settings={"rate_limit_per_minute": 500},
        rows={"Rate limit": WARNING},
        names=("500 a minute", "plan unknown", "requests_per_minute: 450"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_workspace_is_named_in_the_right_row_with_the_right_advice(awork: Sandbox, name: str) -> None:
    broken = BROKEN[name]
    change(awork, broken.settings)
    if broken.rule:
        awork.faults.add(broken.rule)

    report = examined(awork, **broken.extras)

    assert rows(report) == broken.rows
    assert report.holds is (FAILED not in broken.rows.values())
    finding = row(report, next(iter(broken.rows)))
    shown = f"{finding.found} | {finding.meaning} | {finding.setting}"
    assert [text for text in broken.names if text not in shown] == []


@pytest.mark.parametrize("name", [name for name, broken in BROKEN.items() if broken.mended_by])
def test_what_the_doctor_says_to_set_makes_exports_exact(awork: Sandbox, name: str) -> None:
    broken = BROKEN[name]
    change(awork, broken.settings)

    report = examined(awork, **broken.mended_by)

    assert report.holds
    ids = read_ids(hook_for(awork, **broken.mended_by), page_size=300)
    expected = ids_in_order(awork)
    # With short pages accepted, the pages' holes are missing.
    assert set(expected) - set(ids) == set() or (name == "short pages" and len(expected) - len(ids) < 100)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "name", [name for name, broken in BROKEN.items() if not broken.rule and FAILED not in broken.rows.values()]
)
def test_exports_are_exact_where_the_doctor_only_warns(awork: Sandbox, name: str) -> None:
    change(awork, BROKEN[name].settings)

    assert read_ids(hook_for(awork), page_size=300) == ids_in_order(awork)


def test_fallbacks_that_are_not_needed_are_pointed_out(awork: Sandbox) -> None:
    report = examined(awork, order_by_id=False, anchor_on_created_on=False)

    assert report.holds
    assert row(report, "Order of ties").meaning == "order_by_id may be true"
    assert row(report, "Filter on createdOn").meaning == "anchor_on_created_on may be true"


def test_the_enterprise_plan_is_recognised(awork: Sandbox) -> None:
    awork.settings.rate_limit_per_minute = 3000

    assert "Enterprise" in row(examined(awork), "Rate limit").found


def test_another_clock_than_awork_s_is_pointed_out(awork: Sandbox) -> None:
    awork.faults.add(on_entries(Headers({"date": "Thu, 01 Jan 2026 00:00:00 GMT"})))

    assert row(examined(awork), "Clock").meaning == "exports go by awork's clock"


def test_entries_with_the_same_created_on_are_looked_at_first() -> None:
    with Sandbox(**HEALTHY) as awork:
        entries = [awork.make_entry(createdOn="2026-03-01T08:00:00.1234567Z") for _ in range(20)]
        awork.store.add(*entries, awork.make_entry(createdOn="2026-03-02T08:00:00Z"))
        assert rows(examined(awork)) == {}
        awork.settings.tie_break = "random"
        assert rows(examined(awork)) == {"Order of ties": FAILED}
        asked = [request.query for request in awork.requests if "createdOn,id desc" in request.query.get("orderby", "")]
        assert len(asked) == 2


def test_unknown_fields_other_types_and_nulls() -> None:
    with Sandbox(entries=30, **HEALTHY) as awork:
        first, second, third = awork.store.ids()[:3]
        awork.store.edit(first, brandNew=1, task={"lists": [1]})
        awork.store.edit(second, brandNew={"a": 1}, duration="a minute")
        entry = next(entry for entry in awork.store.entries() if entry["id"] == third)
        awork.store.delete([third])
        awork.store.add({**entry, "note": None})

        report = examined(awork)

        assert rows(report) == {"Fields": WARNING}
        fields = row(report, "Fields")
        assert "brandNew (2 of 30)" in fields.found
        assert "task.lists (1 of 30)" in fields.found
        assert "duration (1 of 30)" in fields.found
        assert "extra" in fields.meaning
        assert "note in 1 of 30 entries" in row(report, "Nulls").found


def test_an_empty_workspace() -> None:
    with Sandbox(**HEALTHY) as awork:
        report = examined(awork)

        assert report.holds
        assert not report.proven
        assert set(rows(report).values()) == {UNPROVEN}
        assert row(report, "Entries").found == "no time entry is visible"
        assert "again when there are entries" in row(report, "Entries").setting


def test_an_empty_workspace_shows_what_is_refused() -> None:
    with Sandbox(unfilterable={"createdOn", "updatedOn"}, unorderable={"updatedOn"}, **HEALTHY) as awork:
        report = examined(awork)

        assert row(report, "Filter on createdOn").outcome is FAILED
        assert row(report, "Filter on updatedOn").outcome is WARNING
        assert row(report, "Order by updatedOn").outcome is WARNING


def test_a_single_entry_proves_filters_but_no_order() -> None:
    with Sandbox(**HEALTHY) as awork:
        awork.store.add(awork.make_entry())

        assert rows(examined(awork)) == dict.fromkeys(
            ("Order by createdOn", "Order of ties", "Order by updatedOn"), UNPROVEN
        )


def unanswered(report: Report) -> str:
    """What is said where nothing but the first check was tried."""
    assert not report.holds
    first, *others = report.findings
    assert first.outcome is FAILED
    assert {(finding.outcome, finding.found) for finding in others} == {(SKIPPED, "awork cannot be asked")}
    return f"{first.found} | {first.setting}"


def test_a_wrong_key(awork: Sandbox) -> None:
    said = unanswered(examined(awork, token="wrong-key-1234"))

    assert "401" in said
    assert "password: a valid API key" in said
    assert len(awork.requests) == 1


def test_a_host_that_does_not_answer(awork: Sandbox) -> None:
    said = unanswered(examined(awork, url="http://127.0.0.1:9/api/v1"))

    assert "127.0.0.1" in said
    assert "host, proxies" in said


def test_a_wrong_path(awork: Sandbox) -> None:
    said = unanswered(examined(awork, url=awork.url.replace("/v1", "/v7")))

    assert "404" in said
    assert "host: awork's API is at https://api.awork.com/api/v1" in said


@pytest.mark.parametrize(
    "answer", [Html(), Answer(503), Answer(429, headers={"retry-after": "0"}), Answer(403, "<html>no</html>")]
)
def test_something_else_than_awork_answers(awork: Sandbox, answer: Fault) -> None:
    awork.faults.add(lambda request, store: answer)

    unanswered(examined(awork))


@pytest.mark.parametrize("body", ["[]", "null", "7", '{"message": 3}', '{"workspace": "name"}', '{"id": 7}'])
def test_an_identity_that_is_none(awork: Sandbox, body: str) -> None:
    awork.faults.add(lambda request, store: Answer(200, body) if request.path == "/me" else None)

    report = examined(awork)

    assert report.identity in (None, "without a name")


def test_lists_that_fail_are_not_asked_for_again_and_again(awork: Sandbox) -> None:
    awork.faults.add(on_entries(Answer(500)))

    report = examined(awork)

    failed = [check for check, outcome in rows(report).items() if outcome is FAILED]
    assert failed == ["Entries", "Page headers"]
    assert len(failed) == UNANSWERED_CHECKS
    assert len(awork.requests) == 2 + UNANSWERED_CHECKS * RETRY.tries
    assert "500 server-error" in row(report, "Entries").found


def test_one_filter_that_fails_hides_no_other_check(awork: Sandbox) -> None:
    awork.faults.add(on_entries(Answer(500), having="updatedOn ge"))

    assert rows(examined(awork)) == {"Filter on updatedOn": FAILED}


def test_entries_that_are_none(awork: Sandbox) -> None:
    awork.faults.add(on_entries(Answer(200, '[{"createdOn": "2026-03-01T08:00:00Z"}]')))

    assert "lack id or createdOn" in row(examined(awork), "Entries").found


def test_entries_that_lack_what_checks_look_at(awork: Sandbox) -> None:
    awork.faults.add(on_entries(Answer(200, '[{"id": "1", "startDateLocal": "someday"}, {}]', {"aw-totalitems": "2"})))

    report = examined(awork)

    assert row(report, "Entries").found == "entries have no createdOn"
    assert row(report, "Order by createdOn").outcome is SKIPPED


@pytest.mark.parametrize("day", ["2026-02-30T00:00:00", "someday", ""])
def test_days_that_are_none_prove_no_order_of_ties(day: str) -> None:
    with Sandbox(**HEALTHY) as awork:
        awork.store.add(*(awork.make_entry(startDateLocal=day, createdOn=f"2026-03-0{n}T08:00:00Z") for n in (1, 2, 3)))

        assert rows(examined(awork))["Order of ties"] is UNPROVEN


def test_an_entry_that_comes_twice_in_a_page(awork: Sandbox) -> None:
    entry = '{"id": "1", "createdOn": "2026-03-01T08:00:00Z"}'
    awork.faults.add(on_entries(Answer(200, f"[{entry}, {entry}]")))

    assert "comes twice" in row(examined(awork), "Entries").found


def test_an_instant_that_is_none_is_named() -> None:
    with Sandbox(entries=20, **HEALTHY) as awork:
        for entry_id in awork.store.ids():
            awork.store.edit(entry_id, updatedOn="yesterday")

        report = examined(awork)

        assert rows(report) == {"Filter on updatedOn": FAILED, "Order by updatedOn": FAILED}
        assert "updatedOn 'yesterday'" in row(report, "Filter on updatedOn").found


def test_a_key_that_awork_repeats_is_not_shown(awork: Sandbox) -> None:
    body = {"code": "not-found", "description": f"Nobody has {awork.token}", "link": "x"}
    awork.faults.add(lambda request, store: Answer(404, body))

    assert "Nobody has ***" in unanswered(examined(awork))
