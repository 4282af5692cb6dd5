"""All entries as NDJSON, started by hand; the run's ``conf`` names the folder."""

import os

from airflow.sdk import DAG

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

with DAG("export", schedule=None):
    AworkTimeEntriesToObjectStorageOperator(
        task_id="export",
        destination=f"file://{os.environ['STACK_OUTPUT']}/{{{{ dag_run.conf.folder }}}}",
        compression="none",
        max_rows_per_file=1000,
    )
