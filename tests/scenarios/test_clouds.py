"""The export in real DAG runs to local files, S3, Google Cloud Storage and Azure, by the official providers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_provider_awork.files.manifest import MANIFEST_NAME, read_manifest
from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.destinations import Destination, export_successfully

FORMATS: list[dict[str, Any]] = [{"file_format": "ndjson", "compression": "gzip"}, {"file_format": "parquet"}]
formats = pytest.mark.parametrize("parameters", FORMATS, ids=["ndjson", "parquet"])


def stored_ids(awork: Sandbox) -> list[str]:
    return sorted(entry["id"] for entry in awork.store.entries())


@formats
def test_every_entry_arrives_once(awork: Sandbox, destination: Destination, parameters: dict[str, Any]) -> None:
    summary = export_successfully(destination, max_rows_per_file=100, **parameters)
    assert (summary["rows"], summary["files"]) == (250, 3)
    assert sorted(destination.ids()) == stored_ids(awork)
    destination.assert_only_the_set()


@formats
def test_unchanged_entries_give_the_same_files(
    awork: Sandbox, destination: Destination, parameters: dict[str, Any]
) -> None:
    export_successfully(destination, max_rows_per_file=100, **parameters)
    files, manifest = destination.files(), read_manifest(destination.path)
    export_successfully(destination, max_rows_per_file=100, max_concurrent_requests=2, **parameters)
    again = read_manifest(destination.path)
    assert destination.files() == files
    assert manifest is not None
    assert again is not None
    assert manifest.run != again.run
    assert manifest == msgspec.structs.replace(again, run=manifest.run)
    destination.assert_only_the_set()


@formats
def test_an_edit_replaces_the_file(awork: Sandbox, destination: Destination, parameters: dict[str, Any]) -> None:
    export_successfully(destination, max_rows_per_file=100, **parameters)
    before = set(destination.files())
    awork.store.edit(destination.ids()[0], note="edited")
    export_successfully(destination, max_rows_per_file=100, **parameters)
    assert len(before - set(destination.files())) == 1
    assert sorted(destination.ids()) == stored_ids(awork)
    destination.assert_only_the_set()


@formats
def test_a_shrunk_set_leaves_no_surplus(awork: Sandbox, destination: Destination, parameters: dict[str, Any]) -> None:
    export_successfully(destination, max_rows_per_file=100, **parameters)
    awork.store.delete(destination.ids()[100:])
    export_successfully(destination, max_rows_per_file=100, max_shrink=None, **parameters)
    assert len(destination.files()) == 1
    assert sorted(destination.ids()) == stored_ids(awork)
    destination.assert_only_the_set()


@formats
def test_nothing_matches(awork: Sandbox, destination: Destination, parameters: dict[str, Any]) -> None:
    export_successfully(destination, max_rows_per_file=100, **parameters)
    awork.store.delete(destination.ids())
    summary = export_successfully(destination, max_rows_per_file=100, max_shrink=None, **parameters)
    manifest = read_manifest(destination.path)
    assert manifest is not None
    assert (summary["rows"], manifest.rows, manifest.files) == (0, 0, ())
    assert destination.names() == {MANIFEST_NAME}
