"""One Airflow and one local awork for all tests."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pendulum
import pytest

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi
from stack_tests.stack import AirflowStack

BERLIN = "Europe/Berlin"


def pytest_configure() -> None:
    """A time limit from outside ends the tests as Ctrl-C does, fixtures included."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def awork() -> Iterator[Sandbox]:
    """
    A workspace with work of the last fourteen months up to yesterday, also at both ends of that day and the one before.

    Until two o'clock the last nightly run is that of the day before.
    """
    today = pendulum.today(BERLIN)
    with Sandbox(entries=6000, seed=5, start=today.subtract(months=14).date(), end=today.date()) as sandbox:
        for day in (today.subtract(days=1), today.subtract(days=2)):
            for start in (day, day.add(days=1).subtract(minutes=30)):
                sandbox.store.add(sandbox.make_entry(started_at=start, timezone=BERLIN))
        yield sandbox


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the DAGs write to."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def stack(awork: Sandbox, output: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    connection = {"conn_type": "awork", "host": awork.url, "password": awork.token}
    environment = {"STACK_OUTPUT": str(output), "AIRFLOW_CONN_AWORK_DEFAULT": json.dumps(connection)}
    with AirflowStack(tmp_path_factory.mktemp("airflow"), environment=environment) as stack:
        yield stack


@pytest.fixture
def airflow(stack: AirflowStack) -> Iterator[RestApi]:
    """The REST API; what a failed test says ends with the log of all components."""
    with stack.explained():
        yield stack.api
