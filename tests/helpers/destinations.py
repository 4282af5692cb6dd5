"""Places to export to, on every supported store, and exports to them."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pendulum
import pyarrow.parquet as pq
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_awork.files.manifest import MANIFEST_NAME, verify_manifest
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from tests.helpers.airflow_harness import DagResult, run_dag
from tests.helpers.storage_emulators import Emulator


@dataclass(frozen=True, kw_only=True)
class Destination:
    """
    A prefix of its own on a store.

    :param url: as the operator takes it.
    :param emulator: of the store; None for a local folder.
    :param bucket: its bucket; empty for a local folder.
    """

    url: str
    emulator: Emulator | None
    bucket: str

    @property
    def path(self) -> ObjectStoragePath:
        return ObjectStoragePath(self.url)

    def names(self) -> set[str]:
        """All files that lie there, hidden and temporary ones too, as the store itself lists them."""
        if self.emulator is None:
            folder = Path(self.path.path)
            return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()
        prefix = self._prefix()
        keys = self.emulator.keys(self.bucket)
        return {key.removeprefix(prefix) for key in keys if key.startswith(prefix)}

    def unfinished_uploads(self) -> list[str]:
        if self.emulator is None:
            return []
        return [key for key in self.emulator.unfinished_uploads(self.bucket) if key.startswith(self._prefix())]

    def files(self) -> dict[str, bytes]:
        """The published set by the manifest, each file's digest checked."""
        manifest = verify_manifest(self.path, check_sha256=True)
        return {file.name: (self.path / file.name).read_bytes() for file in manifest.files}

    def ids(self) -> list[str]:
        """Ids of the published entries, in order."""
        return [entry_id for name, data in self.files().items() for entry_id in _ids_in(name, data)]

    def assert_only_the_set(self) -> None:
        """Nothing but one complete set lies there."""
        assert self.names() == {MANIFEST_NAME, *self.files()}
        assert self.unfinished_uploads() == []

    def _prefix(self) -> str:
        return self.url.rsplit("@", 1)[1].removeprefix(f"{self.bucket}/") + "/"


def _ids_in(name: str, data: bytes) -> list[str]:
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data)).column("id").to_pylist()
    lines = gzip.decompress(data) if name.endswith(".gz") else data
    return [msgspec.json.decode(line)["id"] for line in lines.splitlines()]


def export(destination: Destination, *, dag_id: str = "export", **parameters: Any) -> DagResult:
    """Run the transfer operator in a real DAG run."""
    with DAG(dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination=destination.url, **parameters)
    return run_dag(dag)


def export_successfully(destination: Destination, **parameters: Any) -> dict[str, Any]:
    """Run the transfer operator and give its result."""
    result = export(destination, **parameters)
    assert result.state == "success"
    return result.xcom("export")
