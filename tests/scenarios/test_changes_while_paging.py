"""Entries come, go and change while they are read: the export is exact, or fails clearly where it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError
from airflow_provider_awork.sandbox import Delay, Headers, RuleRequest, Sandbox, Store
from airflow_provider_awork.windows.window import Window
from tests.helpers.exactness import ChangingEntries, Entry, everything
from tests.helpers.runs import export, exported_ids, hook_for, read_ids

Change = Callable[[ChangingEntries], None]
CONCURRENCIES = pytest.mark.parametrize("concurrency", [1, 8])
ENTRIES = 2000


def assert_run_is_exact(
    awork: Sandbox,
    change: Change,
    *,
    matches: Callable[[Entry], bool] = everything,
    concurrency: int = 8,
    at_most: int | None = None,
    **parameters: Any,
) -> ChangingEntries:
    entries = ChangingEntries(awork, matches)
    entries.before_every_page(change, at_most=at_most)
    entries.assert_exact(read_ids(hook_for(awork), concurrency=concurrency, **parameters))
    assert entries.changes >= 20
    return entries


def assert_export_is_exact(
    awork: Sandbox, folder: Path, change: Change, *, matches: Callable[[Entry], bool] = everything, **parameters: Any
) -> None:
    entries = ChangingEntries(awork, matches)
    entries.before_every_page(change)
    export(hook_for(awork), folder, **parameters)
    entries.assert_exact(exported_ids(folder))
    assert entries.changes >= 20


# -- entries come and go ---------------------------------------------------------------------------------------------


def delete_the_oldest(entries: ChangingEntries) -> None:
    entries.delete(entries.ordered[:5])


def insert_at_either_end(entries: ChangingEntries) -> None:
    entries.insert(entries.oldest - timedelta(seconds=1))
    entries.insert(entries.newest + timedelta(seconds=1))


def one_goes_and_one_is_committed_late(entries: ChangingEntries) -> None:
    entries.delete_random()
    entries.insert(entries.random_instant())


CHANGES = [delete_the_oldest, insert_at_either_end, one_goes_and_one_is_committed_late]


@CONCURRENCIES
@pytest.mark.parametrize("change", CHANGES)
def test_entries_that_come_and_go(change: Change, concurrency: int) -> None:
    with Sandbox(entries=ENTRIES) as awork:
        assert_run_is_exact(awork, change, concurrency=concurrency)


@pytest.mark.parametrize("change", CHANGES)
def test_entries_that_come_and_go_without_anchors(change: Change) -> None:
    with Sandbox(entries=ENTRIES, unfilterable={"createdOn"}) as awork:
        entries = ChangingEntries(awork)
        entries.before_every_page(change)
        entries.assert_exact(read_ids(hook_for(awork, anchor_on_created_on=False)))


@CONCURRENCIES
@pytest.mark.parametrize("change", [delete_the_oldest, one_goes_and_one_is_committed_late])
def test_entries_that_come_and_go_while_they_are_exported(change: Change, concurrency: int, tmp_path: Path) -> None:
    with Sandbox(entries=ENTRIES, max_page_size=100) as awork:
        assert_export_is_exact(awork, tmp_path, change, concurrency=concurrency)


def one_goes_and_one_is_edited_in(entries: ChangingEntries) -> None:
    """Both by an edit, so that nothing but the filter shows it: the total never changes."""
    for billed, others in ((True, False), (False, True)):
        chosen = next(entry_id for entry_id in iter(entries.random_id, None) if BILLED[entry_id] is others)
        BILLED[chosen] = billed
        entries.edit(chosen, isBilled=billed)


BILLED: dict[str, bool] = {}


def is_unbilled(entry: Entry) -> bool:
    return entry["isBilled"] is False


@CONCURRENCIES
def test_as_many_entries_enter_the_filter_as_leave_it(concurrency: int) -> None:
    with Sandbox(entries=2 * ENTRIES) as awork:
        BILLED.update((entry["id"], entry["isBilled"]) for entry in awork.store.entries())
        before = list(BILLED.values()).count(False)
        assert_run_is_exact(
            awork,
            one_goes_and_one_is_edited_in,
            matches=is_unbilled,
            concurrency=concurrency,
            filterby="isBilled eq false",
        )
        assert len(awork.store.ids(is_unbilled)) == before


# -- entries change --------------------------------------------------------------------------------------------------


def edit_a_lot(entries: ChangingEntries) -> None:
    """Moves entries to the ends of every order but that of createdOn."""
    for edge in ("1999-01-01", "2031-01-01"):
        for _ in range(5):
            entries.edit(
                entries.random_id(),
                updatedOn=f"{edge}T00:00:00Z",
                startDateUtc=f"{edge}T00:00:00Z",
                startDateLocal=f"{edge}T00:00:00",
                note=None,
                resourceVersion=1,
            )


@CONCURRENCIES
def test_edits_that_move_entries_in_other_orders(concurrency: int) -> None:
    with Sandbox(entries=ENTRIES) as awork:
        entries = assert_run_is_exact(awork, edit_a_lot, concurrency=concurrency)
        assert len(entries.lasting) == ENTRIES


def bill_some_and_unbill_others(entries: ChangingEntries) -> None:
    for billed in (True, True, True, False):
        entries.edit(entries.random_id(), isBilled=billed)


@CONCURRENCIES
def test_a_filter_on_billing_while_entries_are_billed(concurrency: int, tmp_path: Path) -> None:
    with Sandbox(entries=2 * ENTRIES, max_page_size=100) as awork:
        assert_export_is_exact(
            awork,
            tmp_path,
            bill_some_and_unbill_others,
            matches=is_unbilled,
            filterby="isBilled eq false",
            concurrency=concurrency,
        )


@CONCURRENCIES
def test_a_window_of_days_while_entries_are_moved_in_and_out(concurrency: int) -> None:
    with Sandbox(entries=2 * ENTRIES) as awork:
        start = awork.start + timedelta(days=20)
        end = start + timedelta(days=60)

        def move_some(entries: ChangingEntries) -> None:
            for day in (start - timedelta(days=1), start, end - timedelta(days=1), end):
                entries.edit(entries.random_id(), startDateLocal=f"{day}T00:00:00")

        assert_run_is_exact(
            awork,
            move_some,
            matches=lambda entry: f"{start}" <= entry["startDateLocal"][:10] < f"{end}",
            concurrency=concurrency,
            window=Window.of(field="startDateLocal", start=start, end=end),
        )


# -- many entries of one time ----------------------------------------------------------------------------------------

IMPORTED_AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
BURST = 3500


def workspace_with_an_import(*, instants: int, before: int = 1500, after: int = 1500, **settings: Any) -> Sandbox:
    """Entries imported within one second, with so many different ``createdOn``, amid others."""
    awork = Sandbox(end=date(2026, 6, 30), **settings)
    offsets = [timedelta(minutes=-number - 1) for number in range(before)]
    offsets += [timedelta(microseconds=number % instants * 250) for number in range(BURST)]
    offsets += [timedelta(minutes=number + 1) for number in range(after)]
    texts = (f"{IMPORTED_AT + offset:%Y-%m-%dT%H:%M:%S.%f}0Z" for offset in offsets)
    awork.store.add(*(awork.make_entry(ended_at=IMPORTED_AT, createdOn=text) for text in texts))
    return awork


def delete_some_of_the_import(entries: ChangingEntries) -> None:
    second = f"{IMPORTED_AT:%Y-%m-%dT%H:%M:%S}"
    of_import = [each for each in entries.ordered if each[0].startswith(second)]
    entries.delete([*entries.ordered[:2], *entries.random.sample(of_import, 3)])


@CONCURRENCIES
@pytest.mark.parametrize("instants", [BURST, 1], ids=["one second", "one instant"])
@pytest.mark.parametrize("page_size", [100, 1000])
def test_an_import_within_one_second(instants: int, concurrency: int, page_size: int, tmp_path: Path) -> None:
    with workspace_with_an_import(instants=instants, max_page_size=page_size) as awork:
        entries = ChangingEntries(awork)
        entries.before_every_page(delete_some_of_the_import)
        export(hook_for(awork), tmp_path, concurrency=concurrency)
        entries.assert_exact(exported_ids(tmp_path))


@pytest.mark.parametrize(
    ("settings", "extras"),
    [
        ({"tie_break": "refused"}, {"order_by_id": False}),
        ({"tie_break": "random"}, {}),
        ({"tie_break": "random"}, {"order_by_id": False}),
    ],
)
def test_ties_without_a_stable_order(settings: dict[str, Any], extras: dict[str, Any]) -> None:
    """Exact while each group of ties fits into a page with its neighbours, a clear failure beyond that."""
    with workspace_with_an_import(instants=BURST // 5, **settings) as awork:
        entries = ChangingEntries(awork)
        entries.before_every_page(delete_some_of_the_import)
        entries.assert_exact(read_ids(hook_for(awork, **extras)))
    with (
        workspace_with_an_import(instants=1, **settings) as awork,
        pytest.raises(AworkPagingError, match=r"2026-05-04T09:30:00.*order_by_id"),
    ):
        read_ids(hook_for(awork, **extras), page_size=1000)


# -- pages that are not what they should be --------------------------------------------------------------------------


def test_pages_with_holes_fail_unless_accepted() -> None:
    with Sandbox(entries=ENTRIES, holes=2) as awork:
        with pytest.raises(AworkAssumptionError, match="accept_short_pages"):
            read_ids(hook_for(awork))
        ids = read_ids(hook_for(awork, accept_short_pages=True))
        assert len(set(ids)) == len(ids) > 0.97 * ENTRIES


@pytest.mark.parametrize("total", [None, "150", "999999", "many"])
@pytest.mark.parametrize("number", [1, 5, 20])
def test_a_missing_or_wrong_total_on_one_page(total: str | None, number: int) -> None:
    with Sandbox(entries=ENTRIES) as awork:
        awork.faults.add(lambda request, store: Headers({"aw-totalitems": total}) if request.number == number else None)
        entries = ChangingEntries(awork)
        entries.before_every_page(one_goes_and_one_is_committed_late)
        entries.assert_exact(read_ids(hook_for(awork)))


@pytest.mark.parametrize("number", [1, 20])
def test_a_total_below_the_rows_of_its_own_page_fails(number: int) -> None:
    with Sandbox(entries=ENTRIES) as awork:
        awork.faults.add(lambda request, store: Headers({"aw-totalitems": "0"}) if request.number == number else None)
        with pytest.raises(AworkPagingError, match="aw-totalitems"):
            read_ids(hook_for(awork))


@pytest.mark.parametrize("total_header", [True, False])
@pytest.mark.parametrize("page_size_header", [True, False])
@pytest.mark.parametrize("cap", [90, 33])
@pytest.mark.parametrize("change", [None, *CHANGES[1:]])
def test_a_lower_cap_of_pages(change: Change | None, cap: int, page_size_header: bool, total_header: bool) -> None:
    with Sandbox(
        entries=1000, max_page_size=cap, page_size_header=page_size_header, total_header=total_header
    ) as awork:
        entries = ChangingEntries(awork)
        if change:
            entries.before_every_page(change)
        entries.assert_exact(read_ids(hook_for(awork)))


def test_answers_out_of_order() -> None:
    def delays(request: RuleRequest, store: Store) -> Delay | None:
        return Delay(entries.random.random() * 0.05) if request.number else None

    with Sandbox(entries=ENTRIES) as awork:
        entries = ChangingEntries(awork)
        awork.faults.add(delays)
        entries.before_every_page(one_goes_and_one_is_committed_late)
        entries.assert_exact(read_ids(hook_for(awork)))
        answered = [record.ended for record in awork.requests]
        assert answered != sorted(answered)
