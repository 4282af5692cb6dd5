"""
Each night what was created or changed since the night before, upserted into a table. Airflow 3.3 or newer.

``changes`` writes each run's entries to a folder of their own, and keeps in the state of the asset up to when all
changes are delivered. ``upsert`` takes that folder: an entry with a newer ``resource_version`` replaces an older one,
so that folders may be loaded in any order, and more than once.

Where to: ``changes/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes it,
such as ``s3://aws_default@my-lake/awork``, and ``incremental.duckdb`` in the local folder ``AWORK_DUCKDB``. Another
warehouse takes the same MERGE.
"""

from __future__ import annotations

import os
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, ObjectStoragePath, task

from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

CHANGES = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/changes"
DATABASE = os.path.join(os.environ.get("AWORK_DUCKDB", "/tmp/awork"), "incremental.duckdb")
UPSERT = """
MERGE INTO time_entries USING changes USING (id)
WHEN MATCHED AND changes.resource_version > time_entries.resource_version THEN UPDATE
WHEN NOT MATCHED THEN INSERT
"""

with DAG(
    dag_id="awork_incremental",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,
    max_active_runs=1,
    tags=["awork"],
    doc_md=__doc__,
):
    changes = AworkTimeEntriesToObjectStorageOperator(
        task_id="changes",
        destination=CHANGES,
        incremental="updatedOn",
        outlets=[Asset("awork_time_entries")],
        file_format="parquet",
        retries=2,
    )

    @task
    def upsert(summary: dict[str, Any]) -> int:
        import duckdb
        import pyarrow.parquet as pq

        from airflow_provider_awork.files.manifest import verify_manifest

        os.makedirs(os.path.dirname(DATABASE), exist_ok=True)
        folder = ObjectStoragePath(summary["destination"])
        with duckdb.connect(DATABASE) as database:
            for file in verify_manifest(folder).files:
                with (folder / file.name).open("rb") as parquet:
                    database.register("changes", pq.read_table(parquet))
                database.sql("CREATE TABLE IF NOT EXISTS time_entries AS FROM changes LIMIT 0")
                database.execute(UPSERT)
        return int(summary["rows"])

    upsert(changes.output)
