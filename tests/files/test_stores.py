"""Destinations that cannot work are said on entering."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_awork.exceptions import AworkConfigError, AworkDestinationError, AworkMissingExtraError
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.version_compat import AirflowFailException
from tests.helpers.publishing import OWNER
from tests.helpers.storage_emulators import S3Emulator


@pytest.mark.emulator
def test_a_missing_bucket_is_said_on_entering(s3_emulator: S3Emulator) -> None:
    from airflow.sdk import ObjectStoragePath

    destination = ObjectStoragePath(f"s3://{s3_emulator.conn_id}@no-such-bucket/prefix")
    with pytest.raises(AworkDestinationError, match=r"no-such-bucket.*does not exist") as raised:
        Publisher(destination, owner=OWNER).__enter__()
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.emulator
def test_missing_rights_are_said_on_entering(s3: Any, s3_emulator: S3Emulator) -> None:
    requests.post(f"{s3_emulator.endpoint_url}/moto-api/reset-auth", data="0", timeout=10)
    try:
        with pytest.raises(AworkDestinationError, match="PermissionError"):
            Publisher(s3, owner=OWNER).__enter__()
    finally:
        requests.post(f"{s3_emulator.endpoint_url}/moto-api/reset-auth", data="inf", timeout=10)


def test_a_destination_below_a_file_is_said_on_entering(local: Any, tmp_path: Path) -> None:
    (tmp_path / "destination").write_text("a file")
    with pytest.raises(AworkDestinationError, match="NotADirectoryError"):
        Publisher(local, owner=OWNER).__enter__()


@pytest.mark.parametrize(("scheme", "extra"), [("gs", "gcs"), ("abfs", "azure"), ("s3", "s3")])
def test_a_missing_provider_names_the_extra(monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str) -> None:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import fs

    registered = {name: each for name, each in fs._register_filesystems().items() if name != scheme}
    monkeypatch.setattr(fs, "_register_filesystems", lambda: registered)
    with pytest.raises(AworkMissingExtraError, match=rf"pip install 'airflow-provider-awork\[{extra}\]'"):
        Publisher(ObjectStoragePath(f"{scheme}://without_provider@bucket/x"), owner=OWNER).__enter__()


@pytest.mark.emulator
def test_a_missing_filesystem_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, s3_emulator: S3Emulator) -> None:
    from airflow.sdk import ObjectStoragePath

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setenv("AIRFLOW_CONN_S3_WITHOUT_LIBRARY", os.environ[f"AIRFLOW_CONN_{s3_emulator.conn_id.upper()}"])
    with pytest.raises(AworkMissingExtraError, match=r"airflow-provider-awork\[s3\]"):
        Publisher(ObjectStoragePath("s3://s3_without_library@publish/x"), owner=OWNER).__enter__()


def test_a_scheme_that_airflow_does_not_know(tmp_path: Path) -> None:
    from airflow.sdk import ObjectStoragePath

    with pytest.raises(AworkConfigError, match="no filesystem for memory://"):
        Publisher(ObjectStoragePath("memory://somewhere/x"), owner=OWNER).__enter__()
