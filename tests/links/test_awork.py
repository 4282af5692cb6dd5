"""The link to awork, as Airflow's REST API and the link class give it after real DAG runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_awork.get_provider_info import get_provider_info
from airflow_provider_awork.links.awork import APP_URL, AworkLink
from airflow_provider_awork.operators.base import AworkBaseOperator
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")
KEY = AworkLink().xcom_key


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture(scope="module")
def workspace_url(awork: Sandbox) -> str:
    from airflow_provider_awork.hooks.awork import AworkHook

    url = AworkHook().identity.workspace_url
    assert url
    assert url.startswith("https://")
    assert url != APP_URL
    return url


def links_of(dag: DAG, result: DagResult, task_id: str, *, map_index: int = -1) -> dict[str, str]:
    """What the web server shows: links of the deserialized task, read from the database."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        where = {"dag_id": dag.dag_id, "run_id": result.run_id, "task_id": task_id, "map_index": map_index}
        instance = session.scalars(select(TaskInstance).filter_by(**where)).one()
        task = SerializedDagModel.get_dag(dag.dag_id, session=session).get_task(task_id)  # type: ignore[union-attr]
        return {name: task.get_extra_links(instance, name) for name in task.extra_links}


def test_the_link_leads_to_the_workspace(awork: Sandbox, workspace_url: str) -> None:
    with DAG("link", schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator(task_id="entries", limit=1)
    result = run_dag(dag)
    assert links_of(dag, result, "entries") == {"awork": workspace_url}


def test_a_failed_task_has_its_link_too(awork: Sandbox, workspace_url: str) -> None:
    with DAG("link_failed", schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator(task_id="bad_filter", filterby="no such expression")
        AworkTimeEntriesOperator(task_id="bad_parameter", limit=0)
        AworkTimeEntriesOperator(task_id="no_connection", awork_conn_id="there_is_none")
    result = run_dag(dag)
    assert {task.state for task in result.task_instances.values()} == {"failed"}
    assert links_of(dag, result, "bad_filter") == {"awork": workspace_url}
    assert links_of(dag, result, "bad_parameter") == {"awork": APP_URL}
    assert links_of(dag, result, "no_connection") == {"awork": APP_URL}


def test_a_sensor_links_to_the_workspace_too(awork: Sandbox, workspace_url: str) -> None:
    with DAG("link_sensor", schedule=None, start_date=START) as dag:
        AworkTimeEntriesSensor(task_id="wait")
    assert links_of(dag, run_dag(dag), "wait") == {"awork": workspace_url}


def test_mapped_tasks_have_a_link_each(awork: Sandbox, workspace_url: str) -> None:
    with DAG("link_mapped", schedule=None, start_date=START) as dag:
        AworkTimeEntriesOperator.partial(task_id="entries").expand(limit=[1, 0, 2])
    result = run_dag(dag)
    urls = [links_of(dag, result, "entries", map_index=index)["awork"] for index in range(3)]
    assert urls == [workspace_url, APP_URL, workspace_url]


class Watched(AworkBaseOperator):
    """Gives what the link is while the task runs, and from the link class."""

    def __init__(self, *, awork_conn_id: str = "awork_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Any) -> list[str]:
        instance = context["ti"]
        stored = instance.xcom_pull(task_ids=instance.task_id, key=KEY)
        before = AworkLink().get_link(self, ti_key=instance)
        _ = self.hook.identity
        return [stored, before, AworkLink().get_link(self, ti_key=instance)]


def test_there_is_a_link_while_the_task_runs(awork: Sandbox, workspace_url: str) -> None:
    with DAG("link_early", schedule=None, start_date=START) as dag:
        Watched(task_id="watched")
    assert run_dag(dag).xcom("watched") == [APP_URL, APP_URL, workspace_url]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://awork.example", "", None])
def test_only_a_safe_url_is_linked(url: str | None) -> None:
    from airflow_provider_awork.client.identity import Identity

    operator = AworkTimeEntriesOperator(task_id="entries")
    identity = Identity(
        workspace_id=None, workspace_name=None, user_id=None, name="", sees_all_entries=None, workspace_url=url
    )
    operator.hook.__dict__["identity"] = identity
    link = AworkLink()
    link._stored_url = lambda ti_key: None  # type: ignore[method-assign]
    assert link.get_link(operator, ti_key=None) == APP_URL  # type: ignore[arg-type]


def test_airflow_knows_the_link() -> None:
    assert f"{AworkLink.__module__}.{AworkLink.__qualname__}" in get_provider_info()["extra-links"]
