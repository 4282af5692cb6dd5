"""One Airflow and one local awork for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pendulum
import pytest

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi
from stack_tests.stack import AirflowStack


def pytest_configure() -> None:
    """A time limit from outside ends the tests as Ctrl-C does, fixtures included."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=6000, seed=5, end=pendulum.date(2026, 11, 1)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the DAGs write to."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def stack(awork: Sandbox, output: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    home = tmp_path_factory.mktemp("airflow")
    with AirflowStack(home, environment={"STACK_OUTPUT": str(output)}) as stack:
        stack.api.post(
            "/api/v2/connections",
            connection_id="awork_default",
            conn_type="awork",
            host=awork.url,
            password=awork.token,
        )
        yield stack


@pytest.fixture
def airflow(stack: AirflowStack) -> Iterator[RestApi]:
    """The REST API; what a failed test says ends with the log of all components."""
    with stack.explained():
        yield stack.api
