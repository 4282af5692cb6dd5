"""The DAGs in ``example_dags/``."""

from __future__ import annotations

from airflow.sdk import DAG

from tests.helpers.repository import REPOSITORY

EXAMPLES = REPOSITORY / "example_dags"


def load(dag_id: str) -> DAG:
    """The DAG of an example, which is in a file of its own name."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(EXAMPLES / f"{dag_id}.py"))
    assert bag.import_errors == {}
    return bag.dags[dag_id]
