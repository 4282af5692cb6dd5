"""The day an entry counts for: in its own zone and in UTC, where clocks change, across midnight and year end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.windows.window import Window
from tests.helpers.runs import export, hook_for, read_ids

BERLIN, KOLKATA, NEW_YORK = "Europe/Berlin", "Asia/Kolkata", "America/New_York"

# Start (UTC), minutes, zone of the person, day there, start on the clock there.
ENTRIES = [
    ("2025-03-29T22:59:59", 1, BERLIN, "2025-03-29", "23:59:59"),
    ("2025-03-29T23:00:00", 30, BERLIN, "2025-03-30", "00:00:00"),
    ("2025-03-30T00:30:00", 60, BERLIN, "2025-03-30", "01:30:00"),  # ends at 03:30: 02:00 to 03:00 is left out
    ("2025-03-30T01:00:00", 30, BERLIN, "2025-03-30", "03:00:00"),
    ("2025-03-30T21:59:59", 1, BERLIN, "2025-03-30", "23:59:59"),
    ("2025-03-30T22:00:00", 30, BERLIN, "2025-03-31", "00:00:00"),
    ("2025-10-25T21:59:59", 1, BERLIN, "2025-10-25", "23:59:59"),
    ("2025-10-25T22:00:00", 30, BERLIN, "2025-10-26", "00:00:00"),
    ("2025-10-26T00:30:00", 60, BERLIN, "2025-10-26", "02:30:00"),  # ends at 02:30 again: the hour comes twice
    ("2025-10-26T01:30:00", 30, BERLIN, "2025-10-26", "02:30:00"),
    ("2025-10-26T22:59:59", 1, BERLIN, "2025-10-26", "23:59:59"),
    ("2025-10-26T23:00:00", 30, BERLIN, "2025-10-27", "00:00:00"),
    ("2025-03-29T18:29:59", 1, KOLKATA, "2025-03-29", "23:59:59"),
    ("2025-03-29T18:30:00", 90, KOLKATA, "2025-03-30", "00:00:00"),
    ("2025-12-31T18:30:00", 90, KOLKATA, "2026-01-01", "00:00:00"),
    ("2025-03-09T04:59:59", 1, NEW_YORK, "2025-03-08", "23:59:59"),
    ("2025-03-09T06:30:00", 60, NEW_YORK, "2025-03-09", "01:30:00"),
    ("2025-11-02T05:30:00", 60, NEW_YORK, "2025-11-02", "01:30:00"),
    ("2026-01-01T03:00:00", 180, NEW_YORK, "2025-12-31", "22:00:00"),
    ("2025-12-31T22:30:00", 120, BERLIN, "2025-12-31", "23:30:00"),  # across midnight and year end
    ("2025-12-31T23:00:00", 60, BERLIN, "2026-01-01", "00:00:00"),
]
LOCAL_DAYS = sorted({day for *_, day, _ in ENTRIES})
UTC_DAYS = sorted({start[:10] for start, *_ in ENTRIES})


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        for start, minutes, zone, *_ in ENTRIES:
            started = datetime.fromisoformat(start).replace(tzinfo=UTC)
            ended = started + timedelta(minutes=minutes)
            sandbox.store.add(sandbox.make_entry(started_at=started, ended_at=ended, timezone=zone))
        yield sandbox


def one_day(field: str, day: str) -> Window:
    return Window.of(field=field, start=day, end=date.fromisoformat(day) + timedelta(days=1))


@pytest.mark.parametrize("day", LOCAL_DAYS)
def test_windows_of_days_in_each_entrys_own_zone(awork: Sandbox, day: str) -> None:
    expected = {entry_id for entry_id, entry in zip(awork.store.ids(), ENTRIES, strict=True) if entry[3] == day}
    assert set(read_ids(hook_for(awork), window=one_day("startDateLocal", day))) == expected
    assert expected


@pytest.mark.parametrize("day", UTC_DAYS)
def test_windows_of_days_in_utc(awork: Sandbox, day: str) -> None:
    expected = {entry_id for entry_id, entry in zip(awork.store.ids(), ENTRIES, strict=True) if entry[0][:10] == day}
    assert set(read_ids(hook_for(awork), window=one_day("startDateUtc", day))) == expected
    assert expected


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26", "2025-12-31"])
def test_midnights_of_a_zone_name_the_same_days(awork: Sandbox, day: str) -> None:
    """Days of 23 and of 25 hours are one day."""
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(BERLIN))
    window = Window.of(field="startDateLocal", start=start, end=start + timedelta(days=1), timezone=BERLIN)
    assert read_ids(hook_for(awork), window=window) == read_ids(hook_for(awork), window=one_day("startDateLocal", day))


def test_all_local_windows_together_are_everything(awork: Sandbox) -> None:
    together = [
        entry_id for day in LOCAL_DAYS for entry_id in read_ids(hook_for(awork), window=one_day("startDateLocal", day))
    ]
    assert sorted(together) == sorted(awork.store.ids())


def test_derived_columns(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_for(awork), tmp_path, file_format="parquet")
    (file,) = tmp_path.glob("*.parquet")
    rows = {row["id"]: row for row in pq.read_table(file).to_pylist()}
    for entry_id, (start, minutes, zone, day, clock) in zip(awork.store.ids(), ENTRIES, strict=True):
        row = rows[entry_id]
        started = datetime.fromisoformat(start).replace(tzinfo=UTC)
        ended = started + timedelta(minutes=minutes)
        assert (row["started_at"], row["ended_at"]) == (started, ended)
        assert row["started_at_local"] == datetime.fromisoformat(f"{day}T{clock}")
        assert row["ended_at_local"] == ended.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert row["work_date"] == date.fromisoformat(day)
        assert row["duration"] == minutes * 60
