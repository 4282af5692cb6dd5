"""
The history, month by month: one mapped task for each month, one prefix for each, as Parquet.

Months are those of ``createdOn``, which never changes: together they hold each entry exactly once, whatever people edit
meanwhile. A month that fails can be cleared alone.

All tasks share the workspace's budget of 1000 requests a minute. Each keeps to the ``requests_per_minute`` of its
connection, and the pool says how many run at once, so the product counts: with 4 slots and 225 requests a minute, 900::

    airflow pools set awork 4 "tasks that ask awork at once"
    airflow connections add awork_backfill \\
        --conn-json '{"conn_type": "awork", "password": "<API key>", "extra": {"requests_per_minute": 225}}'

An entry lies in its month here and in its work day in ``awork_daily_export``: a reader takes one of the two sets. For
one table of both, upsert by id, the newest ``resource_version`` wins (``awork_incremental`` shows how). Or set
``window_field`` to ``startDateLocal`` here, and read months up to one and days from the next month on.

Where to: ``history/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes
it, such as ``s3://aws_default@my-lake/awork``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/history"

with DAG(
    dag_id="awork_backfill",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    max_active_runs=1,
    params={
        "first_month": Param("2025-11", type="string", pattern=r"^\d{4}-\d\d$", description="the first month"),
        "months": Param(12, type="integer", minimum=1, description="how many"),
    },
    tags=["awork"],
    doc_md=__doc__,
):

    @task
    def first_days(params: dict[str, Any]) -> list[str]:
        first = pendulum.from_format(params["first_month"], "YYYY-MM")
        return [first.add(months=number).to_date_string() for number in range(params["months"])]

    @task
    def total(summaries: Iterable[dict[str, Any]]) -> int:
        return sum(summary["rows"] for summary in summaries)

    export = AworkTimeEntriesToObjectStorageOperator.partial(
        task_id="export",
        awork_conn_id="awork_backfill",
        destination=DESTINATION + "/created={{ task.window_start[:7] }}",
        window_field="createdOn",
        window_length="P1M",
        timezone="Europe/Berlin",
        file_format="parquet",
        map_index_template="{{ task.window_start[:7] }}",
        pool="awork",
        retries=2,
        retry_delay=timedelta(minutes=1),
    ).expand(window_start=first_days())

    total(export.output)
