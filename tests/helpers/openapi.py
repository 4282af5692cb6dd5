"""
The part of awork's OpenAPI document that the tests need, as committed in ``tests/awork_openapi.json``.

``scripts/cut_openapi.py`` writes that file. Parameters, bodies and rows are checked against its schemas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from typing import Any

from jsonschema import FormatChecker
from openapi_schema_validator import OAS30Validator

from airflow_provider_awork.columns.model import ColumnType
from tests.helpers.repository import REPOSITORY

Json = dict[str, Any]

DOCUMENT: Json = json.loads((REPOSITORY / "tests" / "awork_openapi.json").read_text())
SCHEMAS: Json = DOCUMENT["components"]["schemas"]

_COLUMN_TYPES = {
    ("string", None): ColumnType.TEXT,
    ("string", "uuid"): ColumnType.TEXT,
    ("string", "date"): ColumnType.TEXT,
    ("string", "date-time"): ColumnType.TEXT,
    ("boolean", None): ColumnType.BOOLEAN,
    ("integer", "int32"): ColumnType.INTEGER,
    ("integer", "int64"): ColumnType.INTEGER,
    ("number", "double"): ColumnType.NUMBER,
}


def time_entry_operations() -> dict[str, tuple[str, str, Json]]:
    """Return method, path and description of each time-entry operation, by its id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if "TimeEntries" in operation["tags"]
    }


def list_operations() -> dict[str, Json]:
    """Return the description of each list endpoint by its path."""
    return {
        path: operations["get"]
        for path, operations in DOCUMENT["paths"].items()
        if "get" in operations and (json_schema(operations["get"]["responses"]["200"]) or {}).get("type") == "array"
    }


def json_schema(part: Json) -> Json | None:
    """Return the JSON schema of a request body or a response; None if it has none."""
    schema: Json | None = part.get("content", {}).get("application/json", {}).get("schema")
    return schema


def answer_schema(path: str) -> Json:
    """Return the schema of what GET returns."""
    schema = json_schema(DOCUMENT["paths"][path]["get"]["responses"]["200"])
    assert schema is not None
    return schema


def row_schema(path: str) -> str:
    """Return the name of the schema of a list's rows, or their plain type."""
    items = answer_schema(path)["items"]
    return str(items["$ref"].rpartition("/")[2] if "$ref" in items else items["type"])


def resolve(part: Json) -> Json:
    """Follow a reference to a parameter or a schema."""
    while "$ref" in part:
        _, kind, name = part["$ref"].rsplit("/", 2)
        part = DOCUMENT["components"][kind][name]
    return part


def parameters(operation: Json, place: str) -> dict[str, Json]:
    """Return the schemas of an operation's parameters in ``query`` or ``path``, by name."""
    described = map(resolve, operation.get("parameters", ()))
    return {each["name"]: each["schema"] for each in described if each["in"] == place}


def schema_errors(schema: Json, value: Any) -> list[str]:
    # Not date-time: awork's local dates have no zone, which the format wants.
    validator = OAS30Validator({**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker(["uuid"]))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def leaves(schema: str, *, whole: Set[str] = frozenset(), prefix: str = "") -> Iterator[tuple[str, ColumnType]]:
    """
    Yield each leaf of a model with the type of its column; an array counts as one.

    :param whole: paths of objects that count as one leaf.
    """
    for key, member in SCHEMAS[schema]["properties"].items():
        path = f"{prefix}{key}"
        if member.get("type") == "array" or path in whole:
            yield path, ColumnType.JSON
        elif "$ref" in member:
            yield from leaves(member["$ref"].rpartition("/")[2], whole=whole, prefix=f"{path}.")
        else:
            yield path, _COLUMN_TYPES[member["type"], member.get("format")]
