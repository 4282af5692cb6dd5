"""Whether rows are inside the bounds of a window, as tables."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError

DAYS = Bounds(field="startDateLocal", start=date(2026, 11, 1), end=date(2026, 11, 3), zone="UTC")
HOUR = Bounds(
    field="updatedOn",
    start=datetime(2026, 11, 1, 8, tzinfo=UTC),
    end=datetime(2026, 11, 1, 9, tzinfo=UTC),
    zone="Europe/Berlin",
)
FROM = Bounds(field="createdOn", start=datetime(2026, 11, 1, 8, tzinfo=UTC), end=None, zone="UTC")
UNTIL = Bounds(field="createdOn", start=None, end=datetime(2026, 11, 1, 8, tzinfo=UTC), zone="UTC")

TABLE = [
    (DAYS, "2026-10-31T00:00:00Z", False),
    (DAYS, "2026-11-01T00:00:00Z", True),
    (DAYS, "2026-11-02T23:59:59", True),
    (DAYS, "2026-11-02", True),
    (DAYS, "2026-11-03T00:00:00", False),
    (HOUR, "2026-11-01T07:59:59.9999999Z", False),
    (HOUR, "2026-11-01T08:00:00Z", True),
    (HOUR, "2026-11-01T08:59:59.9999999Z", True),
    (HOUR, "2026-11-01T09:00:00.000", False),
    (FROM, "2026-11-01T07:59:59.999Z", False),
    (FROM, "9999-12-31T00:00:00Z", True),
    (UNTIL, "0001-01-01T00:00:00Z", True),
    (UNTIL, "2026-11-01T08:00:00Z", False),
]


@pytest.mark.parametrize(("bounds", "value", "is_inside"), TABLE)
def test_a_value_is_inside_or_outside(bounds: Bounds, value: str, is_inside: bool) -> None:
    passes, fails = bounds.check_inside, bounds.check_outside
    if not is_inside:
        passes, fails = fails, passes
    passes([value])
    with pytest.raises(AworkAssumptionError, match=value) as caught:
        fails([value])
    assert all(len(line) <= 80 for line in str(caught.value).splitlines()[:1])
    assert "literal_timezone" in str(caught.value)


@pytest.mark.parametrize(
    ("bounds", "value"),
    [(DAYS, None), (DAYS, "01.11.2026"), (DAYS, ""), (HOUR, None), (HOUR, "yesterday"), (HOUR, "2026-11-01")],
)
def test_a_row_without_a_value_that_can_be_read_is_an_error(bounds: Bounds, value: str | None) -> None:
    for check in (bounds.check_inside, bounds.check_outside):
        with pytest.raises(AworkPagingError, match=bounds.field):
            check([value])


@pytest.mark.parametrize(
    ("bounds", "flanks"),
    [
        (
            DAYS,
            "(startDateLocal ge datetime'2026-10-31T00:00' and startDateLocal lt datetime'2026-11-01T00:00') or "
            "(startDateLocal ge datetime'2026-11-03T00:00' and startDateLocal lt datetime'2026-11-04T00:00')",
        ),
        (
            HOUR,
            "(updatedOn ge datetime'2026-10-31T07:00:00' and updatedOn lt datetime'2026-11-01T09:00:00') or "
            "(updatedOn ge datetime'2026-11-01T10:00:00' and updatedOn lt datetime'2026-11-02T12:00:00')",
        ),
        (FROM, "(createdOn ge datetime'2026-10-31T18:00:00' and createdOn lt datetime'2026-11-01T08:00:00')"),
        (UNTIL, "(createdOn ge datetime'2026-11-01T08:00:00' and createdOn lt datetime'2026-11-01T22:00:00')"),
    ],
)
def test_the_flanks_reach_as_far_as_zones_lie_apart(bounds: Bounds, flanks: str) -> None:
    assert bounds.flanks() == flanks
