"""
Runs transfers with OpenLineage on, in a process of its own: the provider looks at its settings once, when it is loaded.

``python -m tests.transfers.lineage_process '{"events": <file>, "url": ..., "token": ..., "runs": {<dag id>: {...}}}'``
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tests.helpers import airflow_environment


def main(events: str, url: str, token: str, runs: dict[str, dict[str, Any]]) -> None:
    airflow_environment.isolate()
    os.environ["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(
        {"type": "file", "log_file_path": events, "append": True}
    )

    import pendulum
    from airflow.sdk import DAG, ObjectStoragePath

    from airflow_provider_awork.transfers.awork_to_object_storage import (
        AworkListToObjectStorageOperator,
        AworkTimeEntriesToObjectStorageOperator,
    )
    from tests.helpers.airflow_harness import connection_in_environment, run_dag

    def open_a_file(_: Any) -> None:
        """What Airflow's hook-level lineage sees."""
        with ObjectStoragePath(f"file://{__file__}").open("rb") as file:
            file.read()

    with connection_in_environment(url, token):
        for dag_id, parameters in runs.items():
            transfer = (
                AworkListToObjectStorageOperator
                if "resource" in parameters
                else AworkTimeEntriesToObjectStorageOperator
            )
            with DAG(dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
                transfer(task_id="export", pre_execute=open_a_file, **parameters)
            print(dag_id, run_dag(dag).state)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
