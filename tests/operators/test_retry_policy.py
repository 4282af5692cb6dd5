"""Which errors Airflow 3.3 tries again, and when, in real DAG runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_awork.client.http import session
from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkDestinationBusyError,
    AworkError,
    AworkRateLimitError,
    AworkServerError,
    AworkTransportError,
)
from airflow_provider_awork.get_provider_info import get_provider_info
from airflow_provider_awork.operators.base import AworkBaseOperator
from airflow_provider_awork.operators.retry_policy import AworkRetryPolicy
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Answer, Sandbox
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.version_compat import HAS_RETRY_POLICIES
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag

pytestmark = pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="retry policies came with Airflow 3.3")

START = pendulum.datetime(2026, 1, 1, tz="UTC")
TOO_LONG = timedelta(days=1)  # a task with this retry_delay would not end within a test


@pytest.fixture
def awork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(session, "RetryRules", partial(session.RetryRules, tries=1, rate_limit_tries=1))
    with Sandbox(entries=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


def refuse(awork: Sandbox, times: int, answer: Answer) -> None:
    """Answer the first requests so."""
    numbers = itertools.count(1)
    awork.faults.add(lambda request, store: answer if next(numbers) <= times else None)


def rate_limited(**said: Any) -> AworkRateLimitError:
    return AworkRateLimitError(status=429, code=None, description="", method="GET", path="me", **said)


def unavailable(**said: Any) -> AworkServerError:
    return AworkServerError(status=503, code=None, description="", method="GET", path="me", **said)


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (rate_limited(retry_after=47.0), timedelta(seconds=47)),
        (rate_limited(retry_after=0.0), timedelta(seconds=1)),
        (rate_limited(retry_after=-5.0), timedelta(seconds=1)),
        (rate_limited(retry_after=1e9), timedelta(minutes=5)),
        (rate_limited(), timedelta(minutes=1)),
        (unavailable(retry_after=15.0), timedelta(seconds=15)),
        (unavailable(retry_after=1e9), timedelta(minutes=5)),
        (AworkDestinationBusyError("busy"), timedelta(minutes=5)),
    ],
)
def test_errors_with_a_delay_of_their_own(error: AworkError, delay: timedelta) -> None:
    decision = AworkRetryPolicy().evaluate(error, 1, 3)
    assert (decision.action.value, decision.retry_delay) == ("retry", delay)


@pytest.mark.parametrize(
    "error", [AworkTransportError("cut"), unavailable(), AworkError("?"), ValueError("?"), OSError(28, "full")]
)
def test_other_errors_are_left_to_airflow(error: Exception) -> None:
    assert AworkRetryPolicy().evaluate(error, 1, 3).action.value == "default"


def test_a_permanent_error_fails() -> None:
    assert AworkRetryPolicy().evaluate(AworkConfigError("?"), 1, 3).action.value == "fail"


def run(dag_id: str, default_args: dict[str, Any] | None = None, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START, default_args=default_args or {}) as dag:
        AworkTimeEntriesOperator(task_id="entries", retries=2, **{"retry_delay": TOO_LONG, **parameters})
    return run_dag(dag)


def test_a_used_up_rate_limit_waits_as_long_as_awork_says(awork: Sandbox) -> None:
    refuse(awork, 1, Answer(429, headers={"ratelimit-reset": "1"}))
    result = run("retry_429")
    task = result.task("entries")
    assert (task.state, task.try_number) == ("success", 2)
    assert "awork's rate limit is used up; it accepts requests again in 0:00:01" in result.logs


def test_mapped_tasks_have_the_policy_too(awork: Sandbox) -> None:
    refuse(awork, 1, Answer(429, headers={"retry-after": "1"}))
    with DAG("retry_mapped", schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator.partial(task_id="entries", retries=2, retry_delay=TOO_LONG).expand(limit=[1])
    task = run_dag(dag).task("entries", map_index=0)
    assert (task.state, task.try_number) == ("success", 2)


def test_a_wrong_key_is_not_tried_again(awork: Sandbox) -> None:
    refuse(awork, 1, Answer(401))
    assert run("retry_401").task("entries").try_number == 1


@pytest.mark.parametrize(
    ("default_args", "parameters"),
    [
        ({}, {"retry_policy": None}),
        ({"retry_policy": None}, {}),
    ],
)
def test_it_can_be_switched_off(awork: Sandbox, default_args: dict[str, Any], parameters: dict[str, Any]) -> None:
    refuse(awork, 1, Answer(429, headers={"ratelimit-reset": "86400"}))
    result = run(f"retry_off_{len(parameters)}", default_args, retry_delay=timedelta(seconds=0), **parameters)
    assert (result.task("entries").state, result.task("entries").try_number) == ("success", 2)


def test_another_policy_takes_its_place() -> None:
    from airflow.sdk import ExceptionRetryPolicy

    other = ExceptionRetryPolicy(rules=[])
    with DAG("retry_other", schedule=None, start_date=START, default_args={"retry_policy": other}):
        by_default_args = AworkTimeEntriesOperator(task_id="a")
        by_parameter = AworkTimeEntriesOperator(task_id="b", retry_policy=None)
    assert by_default_args.retry_policy is other
    assert by_parameter.retry_policy is None


@pytest.mark.parametrize(
    ("operator", "parameters"),
    [
        (AworkTimeEntriesOperator, {}),
        (AworkTimeEntriesToObjectStorageOperator, {"destination": "file:///tmp/x"}),
        (AworkTimeEntriesSensor, {}),
    ],
)
def test_it_is_there_by_default(operator: Any, parameters: dict[str, Any]) -> None:
    assert isinstance(operator(task_id="task", **parameters).retry_policy, AworkRetryPolicy)
    with DAG("retry_default", schedule=None, start_date=START):
        mapped = operator.partial(task_id="mapped", **parameters).expand(filterby=["isBilled eq true"])
    assert isinstance(mapped.retry_policy, AworkRetryPolicy)


def test_every_operator_and_sensor_inherits_it() -> None:
    info = get_provider_info()
    listed = [module for kind in ("operators", "sensors") for each in info[kind] for module in each["python-modules"]]
    listed += [each["python-module"] for each in info["transfers"]]
    classes = {
        member
        for module in map(import_module, listed)
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, BaseOperator) and member.__module__ in listed
    }
    assert len(classes) >= 8
    assert [each for each in classes if not issubclass(each, AworkBaseOperator)] == []
