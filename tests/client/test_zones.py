"""Names of time zones are looked up one by one."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest

from airflow_provider_awork.client.zones import is_zone_name


def test_all_zones_are_known() -> None:
    assert [name for name in sorted(available_timezones()) if not is_zone_name(name)] == []


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe", "Europe/", "../x", "/etc/localtime", "a\0b", "right/UTC", 3, None]
)
def test_others_are_not(name: object) -> None:
    assert not is_zone_name(name)
