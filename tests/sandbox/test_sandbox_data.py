"""The generated data: realistic, consistent, the same for the same seed."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.instants import format_instant, from_ticks, parse_ticks, split, to_ticks


@pytest.fixture(scope="module")
def entries(unchanged):
    return unchanged.store.entries()


def instant(entry, field, side="Utc"):
    """The instant that a date and a time of day make up, to the microsecond."""
    day = datetime.fromisoformat(entry[f"{field}Date{side}"].removesuffix("Z"))
    hour, minute, second = entry[f"{field}Time{side}"].split(":")
    return day + timedelta(hours=int(hour), minutes=int(minute), microseconds=int(float(second) * 1_000_000))


def is_running(entry):
    return "startTimeUtc" in entry and "endTimeUtc" not in entry


def test_the_seed_decides():
    with Sandbox(entries=60, seed=1) as one, Sandbox(entries=60, seed=1) as same, Sandbox(entries=60, seed=2) as other:
        assert one.store.texts() == same.store.texts()
        assert not one.store.texts().keys() & other.store.texts().keys()
        assert (one.start, one.end) != (other.start, other.end)


@pytest.mark.parametrize("count", [0, 1, 17, 2500])
def test_the_number_of_entries_is_exact(count):
    with Sandbox(entries=count) as awork:
        assert awork.store.count() == count == len(set(awork.store.ids()))


def test_work_is_on_weekdays_in_the_dates_asked_for():
    with Sandbox(entries=300, start=date(2025, 3, 24), end=date(2025, 4, 8)) as awork:
        days = {date.fromisoformat(entry["startDateLocal"][:10]) for entry in awork.store.entries()}

    assert min(days) == date(2025, 3, 24)
    assert max(days) == date(2025, 4, 7)
    assert all(day.weekday() < 5 for day in days)


@pytest.mark.parametrize("dates", [(date(2026, 5, 2), date(2026, 5, 4)), (date(2026, 5, 2), date(2026, 5, 1))])
def test_a_time_without_weekdays_is_an_error(dates):
    with pytest.raises(ValueError, match="no weekday between start 2026-05-02"):
        Sandbox(entries=1, start=dates[0], end=dates[1])


def test_local_times_are_utc_in_the_entrys_zone(entries):
    timed = [entry for entry in entries if "startTimeUtc" in entry]

    for entry in timed:
        for field in ("start", "end") if "endTimeUtc" in entry else ("start",):
            utc = instant(entry, field).replace(tzinfo=UTC)
            local = utc.astimezone(ZoneInfo(entry["timezone"])).replace(tzinfo=None)
            assert local == instant(entry, field, "Local")
            assert entry[f"{field}DateLocal"].endswith("T00:00:00")
            assert entry[f"{field}DateUtc"].endswith("T00:00:00Z")
    assert {entry["timezone"] for entry in timed} == {"Europe/Berlin", "America/New_York", "Asia/Kolkata"}
    assert any(re.fullmatch(r".*\.\d{7}", entry["startTimeUtc"]) for entry in timed)
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d", entry["startTimeUtc"]) for entry in timed)


def test_durations_are_net_of_breaks(entries):
    finished = [entry for entry in entries if "endTimeUtc" in entry]

    for entry in finished:
        length = instant(entry, "end") - instant(entry, "start")
        assert entry["duration"] == int((length - timedelta(seconds=entry["breakDuration"])).total_seconds())
        assert entry["breakDuration"] == sum(each["duration"] for each in entry["breaks"])
        assert entry["duration"] >= 0
    assert any(entry["breaks"] for entry in finished)


def test_all_states_are_there(entries):
    running = [entry for entry in entries if is_running(entry)]
    paused = [entry for entry in running if entry["breaks"]]
    date_only = [entry for entry in entries if "startTimeUtc" not in entry]

    assert 0 < len(paused) < len(running) < 20
    assert all("endDate" not in entry["breaks"][-1] for entry in paused)
    assert all(entry["duration"] == 0 and "endDateUtc" not in entry for entry in running)
    assert len({entry["userId"] for entry in running}) == len(running)
    assert date_only
    assert all(entry["duration"] > 0 and "endTimeUtc" not in entry for entry in date_only)
    assert any(entry["endDateLocal"] > entry["startDateLocal"] for entry in entries if "endTimeUtc" in entry)
    assert any(entry["isExternal"] for entry in entries)
    assert any("projectId" not in entry for entry in entries)
    assert any(entry.get("task", {}).get("baseType") == "private" for entry in entries)


def test_two_people_are_deleted(entries):
    gone = [entry for entry in entries if "userId" not in entry]

    assert len({entry["createdBy"] for entry in gone}) == 2
    assert all("user" not in entry for entry in gone)


def test_billing_follows_aworks_rules(entries):
    assert any(entry["isBilled"] for entry in entries)
    assert all(entry["isBillable"] for entry in entries if entry["isBilled"])
    assert all(entry["project"]["isBillableByDefault"] for entry in entries if entry["isBillable"])


def test_created_on_comes_with_the_work_or_later_in_three_precisions(entries):
    digits = {len(entry["createdOn"].partition(".")[2].removesuffix("Z")) for entry in entries}
    in_time = [datetime.fromisoformat(entry["createdOn"]) for entry in entries]

    assert digits == {0, 3, 7}
    assert in_time != sorted(in_time)
    for entry in entries:
        assert parse_ticks(entry["createdOn"]) <= parse_ticks(entry["updatedOn"]) < entry["resourceVersion"]
        if "startTimeUtc" in entry:
            second = timedelta(seconds=1)
            assert datetime.fromisoformat(entry["createdOn"][:19]) >= instant(entry, "start") - second


def test_nested_objects_agree_with_the_lists(unchanged, entries):
    for entry in entries[:200]:
        for field, table in (("project", "projects"), ("task", "projecttasks"), ("user", "users")):
            if field in entry:
                assert entry[field]["id"] == entry[f"{field}Id"]
                row = json.loads(unchanged.store.find(table, entry[f"{field}Id"]))
                name = "lastName" if field == "user" else "name"
                assert entry[field][name] == row[name]
        assert entry["typeOfWork"]["id"] == entry["typeOfWorkId"]


def test_entries_have_the_size_and_the_texts_of_real_ones(unchanged, entries):
    sizes = [len(text) for text in unchanged.store.texts().values()]
    notes = [entry.get("note", "") for entry in entries]

    assert 3300 < sum(sizes) / len(sizes) < 3900
    for sign in ("ü", "🎉", "\n", "\r\n", '"', "\\", "=SUM"):
        assert any(sign in note for note in notes)
    assert any(len(note) > 1000 for note in notes)
    assert "" in notes


@pytest.mark.parametrize(
    ("start", "zone", "local"),
    [
        (datetime(2025, 3, 30, 0, 30, tzinfo=UTC), "Europe/Berlin", ("2025-03-30", "01:30:00")),
        (datetime(2025, 3, 30, 1, 30, tzinfo=UTC), "Europe/Berlin", ("2025-03-30", "03:30:00")),
        (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), "Europe/Berlin", ("2025-10-26", "02:30:00")),
        (datetime(2025, 10, 26, 1, 30, tzinfo=UTC), "Europe/Berlin", ("2025-10-26", "02:30:00")),
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), "Asia/Kolkata", ("2026-01-01", "05:00:00")),
        (datetime(2026, 1, 1, 3, 0, tzinfo=UTC), "America/New_York", ("2025-12-31", "22:00:00")),
    ],
)
def test_entries_made_to_measure(unchanged, start, zone, local):
    entry = unchanged.make_entry(
        started_at=start,
        ended_at=start + timedelta(minutes=90),
        timezone=zone,
        note=None,
        projectId="p",
        extra={"a": 1},
    )

    assert (entry["startDateLocal"][:10], entry["startTimeLocal"]) == local
    assert entry["startDateUtc"] == f"{start:%Y-%m-%d}T00:00:00Z"
    assert entry["timezone"] == zone
    assert entry["duration"] == 5400
    assert "note" not in entry
    assert (entry["projectId"], entry["extra"]) == ("p", {"a": 1})
    assert parse_ticks(entry["createdOn"]) == to_ticks(start + timedelta(minutes=90))


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
    st.integers(0, 9),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]),
)
def test_split_instants_come_together_again(moment, tick, zone):
    ticks = to_ticks(moment) + tick

    fields = split("start", ticks, ZoneInfo(zone))

    day, clock = fields["startDateUtc"], fields["startTimeUtc"]
    assert parse_ticks(day.replace("00:00:00", clock)) == ticks == parse_ticks(format_instant(ticks))
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert parse_ticks(fields["startDateLocal"].replace("00:00:00", fields["startTimeLocal"])) == to_ticks(local) + tick
    assert from_ticks(ticks) == moment


def test_nothing_is_created_or_changed_after_now():
    now = datetime(2026, 3, 11, 10, tzinfo=UTC)
    with Sandbox(entries=500, start=date(2026, 3, 2), end=date(2026, 4, 2), now=now) as awork:
        entries = awork.store.entries()

    latest = format_instant(to_ticks(now))
    assert all(entry["createdOn"] <= entry["updatedOn"] <= latest for entry in entries)
    assert any(entry["startDateLocal"] > "2026-03-12" for entry in entries)
    assert len({entry["createdOn"] for entry in entries}) > 450
