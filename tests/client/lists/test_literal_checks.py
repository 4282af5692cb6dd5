"""The checks that runs and the doctor share, over real HTTP, where awork keeps them and where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists import literal_checks
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkFilterError, AworkPagingError
from airflow_provider_awork.sandbox import Answer, RuleRequest, Sandbox, Store

FIELDS = ["createdOn", "updatedOn"]


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=3) as sandbox:
        yield sandbox


def session_for(awork: Sandbox) -> AworkSession:
    limiter = RateLimiter(requests_per_minute=10_000, requests_per_second=10_000)
    return AworkSession(build_config(token=awork.token, base_url=awork.url), limiter=limiter)


def newest(awork: Sandbox) -> dict[str, Any]:
    return max(awork.store.entries(), key=lambda entry: str(entry["createdOn"]))


@pytest.mark.parametrize("field", FIELDS)
def test_literals_that_are_read_as_assumed(awork: Sandbox, field: str) -> None:
    probe = literal_checks.check_literals(session_for(awork), zone="UTC", field=field)

    assert probe is not None
    assert probe.entry_id == newest(awork)["id"]
    assert f"{probe.second:%Y-%m-%dT%H:%M:%S}" == newest(awork)[field][:19]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_literals_that_are_read_in_another_zone(awork: Sandbox, field: str, zone: str) -> None:
    awork.settings.literal_timezone = zone

    with pytest.raises(AworkAssumptionError, match=f"{field}.*literal_timezone"):
        literal_checks.check_literals(session_for(awork), zone="UTC", field=field)
    assert literal_checks.check_literals(session_for(awork), zone=zone, field=field)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("minutes", [-1, 0, 30, 59, 60, 119])
def test_a_newest_entry_of_the_hour_that_the_zone_has_twice_is_not_asked_for(field: str, minutes: int) -> None:
    newest = datetime(2025, 10, 26, 0, 0, 59, tzinfo=UTC) + timedelta(minutes=minutes)
    instants = (newest - timedelta(days=2), newest - timedelta(minutes=1), newest)
    with Sandbox(literal_timezone="Europe/Berlin") as awork:
        awork.store.add(*(awork.make_entry(createdOn=text, updatedOn=text) for text in map(utc_text, instants)))

        assert literal_checks.check_literals(session_for(awork), zone="Europe/Berlin", field=field)
        with pytest.raises(AworkAssumptionError):
            literal_checks.check_literals(session_for(awork), zone="America/New_York", field=field)


def utc_text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_cannot_be_filtered(awork: Sandbox, field: str) -> None:
    awork.settings.unfilterable = {field}

    with pytest.raises(AworkFilterError):
        literal_checks.check_literals(session_for(awork), zone="UTC", field=field)


def test_an_empty_workspace_proves_nothing() -> None:
    with Sandbox() as awork:
        assert literal_checks.check_literals(session_for(awork), zone="UTC") is None


def test_a_newest_entry_that_is_deleted_meanwhile_is_not_taken_for_a_fault(awork: Sandbox) -> None:
    def delete(request: RuleRequest, store: Store) -> None:
        if request.number == 2:
            store.delete([newest(awork)["id"]])

    awork.faults.add(delete)
    probe = literal_checks.check_literals(session_for(awork), zone="UTC")

    assert probe is not None
    assert probe.entry_id == newest(awork)["id"]
    assert len(awork.requests) == 4


def test_a_newest_entry_that_is_changed_meanwhile_is_not_taken_for_a_fault(awork: Sandbox) -> None:
    def change(request: RuleRequest, store: Store) -> None:
        if request.number == 2:
            store.edit(newest(awork)["id"], note="changed")

    awork.faults.add(change)

    assert literal_checks.check_literals(session_for(awork), zone="UTC", field="updatedOn")
    assert len(awork.requests) == 4


def test_a_newest_entry_that_never_stands_still_is_no_proof_either_way(awork: Sandbox) -> None:
    def delete(request: RuleRequest, store: Store) -> None:
        if "filterby" in request.query:
            store.delete([newest(awork)["id"]])

    awork.faults.add(delete)
    with pytest.raises(AworkPagingError, match="change faster"):
        literal_checks.check_literals(session_for(awork), zone="UTC")
    assert len(awork.requests) == 1 + 2 * literal_checks.PROBES


def test_an_instant_that_is_none_names_its_field(awork: Sandbox) -> None:
    awork.store.edit(newest(awork)["id"], updatedOn="yesterday")

    with pytest.raises(AworkPagingError, match="updatedOn 'yesterday'"):
        literal_checks.check_literals(session_for(awork), zone="UTC", field="updatedOn")


BOUND = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def london() -> Iterator[Sandbox]:
    """Literals are read in a zone that is UTC at the newest entry, but not half a year before."""
    with Sandbox(literal_timezone="Europe/London") as sandbox:
        add_entries_at(sandbox, datetime(2025, 12, 1, tzinfo=UTC))
        yield sandbox


def add_entries_at(awork: Sandbox, *instants: datetime) -> None:
    awork.store.add(*(awork.make_entry(createdOn=text, updatedOn=text) for text in map(utc_text, instants)))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("minutes", [-60, -1])
def test_literals_that_are_read_in_another_zone_at_a_bound_alone(london: Sandbox, field: str, minutes: int) -> None:
    add_entries_at(london, BOUND + timedelta(minutes=minutes))

    assert literal_checks.check_literals(session_for(london), zone="UTC", field=field)
    with pytest.raises(AworkAssumptionError, match=f"{field} ge .*literal_timezone"):
        literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="UTC", field=field, bound=BOUND)
    literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="Europe/London", field=field, bound=BOUND)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("minutes", [0, 59])
def test_literals_that_are_read_later_than_meant_at_a_bound(london: Sandbox, field: str, minutes: int) -> None:
    add_entries_at(london, BOUND - timedelta(minutes=1), BOUND + timedelta(minutes=minutes))
    london.settings.literal_timezone = "Atlantic/Azores"  # UTC at the bound, an hour behind in winter
    winter = datetime(2025, 11, 1, tzinfo=UTC)
    add_entries_at(london, winter + timedelta(minutes=minutes))

    literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="UTC", field=field, bound=BOUND)
    with pytest.raises(AworkAssumptionError, match=f"{field} lt .*literal_timezone"):
        literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="UTC", field=field, bound=winter)


@pytest.mark.parametrize("field", FIELDS)
def test_a_bound_where_no_entry_is_on_the_wrong_side_holds(london: Sandbox, field: str) -> None:
    add_entries_at(london, BOUND - timedelta(minutes=61), BOUND)

    literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="UTC", field=field, bound=BOUND)


def test_a_bound_on_a_field_that_awork_does_not_order_by(london: Sandbox) -> None:
    add_entries_at(london, BOUND - timedelta(minutes=1))

    def refuse(request: RuleRequest, _: Store) -> Answer | None:
        refused = request.query.get("orderby", "").startswith("updatedOn")
        return Answer(400, body={"code": "invalid-filter-or-order"}) if refused else None

    london.faults.add(refuse)
    with pytest.raises(AworkAssumptionError, match=r"updatedOn ge .*literal_timezone"):
        literal_checks.check_bound(session_for(london), TIME_ENTRIES, zone="UTC", field="updatedOn", bound=BOUND)
