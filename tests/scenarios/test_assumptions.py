"""What paging assumes of awork does not hold: noticed in the run, and the named extra makes the run exact."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_awork.exceptions import AworkAssumptionError, AworkConfigError
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.windows.window import Window
from tests.helpers.exactness import ChangingEntries
from tests.helpers.runs import hook_for, read_ids

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
END_OF_SUMMER_TIME = datetime(2025, 10, 26, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """Entries each minute around the end of summer time in Berlin."""
    with Sandbox() as sandbox:
        instants = (END_OF_SUMMER_TIME + timedelta(minutes=minute) for minute in range(-700, 700))
        sandbox.store.add(*(sandbox.make_entry(ended_at=each) for each in instants))
        yield sandbox


@pytest.fixture
def awork(server: Sandbox) -> Iterator[Sandbox]:
    yield server
    server.settings.literal_timezone = "UTC"
    server.settings.ignore_orderby = False
    server.settings.unorderable = frozenset()


@pytest.mark.parametrize("zone", ZONES)
def test_literals_read_in_another_zone_without_a_window(awork: Sandbox, zone: str) -> None:
    """Only paging rests on them: noticed, or exact because reading starts further back."""
    awork.settings.literal_timezone = zone
    with contextlib.suppress(AworkAssumptionError):
        assert read_ids(hook_for(awork)) == awork.store.ids()
    assert read_ids(hook_for(awork, literal_timezone=zone)) == awork.store.ids()


@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
@pytest.mark.parametrize("zone", ZONES)
def test_literals_read_in_another_zone(awork: Sandbox, zone: str, field: str) -> None:
    awork.settings.literal_timezone = zone
    start = END_OF_SUMMER_TIME - timedelta(hours=5)
    window = Window.of(field=field, start=start, end=start + timedelta(hours=10))
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        read_ids(hook_for(awork), window=window)
    ids = read_ids(hook_for(awork, literal_timezone=zone), window=window)
    entries = zip(awork.store.ids(), range(-700, 700), strict=True)
    assert ids == [entry_id for entry_id, minute in entries if -300 <= minute < 300]


@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
def test_literals_read_in_utc_though_the_extra_says_otherwise(awork: Sandbox, field: str) -> None:
    window = Window.of(field=field, start=END_OF_SUMMER_TIME - timedelta(hours=5), end=date(2025, 10, 27))
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        read_ids(hook_for(awork, literal_timezone="Europe/Berlin"), window=window)
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        hook_for(awork, literal_timezone="Europe/Berlin").count_window(window=window)


@pytest.mark.parametrize("field", ["createdOn", "updatedOn"])
@pytest.mark.parametrize("bounds", [{"start": "2025-10-25T20:00Z"}, {"end": "2025-10-25T20:00Z"}], ids=["start", "end"])
def test_literals_read_in_another_zone_in_the_past_alone(awork: Sandbox, field: str, bounds: dict[str, str]) -> None:
    """The entries end after summer time, where London is UTC; the window lies within it."""
    awork.settings.literal_timezone = "Europe/London"
    window = Window.of(field=field, **bounds)
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        read_ids(hook_for(awork), window=window)
    with pytest.raises(AworkAssumptionError, match="literal_timezone"):
        hook_for(awork).count_window(window=window)
    assert read_ids(hook_for(awork, literal_timezone="Europe/London"), window=window)


@pytest.mark.parametrize("minutes", [-60, -1, 0, 59])
def test_a_window_that_needs_the_hour_that_comes_twice(awork: Sandbox, minutes: int) -> None:
    awork.settings.literal_timezone = "Europe/Berlin"
    window = Window.of(field="createdOn", start=END_OF_SUMMER_TIME + timedelta(minutes=minutes))
    with pytest.raises(AworkConfigError, match="twice"):
        read_ids(hook_for(awork, literal_timezone="Europe/Berlin"), window=window)


def test_entries_that_change_across_the_end_of_summer_time() -> None:
    with Sandbox(literal_timezone="Europe/Berlin") as awork:
        instants = (END_OF_SUMMER_TIME + timedelta(seconds=10 * number) for number in range(-1000, 1000))
        awork.store.add(*(awork.make_entry(ended_at=each) for each in instants))
        entries = ChangingEntries(awork)

        def change(entries: ChangingEntries) -> None:
            entries.delete_random()
            entries.insert(entries.random_instant())

        entries.before_every_page(change)
        entries.assert_exact(read_ids(hook_for(awork, literal_timezone="Europe/Berlin")))


@pytest.mark.parametrize("ignored", [True, "random"])
def test_an_order_that_is_ignored(ignored: bool | str) -> None:
    with Sandbox(entries=1500, ignore_orderby=ignored) as awork, pytest.raises(AworkAssumptionError, match="orderby"):
        read_ids(hook_for(awork))


def test_an_order_that_is_refused(awork: Sandbox) -> None:
    awork.settings.unorderable = frozenset({"createdOn"})
    with pytest.raises(AworkAssumptionError, match="order timeentries by createdOn"):
        read_ids(hook_for(awork))


@pytest.mark.parametrize(
    ("settings", "extras"),
    [
        ({"unfilterable": {"createdOn"}}, {"anchor_on_created_on": False}),
        ({"tie_break": "refused"}, {"order_by_id": False}),
    ],
)
def test_the_documented_fallback_is_exact_under_change(settings: dict[str, Any], extras: dict[str, Any]) -> None:
    with Sandbox(entries=2000, **settings) as awork:
        with pytest.raises(AworkAssumptionError, match=next(iter(extras))):
            read_ids(hook_for(awork))
        entries = ChangingEntries(awork)
        entries.before_every_page(ChangingEntries.delete_random)
        entries.assert_exact(read_ids(hook_for(awork, **extras)))
