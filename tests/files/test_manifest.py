"""The manifest of a published set: its schema, and checking a set by it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from airflow_provider_awork.exceptions import AworkPublishError
from airflow_provider_awork.files.manifest import (
    MANIFEST_NAME,
    Manifest,
    encode_manifest,
    read_manifest,
    verify_manifest,
)
from airflow_provider_awork.files.publisher import Publisher
from tests.helpers.publishing import OLD_SET, OWNER, export, names_at

SCHEMA = json.loads(resources.files("airflow_provider_awork.files").joinpath("manifest.schema.json").read_text())


def test_manifest_follows_its_schema(local: Any, tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    export(local, tmp_path, OLD_SET)
    manifest = json.loads((local / MANIFEST_NAME).read_text())
    jsonschema.validate(manifest, SCHEMA)
    assert (
        {*SCHEMA["required"], "misfits", "open_window"} == set(SCHEMA["properties"]) == set(manifest)
    )  # 0.1.0 has neither


def test_the_schema_describes_the_structs() -> None:
    generated = msgspec.json.schema(Manifest)
    assert structure(SCHEMA) == structure(generated, generated["$defs"])


def structure(node: Any, definitions: Any = None) -> dict[str, Any]:
    """What a JSON Schema asks for, without its texts and references; alternatives are joined to lists of types."""
    if "$ref" in node:
        return structure(definitions[node["$ref"].rpartition("/")[2]], definitions)
    alternatives = [structure(each, definitions) for each in node.get("anyOf", ())]
    found = {key: value for each in alternatives for key, value in each.items()}
    found |= {key: node[key] for key in ("minimum", "pattern", "format") if key in node}
    types = [*(kind for each in alternatives for kind in each["types"]), *_types(node)]
    if "properties" in node:
        found["properties"] = [(name, structure(each, definitions)) for name, each in node["properties"].items()]
        found["required"] = sorted(node.get("required", ()))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            found[key] = structure(node[key], definitions)
    values = [node["const"]] if "const" in node else node.get("enum", [])
    return {**found, "types": sorted(types), **({"values": sorted(values)} if values else {})}


def _types(node: Any) -> list[str]:
    kinds = node.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def test_a_manifest_is_read_as_it_was_written(local: Any, tmp_path: Path) -> None:
    assert read_manifest(local) is None
    manifest = export(local, tmp_path, OLD_SET)
    assert read_manifest(local) == manifest
    assert encode_manifest(manifest) == (local / MANIFEST_NAME).read_bytes()


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
    names = [file.name for file in export(destination, tmp_path, OLD_SET).files]
    destination.fs.pipe_file(f"{destination.path}/{names[0]}", b"SHARED")
    verify_manifest(destination)
    with pytest.raises(AworkPublishError, match=rf"other bytes.*: {names[0]}$"):
        verify_manifest(destination, check_sha256=True)
    destination.fs.rm_file(f"{destination.path}/{names[1]}")
    destination.fs.pipe_file(f"{destination.path}/{names[2]}", b"?")
    with pytest.raises(AworkPublishError, match=rf"{names[1]} \(missing\), {names[2]} \(1 instead of 5 bytes\)"):
        verify_manifest(destination)
