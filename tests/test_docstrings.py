"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from types import ModuleType

import pendulum
import pytest
from airflow.sdk import DAG

import airflow_provider_awork
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import (
    AworkBatchTimeEntriesOperator,
    AworkCreateTimeEntryOperator,
    AworkTimeEntriesOperator,
    AworkUpdateTimeEntryOperator,
)
from airflow_provider_awork.operators.tokens import AworkRefreshTokenOperator
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from tests.helpers.airflow_harness import connection_in_environment


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(airflow_provider_awork.__path__, "airflow_provider_awork."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_doctests() -> None:
    results = [doctest.testmod(module) for module in modules()]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 3


def code_blocks(documented: type) -> list[str]:
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n?|\n)+)", inspect.cleandoc(documented.__doc__ or ""))
    return [textwrap.dedent(block) for block in blocks]


@pytest.mark.parametrize(
    "documented",
    [
        AworkTimeEntriesToObjectStorageOperator,
        AworkListToObjectStorageOperator,
        AworkTimeEntriesOperator,
        AworkBatchTimeEntriesOperator,
        AworkCreateTimeEntryOperator,
        AworkUpdateTimeEntryOperator,
        AworkRefreshTokenOperator,
    ],
    ids=lambda each: each.__name__,
)
def test_examples_of_operators_make_a_dag(documented: type) -> None:
    (block,) = code_blocks(documented)
    with DAG("docstring", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        exec(compile(block, documented.__name__, "exec"), {documented.__name__: documented})
    (task,) = dag.tasks
    assert isinstance(task, documented)


def test_the_example_of_the_hook_counts_hours() -> None:
    (block,) = code_blocks(AworkHook)
    names: dict[str, object] = {}
    exec(compile(block, "AworkHook", "exec"), names)
    with (
        Sandbox(entries=300, seed=2, end=pendulum.today("UTC").add(days=1).date()) as awork,
        connection_in_environment(awork.url, awork.token),
    ):
        assert names["hours_today"].function() > 0  # type: ignore[attr-defined]
