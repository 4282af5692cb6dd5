"""
Daily export of time entries to object storage as Parquet: one prefix per work day, in Berlin's days.

Each run owns one prefix and replaces what it held, so a retry, a cleared task and a backfill end with the same files.
Read the files that ``_manifest.json`` lists; it is written last.

Where to: ``daily/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes
it, such as ``s3://aws_default@my-lake/awork``.
"""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

BERLIN = "Europe/Berlin"
DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/daily"

with DAG(
    dag_id="awork_daily_export",
    # A data interval of one day. Airflow 3's schedule="@daily" has intervals of zero length.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=BERLIN),
    start_date=pendulum.datetime(2026, 1, 1, tz=BERLIN),
    catchup=False,
    tags=["awork"],
    doc_md=__doc__,
):
    AworkTimeEntriesToObjectStorageOperator(
        task_id="export",
        destination=DESTINATION + "/day={window_start}",
        window_field="startDateLocal",
        timezone=BERLIN,
        file_format="parquet",
    )
