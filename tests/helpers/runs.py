"""Runs of the hook and of the transfer operator against a local awork, not slowed down where that is not the matter."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from airflow.sdk import Context, ObjectStoragePath

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.rate_limit import RateLimiter
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.files.manifest import verify_manifest
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.windows.window import Window
from tests.helpers.airflow_harness import connection_in_environment

# Several tries, without the patience of production.
QUICK_RETRIES = RetryRules(tries=8, first_wait=0.005, longest_wait=0.02)


def hook_for(
    awork: Sandbox, *, limiter: RateLimiter | None = None, retry: RetryRules = QUICK_RETRIES, **extras: Any
) -> AworkHook:
    """A hook with the extras of its connection, without pacing unless a limiter is given."""
    hook = AworkHook()
    with connection_in_environment(awork.url, awork.token, **extras):
        config = hook.config
    limiter = limiter or RateLimiter(requests_per_minute=1_000_000, requests_per_second=10_000)
    hook.client = AworkClient(config, session=AworkSession(config, limiter=limiter, retry=retry))
    return hook


def read_ids(
    hook: AworkHook,
    *,
    page_size: int = 100,
    concurrency: int = 8,
    filterby: str | None = None,
    window: Window | None = None,
) -> list[str]:
    """The ids of all time entries that the hook reads, in order."""
    reader = hook.read_time_entries(filterby=filterby, window=window, page_size=page_size, concurrency=concurrency)
    return [msgspec.json.decode(row)["id"] for rows in reader for row in rows]


def export(hook: AworkHook, folder: Path, *, concurrency: int = 8, **parameters: Any) -> None:
    """Run the transfer operator to a local folder."""
    operator = AworkTimeEntriesToObjectStorageOperator(
        task_id="export", destination=f"file://{folder}", max_concurrent_requests=concurrency, **parameters
    )
    operator.hook = hook
    instance = SimpleNamespace(dag_id="exports", run_id="manual", task_id="export", map_index=-1, try_number=1)
    operator.execute(cast(Context, {"ti": instance}))


def exported_lines(folder: Path) -> list[bytes]:
    """The lines of the NDJSON files that the manifest lists."""
    path = ObjectStoragePath(f"file://{folder}")
    manifest = verify_manifest(path, check_sha256=True)
    lines = [line for file in manifest.files for line in _unpacked(path / file.name).split(b"\n")[:-1]]
    assert len(lines) == manifest.rows
    return lines


def exported_ids(folder: Path) -> list[str]:
    return [msgspec.json.decode(line)["id"] for line in exported_lines(folder)]


def _unpacked(file: ObjectStoragePath) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if file.name.endswith(".gz") else data
