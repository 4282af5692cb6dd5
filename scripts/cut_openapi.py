"""
Cut ``tests/awork_openapi.json`` out of awork's OpenAPI document: what the contract tests need, without prose.

``python scripts/cut_openapi.py openapi.json``. awork serves the document at https://api.awork.com/openapi/v1. The cut
holds every list endpoint, every time-entry operation, the single objects that the client reads, and the schemas of the
time-entry operations and of the lists that have columns. Rows of other lists are named but not described.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_awork.client.lists.resources import RESOURCES

CUT = Path(__file__).resolve().parent.parent / "tests" / "awork_openapi.json"
SINGLE_OBJECTS = ("/me", "/me/permissions", "/users/me")
LONGEST_LINE = 118
SCHEMA = "#/components/schemas/"

Json = dict[str, Any]


def cut(document: Json) -> Json:
    """Return the part of the document that the tests need."""
    paths: Json = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if is_needed(path, method, operation):
                paths.setdefault(path, {})[method] = trim_operation(operation)
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "paths": paths,
        "components": {
            "parameters": without_prose(document["components"]["parameters"]),
            "schemas": needed_schemas(document, paths),
        },
    }


def is_needed(path: str, method: str, operation: Json) -> bool:
    if "TimeEntries" in operation.get("tags", ()):
        return True
    return method == "get" and (path in SINGLE_OBJECTS or answer_schema(operation).get("type") == "array")


def answer_schema(operation: Json) -> Json:
    content = operation["responses"].get("200", {}).get("content", {})
    schema: Json = content.get("application/json", {}).get("schema", {})
    return schema


def trim_operation(operation: Json) -> Json:
    """Return an operation without prose; the batch operations are named in prose alone, so their names are kept."""
    kept = {key: operation[key] for key in ("operationId", "tags", "parameters", "requestBody") if key in operation}
    responses = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    trimmed: Json = without_prose({**kept, "responses": responses})
    if operation["operationId"] == "PostTimeEntriesBatchByOperation":
        trimmed["x-operations"] = sorted(set(re.findall(r"<i>(\w+)</i>", operation["description"])))
    return trimmed


def needed_schemas(document: Json, paths: Json) -> Json:
    """Return the schemas that rows with columns and time-entry operations refer to, directly or not."""
    lists = {path for resource in RESOURCES.values() for path in resource.templates}
    described = [
        operation
        for path, operations in paths.items()
        for operation in operations.values()
        if re.sub(r"\{\w+\}", "{id}", path[1:]) in lists or path in SINGLE_OBJECTS or "TimeEntries" in operation["tags"]
    ]
    schemas: Json = {}
    waiting = {"ErrorResponse", "TimeTrackingSetting", *references(described)}
    while waiting:
        name = waiting.pop()
        schemas[name] = without_prose(document["components"]["schemas"][name])
        waiting |= set(references(schemas[name])) - schemas.keys()
    return schemas


def references(part: Any) -> Iterator[str]:
    """Yield the names of the schemas that a part of the document refers to."""
    if isinstance(part, dict):
        if str(part.get("$ref", "")).startswith(SCHEMA):
            yield part["$ref"].removeprefix(SCHEMA)
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def without_prose(part: Any, *, is_named: bool = False) -> Any:
    """
    Return a part of the document without descriptions and examples.

    :param is_named: whether the keys are names of awork's, such as those of properties: all of them are kept.
    """
    if isinstance(part, list):
        return [without_prose(value) for value in part]
    if not isinstance(part, dict):
        return part
    return {
        key: without_prose(value, is_named=key in ("properties", "schemas"))
        for key, value in part.items()
        if is_named or key not in ("description", "summary", "example", "examples", "title")
    }


def to_lines(value: Any, indent: str = "") -> str:
    """Write JSON with sorted keys; what fits on a line stands on one, so that a difference shows as few lines."""
    line = json.dumps(value, sort_keys=True)
    if len(indent) + len(line) <= LONGEST_LINE or not isinstance(value, (dict, list)):
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {to_lines(each, deeper)}" for key, each in sorted(value.items())]
        opening, closing = "{}"
    else:
        parts = [to_lines(each, deeper) for each in value]
        opening, closing = "[]"
    body = ",\n".join(f"{deeper}{part}" for part in parts)
    return f"{opening}\n{body}\n{indent}{closing}"


if __name__ == "__main__":
    CUT.write_text(to_lines(cut(json.loads(Path(sys.argv[1]).read_text()))) + "\n")
