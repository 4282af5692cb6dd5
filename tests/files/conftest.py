"""Destinations to publish to: a local folder, and S3 (moto's server, the amazon provider's filesystem)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tenacity

from airflow_provider_awork.files import stores
from tests.helpers.storage_emulators import S3Emulator


@pytest.fixture(scope="session")
def bucket(s3_emulator: S3Emulator) -> str:
    return s3_emulator.create_bucket("publish")


@pytest.fixture
def local(tmp_path: Path) -> Any:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(f"file://{tmp_path}/destination/day=1")


@pytest.fixture
def s3(bucket: str, request: pytest.FixtureRequest) -> Any:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(f"{bucket}/{hashlib.md5(request.node.name.encode()).hexdigest()}")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.emulator)])
def destination(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def no_wait_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_STORAGE_WAIT", tenacity.wait_none())


@pytest.fixture
def no_patience_with_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests without concurrent runs, whose locks are those of killed ones."""
    monkeypatch.setattr(stores, "_LOCK_PATIENCE", 0.05)


@pytest.fixture
def s3_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, dict[str, Any]], None]], None]:
    """Let a test look at, change or refuse what s3fs is about to ask the server."""
    from s3fs import S3FileSystem

    original = S3FileSystem._call_s3

    def install(before: Callable[[str, dict[str, Any]], None]) -> None:
        async def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
            before(method, kwargs)
            return await original(self, method, *args, **kwargs)

        monkeypatch.setattr(S3FileSystem, "_call_s3", call)

    return install
