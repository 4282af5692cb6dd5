from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
import requests

from airflow_provider_awork.sandbox import Sandbox


class Client:
    """Plain HTTP against a sandbox, on one kept connection."""

    def __init__(self, awork: Sandbox) -> None:
        self.awork = awork
        self.session = requests.Session()
        self.session.headers.update({"Authorization": f"Bearer {awork.token}", "Accept-Encoding": "identity"})

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """What the store held at the first look."""
        return self.awork.store.entries()

    def get(self, path: str = "/timeentries", **params: Any) -> requests.Response:
        return self.session.get(self.awork.url + path, params=params, timeout=20)

    def rows(self, path: str = "/timeentries", **params: Any) -> list[dict[str, Any]]:
        """All pages."""
        rows: list[dict[str, Any]] = []
        for page in range(1, 1000):
            response = self.get(path, page=page, **{"pageSize": 1000, **params})
            assert response.status_code == 200, response.text
            rows += response.json()
            if len(rows) >= int(response.headers["aw-totalitems"]):
                return rows
        raise AssertionError("the pages do not end")

    def ids(self, path: str = "/timeentries", **params: Any) -> list[str]:
        return [row["id"] for row in self.rows(path, **params)]


@pytest.fixture(scope="session")
def unchanged() -> Iterator[Sandbox]:
    """A sandbox that no test changes."""
    with Sandbox(entries=1100, seed=11) as awork:
        yield awork


@pytest.fixture(scope="session")
def reader(unchanged: Sandbox) -> Client:
    return Client(unchanged)


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """Start a sandbox of the test's own; errors inside it fail the test."""
    started: list[Sandbox] = []

    def start(**settings: Any) -> Client:
        awork = Sandbox(**{"entries": 40, **settings})
        started.append(awork.__enter__())
        return Client(awork)

    yield start
    for awork in started:
        awork.__exit__(None, None, None)
