"""
Runs DAGs that a test builds inline, by Airflow's own ``dag.test()``, in the process of the tests.

The first run of a process takes seconds (it starts the Execution API), each further one about 0.1 s. Known gaps of
``dag.test()``: it drops ``defer(kwargs=...)``, enforces no deferral timeout, runs no watchers and starts no
asset-triggered DAGs.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.helpers.airflow_environment import BUNDLE_NAME, environment_variables

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from airflow.timetables.base import Timetable


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """
    What became of one task instance.

    :param state: its last state, such as ``success``, ``failed``, ``skipped``, ``upstream_failed``.
    :param try_number: number of its last try, from 1; 0 if it never ran.
    :param xcoms: its XComs by key.
    :param rendered_fields: its template fields as Airflow stored them for the UI.
    """

    state: str | None
    try_number: int
    xcoms: dict[str, Any]
    rendered_fields: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DagResult:
    """
    What became of a DAG run.

    :param run_id: the run's id.
    :param state: the run's last state, ``success`` or ``failed``.
    :param task_instances: what became of the task instances, by task id and map index (-1 if not mapped).
    :param logs: all that was logged and printed while the run went on, with tracebacks, before Airflow masks
        secrets, so that a secret in here is one that the package logged.
    """

    run_id: str
    state: str
    task_instances: dict[tuple[str, int], TaskResult]
    logs: str

    def task(self, task_id: str, *, map_index: int = -1) -> TaskResult:
        """Give what became of one task instance."""
        return self.task_instances[task_id, map_index]

    def xcom(self, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """Give an XCom; a key that was not pushed is a KeyError."""
        return self.task(task_id, map_index=map_index).xcoms[key]


def run_dag(
    dag: DAG,
    *,
    logical_date: datetime | None = None,
    data_interval: tuple[datetime, datetime] | None = None,
    run_type: str = "manual",
    run_conf: dict[str, Any] | None = None,
    partition_key: str | None = None,
    partition_date: datetime | None = None,
    asset_events: dict[str, dict[str, Any]] | None = None,
) -> DagResult:
    """
    Run a DAG once, to its end.

    :param dag: the DAG, built inline or loaded from a file.
    :param logical_date: aware; None runs it as a manual run without one, which then has no data interval either.
    :param data_interval: start and end; None leaves what ``dag.test()`` infers from the timetable.
    :param run_type: ``manual``, ``scheduled``, ``backfill`` or ``asset_triggered``.
    :param run_conf: the run's ``conf``.
    :param partition_key: the run's partition key (Airflow 3.2+).
    :param partition_date: the run's partition date (Airflow 3.2+; tasks see it from 3.3 on).
    :param asset_events: the events that started the run: the ``extra`` of one, by the name of its asset.
    """
    logs = prepare_airflow()
    _register(dag)
    changes: dict[str, Any] = {"run_type": run_type}
    if data_interval is not None:
        changes |= {"data_interval_start": data_interval[0], "data_interval_end": data_interval[1]}
    if partition_key is not None or partition_date is not None:
        changes |= {"partition_key": partition_key, "partition_date": partition_date}
    with logs.recording() as record, _created_with(changes, asset_events or {}):
        run = dag.test(logical_date=logical_date, run_conf=run_conf)
    return _result(run, logs=record.getvalue())


def continue_dag(dag: DAG, run_id: str) -> DagResult:
    """
    Go on with an earlier run, as when somebody clears its failed tasks: what succeeded or was skipped stays.

    Tasks that a killed worker left running count as failed, which the scheduler finds out by missing heartbeats.

    :param dag: the DAG as of the earlier run.
    :param run_id: id of that run.
    """
    logs = prepare_airflow()
    _register(dag)
    with logs.recording() as record, _continuing(run_id):
        run = dag.test()
    return _result(run, logs=record.getvalue())


def last_run_id(dag_id: str) -> str:
    """Give the id of a DAG's latest run, which may be another process's."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        runs = select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc()).limit(1)
        return str(session.scalars(runs).one())


def data_interval_timetable(cron: str, *, timezone: str = "UTC") -> Timetable:
    """Give a timetable whose runs cover the time between two ticks, as Airflow 2 scheduled by default."""
    try:
        from airflow.sdk import CronDataIntervalTimetable
    except ImportError:  # Airflow 3.1
        from airflow.timetables.interval import CronDataIntervalTimetable
    return CronDataIntervalTimetable(cron, timezone=timezone)


@contextmanager
def connection_in_environment(
    base_url: str, token: str, *, conn_id: str = "awork_default", **extras: Any
) -> Iterator[None]:
    """
    Define an awork connection by its environment variable, and take it away at the end.

    :param base_url: base URL of the API.
    :param token: API key.
    :param conn_id: id of the connection.
    :param extras: extras of the connection by name.
    """
    connection = {"conn_type": "awork", "host": base_url, "password": token, "extra": extras}
    with environment_variables({f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection)}):
        yield


class _LogStream(io.TextIOBase):
    """Where Airflow logs to: standard output as pytest sees it at that moment, and the record of the current run."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._record: io.StringIO | None = None

    def write(self, text: str) -> int:
        if self._record is not None:
            self._record.write(text)
        return sys.stdout.write(text)

    @contextmanager
    def recording(self) -> Iterator[io.StringIO]:
        self._record = io.StringIO()
        try:
            yield self._record
        finally:
            self._record = None


@cache
def prepare_airflow() -> _LogStream:
    """Create the database and send the logs where they can be read, once a process; :func:`run_dag` calls it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.sdk.log import configure_logging
    from airflow.utils.db import initdb

    logs = _LogStream()
    initdb()
    DagBundlesManager().sync_bundles_to_db()
    configure_logging(output=logs, sending_to_supervisor=True, colored_console_log=False)
    _share_execution_api()
    return logs


def _share_execution_api() -> None:
    """Do what Airflow 3.3 does by itself: start one Execution API for all tasks, and wait until it is up."""
    from airflow.sdk.execution_time import supervisor

    if hasattr(supervisor.in_process_api_server, "cache_info"):
        return
    schedule = asyncio.run_coroutine_threadsafe

    def schedule_and_wait(*args: Any) -> Future[Any]:
        future = schedule(*args)
        future.result(timeout=60)
        return future

    api = supervisor.in_process_api_server()
    with mock.patch("asyncio.run_coroutine_threadsafe", schedule_and_wait):
        _ = api.transport
    supervisor.in_process_api_server = lambda: api


def _register(dag: DAG) -> None:
    """Write the DAG to the database: ``dag.test()`` looks only at files, and refuses a DAG that it does not find."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    serialized = LazyDeserializedDAG.from_dag(dag)
    with create_session() as session:
        _serialized_dag_class().bulk_write_to_db(BUNDLE_NAME, None, [serialized], session=session)
        SerializedDagModel.write_dag(serialized, bundle_name=BUNDLE_NAME, session=session)


def _serialized_dag_class() -> Any:
    try:
        from airflow.serialization.definitions.dag import SerializedDAG
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serialized_objects import SerializedDAG
    return SerializedDAG


@contextmanager
def _continuing(run_id: str) -> Iterator[None]:
    """Let ``dag.test()`` take an earlier run instead of a new one; it would clear all tasks of the DAG before."""
    from airflow.models import dagrun, taskinstance
    from sqlalchemy import select

    def take(*, dag: Any, session: Any, **_: Any) -> DagRun:
        run = session.scalars(select(dagrun.DagRun).filter_by(dag_id=dag.dag_id, run_id=run_id)).one()
        run.dag = dag
        unfinished = [ti for ti in run.get_task_instances(session=session) if ti.state not in ("success", "skipped")]
        for ti in unfinished:
            ti.state = "failed"
        taskinstance.clear_task_instances(unfinished, session)
        run.state = "running"
        session.commit()
        return run

    with (
        mock.patch.object(dagrun, "get_or_create_dagrun", take),
        mock.patch.object(_serialized_dag_class(), "clear_dags"),
    ):
        yield


@contextmanager
def _created_with(changes: dict[str, Any], asset_events: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Change the run that ``dag.test()`` creates before its tasks see it: it has no parameters for these."""
    from airflow.models import dagrun

    create = dagrun.get_or_create_dagrun

    def create_and_change(**kwargs: Any) -> DagRun:
        run = create(**kwargs)
        for name, value in changes.items():
            setattr(run, name, value)
        for name, extra in asset_events.items():
            run.consumed_asset_events.append(_asset_event(name, extra, kwargs["session"]))
        kwargs["session"].commit()
        return run

    with mock.patch.object(dagrun, "get_or_create_dagrun", create_and_change):
        yield


def _asset_event(name: str, extra: dict[str, Any], session: Any) -> Any:
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    asset = session.scalars(select(AssetModel).where(AssetModel.name == name)).one()
    return AssetEvent(asset_id=asset.id, extra=extra)


def _result(run: DagRun, *, logs: str) -> DagResult:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
        task_instances = session.scalars(select(TaskInstance).where(*of_run)).all()
        return DagResult(
            run_id=run.run_id,
            state=str(run.state),
            task_instances={(ti.task_id, ti.map_index): _task_result(ti, session) for ti in task_instances},
            logs=logs,
        )


def _task_result(ti: Any, session: Any) -> TaskResult:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=ti.run_id, dag_ids=ti.dag_id, task_ids=ti.task_id, map_indexes=ti.map_index)
    return TaskResult(
        state=None if ti.state is None else str(ti.state),
        try_number=ti.try_number,
        xcoms={row.key: XComModel.deserialize_value(row) for row in session.scalars(query)},
        rendered_fields=RenderedTaskInstanceFields.get_templated_fields(ti, session=session) or {},
    )
