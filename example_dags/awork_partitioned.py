"""
Each night the work day before, as a partition: Airflow 3.2 or newer; this file has no DAG on 3.1.

The partition's key is the day, and the window comes from it. A run that is started by hand with a key, such as
``2026-11-20`` (in the UI, or as ``partition_key`` by REST), exports that day again.

The timetable is in UTC although the days are those of each entry's own zone: a key names a day, wherever that is.

Where to: ``partitioned/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes
it, such as ``s3://aws_default@my-lake/awork``.
"""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, Asset

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/partitioned"

try:
    from airflow.sdk import CronPartitionTimetable
except ImportError:  # Airflow 3.1
    pass
else:
    with DAG(
        dag_id="awork_partitioned",
        schedule=CronPartitionTimetable("0 3 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        tags=["awork"],
        doc_md=__doc__,
    ):
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export",
            destination=DESTINATION + "/day={window_start}",
            window_field="startDateLocal",
            file_format="parquet",
            outlets=[Asset("awork_time_entries_by_day")],
        )
