"""
Close a month: wait until it is settled, then export it.

Settled means that no timer of the month runs any more, and that everybody has booked time in its last week. The sensors
wait in the triggerer, without a worker slot. Whoever has booked nothing after three days, for example on leave, is
skipped, and the month is exported without waiting any longer. ``soft_fail`` skips for errors as well: look at the
skipped ones before you rest anything on "everybody". ``timers_stopped`` fails and holds the export back.

Where to: ``months/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes
it, such as ``s3://aws_default@my-lake/awork``.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

BERLIN = "Europe/Berlin"
DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/months"
LAST_WEEK = "{{ data_interval_end.in_timezone('Europe/Berlin').subtract(weeks=1).to_date_string() }}"
END = "{{ data_interval_end.in_timezone('Europe/Berlin').to_date_string() }}"

with DAG(
    dag_id="awork_month_close",
    schedule=CronDataIntervalTimetable("0 0 1 * *", timezone=BERLIN),
    start_date=pendulum.datetime(2026, 1, 1, tz=BERLIN),
    catchup=False,
    tags=["awork"],
    doc_md=__doc__,
):
    timers_stopped = AworkTimeEntriesSensor.no_running_timers(
        task_id="timers_stopped",
        window_field="startDateLocal",
        timezone=BERLIN,
        poke_interval=300,
        timeout=timedelta(days=1),
        deferrable=True,
    )

    @task
    def people() -> list[str]:
        """A filter for each person; awork lists API users among the users."""
        hook = AworkHook()
        api_users = hook.get_api_user_ids() or frozenset()
        users = (user["id"] for user in hook.get_list("users") if not user.get("isDeactivated"))
        return [f"userId eq guid'{user_id}'" for user_id in users if user_id not in api_users]

    everybody_booked = AworkTimeEntriesSensor.partial(
        task_id="everybody_booked",
        map_index_template="{{ task.filterby }}",
        window_field="startDateLocal",
        window_start=LAST_WEEK,
        window_end=END,
        poke_interval=1800,
        timeout=timedelta(days=3),
        soft_fail=True,
        deferrable=True,
    ).expand(filterby=people())

    export = AworkTimeEntriesToObjectStorageOperator(
        task_id="export",
        trigger_rule="none_failed",
        destination=DESTINATION + "/month={window_start}",
        window_field="startDateLocal",
        timezone=BERLIN,
        file_format="parquet",
    )

    [timers_stopped, everybody_booked] >> export
