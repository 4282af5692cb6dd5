"""Small sets of files to publish, and looks at what is published."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_awork.files.formats import Compression, FileFormat
from airflow_provider_awork.files.manifest import (
    MANIFEST_NAME,
    MANIFEST_SCHEMA_VERSION,
    THIS_SOFTWARE,
    Manifest,
    ManifestRun,
    ManifestSource,
    ManifestWindow,
    read_manifest,
    verify_manifest,
)
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.writers import Part

OWNER = Owner(dag_id="export", run_id="run-1", task_id="awork", map_index=-1, try_number=1)
SECOND_TRY = Owner(dag_id="export", run_id="run-1", task_id="awork", map_index=-1, try_number=2)
OTHER_RUN = Owner(dag_id="export", run_id="run-2", task_id="awork", map_index=-1, try_number=1)
OLD_SET = ("shared", "old b", "old c")
NEW_SET = ("shared", "new b")
NO_WAIT = timedelta(0)


def manifest_for(publisher: Publisher, owner: Owner = OWNER, **fields: Any) -> Manifest:
    """Describe what was put."""
    described: dict[str, Any] = {
        "schema_version": MANIFEST_SCHEMA_VERSION,
        "created_by": THIS_SOFTWARE,
        "files": publisher.files,
        "rows": sum(file.rows for file in publisher.files),
        "bytes": sum(file.bytes for file in publisher.files),
        "file_format": FileFormat.NDJSON,
        "compression": Compression.GZIP,
        "window": ManifestWindow(field="createdOn", start="2025-01-01", end="2025-02-01", timezone=None),
        "filterby": None,
        "watermark": None,
        "source": source_of("timeentries", workspace_id="w"),
        "columns": None,
        "unknown_fields": {},
        "run": ManifestRun(finished_at="2025-02-01T00:00:00Z", seconds=1.5, requests=3, owner=owner),
    }
    return Manifest(**{**described, **fields})


def source_of(list_path: str, *, workspace_id: str | None) -> ManifestSource:
    return ManifestSource(
        base_url="https://api.awork.com/api/v1",
        list_path=list_path,
        workspace_id=workspace_id,
        workspace_name="W",
        user_id="u",
        name="U",
        sees_all_entries=True,
    )


def spool(folder: Path, index: int, content: bytes) -> Part:
    path = folder / f"{os.getpid()}-{threading.get_ident()}-{index}"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Part(index=index, path=path, rows=1, bytes=len(content), sha256=digest, suffix=".ndjson.gz")


def export(
    destination: Any, spool_in: Path, contents: tuple[str, ...], owner: Owner = OWNER, **options: Any
) -> Manifest:
    with Publisher(destination, owner=owner, **options) as publisher:
        for index, content in enumerate(contents):
            publisher.put(spool(spool_in, index, content.encode()))
        manifest = manifest_for(publisher, owner)
        publisher.commit(manifest)
    return manifest


def export_and_fail(destination: Any, spool_in: Path, contents: tuple[str, ...], error: BaseException) -> None:
    with Publisher(destination, owner=SECOND_TRY, wait_for=NO_WAIT) as publisher:
        for index, content in enumerate(contents):
            publisher.put(spool(spool_in, index, content.encode()))
        raise error


def names_at(destination: Any) -> set[str]:
    destination.fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return {entry.rsplit("/", 1)[-1] for entry in destination.fs.ls(destination.path, detail=False)}
    return set()


def contents_at(destination: Any) -> tuple[str, ...]:
    manifest = verify_manifest(destination, check_sha256=True)
    return tuple(destination.fs.cat_file(f"{destination.path}/{file.name}").decode() for file in manifest.files)


def assert_only_set(destination: Any, contents: tuple[str, ...]) -> None:
    assert contents_at(destination) == contents
    manifest = read_manifest(destination)
    assert manifest is not None
    assert names_at(destination) == {MANIFEST_NAME} | {file.name for file in manifest.files}
