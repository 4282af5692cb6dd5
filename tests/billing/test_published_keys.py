"""Ids read back from a published set: in every format, and only if the set is whole and the one that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.billing.entry_keys import entry_keys
from airflow_provider_awork.billing.published_keys import PublishedKeys, read_keys
from airflow_provider_awork.exceptions import AworkConfigError, AworkPublishError
from airflow_provider_awork.files.formats import COMPRESSIONS, Compression, FileFormat
from airflow_provider_awork.files.manifest import Manifest, encode_manifest, set_sha256
from airflow_provider_awork.files.publisher import Owner, Publisher
from airflow_provider_awork.files.writers import open_parts
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.publishing import manifest_for, source_of

OWNER = Owner(dag_id="dag", run_id="run", task_id="task", map_index=-1, try_number=1)
WORKSPACE = "5b0d1f5e-3c1a-4a53-9d0b-2f6c3e1d7a90"
OUTPUTS = [(file_format, compression) for file_format, kinds in COMPRESSIONS.items() for compression in kinds]


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    with Sandbox(entries=60, seed=3) as awork:
        return sorted(awork.store.entries(), key=lambda entry: entry["createdOn"])


@pytest.fixture
def destination(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(f"file://{tmp_path}/set")


def publish(
    destination: ObjectStoragePath,
    entries: list[dict[str, Any]],
    file_format: str = "ndjson",
    compression: str | None = None,
    **parameters: Any,
) -> Manifest:
    spool = Path(destination.path).parent / "parts"
    spool.mkdir(exist_ok=True)
    rows = [msgspec.Raw(msgspec.json.encode(entry)) for entry in entries]
    with Publisher(destination, owner=OWNER) as publisher:
        writer = open_parts(spool, file_format=file_format, compression=compression, max_rows_per_file=25, **parameters)
        for part in [*writer.write(rows), *writer.close()]:
            publisher.put(part)
        manifest = manifest_for(
            publisher,
            file_format=FileFormat(file_format),
            compression=Compression(compression or COMPRESSIONS[file_format][0]),  # type: ignore[index]
            window=None,
            source=source_of("timeentries", workspace_id=WORKSPACE),
        )
        publisher.commit(manifest)
    return manifest


def write_manifest(destination: ObjectStoragePath, manifest: Manifest, **changes: Any) -> None:
    (destination / "_manifest.json").write_bytes(encode_manifest(msgspec.structs.replace(manifest, **changes)))


def read(destination: ObjectStoragePath, **parameters: Any) -> PublishedKeys:
    folder = Path(destination.path).parent / "keys"
    folder.mkdir(exist_ok=True)
    return read_keys(destination, folder=folder, **{"workspace_id": WORKSPACE, **parameters})


@pytest.mark.parametrize(("file_format", "compression"), OUTPUTS)
def test_keys_come_back_from_every_format(
    destination: ObjectStoragePath, entries: list[dict[str, Any]], file_format: str, compression: str
) -> None:
    manifest = publish(destination, entries, file_format, compression)
    assert len(manifest.files) == 3
    keys = read(destination, sha256=set_sha256(manifest.files))
    assert len(keys) == 60
    assert list(keys) == list(keys) == entry_keys(entries)
    assert next(iter(keys)) in keys
    assert sorted(path.name for path in (Path(destination.path).parent / "keys").iterdir()) == ["keys.ndjson"]


def test_a_long_note_and_the_formula_guard_do_no_harm(
    destination: ObjectStoragePath, entries: list[dict[str, Any]]
) -> None:
    noted = [{**entries[0], "note": '="x",\r\n' * 50_000}, {**entries[1], "note": "-1"}]
    publish(destination, noted, "csv", csv_formula_guard=True)
    assert list(read(destination)) == entry_keys(noted)


def test_a_byte_order_mark_does_no_harm(destination: ObjectStoragePath, entries: list[dict[str, Any]]) -> None:
    publish(destination, entries[:3], "csv", csv_bom=True)
    assert list(read(destination)) == entry_keys(entries[:3])


def test_an_empty_set_has_no_keys(destination: ObjectStoragePath) -> None:
    publish(destination, [])
    assert list(read(destination)) == []


def test_without_a_manifest_nothing_is_read(destination: ObjectStoragePath, entries: list[dict[str, Any]]) -> None:
    publish(destination, entries)
    (destination / "_manifest.json").unlink()
    with pytest.raises(AworkConfigError, match=r"holds no _manifest.json"):
        read(destination)


@pytest.mark.parametrize("workspace", ["00000000-0000-4000-8000-000000000001", None])
def test_a_set_of_another_workspace_is_refused(
    destination: ObjectStoragePath, entries: list[dict[str, Any]], workspace: str | None
) -> None:
    publish(destination, entries)
    with pytest.raises(AworkConfigError, match=f"exported from workspace {WORKSPACE}, .* workspace {workspace}"):
        read(destination, workspace_id=workspace)


def test_a_set_without_a_workspace_is_refused(destination: ObjectStoragePath, entries: list[dict[str, Any]]) -> None:
    manifest = publish(destination, entries)
    write_manifest(destination, manifest, source=source_of("timeentries", workspace_id=None))
    with pytest.raises(AworkConfigError, match="exported from workspace None"):
        read(destination, workspace_id=None)


def test_a_set_of_something_else_is_refused(destination: ObjectStoragePath, entries: list[dict[str, Any]]) -> None:
    manifest = publish(destination, entries)
    write_manifest(destination, manifest, source=source_of("users", workspace_id=WORKSPACE))
    with pytest.raises(AworkConfigError, match="holds awork's list users, not time entries"):
        read(destination)


def test_a_set_that_was_exported_again_is_refused(
    destination: ObjectStoragePath, entries: list[dict[str, Any]]
) -> None:
    first = set_sha256(publish(destination, entries[:30]).files)
    assert set_sha256(publish(destination, entries[:30]).files) == first
    assert len(read(destination, sha256=first)) == 30
    publish(destination, entries)
    with pytest.raises(AworkConfigError, match="exported again meanwhile"):
        read(destination, sha256=first)


@pytest.mark.parametrize("damage", ["other bytes", "missing", "cut"])
def test_a_damaged_set_is_refused_as_a_whole(
    destination: ObjectStoragePath, entries: list[dict[str, Any]], damage: str
) -> None:
    last = destination / publish(destination, entries).files[-1].name
    data = last.read_bytes()
    last.unlink()
    if damage != "missing":
        last.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(AworkPublishError, match=last.name):
        read(destination)


def test_a_manifest_that_counts_wrong_is_refused(destination: ObjectStoragePath, entries: list[dict[str, Any]]) -> None:
    manifest = publish(destination, entries)
    first, *others = manifest.files
    write_manifest(destination, manifest, files=(msgspec.structs.replace(first, rows=first.rows + 1), *others))
    with pytest.raises(AworkPublishError, match="holds 25 time entries, its manifest says 26"):
        read(destination)


def test_an_entry_that_is_not_as_documented_is_a_clear_error(
    destination: ObjectStoragePath, entries: list[dict[str, Any]]
) -> None:
    publish(destination, [{**entries[0], "resourceVersion": "new"}])
    with pytest.raises(AworkPublishError, match="not as documented"):
        read(destination)
