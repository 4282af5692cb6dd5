"""Small sets of files to publish, and looks at what is published."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_awork.files.manifest import MANIFEST_NAME, ManifestBody, read_manifest, verify_manifest
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.writers import Part

OWNER = Owner(dag_id="export", run_id="run-1", task_id="awork", map_index=-1, try_number=1)
SECOND_TRY = Owner(dag_id="export", run_id="run-1", task_id="awork", map_index=-1, try_number=2)
OTHER_RUN = Owner(dag_id="export", run_id="run-2", task_id="awork", map_index=-1, try_number=1)
BODY: ManifestBody = {
    "format": "ndjson",
    "compression": "gzip",
    "window": {"field": "createdOn", "start": "2025-01-01", "end": "2025-02-01"},
    "filterby": None,
    "watermark": None,
    "source": {"workspace": "w"},
    "columns": None,
    "unknown_fields": {},
    "run": {"finished_at": "2025-02-01T00:00:00Z", "seconds": 1.5, "requests": 3},
}
OLD_SET = ("shared", "old b", "old c")
NEW_SET = ("shared", "new b")
NO_WAIT = timedelta(0)


def spool(folder: Path, index: int, content: bytes) -> Part:
    path = folder / f"{os.getpid()}-{threading.get_ident()}-{index}"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Part(index=index, path=path, rows=1, bytes=len(content), sha256=digest, suffix=".ndjson.gz")


def export(destination: Any, spool_in: Path, contents: tuple[str, ...], owner: Owner = OWNER, **options: Any) -> Any:
    with Publisher(destination, owner=owner, **options) as publisher:
        for index, content in enumerate(contents):
            publisher.put(spool(spool_in, index, content.encode()))
        return publisher.commit(BODY)


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
    return tuple(destination.fs.cat_file(f"{destination.path}/{f['name']}").decode() for f in manifest["files"])


def assert_only_set(destination: Any, contents: tuple[str, ...]) -> None:
    assert contents_at(destination) == contents
    manifest = read_manifest(destination)
    assert manifest is not None
    assert names_at(destination) == {MANIFEST_NAME} | {file["name"] for file in manifest["files"]}
