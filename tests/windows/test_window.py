from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.windows.window import DAY_FIELDS, INSTANT_FIELDS, Window

BERLIN = ZoneInfo("Europe/Berlin")
NOV_1 = "2026-11-01"
NOV_2 = "2026-11-02"


def days(start: str, end: str, field: str = "startDateLocal") -> str:
    return f"{field} ge datetime'{start}T00:00' and {field} lt datetime'{end}T00:00'"


def instants(start: str, end: str, field: str = "createdOn") -> str:
    return f"{field} ge datetime'{start}' and {field} lt datetime'{end}'"


@pytest.mark.parametrize("field", INSTANT_FIELDS)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 11, 1), date(2026, 11, 2)),
        (NOV_1, NOV_2),
        (pendulum.date(2026, 11, 1), pendulum.datetime(2026, 11, 2)),
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, 1, tzinfo=BERLIN)),
        ("2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00Z"),
        ("2026-11-01 00:00:00+00:00", "2026-11-01T19:00:00-05:00"),
        ("2026-11-01T00:00:00.0000000Z", " 2026-11-02T00:00:00.000+00:00 "),
    ],
)
def test_instants(field: str, start: Any, end: Any) -> None:
    window = Window.of(field=field, start=start, end=end)
    assert window.filterby() == instants("2026-11-01T00:00:00", "2026-11-02T00:00:00", field)
    assert window.to_dict() == {
        "field": field,
        "start": "2026-11-01T00:00:00Z",
        "end": "2026-11-02T00:00:00Z",
        "timezone": "UTC",
    }


def test_a_date_on_an_instant_is_midnight_in_the_timezone() -> None:
    window = Window.of(field="updatedOn", start="2025-03-30", end="2025-03-31", timezone="Europe/Berlin")
    assert window.filterby() == instants("2025-03-29T23:00:00", "2025-03-30T22:00:00", "updatedOn")
    assert window.to_dict()["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize("field", DAY_FIELDS)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 11, 1), pendulum.date(2026, 11, 2)),
        (NOV_1, datetime(2026, 11, 2, tzinfo=UTC)),
        ("2026-11-01T00:00:00Z", pendulum.datetime(2026, 11, 2)),
    ],
)
def test_days(field: str, start: Any, end: Any) -> None:
    window = Window.of(field=field, start=start, end=end)
    assert window.filterby() == days(NOV_1, NOV_2, field)
    zone = "UTC" if field == "startDateUtc" else None
    assert window.to_dict() == {"field": field, "start": NOV_1, "end": NOV_2, "timezone": zone}


@pytest.mark.parametrize("day", [date(2025, 3, 30), date(2025, 10, 26)])
def test_a_day_with_a_change_of_the_clocks_is_one_day(day: date) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    end = start + timedelta(days=1)
    assert Window.of(field="startDateLocal", start=start, end=end).filterby() == days(
        day.isoformat(), (day + timedelta(days=1)).isoformat()
    )
    in_utc = [bound.astimezone(UTC).isoformat() for bound in (start, end)]
    window = Window.of(field="startDateLocal", start=in_utc[0], end=in_utc[1], timezone="Europe/Berlin")
    assert window.start == day


def test_where_clocks_skip_midnight_the_day_starts_at_one() -> None:
    window = Window.of(field="startDateLocal", start="2018-11-04T03:00:00Z", timezone="America/Sao_Paulo")
    assert window.start == date(2018, 11, 4)


def test_where_midnight_comes_twice_only_the_first_starts_the_day() -> None:
    first = datetime(2025, 11, 2, 4, tzinfo=UTC)
    assert Window.of(field="startDateLocal", start=first, timezone="America/Havana").start == date(2025, 11, 2)
    with pytest.raises(AworkConfigError, match="not midnight"):
        Window.of(field="startDateLocal", start=first + timedelta(hours=1), timezone="America/Havana")


def test_a_datetime_on_the_utc_day_is_midnight_in_utc() -> None:
    with pytest.raises(AworkConfigError, match=r"window_start: .* is 2026-10-31 23:00:00 in UTC, not midnight"):
        Window.of(field="startDateUtc", start=datetime(2026, 11, 1, tzinfo=BERLIN))


@given(
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.dates(date(1990, 1, 1), date(2036, 12, 31)),
    st.integers(0, 86_399),
)
def test_a_datetime_on_days_is_midnight_or_an_error(zone: str, day: date, second: int) -> None:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) + timedelta(seconds=second)
    if second == 0:
        for bound in (local, local.isoformat(), pendulum.instance(local)):
            assert Window.of(field="startDateLocal", start=bound).start == day
            assert Window.of(field="startDateLocal", start=bound, timezone=zone).start == day
        assert Window.of(field="startDateLocal", start=local.astimezone(UTC), timezone=zone).start == day
    else:
        with pytest.raises(AworkConfigError, match="not midnight"):
            Window.of(field="startDateLocal", start=local, timezone=zone)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_an_instant_keeps_its_moment(naive: datetime, offset: int) -> None:
    bound = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    try:
        moment = bound.astimezone(UTC).replace(tzinfo=None).isoformat()
    except OverflowError:
        return
    for form in (bound, bound.isoformat()):
        assert Window.of(field="createdOn", start=form).filterby() == f"createdOn ge datetime'{moment}'"


def test_one_bound_alone_leaves_the_other_side_open() -> None:
    assert Window.of(field="createdOn", start=NOV_1).filterby() == "createdOn ge datetime'2026-11-01T00:00:00'"
    until = Window.of(field="startDateUtc", end=NOV_1)
    assert until.filterby() == "startDateUtc lt datetime'2026-11-01T00:00'"
    assert until.to_dict() == {"field": "startDateUtc", "start": None, "end": NOV_1, "timezone": "UTC"}


def test_no_window() -> None:
    window = Window.of(field=None)
    assert window.filterby() is None
    assert window.restrict(" ") is None
    assert window.restrict("isBilled eq false") == "isBilled eq false"
    assert json.loads(json.dumps(window.to_dict())) == dict.fromkeys(("field", "start", "end", "timezone"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"field": None, "start": NOV_1}, "window_start and window_end need window_field"),
        ({"field": "endDateUtc", "start": NOV_1}, "window_field: 'endDateUtc' is not one of createdOn, updatedOn, st"),
        ({"field": "createdOn"}, "neither window_start nor window_end"),
        ({"field": "createdOn", "start": NOV_2, "end": NOV_1}, "window_end: 2026-11-01T00:00:00Z is not after"),
        ({"field": "createdOn", "start": NOV_1, "end": NOV_1}, "is not after window_start 2026-11-01T00:00:00Z"),
        ({"field": "startDateLocal", "start": NOV_1, "end": NOV_1}, "a window of one day ends on the next"),
        ({"field": "createdOn", "start": datetime(2026, 11, 1)}, "window_start: 2026-11-01 00:00:00 has no time zone"),
        ({"field": "startDateUtc", "end": "2026-11-01T00:00:00"}, "window_end: 2026-11-01T00:00:00 has no time zone"),
        ({"field": "createdOn", "start": "20261101"}, "has no time zone"),
        ({"field": "createdOn", "start": "2026-11-01T00:00:00.5Z"}, "fraction of a second"),
        ({"field": "createdOn", "start": "2026-11-01T00:00:00.0000001Z"}, "fraction of a second"),
        ({"field": "startDateUtc", "start": datetime(2026, 11, 1, 0, 0, 0, 1, UTC)}, "fraction of a second"),
        ({"field": "createdOn", "start": "None"}, "window_start: 'None' is neither a date"),
        ({"field": "createdOn", "start": ""}, "window_start: '' is neither a date"),
        ({"field": "createdOn", "start": "2026-02-30"}, "window_start: '2026-02-30' is neither a date"),
        ({"field": "createdOn", "start": 1_793_000_000}, "window_start: 1793000000 is neither a date"),
        ({"field": "createdOn", "start": "0001-01-01T00:00:00+05:00"}, "end of the calendar"),
        ({"field": "createdOn", "start": NOV_1, "timezone": "Europe/Bärlin"}, "timezone: 'Europe/Bärlin' is not an I"),
        ({"field": "createdOn", "start": NOV_1, "timezone": ""}, "timezone: '' is not an IANA"),
        ({"field": "createdOn", "start": NOV_1, "timezone": "../etc"}, "timezone: '../etc' is not an IANA"),
        ({"field": "createdOn", "start": NOV_1, "timezone": 2}, "timezone: 2 is not an IANA"),
    ],
)
def test_bounds_that_cannot_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AworkConfigError) as raised:
        Window.of(**arguments)
    assert message in str(raised.value)


def test_literals_in_another_zone() -> None:
    window = Window.of(field="createdOn", start="2025-07-01", end="2025-12-01")
    assert window.filterby(literal_timezone="Europe/Berlin") == instants("2025-07-01T02:00:00", "2025-12-01T01:00:00")
    days_window = Window.of(field="startDateLocal", start=NOV_1, end=NOV_2)
    assert days_window.filterby(literal_timezone="Europe/Berlin") == days(NOV_1, NOV_2)


@pytest.mark.parametrize("hour", [0, 1])
def test_an_instant_in_the_hour_that_a_zone_has_twice_cannot_be_written(hour: int) -> None:
    window = Window.of(field="createdOn", start=datetime(2025, 10, 26, hour, 30, tzinfo=UTC))
    assert window.filterby() == f"createdOn ge datetime'2025-10-26T0{hour}:30:00'"
    with pytest.raises(AworkConfigError, match="2025-10-26 02:30:00 in Europe/Berlin"):
        window.filterby(literal_timezone="Europe/Berlin")


def test_a_users_filter_stays_within_the_window() -> None:
    window = Window.of(field="startDateLocal", start=NOV_1, end=NOV_2)
    assert window.restrict("isBilled eq false or duration gt 0") == (
        f"(isBilled eq false or duration gt 0) and {days(NOV_1, NOV_2)}"
    )
    assert window.restrict("note eq 'it''s :)'") == f"(note eq 'it''s :)') and {days(NOV_1, NOV_2)}"
    assert window.restrict(None) == days(NOV_1, NOV_2)


@pytest.mark.parametrize("filterby", ["a eq 1) or (b eq 2", "(a eq 1", "a eq 1)", "note eq ')' )"])
def test_a_users_filter_cannot_reach_out_of_the_window(filterby: str) -> None:
    with pytest.raises(AworkConfigError, match="parentheses"):
        Window.of(field="createdOn", start=NOV_1).restrict(filterby)
