"""Parameters that a template rendered to nothing: an error wherever they select entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.operators.batch_time_entries import AworkBatchTimeEntriesOperator
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger, AworkTimeEntriesTrigger
from tests.helpers.airflow_harness import connection_in_environment, run_dag

SELECTION = ("filterby", "project_id", "awork_task_id")


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.mark.parametrize(
    ("operator", "parameters", "name"),
    [
        *((AworkTimeEntriesOperator, {}, name) for name in SELECTION),
        *((AworkTimeEntriesSensor, {"timeout": 1}, name) for name in SELECTION),
        (AworkBatchTimeEntriesOperator, {"operation": "setIsBilled", "value": True}, "time_entry_ids"),
    ],
)
@pytest.mark.parametrize("blank", ["", " {{ params.nothing }} "])
def test_a_blank_text_fails_before_awork_is_asked(
    awork: Sandbox, operator: Callable[..., Any], parameters: dict[str, Any], name: str, blank: str
) -> None:
    before = len(awork.requests)
    with DAG("blank_selection", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"nothing": ""}) as dag:
        operator(task_id="select", retries=2, **parameters, **{name: blank})
    result = run_dag(dag)
    assert (result.task("select").state, result.task("select").try_number) == ("failed", 1)
    assert f"{name}: the text is blank" in result.logs
    assert len(awork.requests) == before


@pytest.mark.parametrize("trigger", [AworkTimeEntriesTrigger, AworkTimeEntriesEventTrigger])
@pytest.mark.parametrize("name", SELECTION)
def test_a_blank_text_of_a_trigger(trigger: Callable[..., Any], name: str) -> None:
    with pytest.raises(AworkConfigError, match=f"{name}: the text is blank"):
        trigger(**{name: " "}).serialize()


def test_a_blank_text_beside_a_preset() -> None:
    with pytest.raises(AworkConfigError, match="filterby: the text is blank"):
        AworkTimeEntriesSensor.no_running_timers(task_id="timers", filterby="")
