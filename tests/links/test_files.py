"""The link to the files of an export, as Airflow gives it after real DAG runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pendulum
import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_awork.get_provider_info import get_provider_info
from airflow_provider_awork.links.files import FilesLink, files_url
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from tests.helpers.airflow_harness import connection_in_environment, run_dag
from tests.links.test_awork import links_of

START = pendulum.datetime(2026, 1, 1, tz="UTC")


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.mark.parametrize(
    ("destination", "url"),
    [
        ("s3://aws@lake/a b/c", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix=a%20b/c/"),
        ("s3://lake", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix="),
        ("gs://google@lake/a=1", "https://console.cloud.google.com/storage/browser/lake/a%3D1/"),
        ("file:///data/awork", "file:///data/awork"),
    ],
)
def test_a_destination_has_its_console_or_its_uri(destination: str, url: str) -> None:
    assert files_url(ObjectStoragePath(destination)) == url


def test_the_link_leads_to_the_rendered_destination(awork: Sandbox, tmp_path: Path) -> None:
    with DAG("link_files", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export",
            destination=f"file://{tmp_path}/day={{window_start}}",
            window_field="startDateUtc",
            window_start="2026-01-01",
            window_end="2026-01-02",
        )
    links = links_of(dag, run_dag(dag), "export")
    assert links["Files"] == f"file://{tmp_path}/day=2026-01-01"
    assert links["awork"].startswith("https://")


def test_a_task_without_a_destination_has_no_link(awork: Sandbox) -> None:
    with DAG("link_no_files", schedule=None, start_date=START) as dag:
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination="no prefix")
    assert not links_of(dag, run_dag(dag), "export")["Files"]


def test_airflow_knows_the_link() -> None:
    assert f"{FilesLink.__module__}.{FilesLink.__qualname__}" in get_provider_info()["extra-links"]
