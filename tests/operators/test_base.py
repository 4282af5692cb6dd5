"""What operators and sensors inherit works with Airflow's ways of passing parameters."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.operators.base import WINDOW_PARAMETERS
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

START = pendulum.datetime(2026, 1, 1)
OF_THE_DAG = {"window_field": "createdOn", "timezone": "Europe/Berlin"}


@pytest.fixture(
    params=[
        (AworkTimeEntriesOperator, {}),
        (AworkTimeEntriesSensor, {}),
        (AworkTimeEntriesToObjectStorageOperator, {"destination": "file:///tmp/awork"}),
    ],
    ids=lambda param: param[0].__name__,
)
def windowed(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any]]:
    """A class that takes a window, and what it needs beside it."""
    return request.param  # type: ignore[no-any-return]


def test_a_window_comes_from_default_args_and_is_templated(windowed: tuple[Any, dict[str, Any]]) -> None:
    operator, needed = windowed
    with DAG("window_by_default", schedule=None, start_date=START, default_args=OF_THE_DAG):
        task = operator(task_id="task", window_start="{{ ds }}", window_length="P1D", **needed)
    assert set(WINDOW_PARAMETERS) <= set(task.template_fields)
    assert {name: getattr(task, name) for name in OF_THE_DAG} == OF_THE_DAG
    task.render_template_fields({"ds": "2026-03-29"})
    window = task.window({})
    assert (window.field, window.to_dict()["start"]) == ("createdOn", "2026-03-28T23:00:00Z")


def test_windows_are_mapped(windowed: tuple[Any, dict[str, Any]]) -> None:
    operator, needed = windowed
    with DAG("window_mapped", schedule=None, start_date=START, default_args=OF_THE_DAG):
        partial = operator.partial(task_id="task", window_length="P1M", **needed)
        mapped = partial.expand(window_start=["2026-01-01", "2026-02-01"])
    bounds = [mapped.unmap({"window_start": start}).window({}).to_dict() for start in ("2026-01-01", "2026-02-01")]
    assert [(each["field"], each["end"]) for each in bounds] == [
        ("createdOn", "2026-01-31T23:00:00Z"),
        ("createdOn", "2026-02-28T23:00:00Z"),
    ]
