"""An Airflow home of the tests' own: nothing of the developer's Airflow comes in, nothing stays behind."""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BUNDLE_NAME = "tests"

# Removed when the interpreter ends.
_home = tempfile.TemporaryDirectory(prefix="airflow-provider-awork-tests-", ignore_cleanup_errors=True)
AIRFLOW_HOME = Path(_home.name)


def isolate() -> None:
    """Set Airflow's environment, for this process and its children. Must run before Airflow is imported."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.update(_airflow_settings())


@contextmanager
def environment_variables(values: Mapping[str, str]) -> Iterator[None]:
    """
    Set environment variables, and put back these alone at the end.

    ``mock.patch.dict`` puts the whole environment back, and takes away what a fixture has set meanwhile.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _airflow_settings() -> dict[str, str]:
    # Not Airflow's unit-test mode: it gives "@daily" a whole day as data interval, production one of zero length.
    dags_folder = AIRFLOW_HOME / "dags"
    dags_folder.mkdir(exist_ok=True)
    bundle = {
        "name": BUNDLE_NAME,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags_folder)},
    }
    return {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),  # Airflow 3.2 does not make one by itself
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        # Any `airflow` command writes an airflow.cfg with a key: processes from before and after would not share one.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
