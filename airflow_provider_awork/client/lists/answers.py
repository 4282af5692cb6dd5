"""A list's answer as a page: raw rows, their ids and ``createdOn``, and the counts in its headers."""

from __future__ import annotations

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer, decode_body
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.pages import Page
from airflow_provider_awork.exceptions import AworkTransportError


class _Key(msgspec.Struct, gc=False):
    id: str = ""
    createdOn: str = ""


_decode_keys = json_text.decoder(list[_Key])


def decode_page(answer: Answer) -> Page:
    """
    Split a list's body into raw rows without decoding them; only ``id`` and ``createdOn`` are read.

    :raises AworkTransportError: the body is not a JSON array of objects with ids of their own.
    """
    rows, keys = decode_body(_split, answer)
    dated = sum(1 for key in keys if key.createdOn)
    if dated not in (0, len(keys)) or (dated and not all(key.id for key in keys)):
        raise AworkTransportError("some rows of the answer lack id or createdOn")
    if dated and len({key.id for key in keys}) < len(keys):
        raise AworkTransportError("a row comes twice in one answer")
    return Page(
        rows=rows,
        ids=[key.id for key in keys],
        keys=[instant_key(key.createdOn) for key in keys] if dated else [],
        total=header_count(answer, "aw-totalitems"),
        size=header_count(answer, "aw-pagesize"),
    )


def _split(body: bytes | memoryview) -> tuple[list[msgspec.Raw], list[_Key]]:
    keys: list[_Key] = _decode_keys(body)
    if any("\ufffd" in key.id for key in keys):
        raise msgspec.DecodeError("an id is not a text")
    return json_text.split_array(body), keys


def decode_whole_list(answer: Answer) -> Page:
    """Split the body of a list that does not page; its rows may lack ``id`` and ``createdOn``."""
    rows, _ = decode_body(_split, answer)
    return Page(rows=rows, ids=[], keys=[], total=header_count(answer, "aw-totalitems"))


def header_count(answer: Answer, header: str) -> int | None:
    """A header that counts something; None if it is missing or no number."""
    value = answer.headers.get(header, "")
    return int(value) if value.isdecimal() else None
