"""Destinations on every store; those that need an emulator carry the marker ``emulator``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import tenacity

from airflow_provider_awork.files import stores
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import connection_in_environment
from tests.helpers.destinations import Destination
from tests.helpers.storage_emulators import (
    AZURITE,
    AzureEmulator,
    Emulator,
    GCSEmulator,
    S3Emulator,
    run_azure_emulator,
    run_gcs_emulator,
)

BUCKET = "scenarios"


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[GCSEmulator]:
    with run_gcs_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def azure_emulator() -> Iterator[AzureEmulator]:
    if not AZURITE.exists():
        pytest.skip("azurite is not installed: `make test` installs it where npm is there")
    with run_azure_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def s3_root(s3_emulator: S3Emulator) -> str:
    return s3_emulator.create_bucket(BUCKET)


@pytest.fixture(scope="session")
def gcs_root(gcs_emulator: GCSEmulator) -> str:
    return gcs_emulator.create_bucket(BUCKET)


@pytest.fixture(scope="session")
def azure_root(azure_emulator: AzureEmulator) -> str:
    return azure_emulator.create_bucket(BUCKET)


@pytest.fixture
def local(tmp_path: Path) -> Destination:
    return Destination(url=f"file://{tmp_path}/destination", emulator=None, bucket="")


@pytest.fixture
def s3(s3_root: str, s3_emulator: S3Emulator) -> Destination:
    return _new_prefix(s3_root, s3_emulator)


@pytest.fixture
def gcs(gcs_root: str, gcs_emulator: GCSEmulator) -> Destination:
    return _new_prefix(gcs_root, gcs_emulator)


@pytest.fixture
def azure(azure_root: str, azure_emulator: AzureEmulator) -> Destination:
    return _new_prefix(azure_root, azure_emulator)


def _new_prefix(root: str, emulator: Emulator) -> Destination:
    return Destination(url=f"{root}/{uuid.uuid4().hex}/day=1", emulator=emulator, bucket=BUCKET)


CLOUDS = [pytest.param(name, marks=pytest.mark.emulator) for name in ("s3", "gcs", "azure")]


@pytest.fixture(params=["local", *CLOUDS])
def destination(request: pytest.FixtureRequest) -> Destination:
    """Each store in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Destination:
    """Each cloud in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    """A local awork with 250 entries, and the connection ``awork_default`` to it."""
    with Sandbox(entries=250) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture
def no_wait_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_STORAGE_WAIT", tenacity.wait_none())
