"""The manifest of a published set: its schema, and checking a set by it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_awork.exceptions import AworkPublishError
from airflow_provider_awork.files.manifest import MANIFEST_NAME, verify_manifest
from airflow_provider_awork.files.publisher import Publisher
from tests.helpers.publishing import OLD_SET, OWNER, export, names_at


def test_manifest_follows_its_schema(local: Any, tmp_path: Path) -> None:
    schema = json.loads(resources.files("airflow_provider_awork.files").joinpath("manifest.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    manifest = export(local, tmp_path, OLD_SET)
    jsonschema.validate(manifest, schema)
    assert set(schema["required"]) == set(schema["properties"]) == set(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not known which files"),
        ('{"schema_version": 1}', "not known which files"),
        ('{"schema_version": 2, "files": []}', "schema version 2.*upgrade"),
        (
            '{"schema_version": 1, "files": [{"name": "../other/file", "rows": 1, "bytes": 1, "sha256": ""}]}',
            "not known which files",
        ),
    ],
)
def test_an_unreadable_manifest_stops_the_run_before_it_starts(local: Any, text: str, message: str) -> None:
    local.fs.makedirs(local.path)
    local.fs.pipe_file(f"{local.path}/{MANIFEST_NAME}", text.encode())
    with pytest.raises(AworkPublishError, match=message):
        Publisher(local, owner=OWNER).__enter__()
    assert names_at(local) == {MANIFEST_NAME}


def test_verify_finds_what_is_wrong(destination: Any, tmp_path: Path) -> None:
    with pytest.raises(AworkPublishError, match="Nothing is published"):
        verify_manifest(destination)
    names = [file["name"] for file in export(destination, tmp_path, OLD_SET)["files"]]
    destination.fs.pipe_file(f"{destination.path}/{names[0]}", b"SHARED")
    verify_manifest(destination)
    with pytest.raises(AworkPublishError, match=rf"other bytes.*: {names[0]}$"):
        verify_manifest(destination, check_sha256=True)
    destination.fs.rm_file(f"{destination.path}/{names[1]}")
    destination.fs.pipe_file(f"{destination.path}/{names[2]}", b"?")
    with pytest.raises(AworkPublishError, match=rf"{names[1]} \(missing\), {names[2]} \(1 instead of 5 bytes\)"):
        verify_manifest(destination)
