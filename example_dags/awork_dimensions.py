"""
Each day anew: people, clients, projects, tasks ... as Parquet, one prefix per list, so that time entries can be joined.

A list is replaced as a whole: read the files that its ``_manifest.json`` lists. Who works on which project awork tells
by project only, so that is mapped over the projects; ``/projects`` has all that the key may see, closed ones, too. With
more of them than ``[core] max_map_length`` (1024) ``project_ids`` fails: raise it then.

Where to: ``lists/`` below the environment variable ``AWORK_DESTINATION``, a prefix as ``ObjectStoragePath`` takes
it, such as ``s3://aws_default@my-lake/awork``.
"""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_awork.transfers.awork_to_object_storage import AworkListToObjectStorageOperator

DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/lists"
LISTS = ["users", "teams", "companies", "projects", "projecttypes", "projectstatuses", "projecttasks", "typeofwork"]

with DAG(
    dag_id="awork_dimensions",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["awork"],
    doc_md=__doc__,
):
    AworkListToObjectStorageOperator.partial(
        task_id="lists",
        destination=DESTINATION + "/{{ task.resource }}",
        file_format="parquet",
        map_index_template="{{ task.resource }}",
        max_active_tis_per_dagrun=2,  # they share the workspace's rate limit
    ).expand(resource=LISTS)

    @task
    def project_ids() -> list[str]:
        from airflow_provider_awork.hooks.awork import AworkHook

        return [project["id"] for project in AworkHook().get_list("projects")]

    AworkListToObjectStorageOperator.partial(
        task_id="project_members",
        resource="projectmembers",
        destination=DESTINATION + "/projectmembers/project={{ task.project_id }}",
        file_format="parquet",
        map_index_template="{{ task.project_id }}",
        max_active_tis_per_dagrun=2,
    ).expand(project_id=project_ids())
