"""What stands outside or inside the bounds of a window is proven by the rows themselves, with few requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError
from airflow_provider_awork.sandbox import Answer, RuleRequest, Sandbox, Store
from airflow_provider_awork.windows.window import Window
from tests.helpers.exactness import ChangingEntries
from tests.helpers.runs import export, hook_for, read_ids

START = datetime(2026, 3, 1, tzinfo=UTC)
FIELDS = ["createdOn", "updatedOn", "startDateLocal", "startDateUtc"]
FEBRUARY_TO_APRIL = {"window_start": "2026-02-27", "window_end": "2026-04-05"}


def workspace(hours: range, *, every: timedelta = timedelta(hours=1), **settings: Any) -> Sandbox:
    """A workspace with an entry at so many hours after the start of March."""
    sandbox = Sandbox(**settings)
    instants = [START + hour * every for hour in hours]
    sandbox.store.add(*(sandbox.make_entry(ended_at=at, duration=60) for at in instants))
    return sandbox


@pytest.fixture
def hourly() -> Iterator[Sandbox]:
    """An entry in each hour of February's last day and of March's first two days."""
    with workspace(range(-24, 48)) as sandbox:
        yield sandbox


def ids_in(awork: Sandbox, window: Window) -> set[str]:
    """What a window has, by the entries' own values."""
    bounds = window.bounds()
    assert bounds

    def is_inside(entry: dict[str, Any]) -> bool:
        try:
            bounds.check_inside([entry[bounds.field]])
        except AworkAssumptionError:
            return False
        return True

    return {entry["id"] for entry in awork.store.entries() if is_inside(entry)}


@pytest.mark.parametrize("field", FIELDS)
def test_a_window_has_its_rows_and_no_others(hourly: Sandbox, field: str) -> None:
    window = Window.of(field=field, start=date(2026, 3, 1), end=date(2026, 3, 2))
    ids = read_ids(hook_for(hourly), window=window)
    assert len(ids) in range(20, 28)
    assert set(ids) == ids_in(hourly, window)


@pytest.mark.parametrize("field", FIELDS)
def test_a_filter_that_awork_ignores_fails(hourly: Sandbox, field: str) -> None:
    def ignore_filter(request: RuleRequest, store: Store) -> Answer | None:
        return Answer(200, store.entries()) if request.path == "/timeentries" else None

    hourly.faults.add(ignore_filter)
    window = Window.of(field=field, start=date(2026, 3, 1), end=date(2026, 3, 2))
    with pytest.raises(AworkAssumptionError, match=f"^{field}: awork sent a row of 2026-0[23]-.*outside the window"):
        read_ids(hook_for(hourly), window=window)


@pytest.mark.parametrize("zone", ["America/New_York", "Etc/GMT+12"])
@pytest.mark.parametrize("field", ["startDateLocal", "startDateUtc"])
def test_days_that_awork_reads_in_another_zone_fail(hourly: Sandbox, field: str, zone: str) -> None:
    hourly.settings.shifted_days = True
    hourly.settings.literal_timezone = zone
    window = Window.of(field=field, start=date(2026, 3, 1), end=date(2026, 3, 2))
    with pytest.raises(AworkAssumptionError, match=f"^{field}: awork (sent|omits) a row"):
        read_ids(hook_for(hourly), window=window)


@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
@pytest.mark.parametrize(
    ("zone", "hours", "bounds"),
    [
        # Literals are read later than meant, so only what is missing at the start shows it; then the other way round.
        ("America/New_York", range(48), {"start": START + timedelta(hours=10)}),
        ("America/New_York", range(20), {"start": START + timedelta(hours=10), "end": START + timedelta(hours=30)}),
        ("Asia/Kolkata", range(48), {"end": START + timedelta(hours=30)}),
        ("Asia/Kolkata", range(20, 48), {"start": START + timedelta(hours=10), "end": START + timedelta(hours=30)}),
    ],
)
def test_rows_that_are_left_out_at_one_bound_fail(
    zone: str, hours: range, bounds: dict[str, datetime], field: str
) -> None:
    with workspace(hours, literal_timezone=zone) as awork:
        window = Window.of(field=field, **bounds)
        with pytest.raises(AworkAssumptionError, match=f"^{field}: awork omits a row of 2026-03-0"):
            read_ids(hook_for(awork), window=window)
        assert set(read_ids(hook_for(awork, literal_timezone=zone), window=window)) == ids_in(awork, window)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
def test_more_rows_around_the_window_than_a_page_holds(zone: str, field: str) -> None:
    """Then the row next to each bound is requested, also from a server that does not order by the field."""
    with workspace(range(2400), every=timedelta(minutes=1), unorderable={"updatedOn"}) as awork:
        window = Window.of(field=field, start=START + timedelta(hours=19), end=START + timedelta(hours=21))
        hook = hook_for(awork)
        assert set(read_ids(hook, window=window, page_size=1000)) == ids_in(awork, window)
        # /me, permissions twice, a page, the hours around the window, and two neighbours, twice each for updatedOn
        assert hook.client.session.requests_sent <= (7 if field == "createdOn" else 9)
        awork.settings.literal_timezone = zone
        with pytest.raises(AworkAssumptionError, match=f"^{field}: awork (sent|omits) a row"):
            read_ids(hook_for(awork), window=window)


def test_the_filter_of_the_user_is_kept(hourly: Sandbox) -> None:
    """Rows around the window that do not match are not requested."""
    window = Window.of(field="createdOn", start=START, end=START + timedelta(hours=5))
    ids = read_ids(hook_for(hourly), filterby="duration gt 100 or isBilled eq true", window=window)
    assert ids == []
    flank = next(r for r in hourly.requests if "T10:00:00' and createdOn lt" in r.query.get("filterby", ""))
    assert flank.query["filterby"].startswith("(duration gt 100 or isBilled eq true) and (")


@pytest.mark.parametrize("field", ["createdOn", "startDateLocal", "startDateUtc"])
def test_a_month_of_5000_entries_takes_ten_requests(tmp_path: Path, field: str) -> None:
    with workspace(range(5000), every=timedelta(minutes=8)) as awork:
        export(hook_for(awork), tmp_path, window_field=field, **FEBRUARY_TO_APRIL)
        pages = [each for each in awork.requests if each.query.get("orderby") == "createdOn,id"]
        assert len(pages) <= 6
        assert len(awork.requests) - len(pages) <= 4


def test_entries_that_are_billed_while_open_ones_are_read_are_a_failure_of_now(tmp_path: Path) -> None:
    """The literals are right: nobody is to change literal_timezone."""
    with workspace(range(3000), max_page_size=100) as awork:
        entries = ChangingEntries(awork)

        def bill(entries: ChangingEntries) -> None:
            if entries.changes == 12:
                for entry in awork.store.entries():
                    entries.edit(entry["id"], isBilled=True)

        entries.before_every_page(bill)
        with pytest.raises(AworkPagingError, match="in the list any more") as caught:
            export(hook_for(awork), tmp_path, filterby="isBilled eq false")
        assert not isinstance(caught.value, AworkAssumptionError)
        assert "literal" not in str(caught.value)
        assert "isBilled" in str(caught.value)
        assert not list(tmp_path.glob("_manifest.json"))


def test_literals_read_later_than_meant_are_accused_by_the_rows_at_the_anchor() -> None:
    with workspace(range(3000), every=timedelta(seconds=1), literal_timezone="America/New_York") as awork:
        with pytest.raises(AworkAssumptionError, match="literal_timezone"):
            read_ids(hook_for(awork))
        assert read_ids(hook_for(awork, literal_timezone="America/New_York")) == awork.store.ids()


@pytest.mark.parametrize("path", ["timeentries", "users", "roles"])
def test_a_total_of_0_beside_rows_is_an_error(path: str) -> None:
    with Sandbox(entries=20, seed=3) as awork:

        def claim_nothing(request: RuleRequest, store: Store) -> Answer | None:
            row = {"id": "x", "createdOn": "2026-03-01T00:00:00Z"}
            return Answer(200, [row], {"aw-totalitems": "0"}) if request.path == f"/{path}" else None

        awork.faults.add(claim_nothing)
        hook = hook_for(awork)
        with pytest.raises(AworkPagingError, match="aw-totalitems: awork reports 0 rows beside 1"):
            list(hook.get_list(path))
        if path == "timeentries":
            with pytest.raises(AworkPagingError, match="aw-totalitems"):
                hook.count_time_entries()
            with pytest.raises(AworkPagingError, match="aw-totalitems"):
                list(hook.get_time_entries())
