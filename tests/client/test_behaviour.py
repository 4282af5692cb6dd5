"""What is assumed of awork, as extras of a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_awork.client.behaviour import AworkBehaviour
from airflow_provider_awork.client.http.config import build_config


@pytest.mark.parametrize(
    "extras",
    [
        {},
        {"order_by_id": False},
        {"anchor_on_created_on": False, "literal_timezone": "Europe/Berlin", "accept_short_pages": True},
    ],
)
def test_the_printed_extras_are_those_that_differ_and_can_be_pasted(extras: dict[str, Any]) -> None:
    printed = json.loads(AworkBehaviour(**extras).extras_json())

    assert printed == extras
    assert build_config(token="key", extras=printed).extras.behaviour == AworkBehaviour(**extras)
