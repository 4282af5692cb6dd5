"""Who asks and what it may see, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_awork.sandbox import Answer, Sandbox
from tests.helpers.runs import hook_for


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=3) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("rights", "sees_all"),
    [
        ({"isAdmin": True, "permissions": []}, True),
        ({"isAdmin": False, "permissions": [{"feature": "project-timetracking", "accessLevels": ["Write"]}]}, True),
        ({"isAdmin": False, "permissions": [{"feature": "project-timetracking", "accessLevels": ["read"]}]}, False),
        ({"isAdmin": False, "permissions": [{"feature": "company-master-data", "accessLevels": ["write"]}]}, False),
        ({"isAdmin": False, "permissions": []}, False),
        ({"isAdmin": False, "permissions": None}, False),
        # awork's document has a feature's key as "pmd", so such keys do not tell.
        ({"isAdmin": False, "permissions": [{"feature": "pmd", "accessLevels": ["write"]}]}, None),
        ({}, None),
        (None, None),
        ({"isAdmin": "perhaps", "permissions": 3}, None),
        ({"isAdmin": False, "permissions": ["project-timetracking"]}, None),
    ],
)
def test_what_the_key_may_see(awork: Sandbox, rights: dict[str, Any] | None, sees_all: bool | None) -> None:
    answer = Answer(200, {"signature": "c2FuZGJveA==", "userPermission": rights})
    awork.faults.add(lambda request, store: answer if request.path == "/me/permissions" else None)

    assert hook_for(awork).client.identity().sees_all_entries is sees_all


def test_rights_that_may_not_be_read_are_unknown(awork: Sandbox) -> None:
    awork.faults.add(lambda request, store: Answer(403) if request.path == "/me/permissions" else None)

    identity = hook_for(awork).client.identity()

    assert identity.sees_all_entries is None
    assert identity.workspace_name == awork.settings.workspace.name
