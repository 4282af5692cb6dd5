"""One mapped task for each window of the run's ``conf``, two at a time."""

import os
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

FOLDER = f"file://{os.environ['STACK_OUTPUT']}/backfill"

with DAG("backfill", schedule=None):

    @task
    def windows(dag_run: Any) -> list[dict[str, str]]:
        return [
            {"window_start": start, "window_end": end, "destination": f"{FOLDER}/{start}"}
            for start, end in dag_run.conf["windows"]
        ]

    AworkTimeEntriesToObjectStorageOperator.partial(
        task_id="export",
        window_field="startDateLocal",
        compression="none",
        pool="awork",
        map_index_template="{{ task.window_start }}",
    ).expand_kwargs(windows())
