"""A list's answer as a page: raw rows, their ids and ``createdOn``, and the counts in its headers."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer, decode_body
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.pages import Page
from airflow_provider_awork.exceptions import AworkPagingError, AworkTransportError


class _Key(msgspec.Struct, gc=False):
    id: str = ""
    createdOn: str = ""


_Rows = Callable[[bytes | memoryview], list[Any]]

_decode_keys = json_text.decoder(list[_Key])


def decode_page(answer: Answer) -> Page:
    """
    Split a list's body into raw rows without decoding them; only ``id`` and ``createdOn`` are read.

    :raises AworkTransportError: the body is not a JSON array of objects with ids of their own.
    :raises AworkPagingError: the answer reports fewer rows than it has.
    """
    return _checked(decode_sample(answer))


def decode_sample(answer: Answer) -> Page:
    """Decode a page as :func:`decode_page` does, whatever total it reports: for the doctor."""
    return _page(answer, _decode_keys)


@functools.cache
def page_decoder(field: str) -> Callable[[Answer], Page]:
    """Return a :func:`decode_page` that also reads a field of each row, as the page's ``values``."""
    decode_keys, attribute = _decode_keys, field
    if field not in _Key.__struct_fields__:
        attribute = "value"
        member = (attribute, str | None, msgspec.field(name=field, default=None))
        row: Any = msgspec.defstruct("Row", [member], bases=(_Key,), gc=False)
        decode_keys = json_text.decoder(list[row])
    return lambda answer: _checked(_page(answer, decode_keys, operator.attrgetter(attribute)))


def _page(answer: Answer, decode_keys: _Rows, value_of: Callable[[Any], str | None] | None = None) -> Page:
    rows, keys = decode_body(functools.partial(_split, decode_keys=decode_keys), answer)
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
        values=list(map(value_of, keys)) if value_of else [],
    )


def _checked(page: Page) -> Page:
    """
    Return a page whose total can be right.

    :raises AworkPagingError: fewer rows match than the page has.
    """
    if page.total is not None and page.total < len(page.rows):
        raise AworkPagingError(f"aw-totalitems: awork reports {page.total} rows beside {len(page.rows)} that it sends")
    return page


def _split(body: bytes | memoryview, *, decode_keys: _Rows = _decode_keys) -> tuple[list[msgspec.Raw], list[Any]]:
    keys = decode_keys(body)
    if any("\ufffd" in key.id for key in keys):
        raise msgspec.DecodeError("an id is not a text")
    return json_text.split_array(body), keys


def decode_whole_list(answer: Answer) -> Page:
    """Split the body of a list that does not page; its rows may lack ``id`` and ``createdOn``."""
    rows, _ = decode_body(_split, answer)
    return _checked(Page(rows=rows, ids=[], keys=[], total=header_count(answer, "aw-totalitems")))


def header_count(answer: Answer, header: str) -> int | None:
    """A header that counts something; None if it is missing or no number."""
    value = answer.headers.get(header, "")
    return int(value) if value.isdecimal() else None
