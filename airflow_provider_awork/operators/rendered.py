"""Values of parameters that templates render: a text, where the parameter is a list, a flag or a number."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_awork.exceptions import AworkConfigError


def read_ids(given: Any) -> Any:
    """
    Read a list in a text: in Python's or JSON's notation, or ids with commas. Anything else is returned as it is.

    >>> read_ids("a, b"), read_ids('["a", null]'), read_ids("['a', None]"), read_ids(["a"])
    (['a', 'b'], ['a', None], ['a', None], ['a'])

    :raises AworkConfigError: the text looks like a list and is none.
    """
    if not isinstance(given, str):
        return given
    if not given.strip().startswith("["):
        return [part.strip() for part in given.split(",") if part.strip()]
    return _read_literal(given, "time_entry_ids", "a list of ids")


def read_output(given: Any) -> Any:
    """
    Read a transfer's output in a text, in Python's or JSON's notation. Anything else is returned as it is.

    >>> read_output("{'rows': 1, 'watermark': None}"), read_output('{"watermark": null}'), read_output("s3://lake/set")
    ({'rows': 1, 'watermark': None}, {'watermark': None}, 's3://lake/set')

    :raises AworkConfigError: the text looks like an output and is none.
    """
    if not isinstance(given, str) or not given.strip().startswith("{"):
        return given
    return _read_literal(given, "manifest", "a transfer's output")


def _read_literal(text: str, name: str, kind: str) -> Any:
    for read in (json.loads, ast.literal_eval):  # what tojson writes, and what a template writes without it
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise AworkConfigError(f"{name}: {text.strip()[:40]!r} is not {kind}")


def read_entry_fields(fields: Any, name: str) -> dict[str, Any]:
    """
    Read the fields of a time entry, with the types that awork's fields need.

    :param name: of the parameter, for messages.
    :raises AworkConfigError: it is no dict.
    """
    if not isinstance(fields, Mapping):
        raise AworkConfigError(f"{name}: {fields!r} is not a dict of awork's fields")
    readers = {"isBillable": read_flag, "isBilled": read_flag, "duration": _read_number}
    return {field: readers[field](value) if field in readers else value for field, value in fields.items()}


def read_flag(value: Any) -> Any:
    """
    Read True or False in a text. Anything else is returned as it is.

    >>> read_flag("True"), read_flag(" false "), read_flag("perhaps"), read_flag(None)
    (True, False, 'perhaps', None)
    """
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _read_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value
