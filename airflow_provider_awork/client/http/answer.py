"""An answer of awork, and its body as Python objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.exceptions import AworkTransportError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer with status 2xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes | memoryview


def decode_json(answer: Answer) -> Any:
    """Return the body as Python objects; None for an empty body (204)."""
    return decode_body(json_text.decode, answer) if answer.body else None


def decode_raw_json(answer: Answer) -> Any:
    """The body as :func:`decode_json` gives it, but with texts that can only go back to awork as they came."""
    return decode_body(json_text.decode_exactly, answer) if answer.body else None


def decode_body(decode: Callable[[bytes | memoryview], T], answer: Answer) -> T:
    """
    Decode a body.

    :raises AworkTransportError: the body is not the JSON that was asked for: it is cut, or HTML from a proxy.
    """
    try:
        return decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = answer.headers.get("content-type", "no content type")
        raise AworkTransportError(f"unreadable body ({kind}, {len(answer.body)} bytes): {error}") from None
