"""Yesterday in Berlin's days, by a partition for each day."""

import os

import pendulum
from airflow.sdk import DAG, CronPartitionTimetable

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

with DAG(
    "nightly",
    schedule=CronPartitionTimetable("0 2 * * *", timezone="Europe/Berlin", key_format="%Y-%m-%d", run_offset=-1),
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,
    is_paused_upon_creation=True,  # the test starts it when everything is up
):
    AworkTimeEntriesToObjectStorageOperator(
        task_id="export",
        destination=f"file://{os.environ['STACK_OUTPUT']}/nightly/{{{{ dag_run.partition_key }}}}",
        window_field="startDateLocal",
        compression="none",
    )
